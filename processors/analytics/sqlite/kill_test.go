package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/analyticstest"
	"github.com/weirstream/weir/processors/analytics/sqlite"
)

func live(s *analytics.Schema, where string) (analytics.Swappable, error) {
	return sqlite.OpenLive(where, s)
}

func TestMain(m *testing.M) {
	analyticstest.Child(live)
	os.Exit(m.Run())
}

func TestBackfillsAreKilled(t *testing.T) {
	kills := 40
	if testing.Short() {
		kills = 10
	}
	analyticstest.KillsAnew(t, live, filepath.Join(t.TempDir(), "analytics.db"), kills)
}
