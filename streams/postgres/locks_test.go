//go:build real

package postgres

import (
	"context"
	"errors"
	"strings"
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
		err := c.QueryRow(ctx, "SELECT pid FROM pg_stat_activity WHERE application_name='weir' AND position($1 IN query)>0 AND wait_event_type='Lock'", schemaOf(service)).Scan(&pid)
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
	slow := openOn(t, connect(t, u.String()), service)
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

// A connection whose transactions see one state from their beginning on refuses to
// change what another has changed since. The second try begins after that.
func TestASerializationFailureIsTriedAgain(t *testing.T) {
	s, service, _, tx := begun(t, WithConnections(1))
	if err := s.exec(ctx, "set", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"); err != nil {
		t.Fatal(err)
	}
	before := s.pool.conns.Stat().AcquireCount()
	theirs := other(t, service, "UPDATE cursors SET rev=rev")
	done := commit(ctx, s, tx)
	waits(t, service)
	if err := theirs.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.pool.conns.Stat().AcquireCount() - before; n != 2 {
		t.Errorf("the commit was tried %d times, want a refusal and a success", n)
	}
	checkWhole(t, s, batchSize)
}

// Tries end, and the error says what it was and where to look.
func TestSerializationFailuresWithoutEnd(t *testing.T) {
	s, service, c, tx := begun(t)
	schema := schemaOf(service)
	sql(t, "CREATE FUNCTION "+schema+".collide() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'collided' USING ERRCODE='40001'; END$$",
		"CREATE TRIGGER collide BEFORE INSERT ON "+schema+".events FOR EACH STATEMENT EXECUTE FUNCTION "+schema+".collide()")
	before := s.pool.conns.Stat().AcquireCount()
	if err := s.Commit(ctx, 0, tx); code(err) != serializationFailure || !strings.Contains(err.Error(), "look for what else writes") {
		t.Errorf("got error %v, want the server's, and where to look", err)
	}
	if n := s.pool.conns.Stat().AcquireCount() - before; n != tries {
		t.Errorf("the commit was tried %d times, want %d", n, tries)
	}
	sql(t, "DROP TRIGGER collide ON "+schema+".events")
	if now, err := s.Cursor(ctx, 0); err != nil || now.Rev != c.Rev {
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

// freeze leaves a commit on lanes between its two round trips.
func freeze(t *testing.T, s *Store, lanes ...*streams.Cursor) *pipeline {
	t.Helper()
	conn, err := s.pool.conns.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Release)
	if err := s.prepare(ctx, conn.Conn()); err != nil {
		t.Fatal(err)
	}
	p := &pipeline{ctx: ctx, conn: conn.Conn(), names: s.service.prefix}
	for _, c := range lanes {
		p.run(moveCursor, int4(c.Lane), int8(c.Epoch), int8(c.Rev), int8(c.LastSeq), int8(c.Published), c.MarshalMaps())
	}
	if err := p.ask(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A process that is frozen between the two round trips of its commit, or whose
// machine is gone, holds the lane's row. Who takes the lane over does not wait for
// its return, and what it began is not done.
func TestAFrozenOwnerIsTakenOver(t *testing.T) {
	frozen, service, c, next := begun(t)
	p := freeze(t, frozen, c)
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
		if err := c.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name='weir' AND position($1 IN query)>0 AND state='active'", schemaOf(service)).Scan(&n); err != nil {
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
