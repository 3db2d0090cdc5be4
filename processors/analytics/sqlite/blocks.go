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
