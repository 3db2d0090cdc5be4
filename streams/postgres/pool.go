package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool is a process's connections to a database, bounded, which the stores of all
// its services share: a server has a hundred as a rule, for all processes. No
// connection belongs to a service.
type Pool struct {
	conns *pgxpool.Pool
	slots chan struct{} // one for each connection that may be in use
	where string        // for errors: server and database, no secrets
	opts  options

	mu       sync.Mutex
	services map[string]*service // by schema
}

// service is what the stores of one service share in a pool.
type service struct {
	schema string        // as an identifier, quoted where it must be
	prefix string        // of its prepared statements: their names are cut at 63 bytes, and a schema may be as long
	share  chan struct{} // of the pool's slots: half, so that one service that hangs leaves room to the others
}

type options struct {
	conns     int32
	statement time.Duration
	lock      time.Duration
	connect   time.Duration
}

// Option changes how a pool is made.
type Option func(*options)

// WithConnections bounds the connections to the server; 16 if not given. A lane
// uses one at a time, and one service at most half of them. Twenty lanes that all
// commit are no faster on 64 than on 4 of a server with two cores (BenchmarkBound):
// the rest is for calls that wait.
func WithConnections(n int) Option { return func(o *options) { o.conns = int32(n) } }

// WithStatementTimeout is how long one statement may take at the server; 30 s if
// not given. A call is given up shortly after it, should the server say nothing.
func WithStatementTimeout(d time.Duration) Option { return func(o *options) { o.statement = d } }

// WithLockTimeout is how long a statement may wait for another's lock; 10 s if
// not given. A call waits little longer for a connection while all are in use.
func WithLockTimeout(d time.Duration) Option { return func(o *options) { o.lock = d } }

// WithConnectTimeout is how long to try to connect to each of the URL's hosts; 5 s
// if not given.
func WithConnectTimeout(d time.Duration) Option { return func(o *options) { o.connect = d } }

// Connect makes a pool of connections to the database at url
// (postgres://user:password@host:port/database). They are made when they are
// needed. With several hosts and target_session_attrs=read-write in the URL, the
// pool follows a fail-over.
func Connect(ctx context.Context, url string, opts ...Option) (*Pool, error) {
	o := options{conns: 16, statement: 30 * time.Second, lock: 10 * time.Second, connect: 5 * time.Second}
	for _, f := range opts {
		f(&o)
	}
	o.conns = max(o.conns, 1)
	cfg, err := poolConfig(url, o)
	if err != nil {
		return nil, err
	}
	c := cfg.ConnConfig
	p := &Pool{opts: o, where: fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database),
		slots: make(chan struct{}, o.conns), services: map[string]*service{}}
	if p.conns, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("postgres at %s: %w", p.where, err)
	}
	return p, nil
}

// applicationName is what the server's pg_stat_activity calls the connections.
const applicationName = "weir"

// keptStatements is how many statements a connection keeps prepared, beside those of
// commits: two dozen for each service.
const keptStatements = 4096

func poolConfig(url string, o options) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil { // which may quote the password
		return nil, errors.New("postgres store: its URL cannot be read: give postgres://user:password@host:port/database")
	}
	cfg.MaxConns = o.conns
	cfg.MinConns, cfg.MinIdleConns = 0, 0
	cfg.PingTimeout = o.connect
	cfg.AfterConnect = durable
	c := cfg.ConnConfig
	c.ConnectTimeout = o.connect
	c.StatementCacheCapacity = keptStatements
	c.OnPgError = func(_ *pgconn.PgConn, err *pgconn.PgError) bool { return !spoils(err) }
	for name, value := range map[string]string{
		"application_name":              applicationName,
		"search_path":                   "pg_catalog", // a table without its service's schema is nobody's
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

// durable turns synchronous_commit on where it is off, and leaves stronger settings
// alone.
func durable(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit','on',false)
		WHERE current_setting('synchronous_commit')='off'`)
	return err
}

// Close waits for the calls that are under way, then refuses everything.
func (p *Pool) Close() error {
	p.conns.Close()
	return nil
}

func (p *Pool) service(name string) *service {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.services[name]
	if s == nil {
		s = &service{schema: pgx.Identifier{name}.Sanitize(), prefix: fmt.Sprint(len(p.services), "_"),
			share: make(chan struct{}, max(p.opts.conns/2, 1))}
		p.services[name] = s
	}
	return s
}

// turn waits until a service may use one more connection: first for its share, so
// that who waits behind a service that hangs waits there, then for the pool's.
func (p *Pool) turn(ctx context.Context, s *service) (leave func(), err error) {
	share, all := cap(s.share), cap(p.slots)
	if err := p.take(ctx, s.share, "%d of %d connections, all that one service may use,", share, all); err != nil {
		return nil, err
	}
	if err := p.take(ctx, p.slots, "all %d connections of this process", all); err != nil {
		<-s.share
		return nil, err
	}
	return func() { <-p.slots; <-s.share }, nil
}

// take is fair: who came first goes first.
func (p *Pool) take(ctx context.Context, slots chan struct{}, which string, counts ...any) error {
	select {
	case slots <- struct{}{}:
		return nil
	default:
	}
	patience := p.opts.lock + slack
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return fmt.Errorf("%s were in use for %s: look in pg_stat_activity for what they wait for, "+
			"or give the process more (postgres.max_conns, WithConnections)", fmt.Sprintf(which, counts...), patience)
	}
}
