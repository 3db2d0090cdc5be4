//go:build real

package postgres

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// database makes one of the test's own, in which nobody else has connections.
func database(t *testing.T) (server, name string) {
	t.Helper()
	name = "weir_" + strings.ToLower(rand.Text())
	sql(t, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	t.Cleanup(func() { sql(t, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	u := mustParse(t, streamtest.Real(t, "postgres"))
	u.Path = name
	return u.String(), name
}

// Sixteen services of four lanes each start, work and stand idle on as many
// connections as one process may have.
func TestServicesShareConnections(t *testing.T) {
	const services, bound, batches = 16, 5, 3
	server, name := database(t)
	p := connect(t, server, WithConnections(bound))
	watch, stop := make(chan struct{}), make(chan int, 1)
	go func() { stop <- mostConnections(t, name, watch) }()
	odd := []string{`weir.quoted"name`, strings.Repeat("x", 57) + "1", strings.Repeat("x", 57) + "2", "Größe"}
	var stores [services]*Store
	var wg sync.WaitGroup
	for n := range stores {
		service := fmt.Sprint("service-", n)
		if n < len(odd) {
			service = odd[n]
		}
		wg.Go(func() {
			s, err := p.Open(ctx, service)
			if err != nil {
				t.Error(err)
				return
			}
			stores[n] = s
			var lanes sync.WaitGroup
			for lane := range int32(4) {
				lanes.Go(func() { commitSome(t, s, lane, batches) })
			}
			lanes.Wait()
		})
	}
	wg.Wait()
	close(watch)
	if n := <-stop; n == 0 || n > bound {
		t.Errorf("%d connections to the server, want at most %d", n, bound)
	}
	names := map[string]bool{}
	for _, s := range stores {
		info, err := s.Info(ctx, 4)
		if err != nil || names[info.Incarnation] {
			t.Errorf("%s: %+v, %v: want an incarnation of its own", s.where, info, err)
		}
		names[info.Incarnation] = true
		for lane := range int32(4) {
			checkLaneIsWhole(t, s, lane, batchSize)
			if c, err := s.Cursor(ctx, lane); err != nil || c.LastSeq != batches*batchSize {
				t.Errorf("%s, lane %d: %+v, %v", s.where, lane, c, err)
			}
		}
	}
}

func commitSome(t *testing.T, s *Store, lane int32, batches int) {
	c, err := s.Claim(ctx, lane)
	g := generator{lane: lane, keys: batchSize, versions: map[int]int64{}}
	for range batches {
		if err == nil {
			err = s.Commit(ctx, lane, g.next(c))
			c.Rev++
		}
	}
	if err != nil {
		t.Errorf("lane %d: %v", lane, err)
	}
}

// mostConnections counts a database's until it is told to stop.
func mostConnections(t *testing.T, name string, stop <-chan struct{}) (most int) {
	c := dial(t)
	defer c.Close(ctx)
	for {
		n := 0
		err := c.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname=$1 AND backend_type='client backend'`, name).Scan(&n)
		if err != nil {
			t.Error(err)
			return 0
		}
		most = max(most, n)
		select {
		case <-stop:
			return most
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// A claim ends the frozen commits of its own service, and not those that the same
// process has under way for another: that one's lanes are claimed by nobody.
func TestOnlyTheServicesOwnFrozenCommitsAreEnded(t *testing.T) {
	process := connect(t, streamtest.Real(t, "postgres"))
	taken, kept := fresh(t), fresh(t)
	mine, other := openOn(t, process, taken), openOn(t, process, kept)
	c, d := claim(t, mine, 0), claim(t, other, 0)
	frozen, alive := freeze(t, mine, c), freeze(t, other, d)
	stranger := dial(t) // a person who looks at the service's rows with a lock, and thinks
	defer stranger.Close(ctx)
	theirs, err := stranger.Begin(ctx)
	if err == nil {
		_, err = theirs.Exec(ctx, "SELECT * FROM "+schemaOf(taken)+".cursors WHERE lane=7 FOR UPDATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond)
	taker := open(t, taken, WithLockTimeout(500*time.Millisecond), WithConnections(1))
	if got := claim(t, taker, 0); got.Epoch != c.Epoch+1 {
		t.Errorf("epoch %d follows %d", got.Epoch, c.Epoch)
	}
	if err := frozen.commit(); err == nil {
		t.Error("what the frozen owner began was committed")
	}
	if err := alive.commit(); err != nil {
		t.Errorf("the other service's commit: %v", err)
	}
	if err := theirs.Rollback(ctx); err != nil {
		t.Errorf("the person's transaction: %v", err)
	}
}

// Lanes that all wait for a frozen owner have few connections: who may end it does not
// wait behind those that wait for it.
func TestManyLanesAreTakenOverOnOneConnection(t *testing.T) {
	const lanes = 14 // whose waits, one after the other, would be longer than any waits for a connection
	service := fresh(t)
	owner := open(t, service)
	var held []*streams.Cursor
	for lane := range int32(lanes) {
		held = append(held, claim(t, owner, lane))
	}
	freeze(t, owner, held...)
	taker := open(t, service, WithLockTimeout(500*time.Millisecond), WithConnections(1))
	var wg sync.WaitGroup
	for lane := range int32(lanes) {
		wg.Go(func() {
			if c, err := taker.Claim(ctx, lane); err != nil || c.Epoch != 2 {
				t.Errorf("lane %d: %+v, %v", lane, c, err)
			}
		})
	}
	wg.Wait()
}

// The server has fewer connections left than the pool may make: what has one goes on,
// and what gets none is told the setting.
func TestAServerWithoutConnectionsLeft(t *testing.T) {
	server, name := database(t)
	sql(t, "CREATE ROLE "+name+" LOGIN PASSWORD 'weir' CONNECTION LIMIT 1", "GRANT CREATE ON DATABASE "+name+" TO "+name)
	t.Cleanup(func() { sql(t, "DROP DATABASE "+name+" WITH (FORCE)", "DROP ROLE "+name) })
	u := mustParse(t, server)
	u.User = url.UserPassword(name, "weir")
	p := connect(t, u.String(), WithConnections(8))
	s := openOn(t, p, "few")
	release := make(chan struct{})
	hang(t, s, release)
	_, err := s.Cursor(ctx, 0)
	close(release)
	if code(err) != "53300" || !strings.Contains(err.Error(), "postgres.max_conns") {
		t.Errorf("got error %v, want one with the cure", err)
	}
	commitSome(t, s, 0, 2)
}

// hang holds a connection of a store's until release is closed.
func hang(t *testing.T, s *Store, release <-chan struct{}) {
	t.Helper()
	held := make(chan struct{})
	go func() {
		_ = s.query(ctx, "hang", "SELECT 1", nil, func(row) error { close(held); <-release; return nil })
	}()
	select {
	case <-held:
	case <-time.After(20 * time.Second):
		t.Fatal("no connection was given")
	}
}

// A service that hangs has half of the connections, and its other calls wait behind
// it and not before others; where several hang, nobody waits for ever, or without a
// word about what to do.
func TestAServiceThatHangsLeavesRoom(t *testing.T) {
	p := connect(t, streamtest.Real(t, "postgres"), WithConnections(4), WithLockTimeout(100*time.Millisecond))
	hung, second, well := openOn(t, p, fresh(t)), openOn(t, p, fresh(t)), openOn(t, p, fresh(t))
	release := make(chan struct{})
	var once sync.Once
	end := func() { once.Do(func() { close(release) }) }
	t.Cleanup(end) // before the stores are closed
	hang(t, hung, release)
	hang(t, hung, release)
	behind := make(chan error, 8)
	for range cap(behind) {
		go func() { _, err := hung.Cursor(ctx, 0); behind <- err }()
	}
	commitSome(t, well, 0, 3)
	hang(t, second, release)
	hang(t, second, release)
	_, err := well.Cursor(ctx, 0)
	busy(t, err, "all 4 connections of this process")
	for range cap(behind) {
		busy(t, <-behind, "2 of 4 connections, all that one service may use,")
	}
	end()
	if _, err := well.Cursor(ctx, 0); err != nil {
		t.Errorf("after that: %v", err)
	}
	if _, err := hung.Cursor(ctx, 0); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func busy(t *testing.T, err error, which string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), which) || !strings.Contains(err.Error(), "postgres.max_conns") {
		t.Errorf("got error %v, want one with %q and the cure", err, which)
	}
}

// A store that is closed leaves its service's and the others' to work.
func TestAClosedStoreLeavesThePool(t *testing.T) {
	p := connect(t, streamtest.Real(t, "postgres"), WithConnections(2))
	service := fresh(t)
	first, again, other := openOn(t, p, service), openOn(t, p, service), openOn(t, p, fresh(t))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Cursor(ctx, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got error %v, want ErrClosed", err)
	}
	for _, s := range []*Store{again, other} {
		commitSome(t, s, 0, 1)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := again.Commit(ctx, 0, &streams.Tx{Cursor: &streams.Cursor{}}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the pool's Close: got error %v, want ErrClosed", err)
	}
	if _, err := p.Open(ctx, service); !errors.Is(err, ErrClosed) {
		t.Errorf("opened on a closed pool: got error %v, want ErrClosed", err)
	}
}

// A schema that is dropped and made anew under its name, as a restored one is, is
// found by the connections that knew the older one.
func TestASchemaMadeAnew(t *testing.T) {
	p := connect(t, streamtest.Real(t, "postgres"), WithConnections(1))
	service := fresh(t)
	commitSome(t, openOn(t, p, service), 0, 2)
	sql(t, "DROP SCHEMA "+schemaOf(service)+" CASCADE")
	s := openOn(t, p, service)
	commitSome(t, s, 0, 2)
	checkLaneIsWhole(t, s, 0, batchSize)
}
