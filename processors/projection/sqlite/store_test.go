package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/processors/projection/sqlite"
)

func open(t testing.TB) func() projection.Store {
	path := filepath.Join(t.TempDir(), "read.db")
	return func() projection.Store {
		s, err := sqlite.Open(path, projectiontest.Views)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestStore(t *testing.T) { projectiontest.Run(t, open) }

func BenchmarkRun(b *testing.B) { projectiontest.Benchmark(b, open) }

func TestAnotherSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "read.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(path, projectiontest.Views); err == nil || !strings.Contains(err.Error(), "schema version 1") {
		t.Errorf("opened with %v", err)
	}
}
