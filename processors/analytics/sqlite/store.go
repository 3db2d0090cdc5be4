// Package sqlite keeps the tables of analytics in one SQLite file: the embedded
// analytics.Store. It needs no server and no cgo. Several processes may open the file,
// which must be on a local disk.
//
// A Write is one transaction: its rows, its block and its cursors are there, or none of
// them is.
package sqlite

import (
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"os"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

//go:embed schema.sql
var schema string

// schemaVersion is raised with every change of schema.sql.
const schemaVersion = 1

// cure is that of a file that this program cannot go on with.
const cure = "stop its writer, remove the file with its -wal and -shm, and start again: it is built from the event stores and the log"

// pragmas are the writer's. Keys and correlations of a large block lie all over their
// indices: it keeps 64 MB of the file in memory, and copies the log into the file after
// 32 MB of it, not 4. What is longer than 64 MB is cut again.
var pragmas = []string{"cache_size(-65536)", "wal_autocheckpoint(8000)", "journal_size_limit(67108864)"}

// Store is an analytics.Store in an SQLite file.
type Store struct {
	*sqlitefile.File
	questions *sql.DB // what takes long waits for its like here, and never does a writer
	schema    *analytics.Schema
	writer    string
}

var _ analytics.Store = (*Store)(nil)

// Open opens the file, or makes it, readable by its owner alone. It gets the tables and
// columns that the schema has and the file has not; rows that are there are empty in
// them. A column that holds another kind of value now is refused.
func Open(path string, s *analytics.Schema) (*Store, error) {
	// SQLite would make one that others may read.
	private, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = private.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("the file of analytics cannot be opened, see that its directory is there and writable: %w", err)
	}
	file, err := sqlitefile.Open(path, "analytics", func(db *sql.DB) error { return migrate(db, s) }, pragmas...)
	if err != nil {
		return nil, err
	}
	questions, err := file.Readers(4)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	host, _ := os.Hostname() // the process says enough where there is none
	return &Store{File: file, questions: questions, schema: s, writer: fmt.Sprintf("%s/%d", host, os.Getpid())}, nil
}

// Close ends the store. Its writer must have ended.
func (s *Store) Close() error { return errors.Join(s.questions.Close(), s.File.Close()) }
