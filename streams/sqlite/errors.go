package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("the store is closed")

// cures say what to do about SQLite's primary result codes.
var cures = map[int]string{
	sqlite3.SQLITE_BUSY:       "another process held the file too long: look for a stuck one with fuser or lsof, it is tried again",
	sqlite3.SQLITE_FULL:       "the disk is full: free space, nothing of this transaction was kept",
	sqlite3.SQLITE_IOERR:      "the disk failed or is full: check it and its mount, nothing of this transaction was kept",
	sqlite3.SQLITE_NOTADB:     "the file is not an SQLite database: give the store a path of its own",
	sqlite3.SQLITE_CORRUPT:    "the file is damaged: stop the service and restore it from a copy",
	sqlite3.SQLITE_CANTOPEN:   "the file cannot be opened: make its directory, and check that this user may write there",
	sqlite3.SQLITE_READONLY:   "the file is read-only: check its owner and mode, and those of its directory",
	sqlite3.SQLITE_PERM:       "access was denied: check the file's owner and mode",
	sqlite3.SQLITE_CONSTRAINT: "a row with this sequence is there already: the caller handed one out twice",
	sqlite3.SQLITE_TOOBIG:     "a value is above SQLite's limit of 1 GB",
}

// explain adds what failed, where, and what to do about it.
func (s *Store) explain(what string, err error) error { return explain(s.path, what, err) }

func explain(path, what string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if cure, ok := cures[code(err)]; ok {
		return fmt.Errorf("sqlite store %s: %s: %s: %w", path, what, cure, err)
	}
	return fmt.Errorf("sqlite store %s: %s: %w", path, what, err)
}

// code is SQLite's primary result code of an error, 0 if it has none.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func isBusy(err error) bool { return code(err) == sqlite3.SQLITE_BUSY }
