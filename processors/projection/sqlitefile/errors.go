package sqlitefile

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/weirstream/weir/processors/projection"
)

// passing are the primary result codes of what a person, or time, puts right
// while the process waits; refused are those of what a row cannot hold.
var (
	passing = map[int]string{
		sqlite3.SQLITE_FULL:     "the disk is full: free space",
		sqlite3.SQLITE_IOERR:    "the disk failed or is full: check it and its mount",
		sqlite3.SQLITE_BUSY:     "another process holds the file: look for a stuck one with fuser or lsof",
		sqlite3.SQLITE_LOCKED:   "another connection holds a table",
		sqlite3.SQLITE_NOMEM:    "the process is out of memory",
		sqlite3.SQLITE_READONLY: "the file is read-only: check its owner and mode, and those of its directory and mount",
		sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check that its directory is there and writable",
		sqlite3.SQLITE_PROTOCOL: "another process holds the file's lock",
	}
	refused = map[int]bool{sqlite3.SQLITE_TOOBIG: true, sqlite3.SQLITE_CONSTRAINT: true, sqlite3.SQLITE_MISMATCH: true}
)

// Failed says what failed, and whether waiting may cure it: projection.ErrUnavailable; or
// that a row cannot hold it: projection.ErrRefused.
func Failed(what string, err error) error {
	var e *sqlite.Error
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", what, err)
	}
	code := e.Code() & 0xff
	if cure := passing[code]; cure != "" {
		return fmt.Errorf("%s: %w: %s: %w", what, projection.ErrUnavailable, cure, err)
	}
	if refused[code] {
		return fmt.Errorf("%s: %w: %w", what, projection.ErrRefused, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
