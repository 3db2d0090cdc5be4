// Package sqlite keeps the tables of analytics in one SQLite file: the embedded
// analytics.Store. It needs no server and no cgo. Several processes may open the file,
// which must be on a local disk.
//
// A Write is one transaction: its rows, its block and its cursors are there, or none of
// them is.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

//go:embed schema.sql
var schema string

// schemaVersion is raised with every change of schema.sql.
const schemaVersion = 1

// cure is that of a file that this program cannot go on with.
const cure = "stop its writer, remove the file with its -wal and -shm, and start again: it is built from the event stores and the log"

// cache is what the writer keeps of the file in memory, in KiB: keys and correlations of a
// large block lie all over their indices.
const cache = 64 << 10

// Store is an analytics.Store in an SQLite file.
type Store struct {
	*sqlitefile.File
	schema *analytics.Schema
	writer string
	shape  string // of the schema's tables
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
	shape, err := shapeOf(s)
	if err != nil {
		return nil, err
	}
	file, err := sqlitefile.Open(path, "analytics", func(db *sql.DB) error { return migrate(db, s) }, fmt.Sprintf("cache_size(-%d)", cache))
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // the process says enough where there is none
	return &Store{File: file, schema: s, shape: shape, writer: fmt.Sprintf("%s/%d", host, os.Getpid())}, nil
}

// Claim makes the caller the only writer.
func (s *Store) Claim(ctx context.Context, partitions int32, read []projection.Cursor) (projection.Claim, error) {
	c, err := s.File.Claim(ctx, partitions, read)
	if err != nil {
		return c, err
	}
	return c, s.reshape(ctx, c.Epoch)
}

// reshape notes which columns the rows of the next blocks have.
func (s *Store) reshape(ctx context.Context, epoch int64) error {
	tx, err := s.Begin(ctx, &projection.Batch{Epoch: epoch})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var had string
	err = tx.QueryRowContext(ctx, `SELECT tables FROM shapes ORDER BY since DESC LIMIT 1`).Scan(&had)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return sqlitefile.Failed("the shape of analytics cannot be read", err)
	}
	if had == s.shape {
		return nil
	}
	if _, err := tx.Exec(`INSERT OR REPLACE INTO shapes SELECT coalesce(max(number), 0) + 1, ? FROM blocks`, s.shape); err != nil {
		return err
	}
	return tx.Commit()
}

// shapeOf says which columns the tables have.
func shapeOf(s *analytics.Schema) (string, error) {
	of := map[string][]analytics.Column{}
	for _, t := range s.Tables {
		of[t.Name] = t.Columns
	}
	b, err := json.Marshal(of)
	if err != nil {
		return "", fmt.Errorf("the shape of analytics: %w", err)
	}
	return string(b), nil
}
