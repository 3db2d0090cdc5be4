package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/analyticstest"
	"github.com/weirstream/weir/processors/analytics/sqlite"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

func opened(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path, analyticstest.Schema(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Nobody but the owner reads the file and what SQLite keeps beside it, and there is
// nothing personal in them that no table shows.
func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, filepath.Join(dir, "analytics.db"))
	analyticstest.Fill(t, s)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("there are %v (%v)", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %v (%v)", f.Name(), info.Mode(), err)
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || bytes.Contains(b, []byte(analyticstest.Marker)) {
			t.Errorf("%s holds what is personal (%v)", f.Name(), err)
		}
	}
}

func TestAnotherSchemaVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "analytics.db")
	s := opened(t, path)
	if _, err := s.Writer.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(path, analyticstest.Schema(t)); err == nil || !strings.Contains(err.Error(), "schema version 99") || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("opened with %v", err)
	}
	if _, err := sqlite.Open(filepath.Join(t.TempDir(), "nowhere", "analytics.db"), analyticstest.Schema(t)); err == nil || !strings.Contains(err.Error(), "its directory is there") {
		t.Errorf("opened with %v", err)
	}
}

// A question cannot make its connection write, nor open another file.
func TestQuestionsOnlyRead(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, filepath.Join(dir, "analytics.db"))
	other := filepath.Join(dir, "other.db")
	for _, q := range []string{"PRAGMA query_only = 0", "SELECT 1; PRAGMA query_only = 0", "ATTACH '" + other + "' AS other", "SELECT 1; CREATE TABLE x (y)", "VACUUM INTO '" + other + "'", "BEGIN"} {
		if _, err := s.Select(t.Context(), q, nil, 0); err == nil || !strings.Contains(err.Error(), "authoriz") {
			t.Errorf("%s: got error %v", q, err)
		}
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a question made a file")
	}
}

// What is asked most often is found by an index.
func TestQuestionsUseIndices(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "analytics.db"))
	for _, q := range []string{"`events` WHERE `correlation` = 'c'", "`events` WHERE `kind` = 'crossing' AND `key` = 'x'", "`events` WHERE `type` = 'crossing.booked' AND `time` >= 1",
		"`events` WHERE `_block` = 1", "`event_fare_paid` WHERE `_time` >= 1", "`view_crossings` WHERE `_key` = 'x'", "`saga_cross` WHERE `_correlation` = 'c'"} {
		var id, parent, unused int
		var plan string
		if err := s.Reader.QueryRow("EXPLAIN QUERY PLAN SELECT * FROM "+q).Scan(&id, &parent, &unused, &plan); err != nil || !strings.HasPrefix(plan, "SEARCH") {
			t.Errorf("%s: %s (%v)", q, plan, err)
		}
	}
}

// The answer counts whole tables, whatever an index leaves out, and says of which.
func TestTooMuchSaysOfWhat(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "analytics.db"))
	analyticstest.Fill(t, s)
	r, err := s.Select(t.Context(), "SELECT count(*) FROM `events`", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := r.Rows[0][0].(int64)
	if r.Read != n {
		t.Errorf("%d rows were read of %d", r.Read, n)
	}
	if _, err := s.Select(t.Context(), "SELECT 1 FROM `events` WHERE `correlation` = 'c'", nil, n); err != nil {
		t.Errorf("as many as there are: %v", err)
	}
	_, err = s.Select(t.Context(), "SELECT 1 FROM `events` WHERE `correlation` = 'c'", nil, n-1)
	if want := fmt.Sprintf("there are %d rows in [events], and %d is the most", n, n-1); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Odd arguments of a dialect are errors for a person, and wait for nothing.
func TestOddExpressions(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "analytics.db"))
	analyticstest.Fill(t, s)
	d := s.Dialect()
	for want, x := range map[string]string{
		`time zone "Nowhere/O'Where"`: d.Bucket("`time`", "day", "Nowhere/O'Where"),
		`"hours" is no unit of time`:  d.Bucket("`time`", "hours", "UTC"),
		"is no time":                  d.Bucket("`id`", "day", "UTC"),
		"is no number":                d.Quantile("`id`", 0.5),
		"is no whole number":          d.Scaled("avg(`sequence`)", "'GBP'"),
		"no such column":              d.ArgMax("`nothing`", "`time`", "`sequence`", "1"),
	} {
		if _, err := s.Select(t.Context(), "SELECT "+x+" FROM `events`", nil, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", x, err, want)
		}
	}
	if _, err := s.Select(t.Context(), "SELECT 1 FROM "+d.Each("nothing", []analytics.Column{{Name: "x"}}), nil, 0); err == nil || !strings.Contains(err.Error(), "no such table") {
		t.Errorf("got %v", err)
	}
}

// Ids of events from outside go once they are older than a repeat may be.
func TestIdsAreForgotten(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "analytics.db"))
	c, err := s.Claim(t.Context(), 1, []projection.Cursor{{Topic: "external.harbour"}})
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for i := range int64(3) {
		id := streams.ExternalID{Source: "buoy", ID: fmt.Sprint("w", i), At: noon.Add(time.Duration(i) * time.Hour)}
		b := &projection.Batch{Epoch: c.Epoch, Externals: []streams.ExternalID{id}, Forget: id.At.Add(-90 * time.Minute), Moves: []projection.Move{{Topic: "external.harbour", From: i, Next: i + 1}}}
		if err := s.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	known, err := s.Known(t.Context(), []streams.ExternalID{{Source: "buoy", ID: "w0"}, {Source: "buoy", ID: "w1"}, {Source: "buoy", ID: "w2"}})
	if err != nil || len(known) != 2 || known[streams.ExternalID{Source: "buoy", ID: "w0"}] {
		t.Errorf("known are %v (%v)", known, err)
	}
}
