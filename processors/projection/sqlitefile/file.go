// Package sqlitefile keeps an SQLite file that a projection.Run writes: how far it has
// written, beside the rows that follow, and what SQLite's failures mean. It needs no
// server and no cgo. Several processes may open the file, which must be on a local disk.
package sqlitefile

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
)

// Schema makes the tables that this package keeps, in a file that has none.
//
//go:embed schema.sql
var Schema string

// File is one that is open.
type File struct {
	Writer *sql.DB // one connection
	Reader *sql.DB // several, which write nothing
	path   string
	what   string      // is in it, for messages: "the read model"
	info   os.FileInfo // of path, when it was opened
}

// Open opens a file, or makes it. prepare makes its tables, or refuses what is there.
// Pragmas are the writer's own, beside those that all have, as "cache_size(-65536)".
func Open(path, what string, prepare func(*sql.DB) error, pragmas ...string) (*File, error) {
	f := &File{path: path, what: what}
	own := "_txlock=immediate"
	for _, p := range pragmas {
		own += "&_pragma=" + p
	}
	var err error
	if f.Writer, err = f.open(own, 1); err != nil {
		return nil, err
	}
	if err := prepare(f.Writer); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %s: %w", what, path, err), f.Writer.Close())
	}
	if f.Reader, err = f.Readers(4); err != nil {
		return nil, errors.Join(err, f.Writer.Close())
	}
	if f.info, err = os.Stat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %s: %w", what, path, err), f.Close())
	}
	return f, nil
}

// Readers are so many connections that write nothing, and are the caller's to close.
func (f *File) Readers(conns int) (*sql.DB, error) { return f.open("_pragma=query_only(1)", conns) }

func (f *File) open(option string, conns int) (*sql.DB, error) {
	abs, err := filepath.Abs(f.path)
	if err != nil {
		return nil, fmt.Errorf("path of %s %q: %w", f.what, f.path, err)
	}
	// NORMAL may lose the last commits with the power, rows and cursors alike:
	// they are read from the log again.
	dsn := "file:" + (&url.URL{Path: abs}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&" + option
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("%s %s cannot be opened: %w", f.what, f.path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Close ends the file. Its writer must have ended.
func (f *File) Close() error { return errors.Join(f.Reader.Close(), f.Writer.Close()) }

// Same reports that another file, or none, is where this one was opened: what is
// written goes where nobody will find it again.
func (f *File) Same() error {
	if now, err := os.Stat(f.path); err == nil && os.SameFile(now, f.info) {
		return nil
	}
	return fmt.Errorf("%s %s: its file was removed or replaced under this process: start the process again, and what is missing is built from the event stores and the log", f.what, f.path)
}

// Ping reads the schema's version, which every file has.
func (f *File) Ping(ctx context.Context) error {
	var version int
	if err := f.Reader.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return Failed(f.what+" does not answer", err)
	}
	return nil
}

// Querier is a database or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Each calls take for every row of a query.
func Each(ctx context.Context, db Querier, query string, take func(*sql.Rows) error, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
