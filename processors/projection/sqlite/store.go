// Package sqlite keeps the read model in one SQLite file: the embedded
// projection.Store. It needs no server and no cgo. Several processes may open
// the file, which must be on a local disk.
package sqlite

import (
	"database/sql"
	_ "embed"
	"fmt"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
	"github.com/weirstream/weir/streams/business"
)

//go:embed schema.sql
var schema string

// schemaVersion is raised with every change of schema.sql.
const schemaVersion = 3

// Store is a projection.Store in an SQLite file. A batch is one transaction.
type Store struct {
	*sqlitefile.File
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
	file, err := sqlitefile.Open(path, "the read model", func(db *sql.DB) error { return migrate(db, views) })
	if err != nil {
		return nil, err
	}
	s := &Store{File: file}
	s.declare(views)
	return s, nil
}

func migrate(db *sql.DB, views []*business.View) error {
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return sqlitefile.Failed("the file cannot be read", err)
	}
	switch version {
	case schemaVersion:
		return sameViews(db, views)
	case 0:
		tx, err := db.Begin()
		if err != nil {
			return sqlitefile.Failed("tables cannot be made", err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec(sqlitefile.Schema + schema + tables(views) + fmt.Sprintf("\nPRAGMA user_version = %d;", schemaVersion)); err != nil {
			return sqlitefile.Failed("tables cannot be made", err)
		}
		if _, err := tx.Exec(`INSERT INTO declared VALUES (?)`, projection.Fingerprint(views)); err != nil {
			return sqlitefile.Failed("tables cannot be made", err)
		}
		if err := tx.Commit(); err != nil {
			return sqlitefile.Failed("tables cannot be made", err)
		}
		return nil
	}
	return fmt.Errorf("the file has schema version %d, this program has %d: %s", version, schemaVersion, cure)
}
