// Package postgres keeps services' lanes in a PostgreSQL database: the event
// store for more than one machine. Every service has a schema of its own, so that
// several share a database.
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
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weirstream/weir/streams"
)

// Store is a streams.Store in a schema of a PostgreSQL database. It survives
// restarts and fail-overs of the server: calls fail while it is away, and later
// ones succeed.
type Store struct {
	pool  *pgxpool.Pool
	where string // for errors: schema and server, no secrets
	opts  options
}

var _ streams.Store = (*Store)(nil)

type options struct {
	conns     int32
	statement time.Duration
	lock      time.Duration
	connect   time.Duration
}

// Option changes how a store is opened.
type Option func(*options)

// WithConnections bounds the connections to the server; 10 if not given. A lane
// uses one at a time, and waits for one while all are in use.
func WithConnections(n int) Option { return func(o *options) { o.conns = int32(n) } }

// WithStatementTimeout is how long one statement may take at the server; 30 s if
// not given. A call is given up shortly after it, should the server say nothing.
func WithStatementTimeout(d time.Duration) Option { return func(o *options) { o.statement = d } }

// WithLockTimeout is how long a statement may wait for another's lock; 10 s if
// not given.
func WithLockTimeout(d time.Duration) Option { return func(o *options) { o.lock = d } }

// WithConnectTimeout is how long to try to connect to each of the URL's hosts; 5 s
// if not given.
func WithConnectTimeout(d time.Duration) Option { return func(o *options) { o.connect = d } }

// Open opens a service's store in the database at url
// (postgres://user:password@host:port/database), and makes its schema, named
// weir_ and the service, if it is not there. An older one is brought up to date,
// a newer one is refused. With several hosts and target_session_attrs=read-write
// in the URL, the store follows a fail-over.
func Open(ctx context.Context, url, service string, opts ...Option) (*Store, error) {
	o := options{conns: 10, statement: 30 * time.Second, lock: 10 * time.Second, connect: 5 * time.Second}
	for _, f := range opts {
		f(&o)
	}
	schema, err := SchemaName(service)
	if err != nil {
		return nil, err
	}
	cfg, err := poolConfig(url, schema, service, o)
	if err != nil {
		return nil, err
	}
	c := cfg.ConnConfig
	s := &Store{opts: o, where: fmt.Sprintf("%s in %s:%d/%s", schema, c.Host, c.Port, c.Database)}
	if err := migrate(ctx, c, schema); err != nil {
		return nil, s.explain(ctx, "open", err)
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
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

func poolConfig(url, schema, service string, o options) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil { // which may quote the password
		return nil, errors.New("postgres store: its URL cannot be read: give postgres://user:password@host:port/database")
	}
	cfg.MaxConns = max(o.conns, 1)
	cfg.PingTimeout = o.connect
	cfg.AfterConnect = connected
	c := cfg.ConnConfig
	c.ConnectTimeout = o.connect
	c.OnPgError = func(_ *pgconn.PgConn, err *pgconn.PgError) bool { return !spoils(err) }
	for name, value := range map[string]string{
		"application_name":              "weir " + service,
		"search_path":                   pgx.Identifier{schema}.Sanitize(),
		"statement_timeout":             fmt.Sprint(o.statement.Milliseconds()),
		"lock_timeout":                  fmt.Sprint(o.lock.Milliseconds()),
		"default_transaction_isolation": "read committed", // the lanes' rows are locked by their cursor's
		// Every statement looks up rows by an index. A plan made while a table was
		// small would read all of it, and be kept while it grows.
		"plan_cache_mode":  "force_generic_plan",
		"enable_seqscan":   "off",
		"enable_hashjoin":  "off",
		"enable_mergejoin": "off",
		"jit":              "off",
	} {
		c.RuntimeParams[name] = value
	}
	return cfg, nil
}

// connected makes a connection ready. It turns synchronous_commit on where it is
// off, and leaves stronger settings alone.
func connected(ctx context.Context, c *pgx.Conn) error {
	if _, err := c.Exec(ctx, "SELECT set_config('synchronous_commit','on',false) WHERE current_setting('synchronous_commit')='off'"); err != nil {
		return err
	}
	return prepare(ctx, c)
}

// Close waits for the calls that are under way, then refuses everything.
func (s *Store) Close() error {
	s.pool.Close()
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
		if err := s.exec(ctx, "info", "UPDATE store SET partitions=$1 WHERE partitions=0", partitions); err != nil {
			return info, err
		}
	}
	err = s.query(ctx, "info", "SELECT incarnation,partitions FROM store", nil, func(r row) error {
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
// middle of a commit holds the lane's row, and is ended.
func (s *Store) Claim(ctx context.Context, lane int32) (*streams.Cursor, error) {
	if err := checkLane(lane); err != nil {
		return nil, s.explain(ctx, "claim", err)
	}
	c, err := s.raise(ctx, lane)
	if code(err) != lockNotAvailable {
		return c, err
	}
	if frozen := s.endFrozen(ctx); frozen != nil {
		return nil, errors.Join(err, frozen)
	}
	return s.raise(ctx, lane)
}

func (s *Store) raise(ctx context.Context, lane int32) (*streams.Cursor, error) {
	return s.cursor(ctx, "claim", lane, `INSERT INTO cursors AS c VALUES ($1,1,1,0,0,'')
		ON CONFLICT (lane) DO UPDATE SET epoch=c.epoch+1, rev=c.rev+1
		RETURNING (SELECT incarnation FROM store),epoch,rev,last_seq,published,maps,`+microseconds)
}

// endFrozen ends the service's transactions whose clients have said nothing for
// the lock timeout. The server would wait for a frozen or lost client for as long
// as its connection seems to live: none of its timeouts counts between the
// messages of one pipeline. Who is only slow finds its connection broken, and asks
// Cursor.
func (s *Store) endFrozen(ctx context.Context) error {
	return s.exec(ctx, "end frozen owners", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname=current_database() AND application_name=current_setting('application_name') AND pid<>pg_backend_pid()
			AND xact_start IS NOT NULL AND wait_event='ClientRead' AND state_change<now()-make_interval(secs => $1)`, s.opts.lock.Seconds())
}

// microseconds is the server's clock, since 1970.
const microseconds = "(extract(epoch FROM clock_timestamp())*1000000)::bigint"

// Cursor reads a lane's cursor. That of a lane never claimed has epoch 0.
func (s *Store) Cursor(ctx context.Context, lane int32) (*streams.Cursor, error) {
	return s.cursor(ctx, "read the cursor", lane,
		"SELECT s.incarnation,c.epoch,c.rev,c.last_seq,c.published,c.maps,"+microseconds+" FROM store s LEFT JOIN cursors c ON c.lane=$1")
}

func (s *Store) cursor(ctx context.Context, what string, lane int32, sql string) (c *streams.Cursor, err error) {
	err = s.query(ctx, what, sql, []any{lane}, func(r row) error {
		c = &streams.Cursor{Lane: lane, Incarnation: text(r[0]), Epoch: num(r[1]), Rev: num(r[2]), LastSeq: num(r[3]), Published: num(r[4]), Now: time.UnixMicro(num(r[6]))}
		if err := c.UnmarshalMaps(r[5]); err != nil {
			return fmt.Errorf("cursor of lane %d: %w", lane, err)
		}
		return nil
	})
	if err == nil && c == nil {
		err = s.explain(ctx, what, errors.New("the store's own row is gone: restore the schema from a copy"))
	}
	return c, err
}
