package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
)

var ctx = context.Background()

func open(t *testing.T, path string, opts ...Option) *Store {
	t.Helper()
	s, err := Open(path, append([]Option{WithoutSync()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func claim(t *testing.T, s *Store, lane int32) *streams.Cursor {
	t.Helper()
	c, err := s.Claim(ctx, lane)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign")
	alter(t, foreign, "CREATE TABLE x(y)")
	newer := filepath.Join(dir, "newer")
	open(t, newer).Close()
	alter(t, newer, "PRAGMA user_version=99")
	for path, want := range map[string]string{
		text:                              "not an SQLite database",
		foreign:                           "another program's",
		newer:                             "run the newer program",
		filepath.Join(dir, "no", "where"): "make its directory",
	} {
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("open %s: got error %v, want one with %q", filepath.Base(path), err, want)
		}
	}
}

func alter(t *testing.T, path, query string) {
	t.Helper()
	c, err := dial(path, &options{synchronous: "OFF"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.exec(query); err != nil {
		t.Fatal(err)
	}
}

func TestPathsWithOddNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c=d#e%41é.db")
	open(t, path).Close()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// The error of a full disk names it, and the store goes on when there is space.
func TestAFullDiskPasses(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	c := claim(t, s, 0)
	limit := func(pages int) {
		err := s.do(ctx, "limit", func(w *writer) error {
			_, err := w.exec(fmt.Sprintf("PRAGMA max_page_count=%d", pages))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(60)
	big := &streams.Tx{Cursor: c, Events: []streams.StoredEvent{{Seq: 1, Type: "x", Record: make([]byte, 1<<20)}}}
	if err := s.Commit(ctx, 0, big); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Fatalf("got error %v, want one that says that the disk is full", err)
	}
	if err := s.Commit(ctx, 0, &streams.Tx{Cursor: c}); err != nil {
		t.Fatalf("a commit that fits: %v", err)
	}
	limit(1 << 30)
	c.Rev++
	if err := s.Commit(ctx, 0, big); err != nil {
		t.Fatalf("after space was made: %v", err)
	}
}

// hold keeps the writer busy until the returned function is called, so that
// what comes meanwhile is pending.
func hold(t *testing.T, s *Store) func() {
	t.Helper()
	began, end := make(chan struct{}), make(chan struct{})
	go s.do(ctx, "hold", func(*writer) error { close(began); <-end; return nil })
	<-began
	return func() { close(end) }
}

// Who stops waiting shares nothing with the writer, which goes on: it sets its
// results when the file is free again, under the race detector's eyes.
func TestAnEndedWaitSharesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, other := open(t, path), open(t, path)
	for name, ask := range map[string]func(context.Context) (any, error){
		"Info":   func(ctx context.Context) (any, error) { return s.Info(ctx, 4) },
		"Claim":  func(ctx context.Context) (any, error) { return s.Claim(ctx, 0) },
		"Expire": func(ctx context.Context) (any, error) { return nil, s.Expire(ctx, time.Now()) },
	} {
		// Freed by a clock: to free it here would order what the two read and set.
		time.AfterFunc(150*time.Millisecond, hold(t, other))
		hurried, end := context.WithTimeout(ctx, 50*time.Millisecond)
		if _, err := ask(hurried); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v, want that of the ended wait", name, err)
		}
		end()
		time.Sleep(200 * time.Millisecond)
	}
}

// Pending commits are merged, and one that fails does not fail the others.
func TestABadLaneDoesNotFailItsNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "store.db"))
		defer s.Close()
		const lanes, bad = 5, 2
		errs := [lanes]error{}
		done := make(chan struct{}, lanes)
		var cursors [lanes]*streams.Cursor
		for n := range lanes {
			cursors[n] = claim(t, s, int32(n))
		}
		cursors[bad].Rev++
		release := hold(t, s)
		for n := range lanes {
			go func() {
				errs[n] = s.Commit(ctx, int32(n), &streams.Tx{Cursor: cursors[n]})
				done <- struct{}{}
			}()
		}
		synctest.Wait()
		release()
		for range lanes {
			<-done
		}
		for n, err := range errs {
			if want := n == bad; errors.Is(err, streams.ErrFenced) != want || (err != nil) != want {
				t.Errorf("lane %d: error %v, want one: %v", n, err, want)
			}
		}
	})
}

// A caller whose context ends leaves at once; what the writer had not yet taken
// is never written.
func TestAnEndedContextStopsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "store.db"))
		defer s.Close()
		c := claim(t, s, 0)
		release := hold(t, s)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Commit(short, 0, &streams.Tx{Cursor: c}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want the context's", err)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("waited %v, want 1s", d)
		}
		release()
		now, err := s.Cursor(ctx, 0)
		if err != nil || now.Rev != c.Rev {
			t.Errorf("rev %d, %v; want %d", now.Rev, err, c.Rev)
		}
	})
}

// Close lets the commit in hand end well, and refuses those after it.
func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "store.db"))
		release := hold(t, s)
		waiting, closed := make(chan error, 1), make(chan error, 2)
		go func() { waiting <- s.Commit(ctx, 0, &streams.Tx{Cursor: &streams.Cursor{}}) }()
		synctest.Wait()
		for range 2 {
			go func() { closed <- s.Close() }()
		}
		synctest.Wait()
		if len(closed) != 0 {
			t.Error("Close did not wait for the transaction that runs")
		}
		release()
		if err := errors.Join(<-closed, <-closed); err != nil {
			t.Error(err)
		}
		if err := <-waiting; !errors.Is(err, ErrClosed) && !errors.Is(err, streams.ErrFenced) {
			t.Errorf("a commit that waited: %v", err)
		}
		if err := s.Expire(ctx, time.Now()); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: got error %v, want ErrClosed", err)
		}
	})
}

func TestTheLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, WithWALLimit(1<<20))
	c := claim(t, s, 0)
	g := generator{}
	for range 20 {
		if err := s.Commit(ctx, 0, g.next(c)); err != nil {
			t.Fatal(err)
		}
		c.Rev++
		if st, err := os.Stat(path + "-wal"); err != nil || st.Size() > 4<<20 {
			t.Fatalf("log of %d bytes, %v", st.Size(), err)
		}
	}
}

// Events follows a stream's links: it must not look at the lane.
func TestEventsFollowsLinks(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	c := claim(t, s, 0)
	g := generator{keys: batchSize, versions: map[int]int64{}}
	for range 3 {
		tx := g.next(c)
		if err := s.Commit(ctx, 0, tx); err != nil {
			t.Fatal(err)
		}
		c.Rev++
	}
	id := streams.StreamID{Decider: "order", Key: fmt.Sprintf("o-%x-0-1", 2654435761)}
	seqs, whole, err := s.chain(ctx, 0, id, 1)
	if err != nil || !whole || len(seqs) != 2 || seqs[0] >= seqs[1] {
		t.Errorf("chain: %v, whole: %v, %v", seqs, whole, err)
	}
	if found, err := s.search(ctx, 0, id, 1); err != nil || fmt.Sprint(found) != fmt.Sprint(seqs) {
		t.Errorf("search: %v, %v; want %v", found, err, seqs)
	}
}

// A process is killed while it commits, several times over: what is there then
// is whole batches, and a process that is alive may go on at once.
func TestKilledWhileItCommits(t *testing.T) {
	if path := os.Getenv("WEIR_SQLITE_KILL"); path != "" {
		commitForEver(t, path)
	}
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path) // the other process: it keeps the file open throughout
	for range 5 {
		before, err := s.Cursor(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		killAfter(t, path, s, before.LastSeq)
		checkWhole(t, s)
	}
}

func killAfter(t *testing.T, path string, s *Store, seq int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileItCommits$")
	cmd.Env = append(os.Environ(), "WEIR_SQLITE_KILL="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := s.Cursor(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if c.LastSeq > seq+3*batchSize {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the other process commits nothing")
		}
	}
}

func commitForEver(t *testing.T, path string) {
	s := open(t, path)
	c := claim(t, s, 0)
	g := generator{n: int(c.LastSeq)}
	for {
		if err := s.Commit(ctx, 0, g.next(c)); err != nil {
			t.Fatal(err)
		}
		c.Rev++
	}
}

func checkWhole(t *testing.T, s *Store) {
	t.Helper()
	c := claim(t, s, 0)
	n := int64(0)
	err := s.Outbox(ctx, 0, 0, 1<<30, func(e streams.StoredEvent) error {
		if n++; e.Seq != n {
			return fmt.Errorf("event %d follows %d", e.Seq, n-1)
		}
		return nil
	})
	if err != nil || n != c.LastSeq || n%batchSize != 0 {
		t.Errorf("%d events, cursor at %d, %v: want them equal, in batches of %d", n, c.LastSeq, err, batchSize)
	}
}

// Another file in the place of the one that is open is noticed, and so is none:
// what is committed would be lost with the process.
func TestTheFileIsReplacedOrRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	claim(t, s, 0)
	if err := os.WriteFile(path+".other", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".kept"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cursor(ctx, 0); err == nil || !strings.Contains(err.Error(), "removed") {
		t.Errorf("removed: the cursor is read: %v", err)
	}
	if err := os.Rename(path+".other", path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(ctx, 1); err == nil || !strings.Contains(err.Error(), "in its place") {
		t.Errorf("replaced: a lane is claimed: %v", err)
	}
	if err := os.Rename(path+".kept", path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cursor(ctx, 0); err != nil {
		t.Errorf("put back: %v", err)
	}
}
