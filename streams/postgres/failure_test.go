//go:build real

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// other is somebody else's transaction on the store's tables.
func other(t *testing.T, service string, queries ...string) pgx.Tx {
	t.Helper()
	c := dial(t)
	t.Cleanup(func() { c.Close(ctx) })
	tx, err := c.Begin(ctx)
	for _, q := range append([]string{"SET search_path TO " + schemaOf(service)}, queries...) {
		if err == nil {
			_, err = tx.Exec(ctx, q)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// waits until a connection of the service's waits for a lock, and returns its pid.
func waits(t *testing.T, service string) (pid int32) {
	t.Helper()
	c := dial(t)
	defer c.Close(ctx)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		err := c.QueryRow(ctx, "SELECT pid FROM pg_stat_activity WHERE application_name=$1 AND wait_event_type='Lock'", "weir "+service).Scan(&pid)
		if err == nil {
			return pid
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			t.Fatal(err)
		}
	}
	t.Fatal("nobody waits for a lock")
	return 0
}

// begun is a store with a lane that has one batch, and the second batch.
func begun(t *testing.T, opts ...Option) (s *Store, service string, c *streams.Cursor, next *streams.Tx) {
	t.Helper()
	service = fresh(t)
	s = open(t, service, opts...)
	c = claim(t, s, 0)
	g := generator{keys: batchSize, versions: map[int]int64{}}
	if err := s.Commit(ctx, 0, g.next(c)); err != nil {
		t.Fatal(err)
	}
	c.Rev++
	return s, service, c, g.next(c)
}

func commit(ctx context.Context, s *Store, tx *streams.Tx) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Commit(ctx, 0, tx) }()
	return done
}

// The server ends one of two transactions that wait for one another: here ours,
// which waited first and so looks first. It is made again, and succeeds.
func TestADeadlockIsTriedAgain(t *testing.T) {
	s, service, _, tx := begun(t)
	u := mustParse(t, streamtest.Real(t, "postgres"))
	u.RawQuery += "&options=-c%20deadlock_timeout%3D3s" // time for the other to wait for us too
	slow, err := Open(ctx, u.String(), service)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	before := deadlocks(t)
	theirs := other(t, service, "UPDATE snapshots SET version=version", "SET LOCAL deadlock_timeout='1min'")
	done := commit(ctx, slow, tx)
	waits(t, service)
	if _, err := theirs.Exec(ctx, "UPDATE cursors SET rev=rev"); err != nil { // waits for us, until the server ends us
		t.Fatal(err)
	}
	if err := theirs.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(10 * time.Second); deadlocks(t) == before; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server counted no deadlock")
		}
	}
	checkWhole(t, s, batchSize)
}

func deadlocks(t *testing.T) (n int64) {
	t.Helper()
	c := dial(t)
	defer c.Close(ctx)
	if err := c.QueryRow(ctx, "SELECT deadlocks FROM pg_stat_database WHERE datname=current_database()").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A commit whose connection breaks may be done or not: it fails, and is never
// made again by itself.
func TestABrokenConnectionIsNotTriedAgain(t *testing.T) {
	s, service, c, tx := begun(t)
	theirs := other(t, service, "UPDATE snapshots SET version=version")
	done := commit(ctx, s, tx)
	sql(t, fmt.Sprintf("SELECT pg_terminate_backend(%d)", waits(t, service)))
	if err := <-done; err == nil || !strings.Contains(err.Error(), "may be done or not") {
		t.Errorf("got error %v, want one that leaves it open", err)
	}
	if err := theirs.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	now, err := s.Cursor(ctx, 0)
	if err != nil || now.Rev != c.Rev {
		t.Fatalf("cursor: %+v, %v; want rev %d", now, err, c.Rev)
	}
	if err := s.Commit(ctx, 0, tx); err != nil {
		t.Error(err)
	}
	checkWhole(t, s, batchSize)
}

func TestLocksAreWaitedForShortly(t *testing.T) {
	s, service, _, tx := begun(t, WithLockTimeout(200*time.Millisecond))
	theirs := other(t, service, "UPDATE cursors SET rev=rev")
	if err := s.Commit(ctx, 0, tx); err == nil || !strings.Contains(err.Error(), "pg_stat_activity") {
		t.Errorf("got error %v, want one that tells where to look", err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Commit(short, 0, tx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want the context's", err)
	}
	if took := time.Since(began); took > 150*time.Millisecond+time.Second {
		t.Errorf("an ended context was noticed after %v", took)
	}
	if err := theirs.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	waitUntilGone(t, service)
	if err := s.Commit(ctx, 0, tx); err != nil {
		t.Error(err)
	}
	checkWhole(t, s, batchSize)
}

// A process that is frozen between the two round trips of its commit, or whose
// machine is gone, holds the lane's row. Who takes the lane over does not wait for
// its return, and what it began is not done.
func TestAFrozenOwnerIsTakenOver(t *testing.T) {
	frozen, service, c, next := begun(t)
	conn, err := frozen.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	p := &pipeline{ctx: ctx, conn: conn.Conn()}
	p.run(moveCursor, int4(0), int8(c.Epoch), int8(c.Rev), int8(c.LastSeq), int8(c.Published), c.MarshalMaps())
	if err := p.ask(); err != nil {
		t.Fatal(err)
	}
	s := open(t, service, WithLockTimeout(500*time.Millisecond))
	if got := claim(t, s, 0); got.Epoch != c.Epoch+1 {
		t.Errorf("epoch %d follows %d", got.Epoch, c.Epoch)
	}
	if err := p.commit(); err == nil {
		t.Error("what the frozen owner began was committed")
	}
	if err := frozen.Commit(ctx, 0, next); !errors.Is(err, streams.ErrFenced) {
		t.Errorf("the frozen owner's next commit: error %v, want one that says that it is fenced", err)
	}
	checkWhole(t, s, batchSize)
}

// waitUntilGone waits for the end of what the service left running.
func waitUntilGone(t *testing.T, service string) {
	t.Helper()
	c := dial(t)
	defer c.Close(ctx)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n := 0
		if err := c.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name=$1 AND state='active'", "weir "+service).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("a statement runs on")
		}
	}
}

// A server that says nothing is given up, and found again.
func TestASilentServerIsGivenUp(t *testing.T) {
	s, _, c, tx := begun(t, WithStatementTimeout(time.Second), WithLockTimeout(time.Second), WithConnectTimeout(time.Second))
	streamtest.Servers(t, "pause", "postgres")
	began := time.Now()
	err := s.Commit(ctx, 0, tx)
	streamtest.Servers(t, "resume", "postgres")
	if !errors.Is(err, errSilent) {
		t.Errorf("got error %v, want one that says that the server is silent", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("gave up after %v", took)
	}
	now, err := s.Cursor(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if now.Rev == c.Rev { // what had reached the server was not enough
		if err := s.Commit(ctx, 0, tx); err != nil {
			t.Error(err)
		}
	}
	checkWhole(t, s, batchSize)
}

// Close waits for what is under way.
func TestCloseDrains(t *testing.T) {
	s, service, _, tx := begun(t)
	theirs := other(t, service, "UPDATE cursors SET rev=rev")
	done := commit(ctx, s, tx)
	waits(t, service)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case <-closed:
		t.Error("Close did not wait for the commit that runs")
	case <-time.After(100 * time.Millisecond):
	}
	if err := theirs.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-done, <-closed); err != nil {
		t.Error(err)
	}
	if err := s.Expire(ctx, time.Now()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got error %v, want ErrClosed", err)
	}
	checkWhole(t, open(t, service), batchSize)
}

// The server is restarted, and killed, under load: calls fail meanwhile, later
// ones succeed on the same store, and nothing is lost or doubled.
func TestServerRestartsUnderLoad(t *testing.T) {
	const lanes, batch = 4, 10
	service := fresh(t)
	s := open(t, service)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var failures [lanes]int
	for lane := range int32(lanes) {
		wg.Go(func() { failures[lane] = commitThrough(t, s, lane, batch, stop) })
	}
	for _, how := range [][]string{{"restart"}, {"kill", "start"}} {
		time.Sleep(500 * time.Millisecond)
		for _, command := range how {
			streamtest.Servers(t, command, "postgres")
		}
	}
	time.Sleep(500 * time.Millisecond)
	close(stop)
	wg.Wait()
	for lane, n := range failures {
		if n == 0 {
			t.Errorf("lane %d did not notice that the server was away", lane)
		}
	}
	for lane := range int32(lanes) {
		checkLaneIsWhole(t, s, lane, batch)
	}
}

// commitThrough commits as a lane does, until it is told to stop: after an error it
// asks for the cursor, which tells whether the batch was done.
func commitThrough(t *testing.T, s *Store, lane int32, batch int, stop <-chan struct{}) (failures int) {
	c := claim(t, s, lane)
	for n := 1; ; n++ {
		select {
		case <-stop:
			if c.LastSeq < int64(batch) {
				t.Errorf("lane %d committed nothing", lane)
			}
			return failures
		default:
		}
		next := c.Clone()
		tx := &streams.Tx{Cursor: next}
		for range batch {
			next.LastSeq++
			id := streams.StreamID{Decider: "order", Key: fmt.Sprint("o-", next.LastSeq%50)}
			tx.Events = append(tx.Events, streams.StoredEvent{Seq: next.LastSeq, Stream: id, Version: (next.LastSeq + 49) / 50, Type: "x", Record: []byte("x")})
			tx.Snapshots = append(tx.Snapshots, streams.Snapshot{Stream: id, Version: (next.LastSeq + 49) / 50, Prev: (next.LastSeq+49)/50 - 1})
		}
		if err := s.Commit(ctx, lane, tx); err == nil {
			next.Rev++
			c = next
			continue
		}
		failures++
		for {
			now, err := s.Cursor(ctx, lane)
			if err == nil {
				if now.Epoch != c.Epoch || now.Rev < c.Rev || now.Rev > c.Rev+1 {
					t.Errorf("lane %d: cursor %+v after a failed commit on %+v", lane, now, c)
					return failures
				}
				c = now
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// Programs that start at once make one schema, with one incarnation.
func TestManyMigrateAtOnce(t *testing.T) {
	streamtest.Real(t, "postgres")
	if service := os.Getenv("WEIR_POSTGRES_MIGRATE"); service != "" {
		s := open(t, service)
		info, err := s.Info(ctx, 4)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("incarnation", info.Incarnation)
		return
	}
	service := fresh(t)
	var wg sync.WaitGroup
	var said [4]string
	for n := range said {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestManyMigrateAtOnce$")
			cmd.Env = append(os.Environ(), "WEIR_POSTGRES_MIGRATE="+service)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			said[n], _, _ = strings.Cut(string(out), "\n")
		})
	}
	wg.Wait()
	for _, s := range said {
		if s != said[0] || !strings.HasPrefix(s, "incarnation ") {
			t.Errorf("programs say %q, want the same incarnation", said)
		}
	}
}

// A process is killed while it commits, several times over: what is there then is
// whole batches, and a process that is alive may go on at once.
func TestKilledWhileItCommits(t *testing.T) {
	if service := os.Getenv("WEIR_POSTGRES_KILL"); service != "" {
		commitForEver(t, service)
	}
	service := fresh(t)
	s := open(t, service)
	for range 5 {
		before, err := s.Cursor(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		killAfter(t, service, s, before.LastSeq)
		checkWhole(t, s, batchSize)
	}
}

func killAfter(t *testing.T, service string, s *Store, seq int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileItCommits$")
	cmd.Env = append(os.Environ(), "WEIR_POSTGRES_KILL="+service)
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

// commitForEver ends with its process, or when another owner claims the lane.
func commitForEver(t *testing.T, service string) {
	s := open(t, service)
	c := claim(t, s, 0)
	g := generator{n: int(c.LastSeq)}
	for {
		if err := s.Commit(ctx, 0, g.next(c)); err != nil {
			t.Fatal(err)
		}
		c.Rev++
	}
}
