package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

// Carry copies a block of another file, in one transaction.
func (s *Store) Carry(ctx context.Context, from analytics.Store, block int64, w analytics.Written) error {
	if w.Number >= 0 {
		return fmt.Errorf("block %d cannot be carried: numbers from 0 on are those of the log", w.Number)
	}
	hours, source := map[analytics.Hour]analytics.Sum{}, ""
	if from != nil {
		of, done, err := single(from)
		if err != nil {
			return err
		}
		defer done()
		source = of.Path()
		if hours, err = of.hoursOf(ctx, block); err != nil {
			return err
		}
	}
	return s.beside(ctx, source, func(tx *sql.Tx) error {
		var writer string
		err := tx.QueryRowContext(ctx, `SELECT writer FROM main.blocks WHERE number = ?`, w.Number).Scan(&writer)
		if err == nil && writer == w.Writer {
			return nil // it is there
		}
		if err == nil {
			return fmt.Errorf("block %d is %s's, and not %s's: %w", w.Number, writer, w.Writer, projection.ErrFenced)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return sqlitefile.Failed("the blocks of analytics cannot be read", err)
		}
		for _, t := range s.schema.Tables {
			if w.Tables[t.Name].Rows == 0 {
				continue
			}
			if err := copyRows(ctx, tx, t, block, w.Number); err != nil {
				return err
			}
		}
		if err := addHours(ctx, tx, hours); err != nil {
			return err
		}
		return noteCarried(tx, w)
	})
}

func copyRows(ctx context.Context, tx *sql.Tx, t *analytics.Table, from, to int64) error {
	var into, values []string
	for _, c := range t.Columns {
		into = append(into, quote(c.Name))
		if c.Name == analytics.BlockColumn {
			values = append(values, fmt.Sprint(to))
		} else {
			values = append(values, quote(c.Name))
		}
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO main.%[1]s (%[2]s) SELECT %[3]s FROM other.%[1]s WHERE `_block` = ?", quote(t.Name), strings.Join(into, ", "), strings.Join(values, ", ")), from)
	if err != nil {
		return sqlitefile.Failed("rows of "+t.Name+" cannot be copied", err)
	}
	return nil
}

func noteCarried(tx *sql.Tx, w analytics.Written) error {
	ranges, err := json.Marshal(w.Ranges)
	if err != nil {
		return err
	}
	tables, err := json.Marshal(w.Tables)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO main.blocks (number, writer, at, until, ranges, tables) VALUES (?, ?, ?, ?, ?, ?)`,
		w.Number, w.Writer, projection.Nanos(w.At), projection.Nanos(w.At), string(ranges), string(tables))
	if err != nil {
		return sqlitefile.Failed("a block cannot be noted", err)
	}
	return nil
}

// Remove takes carried blocks out again, in one transaction.
func (s *Store) Remove(ctx context.Context, topic string, from, to int64) error {
	if to >= 0 {
		return fmt.Errorf("blocks up to %d cannot be removed: numbers from 0 on are those of the log", to)
	}
	return s.beside(ctx, "", func(tx *sql.Tx) error {
		for _, t := range s.schema.Tables {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+quote(t.Name)+" WHERE `_block` BETWEEN ? AND ?", from, to); err != nil {
				return sqlitefile.Failed("rows of "+t.Name+" cannot be removed", err)
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM hours WHERE topic = ?`, topic); err != nil {
			return sqlitefile.Failed("the hours of analytics cannot be written", err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM blocks WHERE number BETWEEN ? AND ?`, from, to); err != nil {
			return sqlitefile.Failed("the blocks of analytics cannot be written", err)
		}
		return nil
	})
}

// beside does something in one transaction, with another file at hand as `other`.
func (s *Store) beside(ctx context.Context, other string, f func(*sql.Tx) error) (err error) {
	conn, err := s.Writer.Conn(ctx)
	if err != nil {
		return sqlitefile.Failed("analytics cannot be written", err)
	}
	defer conn.Close()
	if other != "" {
		if _, err := conn.ExecContext(ctx, `ATTACH DATABASE ? AS other`, other); err != nil {
			return sqlitefile.Failed("what is beside analytics cannot be read", err)
		}
		defer func() {
			_, end := conn.ExecContext(context.WithoutCancel(ctx), `DETACH DATABASE other`)
			err = errors.Join(err, end)
		}()
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return sqlitefile.Failed("analytics cannot be written", err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return sqlitefile.Failed("analytics cannot be written", err)
	}
	return nil
}

// hoursOf are the hours of one block, from its rows.
func (s *Store) hoursOf(ctx context.Context, block int64) (map[analytics.Hour]analytics.Sum, error) {
	out := map[analytics.Hour]analytics.Sum{}
	err := s.atOnce(ctx, func(tx *sql.Tx) error {
		return s.rows(ctx, tx, analytics.EventsTable, "`_block` = ?", []any{block}, func(r *analytics.Rows) { addHour(out, r) })
	})
	return out, err
}

// addHour adds the row that was read to its hour.
func addHour(to map[analytics.Hour]analytics.Sum, r *analytics.Rows) {
	h := analytics.Hour{Topic: word(r, "topic"), Type: word(r, "type"), Start: hourOf(number(r, "time"))}
	had := to[h]
	to[h] = analytics.Sum{Rows: had.Rows + 1, Checksum: had.Checksum + r.Sum(0)}
}
