package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
	"github.com/weirstream/weir/streams"
)

// Write writes a batch as a block, in one transaction. One that was done and not
// acknowledged is not done again. A batch that goes nowhere makes no block.
func (s *Store) Write(ctx context.Context, b *projection.Batch) error {
	tx, err := s.Begin(ctx, b)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if slices.ContainsFunc(b.Moves, goesOn) {
		done, err := s.block(ctx, tx, b)
		if err != nil || done {
			return err
		}
	}
	if err := tx.Keep(b); err != nil {
		return err
	}
	return tx.Commit()
}

func goesOn(m projection.Move) bool { return m.Next > m.From || len(m.Seen) > 0 }

// block writes the rows of a batch, or tells that the last block is that batch.
func (s *Store) block(ctx context.Context, tx *sqlitefile.Tx, b *projection.Batch) (done bool, err error) {
	last, err := lastBlock(ctx, tx)
	if err != nil {
		return false, err
	}
	if sameMoves(last.Ranges, b.Moves) {
		return true, nil
	}
	block := s.schema.Block(last.Number+1, b.Events)
	for _, r := range block.Tables {
		if err := insert(tx, r); err != nil {
			return false, err
		}
		if r.Table == s.schema.Events {
			if err := count(ctx, tx, r); err != nil {
				return false, err
			}
		}
	}
	return false, s.note(ctx, tx, block, b)
}

// lastBlock is that of the greatest number; without one, number 0.
func lastBlock(ctx context.Context, tx writable) (w analytics.Written, err error) {
	var ranges string
	err = tx.QueryRowContext(ctx, `SELECT number, ranges FROM blocks WHERE number > 0 ORDER BY number DESC LIMIT 1`).Scan(&w.Number, &ranges)
	if errors.Is(err, sql.ErrNoRows) {
		return w, nil
	}
	if err != nil {
		return w, sqlitefile.Failed("the last block cannot be read", err)
	}
	if err := json.Unmarshal([]byte(ranges), &w.Ranges); err != nil {
		return w, fmt.Errorf("the ranges of block %d cannot be read: %w", w.Number, err)
	}
	return w, nil
}

func sameMoves(have []analytics.Range, moves []projection.Move) bool {
	if len(have) != len(moves) {
		return false
	}
	for _, m := range moves {
		if !slices.ContainsFunc(have, func(r analytics.Range) bool {
			return r.Topic == m.Topic && r.Partition == m.Partition && r.From == m.From && r.Next == m.Next && maps.Equal(r.Seen, m.Seen)
		}) {
			return false
		}
	}
	return true
}

// note writes what the block is made of.
func (s *Store) note(ctx context.Context, tx *sqlitefile.Tx, block *analytics.Block, b *projection.Batch) error {
	var failed error
	ranges, err := block.Ranges(b.Moves, func(topic string, partition int32) projection.Cursor {
		c, err := cursor(ctx, tx, topic, partition)
		failed = errors.Join(failed, err)
		return c
	})
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	var until time.Time
	for i := range b.Events {
		if at := b.Events[i].Time; at.After(until) {
			until = at
		}
	}
	rangesText, err := json.Marshal(ranges)
	if err != nil {
		return err
	}
	tables, err := json.Marshal(block.Sums())
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO blocks (number, writer, at, until, ranges, tables) VALUES (?, ?, ?, ?, ?, ?)`,
		block.Number, fmt.Sprintf("%s in epoch %d", s.writer, b.Epoch), projection.Nanos(time.Now()), projection.Nanos(until), string(rangesText), string(tables))
	return err
}

// cursor is where the rows end of a partition; before its beginning where nobody has
// claimed it.
func cursor(ctx context.Context, tx *sqlitefile.Tx, topic string, partition int32) (projection.Cursor, error) {
	c := projection.Cursor{Topic: topic, Partition: partition, Next: -1, Seen: map[streams.Lane]int64{}}
	err := tx.QueryRowContext(ctx, `SELECT next FROM cursors WHERE topic = ? AND partition = ?`, topic, partition).Scan(&c.Next)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err == nil {
		err = sqlitefile.Each(ctx, tx, `SELECT lane, seq FROM seen WHERE topic = ? AND partition = ?`, func(rows *sql.Rows) error {
			var lane string
			var seq int64
			err := rows.Scan(&lane, &seq)
			c.Seen[streams.Lane(lane)] = seq
			return err
		}, topic, partition)
	}
	if err != nil {
		return c, sqlitefile.Failed("the cursors of analytics cannot be read", err)
	}
	return c, nil
}

// valuesAtOnce bounds those of one statement: a call costs more than what SQLite does
// with a row.
const valuesAtOnce = 512

// insert writes the rows of one table, some with each statement. What fails ends the whole
// transaction: without OR FAIL, SQLite would keep every page twice, to undo one statement.
func insert(tx *sqlitefile.Tx, r *analytics.Rows) error {
	var names []string
	for _, c := range r.Table.Columns {
		names = append(names, quote(c.Name))
	}
	row := "(?" + strings.Repeat(", ?", len(names)-1) + ")"
	head := fmt.Sprintf("INSERT OR FAIL INTO %s (%s) VALUES ", quote(r.Table.Name), strings.Join(names, ", "))
	most := max(1, valuesAtOnce/len(names))
	full := head + row + strings.Repeat(", "+row, most-1)
	args := make([]any, 0, most*len(names))
	for from := 0; from < r.N; from += most {
		to := min(from+most, r.N)
		args = args[:0]
		for i := from; i < to; i++ {
			for at := range r.Cols {
				v, err := value(r, at, i)
				if err != nil {
					return err
				}
				args = append(args, v)
			}
		}
		q := full
		if to-from < most {
			q = head + row + strings.Repeat(", "+row, to-from-1)
		}
		if _, err := tx.Exec(q, args...); err != nil {
			return err
		}
	}
	return nil
}

// value is one of a row as the file has it.
func value(r *analytics.Rows, at, row int) (any, error) {
	c, v := r.Table.Columns[at], &r.Cols[at]
	var list any
	switch {
	case !c.List && (c.Kind == analytics.Text || c.Kind == analytics.Word):
		return v.Text[row], nil
	case !c.List && c.Kind == analytics.Real:
		return v.Real[row], nil
	case !c.List:
		return v.Whole[row], nil
	case c.Kind == analytics.Text, c.Kind == analytics.Word:
		list = v.TextLists[row]
	case c.Kind == analytics.Real:
		list = v.RealLists[row]
	default:
		list = v.Lists[row]
	}
	b, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("column %s of %s: %w", c.Name, r.Table.Name, err)
	}
	return string(b), nil
}

// count adds events to the hours in which they happened.
func count(ctx context.Context, tx *sqlitefile.Tx, r *analytics.Rows) error {
	at := map[string]int{}
	for i, c := range r.Table.Columns {
		at[c.Name] = i
	}
	sums := map[analytics.Hour]analytics.Sum{}
	for i := range r.N {
		h := analytics.Hour{Topic: r.Cols[at["topic"]].Text[i], Type: r.Cols[at["type"]].Text[i], Start: hourOf(r.Cols[at["time"]].Whole[i])}
		s := sums[h]
		sums[h] = analytics.Sum{Rows: s.Rows + 1, Checksum: s.Checksum + r.Sum(i)}
	}
	return addHours(ctx, tx, sums)
}

// writable is a transaction: that of a batch, or another one.
type writable interface {
	Exec(query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func addHours(ctx context.Context, tx writable, sums map[analytics.Hour]analytics.Sum) error {
	for h, s := range sums {
		var rows, checksum int64
		err := tx.QueryRowContext(ctx, "SELECT rows, checksum FROM hours WHERE topic = ? AND type = ? AND hour = ?", h.Topic, h.Type, h.Start).Scan(&rows, &checksum)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return sqlitefile.Failed("an hour of analytics cannot be read", err)
		}
		// SQLite makes a real number of a sum that is beyond 64 bits.
		if _, err := tx.Exec("INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?, ?)", h.Topic, h.Type, h.Start, rows+s.Rows, checksum+int64(s.Checksum)); err != nil {
			return err
		}
	}
	return nil
}

// hourOf is the beginning of the hour of a time, in seconds.
func hourOf(nanos int64) int64 {
	at := nanos / int64(time.Hour)
	if nanos%int64(time.Hour) < 0 {
		at--
	}
	return at * 3600
}
