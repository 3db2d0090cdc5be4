//go:build real

package clickhouse_test

import (
	"errors"
	"os"
	"testing"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/analyticstest"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
)

func live(s *analytics.Schema, where string) (analytics.Swappable, error) {
	return clickhouse.Open(os.Getenv("WEIR_REAL_CLICKHOUSE")+"/"+where, s, clickhouse.Layout{})
}

func TestMain(m *testing.M) {
	analyticstest.Child(live)
	os.Exit(m.Run())
}

func TestBackfillsAreKilled(t *testing.T) {
	name := database()
	t.Cleanup(func() { drop(t, name) })
	s, err := open(t, os.Getenv("WEIR_REAL_CLICKHOUSE")+"/"+name, analyticstest.Schema(t))
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	analyticstest.KillsAnew(t, live, name, 25)
}
