package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/processors/projection/sqlite"
	"github.com/weirstream/weir/streams/business"
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

// A file that was made for other views is refused and left as it is; one of the same
// views, declared in another order, is opened.
func TestOtherViewsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "read.db")
	for _, views := range [][]*business.View{projectiontest.Views, {projectiontest.Members, projectiontest.Loans, projectiontest.Titles}} {
		s, err := sqlite.Open(path, views)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		_, err := sqlite.Open(path, projectiontest.Views[:2])
		if err == nil || !strings.Contains(err.Error(), "made for other views") || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("opened with %v", err)
		}
	}
	if s, err := sqlite.Open(path, projectiontest.Views); err != nil {
		t.Error(err)
	} else if err := s.Close(); err != nil {
		t.Error(err)
	}
}
