package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

// A full disk is waited for: nothing is set aside, nothing ends, and the rows
// catch up once there is space.
func TestAFullDisk(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "read.db"), projectiontest.Views)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var pages int
	if err := s.Writer.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		if err := s.Writer.QueryRow("PRAGMA max_page_count = " + strconv.Itoa(n)).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 1)
	l, m := projectiontest.NewLog(t), projection.New(s)
	l.Produce(l.Lend(60)...)
	stop := projectiontest.Start(t, m, l.Config(projectiontest.Deposit))
	time.Sleep(2 * time.Second)
	if behind, err := l.Behind(m); err != nil || behind == "" {
		t.Fatalf("the disk is not full: %q, %v", behind, err)
	}
	limit(1 << 20)
	l.CaughtUp(t, m)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	skips, err := m.Skips(context.Background())
	for _, x := range skips {
		if len(x.Reason) > 9 && x.Reason[:9] == "set aside" {
			t.Errorf("a full disk cost a record: %+v", x)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// What SQLite says is told apart by what a person can do.
func TestFailuresOfSQLite(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "read.db"), projectiontest.Views)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Writer.Exec("INSERT INTO platform VALUES (2, 1, 1)") // a constraint
	if err := sqlitefile.Failed("x", err); !errors.Is(err, projection.ErrRefused) {
		t.Errorf("a constraint is %v", err)
	}
	_, err = s.Reader.Exec("DELETE FROM platform")
	if err := sqlitefile.Failed("x", err); !errors.Is(err, projection.ErrUnavailable) {
		t.Errorf("a read-only file is %v", err)
	}
	if err := sqlitefile.Failed("x", context.Canceled); errors.Is(err, projection.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the end is %v", err)
	}
	_, err = s.Writer.Exec("no statement")
	if err := sqlitefile.Failed("x", err); err == nil || errors.Is(err, projection.ErrUnavailable) || errors.Is(err, projection.ErrRefused) {
		t.Errorf("a mistake of ours is %v", err)
	}
}
