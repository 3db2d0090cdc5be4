package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

// migrate makes what the file lacks of the schema, in one transaction.
func migrate(db *sql.DB, s *analytics.Schema) error {
	tx, err := db.Begin()
	if err != nil {
		return sqlitefile.Failed("the file cannot be written", err)
	}
	defer tx.Rollback()
	var version int
	if err := tx.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return sqlitefile.Failed("the file cannot be read", err)
	}
	switch version {
	case schemaVersion:
	case 0:
		if _, err := tx.Exec(sqlitefile.Schema + schema + fmt.Sprintf("\nPRAGMA user_version = %d;", schemaVersion)); err != nil {
			return sqlitefile.Failed("tables cannot be made", err)
		}
	default:
		return fmt.Errorf("the file has schema version %d, this program has %d: %s", version, schemaVersion, cure)
	}
	if err := declare(tx, s); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return sqlitefile.Failed("tables cannot be made", err)
	}
	return nil
}

// declare makes the tables and columns that are not there, and refuses those that hold
// something else.
func declare(tx *sql.Tx, s *analytics.Schema) error {
	have, err := columns(tx)
	if err != nil {
		return err
	}
	var differ []error
	for _, t := range s.Tables {
		if have[t.Name] == nil {
			if err := create(tx, t); err != nil {
				return err
			}
		}
		for _, c := range t.Columns {
			had, ok := have[t.Name][c.Name]
			if ok && had != kindName(c) {
				differ = append(differ, fmt.Errorf("column %s of %s holds %s, and is to hold %s now: %s", c.Name, t.Name, had, kindName(c), cure))
			}
			if ok {
				continue
			}
			if err := add(tx, t, c, have[t.Name] != nil); err != nil {
				return err
			}
		}
	}
	return errors.Join(differ...)
}

// columns are those of the file: what each holds, by table and name.
func columns(db sqlitefile.Querier) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	err := sqlitefile.Each(context.Background(), db, `SELECT table_name, name, kind FROM columns`, func(rows *sql.Rows) error {
		var table, name, kind string
		err := rows.Scan(&table, &name, &kind)
		if out[table] == nil {
			out[table] = map[string]string{}
		}
		out[table][name] = kind
		return err
	})
	if err != nil {
		return nil, sqlitefile.Failed("the columns of the file cannot be read", err)
	}
	return out, nil
}

func create(tx *sql.Tx, t *analytics.Table) error {
	var defs []string
	for _, c := range t.Columns {
		defs = append(defs, definition(c))
	}
	statements := []string{fmt.Sprintf("CREATE TABLE %s (%s) STRICT", quote(t.Name), strings.Join(defs, ", "))}
	for _, columns := range indices(t) {
		name := t.Name + "." + strings.Join(columns, ".")
		for i := range columns {
			columns[i] = quote(columns[i])
		}
		statements = append(statements, fmt.Sprintf("CREATE INDEX %s ON %s (%s)", quote(name), quote(t.Name), strings.Join(columns, ", ")))
	}
	if t.Name == analytics.EventsTable { // what came from outside is looked for by its name
		statements = append(statements, "CREATE INDEX events_outside ON events (`source`, `id`) WHERE `lane` = ''")
	}
	for _, q := range statements {
		if _, err := tx.Exec(q); err != nil {
			return sqlitefile.Failed("table "+t.Name+" cannot be made", err)
		}
	}
	return nil
}

// indices are what rows are found by. That by blocks, which come in their order, costs
// little; those by keys cost more than the rows.
func indices(t *analytics.Table) [][]string {
	if t.Name == analytics.EventsTable {
		return [][]string{{analytics.BlockColumn}, {"type", "time"}, {"kind", "key"}, {"correlation"}}
	}
	return [][]string{{analytics.BlockColumn}, {t.Order[0]}}
}

// add notes a column, and makes it where the table was there without it.
func add(tx *sql.Tx, t *analytics.Table, c analytics.Column, alter bool) error {
	if alter {
		if _, err := tx.Exec("ALTER TABLE " + quote(t.Name) + " ADD COLUMN " + definition(c)); err != nil {
			return sqlitefile.Failed(fmt.Sprintf("column %s of %s cannot be made", c.Name, t.Name), err)
		}
	}
	if _, err := tx.Exec(`INSERT INTO columns VALUES (?, ?, ?)`, t.Name, c.Name, kindName(c)); err != nil {
		return sqlitefile.Failed(fmt.Sprintf("column %s of %s cannot be noted", c.Name, t.Name), err)
	}
	return nil
}

// kindName is what a column holds, for people and for the file. Texts of which there are
// few different ones are texts here.
func kindName(c analytics.Column) string {
	name := map[analytics.Kind]string{analytics.Text: "text", analytics.Word: "text", analytics.Whole: "whole numbers", analytics.Real: "numbers",
		analytics.At: "times", analytics.Amount: "money"}[c.Kind]
	if c.List {
		return "lists of " + name
	}
	return name
}

// definition is a column with the value that rows from before it have.
func definition(c analytics.Column) string {
	of := "INTEGER NOT NULL DEFAULT 0"
	switch {
	case c.List:
		of = "TEXT NOT NULL DEFAULT '[]'"
	case c.Kind == analytics.Text, c.Kind == analytics.Word:
		of = "TEXT NOT NULL DEFAULT ''"
	case c.Kind == analytics.Real:
		of = "REAL NOT NULL DEFAULT 0"
	}
	return quote(c.Name) + " " + of
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
