// Package sqlite keeps the read model in one SQLite file: the embedded
// projection.Store. It needs no server and no cgo. Several processes may open
// the file, which must be on a local disk.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
)

//go:embed schema.sql
var schema string

// schemaVersion is raised with every change of schema.sql.
const schemaVersion = 3

// Store is a projection.Store in an SQLite file. A batch is one transaction.
type Store struct {
	write   *sql.DB // one connection
	read    *sql.DB
	path    string
	file    os.FileInfo // of path, when it was opened
	views   map[string]*view
	kinds   []string         // of keys whose history can be asked for
	first   map[string]*view // of each of the kinds
	history string           // inserts an event
	entries string           // the columns of an entry
}

var _ projection.Store = (*Store)(nil)

// Open opens the read model's file, or makes it. A file of another schema version, or
// made for other views, is refused: a projection is rebuilt from the log, not migrated.
func Open(path string, views []*business.View) (*Store, error) {
	write, err := open(path, "_txlock=immediate", 1)
	if err != nil {
		return nil, err
	}
	if err := migrate(write, views); err != nil {
		return nil, errors.Join(fmt.Errorf("read model %s: %w", path, err), write.Close())
	}
	read, err := open(path, "_pragma=query_only(1)", 4)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	file, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read model %s: %w", path, err), read.Close(), write.Close())
	}
	s := &Store{write: write, read: read, path: path, file: file}
	s.declare(views)
	return s, nil
}

// sameFile reports that another file, or none, is where the read model was opened:
// what is written goes where nobody will find it again.
func (s *Store) sameFile() error {
	if now, err := os.Stat(s.path); err == nil && os.SameFile(now, s.file) {
		return nil
	}
	return fmt.Errorf("read model %s: its file was removed or replaced under this process: start the process again, and what is missing is built from the event stores and the log", s.path)
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

func migrate(db *sql.DB, views []*business.View) error {
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return failed("the file cannot be read", err)
	}
	switch version {
	case schemaVersion:
		return sameViews(db, views)
	case 0:
		tx, err := db.Begin()
		if err != nil {
			return failed("tables cannot be made", err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec(schema + tables(views) + fmt.Sprintf("\nPRAGMA user_version = %d;", schemaVersion)); err != nil {
			return failed("tables cannot be made", err)
		}
		if _, err := tx.Exec(`INSERT INTO declared VALUES (?)`, projection.Fingerprint(views)); err != nil {
			return failed("tables cannot be made", err)
		}
		if err := tx.Commit(); err != nil {
			return failed("tables cannot be made", err)
		}
		return nil
	}
	return fmt.Errorf("the file has schema version %d, this program has %d: %s", version, schemaVersion, cure)
}

// Close ends the store. Its writer must have ended.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls f for every row of a query.
func each(ctx context.Context, db querier, query string, f func(*sql.Rows) error, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
