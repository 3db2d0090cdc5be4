//go:build real

package clickhouse_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/analyticstest"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
)

func TestStore(t *testing.T) { analyticstest.Run(t, empty) }

var databases atomic.Int64

// database is a name that nobody has used.
func database() string { return fmt.Sprintf("test_%d_%d", time.Now().UnixNano(), databases.Add(1)) }

// empty is a place for a database.
func empty(t testing.TB) analyticstest.Place {
	p, _ := emptyBehind(t)
	return p
}

// emptyBehind is one behind a relay.
func emptyBehind(t testing.TB) (analyticstest.Place, *relay) {
	r, name := newRelay(t, os.Getenv("WEIR_REAL_CLICKHOUSE")), database()
	t.Cleanup(func() { drop(t, name) })
	p := analyticstest.Place{
		Slow: true,
		Hold: func(testing.TB) func() {
			r.set(func(query string) when {
				if insertsInto(query, analytics.EventsTable) {
					return before
				}
				return never
			})
			return func() { r.set(nil) }
		},
		BreakSwap: func(_ testing.TB, nth int, w bool) (release func() (met bool)) {
			n := 0
			r.set(func(query string) when {
				for _, of := range []string{"EXCHANGE TABLES ", "DROP VIEW ", "DROP DATABASE ", "RENAME DATABASE "} {
					if strings.HasPrefix(query, of) {
						n++
					}
				}
				switch {
				case n < nth:
					return never
				case n == nth && w:
					return after
				}
				return before
			})
			return func() bool {
				r.set(nil)
				return n >= nth
			}
		},
		Direct: func(s *analytics.Schema) (analytics.Store, error) {
			return open(t, os.Getenv("WEIR_REAL_CLICKHOUSE")+"/"+name, s)
		},
		Open: func(s *analytics.Schema) (analytics.Store, error) { return open(t, r.URL+"/"+name, s) },
		Hours: func(t testing.TB, s analytics.Store) map[analyticstest.Hour]analytics.Sum {
			_, counted, err := s.Hours(t.Context(), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			out := map[analyticstest.Hour]analytics.Sum{}
			for h, s := range counted {
				out[analyticstest.Hour{Topic: h.Topic, Type: h.Type, Hour: h.Start}] = s
			}
			return out
		},
		Drop: func(t testing.TB, s analytics.Store, table string) {
			again(t, name, table, "SELECT *", " LIMIT 1, 1000000")
		},
		Double: func(t testing.TB, s analytics.Store, table string) {
			exec(t, name, fmt.Sprintf("INSERT INTO `%[1]s` SELECT * FROM `%[1]s` LIMIT 1", table))
		},
		Alter: func(t testing.TB, s analytics.Store, table string, c analytics.Column) { alter(t, name, table, c) },
	}
	for _, table := range []string{"blocks", "events", "event_crossing_boarded", "view_travellers", "saga_cross"} {
		for _, w := range []when{before, after} {
			p.Faults = append(p.Faults, analyticstest.Fault{Name: fmt.Sprintf("%s the insert into %s", map[when]string{before: "before", after: "after"}[w], table),
				Arm: func(t testing.TB, s analytics.Store) { r.once(t, table, w) }})
		}
	}
	return p, r
}

// open is what weir does: what is missing is made.
func open(t testing.TB, url string, schema *analytics.Schema) (analytics.Store, error) {
	s, err := clickhouse.Open(url, schema, clickhouse.Layout{})
	if err != nil {
		return nil, err
	}
	steps, err := s.Plan(t.Context())
	if err == nil {
		err = s.Apply(t.Context(), steps)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// once breaks the next connection that writes to a table.
func (r *relay) once(t testing.TB, table string, w when) {
	done := false
	r.set(func(query string) when {
		if done || !insertsInto(query, table) {
			return never
		}
		done = true
		return w
	})
	t.Cleanup(func() {
		if r.count() == 0 {
			t.Errorf("nothing was written to %s", table)
		}
	})
}

// drop removes a database and those beside it. The server is not this test's alone.
func drop(t testing.TB, name string) {
	c := connect(t, "default")
	defer c.Close()
	rows, err := c.Query(context.Background(), "SELECT name FROM system.databases WHERE name = ? OR startsWith(name, ?)", name, name+"_")
	if err != nil {
		t.Log(err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var of string
		if err := rows.Scan(&of); err != nil {
			t.Error(err)
		}
		if err := c.Exec(context.Background(), "DROP DATABASE `"+of+"` SYNC"); err != nil {
			t.Log(err)
		}
	}
}

func connect(t testing.TB, database string) driver.Conn {
	t.Helper()
	o, err := clickhouse.Options(os.Getenv("WEIR_REAL_CLICKHOUSE") + "/" + database)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ch.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exec runs a statement in a database, behind the store's back.
func exec(t testing.TB, database, sql string) {
	t.Helper()
	c := connect(t, database)
	defer c.Close()
	if err := c.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// alter changes a value of one row.
func alter(t testing.TB, database, table string, c analytics.Column) {
	t.Helper()
	to := fmt.Sprintf("`%s` + 1", c.Name)
	switch {
	case c.List && (c.Kind == analytics.Text || c.Kind == analytics.Word):
		to = fmt.Sprintf("arrayPushBack(`%s`, 'altered')", c.Name)
	case c.List:
		to = fmt.Sprintf("arrayPushBack(`%s`, 7)", c.Name)
	case c.Kind == analytics.Text || c.Kind == analytics.Word:
		to = fmt.Sprintf("concat(`%s`, 'x')", c.Name)
	case c.Kind == analytics.At:
		to = fmt.Sprintf("`%s` + toIntervalNanosecond(1)", c.Name)
	}
	again(t, database, table, fmt.Sprintf("SELECT * REPLACE (if(rowNumberInAllBlocks() = 0, %s, `%s`) AS `%[2]s`)", to, c.Name), "")
}

// again writes a table anew, from a query over it: a mutation would take half a second.
func again(t testing.TB, database, table, query, where string) {
	t.Helper()
	for _, sql := range []string{"CREATE TABLE `harmed` AS `" + table + "`", "INSERT INTO `harmed` " + query + " FROM `" + table + "`" + where,
		"EXCHANGE TABLES `harmed` AND `" + table + "`", "DROP TABLE `harmed` SYNC"} {
		exec(t, database, sql)
	}
}
