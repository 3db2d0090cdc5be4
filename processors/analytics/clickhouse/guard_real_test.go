//go:build real

package clickhouse_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/analyticstest"
	"github.com/weirstream/weir/processors/analytics/asktest"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

// fresh is a store in a database of its own.
func fresh(t testing.TB, schema *analytics.Schema) (s *clickhouse.Store, name string) {
	t.Helper()
	name = database()
	opened, err := open(t, os.Getenv("WEIR_REAL_CLICKHOUSE")+"/"+name, schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened.(*clickhouse.Store), name
}

// A writer of a database that is not there makes it.
func TestADatabaseIsMade(t *testing.T) {
	s, _ := fresh(t, analyticstest.Schema(t))
	if _, err := s.Claim(t.Context(), 1, []projection.Cursor{{Topic: "harbour.crossing"}}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Newest(t.Context()); err != nil || n != 1 {
		t.Errorf("the newest block is %d (%v)", n, err)
	}
}

// Who would count a block twice is refused before anything is written, and told the cure.
func TestWhatWouldInflateIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ harm, cure, says string }{
		"a table that forgets": {"ALTER TABLE `view_travellers` MODIFY SETTING non_replicated_deduplication_window = 0",
			"ALTER TABLE `view_travellers` MODIFY SETTING non_replicated_deduplication_window = 10000", "table view_travellers forgets what was inserted"},
		"a table that forgets soon": {"ALTER TABLE `blocks` MODIFY SETTING non_replicated_deduplication_window = 100",
			"ALTER TABLE `blocks` MODIFY SETTING non_replicated_deduplication_window = 10000", "it knows 100 blocks, 10000 are needed"},
		"somebody's view with a table that forgets": {"CREATE TABLE mine (n UInt64) ENGINE = SummingMergeTree ORDER BY tuple(); CREATE MATERIALIZED VIEW counts TO mine AS SELECT count() AS n FROM events",
			"ALTER TABLE mine MODIFY SETTING non_replicated_deduplication_window = 10000", "materialized view counts would count a block twice"},
		"somebody's view with a table of its own": {"CREATE MATERIALIZED VIEW own ENGINE = SummingMergeTree ORDER BY tuple() AS SELECT count() AS n FROM saga_cross",
			"DROP VIEW own", "materialized view own would count a block twice"},
	} {
		t.Run(name, func(t *testing.T) {
			s, database := fresh(t, analyticstest.Schema(t))
			if _, err := s.Claim(t.Context(), projectiontest.Partitions, nil); err != nil {
				t.Fatal(err)
			}
			for _, sql := range strings.Split(c.harm, "; ") {
				exec(t, database, sql)
			}
			_, err := s.Claim(t.Context(), projectiontest.Partitions, nil)
			if !errors.Is(err, clickhouse.ErrUnsafe) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "The cure:") {
				t.Errorf("the claim gave %v", err)
			}
			exec(t, database, c.cure)
			if _, err := s.Claim(t.Context(), projectiontest.Partitions, nil); err != nil {
				t.Errorf("cured, it gave %v", err)
			}
		})
	}
}

// What is rendered for a cluster is SQL.
func TestClusterStatementsParse(t *testing.T) {
	schema := analyticstest.Schema(t)
	_, database := fresh(t, schema)
	for _, st := range clickhouse.Statements(schema, clickhouse.Layout{Cluster: "all", KeepDays: 30}) {
		if !strings.Contains(st.SQL, "ON CLUSTER `all`") {
			t.Errorf("%s is made on one server alone", st.Table)
		}
		exec(t, database, "EXPLAIN AST "+st.SQL)
	}
}

// A plan says what a new declaration lacks, and does it once.
func TestPlan(t *testing.T) {
	schema := analyticstest.Schema(t)
	s, database := fresh(t, schema)
	plan := func(want ...string) {
		t.Helper()
		steps, err := s.Plan(t.Context())
		if err != nil || len(steps) != len(want) {
			t.Fatalf("the plan is %v (%v), want %q", steps, err, want)
		}
		for i, w := range want {
			if !strings.Contains(steps[i].Why, w) {
				t.Errorf("step %d is %v, want %q", i, steps[i], w)
			}
		}
		if err := s.Apply(t.Context(), steps); err != nil {
			t.Fatal(err)
		}
	}
	plan()
	exec(t, database, "DROP TABLE saga_cross SYNC")
	exec(t, database, "ALTER TABLE event_crossing_boarded DROP COLUMN gate")
	if _, err := s.Claim(t.Context(), projectiontest.Partitions, nil); err == nil || !strings.Contains(err.Error(), "weir analytics apply") {
		t.Errorf("the claim gave %v", err)
	}
	plan("event_crossing_boarded has no column gate", "there is no saga_cross")
	plan()
	exec(t, database, "ALTER TABLE event_crossing_boarded MODIFY COLUMN gate LowCardinality(String)")
	if _, err := s.Plan(t.Context()); err == nil || !strings.Contains(err.Error(), "column gate of event_crossing_boarded is LowCardinality(String), and is declared as String") {
		t.Errorf("the plan gave %v", err)
	}
}

func TestQuestions(t *testing.T) {
	asktest.Run(t, func(t testing.TB, schema *analytics.Schema) analytics.Store {
		s, _ := fresh(t, schema)
		return s
	})
}
