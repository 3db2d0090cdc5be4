package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
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

// Newest is the number of the last block.
func (s *Store) Newest(ctx context.Context) (n int64, err error) {
	if err := s.Reader.QueryRowContext(ctx, "SELECT max(0, coalesce(max(number), 0)) FROM blocks").Scan(&n); err != nil {
		return 0, sqlitefile.Failed("blocks of analytics cannot be read", err)
	}
	return n, nil
}

// Sums are computed from the rows as they are.
func (s *Store) Sums(ctx context.Context, from, to int64) (map[int64]map[string]analytics.Sum, error) {
	out := map[int64]map[string]analytics.Sum{}
	err := s.atOnce(ctx, func(tx *sql.Tx) error {
		for _, t := range s.schema.Tables {
			err := s.rows(ctx, tx, t.Name, "`_block` BETWEEN ? AND ?", []any{from, to}, func(r *analytics.Rows) {
				block, sum := number(r, analytics.BlockColumn), r.Sum(0)
				if out[block] == nil {
					out[block] = map[string]analytics.Sum{}
				}
				had := out[block][t.Name]
				out[block][t.Name] = analytics.Sum{Rows: had.Rows + 1, Checksum: had.Checksum + sum}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// RowSums are the checksums of a table's rows of one block.
func (s *Store) RowSums(ctx context.Context, table string, block int64) (out []analytics.RowSum, err error) {
	t, ok := s.schema.Table(table)
	if !ok {
		return nil, fmt.Errorf("analytics has no table %s", table)
	}
	key, sequence := t.Whose()
	err = s.atOnce(ctx, func(tx *sql.Tx) error {
		return s.rows(ctx, tx, table, "`_block` = ?", []any{block}, func(r *analytics.Rows) {
			out = append(out, analytics.RowSum{Checksum: r.Sum(0), Key: word(r, key), Sequence: number(r, sequence)})
		})
	})
	return out, err
}

// Hours are what the rows are by the hour, and what is counted.
func (s *Store) Hours(ctx context.Context, from, to time.Time) (have, counted map[analytics.Hour]analytics.Sum, err error) {
	have, counted = map[analytics.Hour]analytics.Sum{}, map[analytics.Hour]analytics.Sum{}
	from = from.Truncate(time.Hour)
	err = s.atOnce(ctx, func(tx *sql.Tx) error {
		err := s.rows(ctx, tx, analytics.EventsTable, "`time` >= ? AND `time` < ?", []any{from.UnixNano(), to.UnixNano()}, func(r *analytics.Rows) { addHour(have, r) })
		if err != nil {
			return err
		}
		err = sqlitefile.Each(ctx, tx, `SELECT topic, type, hour, rows, checksum FROM hours WHERE hour >= ? AND hour < ?`, func(rows *sql.Rows) error {
			var h analytics.Hour
			var n, sum int64
			err := rows.Scan(&h.Topic, &h.Type, &h.Start, &n, &sum)
			counted[h] = analytics.Sum{Rows: n, Checksum: uint64(sum)}
			return err
		}, from.Unix(), to.Unix())
		if err != nil {
			return sqlitefile.Failed("the hours of analytics cannot be read", err)
		}
		return nil
	})
	return have, counted, err
}

// Counted is how many rows were counted, by the hour.
func (s *Store) Counted(ctx context.Context) (map[int64]int64, error) {
	out := map[int64]int64{}
	err := sqlitefile.Each(ctx, s.questions, `SELECT hour, sum(rows) FROM hours GROUP BY hour`, func(rows *sql.Rows) error {
		var hour, n int64
		err := rows.Scan(&hour, &n)
		out[hour] = n
		return err
	})
	if err != nil {
		return nil, sqlitefile.Failed("the hours of analytics cannot be read", err)
	}
	return out, nil
}

// atOnce reads what is there at one moment: what is written meanwhile is not seen.
func (s *Store) atOnce(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.questions.BeginTx(ctx, nil)
	if err != nil {
		return sqlitefile.Failed("rows of analytics cannot be read", err)
	}
	defer tx.Rollback()
	return f(tx)
}

// rows reads rows of a table, one after the other, with all columns that it has in the file:
// one that is declared no more is in the checksums of its rows still.
func (s *Store) rows(ctx context.Context, tx *sql.Tx, table, where string, args []any, take func(*analytics.Rows)) error {
	all, err := columns(tx)
	if err != nil {
		return err
	}
	t := &analytics.Table{Name: table, Columns: inFile(all[table])}
	r := analytics.NewRows(t)
	var names []string
	into := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		names = append(names, quote(c.Name))
		switch {
		case c.List, c.Kind == analytics.Text:
			into[i] = new(string)
		case c.Kind == analytics.Real:
			into[i] = new(float64)
		default:
			into[i] = new(int64)
		}
	}
	err = sqlitefile.Each(ctx, tx, fmt.Sprintf("SELECT %s FROM %s WHERE %s", strings.Join(names, ", "), quote(table), where), func(rows *sql.Rows) error {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		r.Clear()
		if err := keep(r, into); err != nil {
			return err
		}
		take(r)
		return nil
	}, args...)
	if err != nil {
		return sqlitefile.Failed("rows of "+table+" cannot be read", err)
	}
	return nil
}

// inFile are the columns of a table as the file names their kinds. That of a currency
// follows its amount.
func inFile(kinds map[string]string) (out []analytics.Column) {
	of := map[string]analytics.Kind{"text": analytics.Text, "whole numbers": analytics.Whole, "numbers": analytics.Real, "times": analytics.At, "money": analytics.Amount}
	add := func(name string) {
		kind, list := strings.CutPrefix(kinds[name], "lists of ")
		out = append(out, analytics.Column{Name: name, Kind: of[kind], List: list})
	}
	isMoney := func(name string) bool { return strings.TrimPrefix(kinds[name], "lists of ") == "money" }
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		amount, isCurrency := strings.CutSuffix(name, analytics.CurrencySuffix)
		if isCurrency && isMoney(amount) {
			continue
		}
		if add(name); isMoney(name) {
			add(name + analytics.CurrencySuffix)
		}
	}
	return out
}

func at(r *analytics.Rows, name string) *analytics.Values {
	return &r.Cols[slices.IndexFunc(r.Table.Columns, func(c analytics.Column) bool { return c.Name == name })]
}

func word(r *analytics.Rows, name string) string  { return at(r, name).Text[0] }
func number(r *analytics.Rows, name string) int64 { return at(r, name).Whole[0] }

// keep makes a row of what was read.
func keep(r *analytics.Rows, read []any) error {
	for i, c := range r.Table.Columns {
		v := &r.Cols[i]
		switch x := read[i].(type) {
		case *int64:
			v.Whole = append(v.Whole, *x)
		case *float64:
			v.Real = append(v.Real, *x)
		case *string:
			if !c.List {
				v.Text = append(v.Text, *x)
			} else if err := keepList(v, c, *x); err != nil {
				return fmt.Errorf("a row has no list in %s: %w", c.Name, err)
			}
		}
	}
	r.End()
	return nil
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

// Earlier tells which events from outside are in blocks before one.
func (s *Store) Earlier(ctx context.Context, ids []streams.ExternalID, block int64) (map[streams.ExternalID]bool, error) {
	out := map[streams.ExternalID]bool{}
	for _, id := range ids {
		var n int
		err := s.Reader.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE `lane` = '' AND `source` = ? AND `id` = ? AND `_block` < ?", id.Source, id.ID, block).Scan(&n)
		if err != nil {
			return nil, sqlitefile.Failed("events from outside cannot be looked for", err)
		}
		if n > 0 {
			out[streams.ExternalID{Source: id.Source, ID: id.ID}] = true
		}
	}
	return out, nil
}

// Note keeps differences, each once.
func (s *Store) Note(ctx context.Context, found []analytics.Difference) error {
	for i := range found {
		b, err := json.Marshal(&found[i])
		if err != nil {
			return err
		}
		if _, err := s.Writer.ExecContext(ctx, `INSERT OR IGNORE INTO differences VALUES (?, ?, ?)`, found[i].Key(), projection.Nanos(found[i].Found), string(b)); err != nil {
			return sqlitefile.Failed("a difference cannot be noted", err)
		}
	}
	return nil
}

// Differences lists the latest.
func (s *Store) Differences(ctx context.Context, limit int) (out []analytics.Difference, err error) {
	err = sqlitefile.Each(ctx, s.Reader, `SELECT difference FROM differences ORDER BY found DESC, key LIMIT ?`, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var d analytics.Difference
		err := json.Unmarshal([]byte(text), &d)
		out = append(out, d)
		return err
	}, limit)
	if err != nil {
		return nil, sqlitefile.Failed("differences cannot be read", err)
	}
	return out, nil
}
