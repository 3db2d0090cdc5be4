// Package projection keeps the order read model: what orders and their sagas
// have become, and every event that made them so. It reads all event topics
// from its own cursors, which commit with the rows that they guard, and its
// upserts do not care in which order topics are read.
package projection

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver
)

//go:embed schema.sql
var schema string

// schemaVersion is raised with every change of schema.sql.
const schemaVersion = 1

// Store is the read model in one SQLite file. One Run writes, any number of
// queries read beside it.
type Store struct {
	write *sql.DB // one connection
	read  *sql.DB
	busy  atomic.Bool // a Run is on
	stats *counters

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by every commit
}

// Open opens the read model's file, or makes it. A file of another schema
// version is refused: a projection is rebuilt from the log, not migrated.
func Open(path string) (*Store, error) {
	write, err := open(path, "_txlock=immediate", 1)
	if err != nil {
		return nil, err
	}
	if err := migrate(write); err != nil {
		return nil, errors.Join(fmt.Errorf("read model %s: %w", path, err), write.Close())
	}
	read, err := open(path, "_pragma=query_only(1)", 4)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return &Store{write: write, read: read, stats: newCounters(), changed: make(chan struct{})}, nil
}

func open(path, option string, conns int) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("path of the read model %q: %w", path, err)
	}
	// NORMAL may lose the last commits with the power, rows and cursors alike:
	// they are read from the log again.
	dsn := "file:" + (&url.URL{Path: abs}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&" + option
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("read model %s cannot be opened: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func migrate(db *sql.DB) error {
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("the file cannot be read: %w", err)
	}
	switch version {
	case schemaVersion:
		return nil
	case 0:
		tx, err := db.Begin()
		if err != nil {
			return fmt.Errorf("tables cannot be made: %w", err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec(schema + fmt.Sprintf("\nPRAGMA user_version = %d;", schemaVersion)); err != nil {
			return fmt.Errorf("tables cannot be made: %w", err)
		}
		return tx.Commit()
	}
	return fmt.Errorf("the file has schema version %d, this program has %d: remove the file, and the read model is built again from the log", version, schemaVersion)
}

// Close ends the store. A Run must have returned.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Prune removes events, ended sagas and their bookkeeping from before a time.
// Orders, running sagas and cursors stay. It may run beside Run.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	t := nanos(before)
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("history cannot be pruned: %w", err)
	}
	defer tx.Rollback()
	for _, q := range []string{
		`UPDATE seen SET pruned = max(pruned, old.seq) FROM (SELECT topic, lane, partition, max(seq) AS seq FROM history
			WHERE time < ?1 AND lane <> '' GROUP BY topic, lane, partition) old
			WHERE seen.topic = old.topic AND seen.lane = old.lane AND seen.partition = old.partition`,
		`DELETE FROM history WHERE time < ?1`,
		`DELETE FROM correlations WHERE last_at < ?1 AND NOT EXISTS
			(SELECT 1 FROM sagas s WHERE s.correlation = correlations.correlation AND s.ended IS NULL)`,
		`DELETE FROM sagas WHERE ended < ?1`,
		`DELETE FROM saga_ends WHERE time < ?1`,
		`DELETE FROM skipped WHERE at < ?1`,
	} {
		if _, err := tx.ExecContext(ctx, q, t); err != nil {
			return fmt.Errorf("history cannot be pruned: %w", err)
		}
	}
	return tx.Commit()
}

// notify wakes those who wait for rows.
func (s *Store) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Store) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// nanos and moment keep a time as an integer; the zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
