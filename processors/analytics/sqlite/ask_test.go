package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/asktest"
	"github.com/weirstream/weir/processors/analytics/sqlite"
)

func TestQuestions(t *testing.T) {
	asktest.Run(t, func(t testing.TB, s *analytics.Schema) analytics.Store {
		store, err := sqlite.Open(filepath.Join(t.TempDir(), "analytics.db"), s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	})
}
