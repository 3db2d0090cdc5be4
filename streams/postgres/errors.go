package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"
)

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("the store is closed")

// SQLSTATEs, from the manual's appendix A.
const (
	divisionByZero       = "22012"
	uniqueViolation      = "23505"
	readOnly             = "25006"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
)

// cures say what to do about SQLSTATEs.
var cures = map[string]string{
	serializationFailure: "it collided with others each time: look for what else writes in this schema",
	deadlockDetected:     "it collided with others each time: look for what else writes in this schema",
	uniqueViolation:      "a row with this sequence is there already: the caller handed one out twice",
	readOnly:             "the server is read-only, a standby: give the URL all hosts and target_session_attrs=read-write",
	"22P05":              "a name holds bytes that the database cannot keep: names are UTF-8 without NUL",
	"22021":              "a name holds bytes that the database cannot keep: names are UTF-8 without NUL",
	"28000":              "the server does not let this user in: check the user, and the server's pg_hba.conf",
	"28P01":              "the server refused the password: check the one in the URL",
	"3D000":              "the database is not there: create it",
	"42501":              "the user lacks a right: it needs CREATE on the database, or to own the schema",
	"42P01":              "a table is gone while the store is open: restore the schema from a copy",
	"53100":              "the server's disk is full: free space, nothing of this transaction was kept",
	"53200":              "the server is out of memory, nothing of this transaction was kept",
	"53300":              "the server has no connection left: lower postgres.max_conns (WithConnections) of its processes, or raise its max_connections",
	lockNotAvailable:     "another held a row for longer than the lock timeout: look for its transaction in pg_stat_activity",
	"57014":              "it took longer than the statement timeout: look at the server's load",
	"57P01":              "the server was stopped, or an administrator ended the connection",
	"57P03":              "the server is starting or stopping: wait for it",
}

// explain adds what failed, where, and what to do about it.
func (s *Store) explain(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, puddle.ErrClosedPool):
		err = ErrClosed
	}
	if cure, ok := cures[code(err)]; ok {
		return fmt.Errorf("postgres store %s: %s: %s: %w", s.where, what, cure, err)
	}
	return fmt.Errorf("postgres store %s: %s: %w", s.where, what, err)
}

// code is the SQLSTATE of an error, "" if it is not the server's.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// spoils tells whether a connection is of no use after an error: it ends with it,
// or it leads to a standby.
func spoils(err *pgconn.PgError) bool {
	return err.SeverityUnlocalized == "FATAL" || err.SeverityUnlocalized == "PANIC" || err.Code == readOnly
}

// unconnected is an error from before anything was sent.
type unconnected struct{ error }

func (e unconnected) Unwrap() error { return e.error }

// broken is an error that ended its connection: what was asked may be done.
type broken struct{ error }

func (e broken) Unwrap() error { return e.error }

// refused tells whether a call certainly had no effect, and may well succeed when
// it is made again: no connection, a deadlock, a serialization failure.
func refused(err error) bool {
	c := code(err)
	return errors.As(err, new(unconnected)) || !errors.As(err, new(broken)) && (c == serializationFailure || c == deadlockDetected)
}

// passes tells whether to make a call again that does no harm twice: also when
// its connection broke. Not for commits.
func passes(err error) bool { return refused(err) || errors.As(err, new(broken)) }

// tries bounds how often a call is made, within half a second about: a lane
// waits longer by itself, and says so.
const tries = 5

// slack is how much longer a call may take than its statement.
const slack = 5 * time.Second

var errSilent = errors.New("the server did not answer in time: look at its load, and at the network")

// do calls f with a connection, when it is the service's turn, and again while the
// error says so.
func (s *Store) do(ctx context.Context, again func(error) bool, f func(context.Context, *pgxpool.Conn) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.calls.Done()
	leave, err := s.pool.turn(ctx, s.service)
	if err != nil {
		return err
	}
	defer leave()
	o := s.pool.opts
	limited, cancel := context.WithTimeoutCause(ctx, o.statement+o.lock+o.connect+slack, errSilent)
	defer cancel()
	for n := 1; ; n++ {
		err := s.once(limited, f)
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case limited.Err() != nil:
			return fmt.Errorf("%w: %w", context.Cause(limited), err)
		case n == tries || errors.Is(err, puddle.ErrClosedPool) || !again(err):
			return err
		}
		select {
		case <-time.After(backoff(n)):
		case <-limited.Done():
		}
	}
}

// backoff doubles from 20 ms, and takes off up to half at random.
func backoff(n int) time.Duration {
	d := 10 * time.Millisecond << n
	return d - rand.N(d/2)
}

func (s *Store) once(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	c, err := s.pool.conns.Acquire(ctx)
	if err != nil {
		return unconnected{err}
	}
	defer c.Release()
	if err = f(ctx, c); err != nil && c.Conn().IsClosed() {
		err = broken{err}
	}
	return err
}
