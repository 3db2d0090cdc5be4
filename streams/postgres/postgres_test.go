//go:build real

package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

var ctx = context.Background()

// fresh names a service whose schema is dropped at the test's end.
func fresh(t testing.TB) string {
	t.Helper()
	service := "test_" + strings.ToLower(rand.Text())
	t.Cleanup(func() { sql(t, "DROP SCHEMA IF EXISTS "+schemaOf(service)+" CASCADE") })
	return service
}

func schemaOf(service string) string { return pgx.Identifier{"weir_" + service}.Sanitize() }

func sql(t testing.TB, queries ...string) {
	t.Helper()
	c := dial(t)
	defer c.Close(ctx)
	for _, q := range queries {
		if _, err := c.Exec(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// dial connects beside the store, without its settings.
func dial(t testing.TB) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(ctx, streamtest.Real(t, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// connect makes a pool, which is closed at the test's end.
func connect(t testing.TB, url string, opts ...Option) *Pool {
	t.Helper()
	p, err := Connect(ctx, url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// open opens a store on a pool of its own, as another process would.
func open(t testing.TB, service string, opts ...Option) *Store {
	t.Helper()
	return openOn(t, connect(t, streamtest.Real(t, "postgres"), opts...), service)
}

func openOn(t testing.TB, p *Pool, service string) *Store {
	t.Helper()
	s, err := p.Open(ctx, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func claim(t testing.TB, s *Store, lane int32) *streams.Cursor {
	t.Helper()
	c, err := s.Claim(ctx, lane)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenSaysWhatToDo(t *testing.T) {
	server := streamtest.Real(t, "postgres")
	newer, foreign := fresh(t), fresh(t)
	open(t, newer).Close()
	sql(t, "INSERT INTO "+schemaOf(newer)+".migrations VALUES (99)", "CREATE SCHEMA "+schemaOf(foreign))
	away, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	away.Host, away.User = "127.0.0.1:1", url.UserPassword("weir", "geheim")
	missing := *away
	missing.Host, missing.Path, missing.User = mustParse(t, server).Host, "/no_such_database", mustParse(t, server).User
	for _, c := range []struct{ url, service, want string }{
		{server, newer, "run the newer program"},
		{server, foreign, "not a store's"},
		{server, "", "cannot name a schema"},
		{server, strings.Repeat("x", 59), "cannot name a schema"},
		{missing.String(), "x", "create it"},
		{away.String(), "x", "127.0.0.1:1"},
		{"postgres://weir:geheim@127.0.0.1:geheim/x", "x", "give postgres://"},
		{"host=127.0.0.1 port=x password=geheim", "x", "give postgres://"},
	} {
		p, err := Connect(ctx, c.url)
		if err == nil {
			_, err = p.Open(ctx, c.service)
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("service %q: got error %v, want one with %q and no password", c.service, err, c.want)
		}
	}
}

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What a connection is set to, whatever the database's defaults are.
func TestConnectionsAreSet(t *testing.T) {
	s := open(t, fresh(t), WithStatementTimeout(7*time.Second), WithLockTimeout(3*time.Second))
	for setting, want := range map[string]string{"application_name": "weir", "statement_timeout": "7s", "lock_timeout": "3s",
		"transaction_isolation": "read committed", "synchronous_commit": "on", "search_path": "pg_catalog"} {
		err := s.query(ctx, "show", "SELECT current_setting($1)", []any{setting}, func(r row) error {
			if got := strings.Trim(text(r[0]), `"`); got != want {
				t.Errorf("%s is %q, want %q", setting, got, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A store whose database does not wait for the disk would forget what was
// published.
func TestCommitsAreDurableWhateverTheDatabaseSays(t *testing.T) {
	u := mustParse(t, streamtest.Real(t, "postgres"))
	u.RawQuery += "&options=-c%20synchronous_commit%3Doff"
	s := openOn(t, connect(t, u.String()), fresh(t))
	err := s.query(ctx, "show", "SELECT current_setting('synchronous_commit')", nil, func(r row) error {
		if got := text(r[0]); got != "on" {
			t.Errorf("synchronous_commit is %s", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Events follows a stream's links, and finds the same as a look at all events.
func TestEventsFollowsLinks(t *testing.T) {
	service := fresh(t)
	s := open(t, service)
	c := claim(t, s, 0)
	g := generator{keys: batchSize, versions: map[int]int64{}}
	for range 3 {
		if err := s.Commit(ctx, 0, g.next(c)); err != nil {
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
	sql(t, "DELETE FROM "+schemaOf(service)+".events WHERE version=2")
	if seqs, whole, err = s.chain(ctx, 0, id, 0); err != nil || whole {
		t.Errorf("chain without its second event: %v, whole: %v, %v", seqs, whole, err)
	}
}

// Statements are planned once, when their tables are empty. Whatever the planner
// thinks then, they must look up what they are asked for, and nothing else.
func TestLookupsReadOnlyWhatTheyAsk(t *testing.T) {
	s := open(t, fresh(t), WithConnections(1))
	c := claim(t, s, 0)
	g := generator{keys: 10_000, versions: map[int]int64{}}
	var ids []streams.StreamID
	for n := range 40 {
		tx := g.next(c)
		ids = ids[:0]
		for i := range tx.Snapshots {
			ids = append(ids, tx.Snapshots[i].Stream)
			tx.Timers = append(tx.Timers, streams.Timer{Stream: ids[i], Name: "t", Due: time.Now()})
			tx.Externals = append(tx.Externals, streams.ExternalID{Source: "s", ID: fmt.Sprint(n, i)})
		}
		before := fetched(t, s)
		if _, err := s.Timers(ctx, 0, time.Now(), 10); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(ctx, 0, ids); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Externals(ctx, 0, tx.Externals); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(ctx, 0, tx); err != nil {
			t.Fatal(err)
		}
		c.Rev++
		if n := fetched(t, s) - before; n > 6*batchSize {
			t.Fatalf("%d rows were read to change %d streams", n, batchSize)
		}
	}
	before := fetched(t, s)
	if err := s.Events(ctx, 0, ids[0], 0, func(streams.StoredEvent) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if n := fetched(t, s) - before; n > 50 {
		t.Errorf("%d rows were read to find the events of one stream", n)
	}
}

// fetched is how many rows the store's only connection has read.
func fetched(t *testing.T, s *Store) (n int64) {
	t.Helper()
	err := s.exec(ctx, "flush", "SELECT pg_stat_force_next_flush()")
	if err == nil {
		err = s.query(ctx, "count", "SELECT sum(coalesce(idx_tup_fetch,0)+seq_tup_read)::bigint FROM pg_stat_user_tables WHERE schemaname=$1", []any{strings.Trim(s.service.schema, `"`)}, func(r row) error {
			n = num(r[0])
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A refused commit costs no connection.
func TestAFencedCommitKeepsItsConnection(t *testing.T) {
	s := open(t, fresh(t), WithConnections(1))
	c := claim(t, s, 0)
	made := s.pool.conns.Stat().NewConnsCount()
	g := generator{keys: batchSize, versions: map[int]int64{}}
	if err := s.Commit(ctx, 0, g.next(c)); err != nil {
		t.Fatal(err)
	}
	for range 3 { // refused before and after the snapshots' answer is awaited
		tx := g.next(c.Clone())
		if err := s.Commit(ctx, 0, tx); !errors.Is(err, streams.ErrFenced) {
			t.Fatalf("rev %d again: got error %v, want ErrFenced", c.Rev, err)
		}
		c.Rev++
		tx.Snapshots[7].Prev = 40
		if err := s.Commit(ctx, 0, tx); !errors.Is(err, streams.ErrFenced) {
			t.Fatalf("a wrong version: got error %v, want ErrFenced", err)
		}
		c.Rev--
	}
	if now := s.pool.conns.Stat().NewConnsCount(); now != made {
		t.Errorf("%d connections were made", now-made)
	}
	if now, err := s.Cursor(ctx, 0); err != nil || now.Rev != c.Rev+1 || now.LastSeq != batchSize {
		t.Errorf("cursor after refused commits: %+v, %v", now, err)
	}
}

// An older owner's commit fails and writes nothing, through whichever store.
func TestZombieIsFenced(t *testing.T) {
	service := fresh(t)
	old, now := open(t, service), open(t, service)
	zombie := claim(t, old, 0)
	owner := claim(t, now, 0)
	g := generator{}
	if err := now.Commit(ctx, 0, g.next(owner)); err != nil {
		t.Fatal(err)
	}
	for _, guess := range []int64{zombie.Rev, owner.Rev, owner.Rev + 1} {
		zombie.Rev = guess
		tx := (&generator{n: 1000}).next(zombie)
		if err := old.Commit(ctx, 0, tx); !errors.Is(err, streams.ErrFenced) {
			t.Errorf("at rev %d: got error %v, want ErrFenced", guess, err)
		}
	}
	owner.Rev++
	if err := now.Commit(ctx, 0, g.next(owner)); err != nil {
		t.Error(err)
	}
	checkWhole(t, now, batchSize)
}

// checkWhole looks for whole batches in lane 0, whose older owners it fences.
func checkWhole(t *testing.T, s *Store, batch int64) {
	t.Helper()
	claim(t, s, 0)
	checkLaneIsWhole(t, s, 0, batch)
}

// checkLaneIsWhole looks for every sequence once, and for none above the cursor's.
func checkLaneIsWhole(t *testing.T, s *Store, lane int32, batch int64) {
	t.Helper()
	c, err := s.Cursor(ctx, lane)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	err = s.Outbox(ctx, lane, 0, 1<<30, func(e streams.StoredEvent) error {
		if n++; e.Seq != n {
			return fmt.Errorf("event %d follows %d", e.Seq, n-1)
		}
		return nil
	})
	if err != nil || n != c.LastSeq || n%batch != 0 {
		t.Errorf("lane %d: %d events, cursor at %d, %v: want them equal, in batches of %d", lane, n, c.LastSeq, err, batch)
	}
}
