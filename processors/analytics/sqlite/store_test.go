package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	driver "modernc.org/sqlite"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/analyticstest"
	"github.com/weirstream/weir/processors/analytics/sqlite"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

func TestStore(t *testing.T) { analyticstest.Run(t, empty) }

// empty is a place for a file.
func empty(t testing.TB) analyticstest.Place {
	path := filepath.Join(t.TempDir(), "analytics.db")
	p := analyticstest.Place{
		Open: func(s *analytics.Schema) (analytics.Store, error) { return sqlite.OpenLive(path, s) },
		Hours: func(t testing.TB, s analytics.Store) map[analyticstest.Hour]analytics.Sum {
			return hours(t, s.(*sqlite.Live).File())
		},
		Drop: func(t testing.TB, s analytics.Store, table string) {
			harm(t, s, "DELETE FROM `%[1]s` WHERE rowid = (SELECT min(rowid) FROM `%[1]s`)", table)
		},
		Double: func(t testing.TB, s analytics.Store, table string) {
			harm(t, s, "INSERT INTO `%[1]s` SELECT * FROM `%[1]s` LIMIT 1", table)
		},
		Alter: func(t testing.TB, s analytics.Store, table string, c analytics.Column) {
			harm(t, s, "UPDATE `%[1]s` SET `%[2]s` = "+altered(c)+" WHERE rowid = (SELECT min(rowid) FROM `%[1]s`)", table, c.Name)
		},
	}
	for _, table := range []string{"events", "event_crossing_boarded", "view_travellers", "saga_cross", "blocks", "cursors"} {
		p.Faults = append(p.Faults, analyticstest.Fault{Name: "the rows of " + table, Arm: func(t testing.TB, s analytics.Store) { refuse(t, s, table) }})
	}
	p.Faults = append(p.Faults, analyticstest.Fault{Name: "the commit", Arm: failCommit}, analyticstest.Fault{Name: "a full disk", Arm: fillDisk})
	return p
}

func altered(c analytics.Column) string {
	switch {
	case c.List && (c.Kind == analytics.Text || c.Kind == analytics.Word):
		return "json_insert(`%[2]s`, '$[#]', 'altered')"
	case c.List:
		return "json_insert(`%[2]s`, '$[#]', 7)"
	case c.Kind == analytics.Text || c.Kind == analytics.Word:
		return "`%[2]s` || 'x'"
	}
	return "`%[2]s` + 1"
}

// harm changes one row.
func harm(t testing.TB, s analytics.Store, format string, names ...any) {
	t.Helper()
	res, err := s.(*sqlite.Live).File().Writer.Exec(fmt.Sprintf(format, names...))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%d rows were harmed (%v)", n, err)
	}
}

func hours(t testing.TB, s *sqlitefile.File) map[analyticstest.Hour]analytics.Sum {
	t.Helper()
	rows, err := s.Reader.Query("SELECT topic, type, hour, rows, checksum FROM hours")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[analyticstest.Hour]analytics.Sum{}
	for rows.Next() {
		var h analyticstest.Hour
		var n, sum int64
		if err := rows.Scan(&h.Topic, &h.Type, &h.Hour, &n, &sum); err != nil {
			t.Fatal(err)
		}
		out[h] = analytics.Sum{Rows: n, Checksum: uint64(sum)}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// onWriter does something with the connection that writes.
func onWriter(t testing.TB, s analytics.Store, f func(any) error) {
	t.Helper()
	conn, err := s.(*sqlite.Live).File().Writer.Conn(t.Context())
	if err == nil {
		err = conn.Raw(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// refuse has the next statement that writes to a table fail, as it is prepared.
func refuse(t testing.TB, s analytics.Store, table string) {
	done := false
	t.Cleanup(func() { met(t, done) })
	onWriter(t, s, func(c any) error {
		return c.(driver.AuthorizerRegisterer).RegisterAuthorizer(func(action driver.AuthorizerActionCode, of, _, _, _ string) driver.AuthorizerReturnCode {
			if !done && of == table && (action == driver.AuthInsert || action == driver.AuthUpdate) {
				done = true
				return driver.AuthorizerDeny
			}
			return driver.AuthorizerOK
		})
	})
}

func met(t testing.TB, done bool) {
	if !done {
		t.Error("no write met the fault")
	}
}

// failCommit has the next commit roll back.
func failCommit(t testing.TB, s analytics.Store) {
	done := false
	t.Cleanup(func() { met(t, done) })
	onWriter(t, s, func(c any) error {
		c.(driver.HookRegisterer).RegisterCommitHook(func() int32 {
			if done {
				return 0
			}
			done = true
			return 1
		})
		return nil
	})
}

// fillDisk lets the file grow by two pages, and by more only after a while.
func fillDisk(t testing.TB, s analytics.Store) {
	w := s.(*sqlite.Live).File().Writer
	var pages int
	if err := w.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := w.QueryRow(fmt.Sprint("PRAGMA max_page_count = ", pages+2)).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() {
		if err := w.QueryRow("PRAGMA max_page_count = 1000000000").Scan(&pages); err != nil {
			t.Error(err)
		}
	})
}
