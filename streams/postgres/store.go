// Package postgres keeps services' lanes in a PostgreSQL database: the event
// store for more than one machine. Every service has a schema of its own, so that
// several share a database, and a process's share one pool of connections.
//
// A commit is one transaction in one or two round trips (pipeline.go). It is as
// durable as the server's synchronous_commit says; a connection on which that is
// off turns it on, as what was published must not be forgotten.
//
// Connect to the server itself: a pooler that shares connections between
// transactions loses the settings and the statements that belong to them.
//
// The store does not work inside a testing/synctest bubble: a socket to a real
// server holds virtual time up.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weirstream/weir/streams"
)

// Store is a streams.Store in a schema of a PostgreSQL database. It survives
// restarts and fail-overs of the server: calls fail while it is away, and later
// ones succeed.
type Store struct {
	pool    *Pool
	service *service
	where   string   // for errors: schema and server, no secrets
	texts   sync.Map // statements as the store sends them, by those in the code

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // added to under mu, while the store is not closed
}

var _ streams.Store = (*Store)(nil)

// Open opens a service's store, and makes its schema, named weir_ and the service,
// if it is not there. An older one is brought up to date, a newer one is refused.
func (p *Pool) Open(ctx context.Context, service string) (*Store, error) {
	schema, err := SchemaName(service)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: p, service: p.service(schema), where: schema + " in " + p.where}
	if err := s.migrate(ctx, schema); err != nil {
		return nil, s.explain(ctx, "open", err)
	}
	return s, nil
}

// SchemaName is a service's schema. A longer name would be cut by the server, and
// two services be one.
func SchemaName(service string) (string, error) {
	name := "weir_" + service
	if service == "" || len(name) > 63 || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("postgres store: the service %q cannot name a schema: give it 1 to 58 bytes", service)
	}
	return name, nil
}

// sql is a statement with the service's schema, where the code says weir.
func (s *Store) sql(text string) string {
	if own, ok := s.texts.Load(text); ok {
		return own.(string)
	}
	own := strings.ReplaceAll(text, "weir.", s.service.schema+".")
	s.texts.Store(text, own)
	return own
}

// begin keeps the store open for a call.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.calls.Add(1)
	return nil
}

// Close waits for the calls that are under way, then refuses everything. The pool is
// left to the other stores.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	return nil
}

// Info returns the store's identity and records the partition count; 0 only
// asks.
func (s *Store) Info(ctx context.Context, partitions int32) (info streams.StoreInfo, err error) {
	if partitions < 0 {
		return info, s.explain(ctx, "info", fmt.Errorf("%d partitions: give the platform's count, 1 and up", partitions))
	}
	// The count may be lost to another's that is recorded at the same moment, so
	// what is stored is read after it.
	if partitions > 0 {
		if err := s.exec(ctx, "info", "UPDATE weir.store SET partitions=$1 WHERE partitions=0", partitions); err != nil {
			return info, err
		}
	}
	err = s.query(ctx, "info", "SELECT incarnation,partitions FROM weir.store", nil, func(r row) error {
		info = streams.StoreInfo{Incarnation: text(r[0]), Partitions: int32(num(r[1]))}
		return nil
	})
	if err == nil && partitions > 0 && info.Partitions != partitions {
		err = s.explain(ctx, "info", fmt.Errorf("the store was made for %d partitions and the platform has %d, so keys would change lanes: "+
			"start with %[1]d, or drain the platform and migrate into a new store", info.Partitions, partitions))
	}
	return info, err
}

// Claim takes ownership of a lane. One that is tried again may raise the epoch
// twice, which fences nobody but older owners. An owner that stands still in the
// middle of a commit holds the lane's row, and is ended: on the connection that
// waited for it, as others may all be taken by claims that wait too.
func (s *Store) Claim(ctx context.Context, lane int32) (c *streams.Cursor, err error) {
	if err := checkLane(lane); err != nil {
		return nil, s.explain(ctx, "claim", err)
	}
	err = s.do(ctx, passes, func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		c, err = s.cursor(ctx, conn, raise, lane)
		if code(err) != lockNotAvailable {
			return err
		}
		table := s.service.schema + ".cursors"
		if _, frozen := conn.Exec(ctx, endFrozen, s.pool.opts.lock.Seconds(), table); frozen != nil {
			return errors.Join(err, frozen)
		}
		c, err = s.cursor(ctx, conn, raise, lane)
		return err
	})
	return c, s.explain(ctx, "claim", err)
}

const raise = `INSERT INTO weir.cursors AS c VALUES ($1,1,1,0,0,'')
	ON CONFLICT (lane) DO UPDATE SET epoch=c.epoch+1, rev=c.rev+1
	RETURNING (SELECT incarnation FROM weir.store),epoch,rev,last_seq,published,maps,` + microseconds

// endFrozen ends the transactions that have changed the service's cursors, and whose
// clients have said nothing for the lock timeout. The server would wait for a frozen
// or lost client for as long as its connection seems to live: none of its timeouts
// counts between the messages of one pipeline. Whose transaction it is tells the
// lock on the service's table: a connection is of no service, and those that a frozen
// process uses for others are left to whoever claims of those. Who is only slow, or
// woke up just now and is at another's work, finds its connection broken, and asks
// Cursor.
const endFrozen = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE datname=current_database() AND application_name LIKE '` + applicationName + `%' AND pid<>pg_backend_pid()
		AND xact_start IS NOT NULL AND wait_event='ClientRead' AND state_change<now()-make_interval(secs => $1)
		AND pid IN (SELECT pid FROM pg_locks WHERE locktype='relation' AND relation=to_regclass($2)
			AND database=(SELECT oid FROM pg_database WHERE datname=current_database())
			AND mode IN ('RowShareLock','RowExclusiveLock') AND granted)`

// microseconds is the server's clock, since 1970.
const microseconds = "(extract(epoch FROM clock_timestamp())*1000000)::bigint"

// Cursor reads a lane's cursor. That of a lane never claimed has epoch 0.
func (s *Store) Cursor(ctx context.Context, lane int32) (c *streams.Cursor, err error) {
	err = s.do(ctx, passes, func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		c, err = s.cursor(ctx, conn, "SELECT s.incarnation,c.epoch,c.rev,c.last_seq,c.published,c.maps,"+microseconds+
			" FROM weir.store s LEFT JOIN weir.cursors c ON c.lane=$1", lane)
		return err
	})
	return c, s.explain(ctx, "read the cursor", err)
}

func (s *Store) cursor(ctx context.Context, conn *pgxpool.Conn, sql string, lane int32) (c *streams.Cursor, err error) {
	err = s.rows(ctx, conn, sql, []any{lane}, func(r row) error {
		c = &streams.Cursor{Lane: lane, Incarnation: text(r[0]), Epoch: num(r[1]), Rev: num(r[2]), LastSeq: num(r[3]), Published: num(r[4]), Now: time.UnixMicro(num(r[6]))}
		if err := c.UnmarshalMaps(r[5]); err != nil {
			return fmt.Errorf("cursor of lane %d: %w", lane, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errors.New("the store's own row is gone: restore the schema from a copy")
	}
	return c, nil
}
