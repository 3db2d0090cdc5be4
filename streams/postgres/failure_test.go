//go:build real

package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

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

// A renewal that is cut short leaves the store as it was: half of one would be lanes
// that number on under a new name.
func TestARenewalIsWholeOrNotAtAll(t *testing.T) {
	service := fresh(t)
	s := open(t, service)
	before, err := s.Info(ctx, 4)
	if err != nil {
		t.Fatal(err)
	}
	for lane := range int32(2) {
		c, err := s.Claim(ctx, lane)
		if err != nil {
			t.Fatal(err)
		}
		c.Sent = map[streams.Target]int64{{Topic: "t"}: 7}
		if err := s.Commit(ctx, lane, &streams.Tx{Cursor: c}); err != nil {
			t.Fatal(err)
		}
	}
	schema, _ := SchemaName(service)
	guard := fmt.Sprintf("ALTER TABLE %s.cursors ADD CONSTRAINT once CHECK (lane=0 OR epoch<2)", schema)
	sql(t, guard)
	if _, err := s.Renew(ctx); err == nil {
		t.Error("what cannot be written was renewed")
	}
	if now, err := s.Info(ctx, 4); err != nil || now != before {
		t.Errorf("the store is %+v now, and was %+v (%v)", now, before, err)
	}
	if c, err := s.Cursor(ctx, 0); err != nil || c.Epoch != 1 || len(c.Sent) != 1 {
		t.Errorf("lane 0 is at %+v (%v)", c, err)
	}
	sql(t, fmt.Sprintf("ALTER TABLE %s.cursors DROP CONSTRAINT once", schema))
	after, err := s.Renew(ctx)
	if err != nil || after.Incarnation == before.Incarnation || after.Partitions != 4 {
		t.Errorf("renewed it is %+v (%v)", after, err)
	}
	for lane := range int32(2) {
		c, err := s.Cursor(ctx, lane)
		if err != nil || c.Epoch != 2 || c.Incarnation != after.Incarnation || len(c.Sent) != 0 {
			t.Errorf("lane %d is at %+v (%v)", lane, c, err)
		}
	}
}
