package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

// Blocks lists blocks whose numbers are above one.
func (s *Store) Blocks(ctx context.Context, above int64, limit int) ([]analytics.Written, error) {
	var out []analytics.Written
	err := sqlitefile.Each(ctx, s.Reader, `SELECT number, writer, at, ranges, tables FROM blocks WHERE number > ? ORDER BY number LIMIT ?`, func(rows *sql.Rows) error {
		var w analytics.Written
		var at int64
		var ranges, tables string
		if err := rows.Scan(&w.Number, &w.Writer, &at, &ranges, &tables); err != nil {
			return err
		}
		w.At = projection.Moment(at)
		if err := json.Unmarshal([]byte(ranges), &w.Ranges); err != nil {
			return fmt.Errorf("the ranges of block %d cannot be read: %w", w.Number, err)
		}
		if err := json.Unmarshal([]byte(tables), &w.Tables); err != nil {
			return fmt.Errorf("the tables of block %d cannot be read: %w", w.Number, err)
		}
		out = append(out, w)
		return nil
	}, above, limit)
	if err != nil {
		return nil, sqlitefile.Failed("blocks of analytics", err)
	}
	return out, nil
}

// shape is which columns rows have from a block on.
type shape struct {
	since  int64
	tables map[string][]analytics.Column
}

// Sums are computed from the rows: of each block with the columns that it was written with.
func (s *Store) Sums(ctx context.Context, from, to int64) (map[int64]map[string]analytics.Sum, error) {
	tx, err := s.Reader.BeginTx(ctx, nil) // what is written meanwhile is not seen
	if err != nil {
		return nil, sqlitefile.Failed("rows of analytics cannot be read", err)
	}
	defer tx.Rollback()
	all, err := shapes(ctx, tx)
	if err != nil {
		return nil, err
	}
	out := map[int64]map[string]analytics.Sum{}
	for i, sh := range all {
		first, last := max(from, sh.since), to
		if i == 0 {
			first = from
		}
		if i+1 < len(all) {
			last = min(to, all[i+1].since-1)
		}
		for name, columns := range sh.tables {
			if first > last {
				continue
			}
			if err := sum(ctx, tx, &analytics.Table{Name: name, Columns: columns}, first, last, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func shapes(ctx context.Context, tx *sql.Tx) (out []shape, err error) {
	err = sqlitefile.Each(ctx, tx, `SELECT since, tables FROM shapes ORDER BY since`, func(rows *sql.Rows) error {
		var sh shape
		var tables string
		if err := rows.Scan(&sh.since, &tables); err != nil {
			return err
		}
		out = append(out, sh)
		return json.Unmarshal([]byte(tables), &out[len(out)-1].tables)
	})
	if err != nil {
		return nil, sqlitefile.Failed("the shapes of analytics cannot be read", err)
	}
	return out, nil
}

// sum adds up the rows of one table.
func sum(ctx context.Context, tx *sql.Tx, t *analytics.Table, from, to int64, out map[int64]map[string]analytics.Sum) error {
	r := analytics.NewRows(t)
	var names []string
	into := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		names = append(names, quote(c.Name))
		switch {
		case c.List, c.Kind == analytics.Text, c.Kind == analytics.Word:
			into[i] = new(string)
		case c.Kind == analytics.Real:
			into[i] = new(float64)
		default:
			into[i] = new(int64)
		}
	}
	err := sqlitefile.Each(ctx, tx, fmt.Sprintf("SELECT %s FROM %s WHERE `_block` BETWEEN ? AND ?", strings.Join(names, ", "), quote(t.Name)), func(rows *sql.Rows) error {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		block, err := keep(r, into)
		if err != nil {
			return err
		}
		if out[block] == nil {
			out[block] = map[string]analytics.Sum{}
		}
		had := out[block][t.Name]
		out[block][t.Name] = analytics.Sum{Rows: had.Rows + 1, Checksum: had.Checksum + r.Checksum()}
		r.Clear()
		return nil
	}, from, to)
	if err != nil {
		return sqlitefile.Failed("rows of "+t.Name+" cannot be read", err)
	}
	return nil
}

// keep makes a row of what was read, and tells of which block it is.
func keep(r *analytics.Rows, read []any) (block int64, err error) {
	for i, c := range r.Table.Columns {
		v := &r.Cols[i]
		switch x := read[i].(type) {
		case *int64:
			v.Whole = append(v.Whole, *x)
			if c.Name == analytics.BlockColumn {
				block = *x
			}
		case *float64:
			v.Real = append(v.Real, *x)
		case *string:
			if !c.List {
				v.Text = append(v.Text, *x)
			} else if err := keepList(v, c, *x); err != nil {
				return 0, fmt.Errorf("a row of block %d has no list in %s: %w", block, c.Name, err)
			}
		}
	}
	r.End()
	return block, nil
}

func keepList(v *analytics.Values, c analytics.Column, text string) error {
	switch c.Kind {
	case analytics.Text, analytics.Word:
		v.TextLists = append(v.TextLists, nil)
		return json.Unmarshal([]byte(text), &v.TextLists[len(v.TextLists)-1])
	case analytics.Real:
		v.RealLists = append(v.RealLists, nil)
		return json.Unmarshal([]byte(text), &v.RealLists[len(v.RealLists)-1])
	}
	v.Lists = append(v.Lists, nil)
	return json.Unmarshal([]byte(text), &v.Lists[len(v.Lists)-1])
}

// blocksAtOnce bounds those that one transaction prunes: the writer waits for it.
const blocksAtOnce = 20

// Prune removes events and those of sagas, in whole blocks, once all of a block is from
// before a time. What was said of documents stays, and what was counted by the hour.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	for {
		n, err := s.prune(ctx, projection.Nanos(before))
		if err != nil || n < blocksAtOnce {
			return err
		}
	}
}

func (s *Store) prune(ctx context.Context, before int64) (n int, err error) {
	tx, err := s.Writer.BeginTx(ctx, nil)
	if err != nil {
		return 0, sqlitefile.Failed("analytics cannot be pruned", err)
	}
	defer tx.Rollback()
	old := map[int64]string{}
	err = sqlitefile.Each(ctx, tx, `SELECT number, tables FROM blocks WHERE pruned = 0 AND until < ? LIMIT ?`, func(rows *sql.Rows) error {
		var number int64
		var tables string
		err := rows.Scan(&number, &tables)
		old[number] = tables
		return err
	}, before, blocksAtOnce)
	if err != nil {
		return 0, sqlitefile.Failed("old blocks cannot be found", err)
	}
	for number, tables := range old {
		if err := pruneBlock(ctx, tx, number, tables); err != nil {
			return 0, err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM skipped WHERE at < ?`, before); err != nil {
		return 0, sqlitefile.Failed("analytics cannot be pruned", err)
	}
	if err := tx.Commit(); err != nil {
		return 0, sqlitefile.Failed("analytics cannot be pruned", err)
	}
	return len(old), nil
}

// pruneBlock leaves in a block what it says of documents.
func pruneBlock(ctx context.Context, tx *sql.Tx, number int64, tables string) error {
	sums, left := map[string]analytics.Sum{}, map[string]analytics.Sum{}
	if err := json.Unmarshal([]byte(tables), &sums); err != nil {
		return fmt.Errorf("the tables of block %d cannot be read: %w", number, err)
	}
	for name, sum := range sums {
		if strings.HasPrefix(name, analytics.ViewTable("")) {
			left[name] = sum
			continue
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+quote(name)+" WHERE `_block` = ?", number); err != nil {
			return sqlitefile.Failed("rows of "+name+" cannot be removed", err)
		}
	}
	b, err := json.Marshal(left)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE blocks SET pruned = 1, tables = ? WHERE number = ?`, string(b), number); err != nil {
		return sqlitefile.Failed("analytics cannot be pruned", err)
	}
	return nil
}

// rows are how many a table may have, at most: they are numbered, and only the first go.
func rowCount(ctx context.Context, conn *sql.Conn, table string) (n int64, err error) {
	q := quote(table)
	err = conn.QueryRowContext(ctx, fmt.Sprintf("SELECT coalesce((SELECT max(_rowid_) FROM %s) - (SELECT min(_rowid_) FROM %s) + 1, 0)", q, q)).Scan(&n)
	if err != nil {
		return math.MaxInt64, sqlitefile.Failed("the rows of "+table+" cannot be counted", err)
	}
	return n, nil
}
