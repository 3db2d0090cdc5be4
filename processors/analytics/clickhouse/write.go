package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// insertsAtOnce bounds how many tables are written at a time.
const insertsAtOnce = 4

// Write writes a batch as a block: first what it is made of, under a number that nobody
// else gets, then the rows of each table under a token that derives from the number.
func (s *Store) Write(ctx context.Context, b *projection.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Epoch != s.epoch {
		return projection.ErrFenced
	}
	if len(b.Moves) > 0 && s.open == nil && sameMoves(s.done, b.Moves) {
		return nil // it was done, and not acknowledged
	}
	number := s.last + 1
	if s.open != nil {
		number = s.open.number
	}
	block := s.schema.Block(number, b.Events)
	switch {
	case s.open == nil:
		e, err := s.entry(block, b)
		if err != nil {
			return err
		}
		if err := s.take(ctx, number, e); err != nil {
			return err
		}
		s.open = &open{number, b.Moves}
	case !sameMoves(s.open.moves, b.Moves):
		return fmt.Errorf("block %d of analytics may be half written, and what follows is another one: start its writer again", number)
	}
	if err := s.rows(ctx, block, b); err != nil {
		return err
	}
	s.close(b.Moves)
	return nil
}

// close notes that the open block is whole.
func (s *Store) close(moves []projection.Move) {
	for _, m := range moves {
		c := s.cursors[place{m.Topic, m.Partition}]
		c.Next = m.Next
		seen := make(map[streams.Lane]int64, len(c.Seen)+len(m.Seen))
		for _, from := range []map[streams.Lane]int64{c.Seen, m.Seen} {
			for lane, seq := range from {
				seen[lane] = seq
			}
		}
		c.Seen = seen
		s.cursors[place{m.Topic, m.Partition}] = c
	}
	s.last, s.open, s.done = max(s.last, s.open.number), nil, moves
	s.since++
}

// rows inserts those of each table. One that has them already drops them.
func (s *Store) rows(ctx context.Context, block *analytics.Block, b *projection.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, insertTime)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(insertsAtOnce)
	for _, r := range block.Tables {
		g.Go(func() error { return s.insert(ctx, block.Number, r) })
	}
	if len(b.Externals) > 0 {
		g.Go(func() error { return s.insertOutside(ctx, block.Number, b.Externals) })
	}
	if len(b.Skipped) > 0 {
		g.Go(func() error { return s.insertSkipped(ctx, block.Number, b.Skipped) })
	}
	return known(g.Wait())
}

func token(block int64, table string) string { return fmt.Sprintf("block %d of %s", block, table) }

// insert writes rows by columns.
func (s *Store) insert(ctx context.Context, block int64, r *analytics.Rows) error {
	names := s.names[r.Table.Name]
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = quote(n.Name)
	}
	ctx = clickhouse.Context(s.once(ctx, token(block, r.Table.Name)), clickhouse.WithColumnNamesAndTypes(names))
	batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO "+quote(r.Table.Name)+" ("+strings.Join(list, ", ")+")")
	if err != nil {
		return err
	}
	defer batch.Close()
	for i := range r.Cols {
		if err := batch.Column(i).Append(Values(r, i)); err != nil {
			return fmt.Errorf("column %s of %s: %w", names[i].Name, r.Table.Name, err)
		}
	}
	return batch.Send()
}

// Values are those of a column as clickhouse-go takes them: a slice of its type.
func Values(r *analytics.Rows, at int) any {
	c, v := r.Table.Columns[at], &r.Cols[at]
	switch {
	case c.List && (c.Kind == analytics.Text || c.Kind == analytics.Word):
		return v.TextLists
	case c.List && c.Kind == analytics.Real:
		return v.RealLists
	case c.List && c.Kind == analytics.Amount:
		return lists(v.Lists, func(row, i int, n int64) decimal.Decimal { return amount(n, r.Cols[at+1].TextLists[row][i]) })
	case c.List && c.Kind == analytics.At:
		return lists(v.Lists, func(_, _ int, n int64) time.Time { return moment(n) })
	case c.List:
		return v.Lists
	case c.Kind == analytics.Text, c.Kind == analytics.Word:
		return v.Text
	case c.Kind == analytics.Real:
		return v.Real
	case c.Kind == analytics.Amount:
		return each(v.Whole, func(row int, n int64) decimal.Decimal { return amount(n, r.Cols[at+1].Text[row]) })
	case c.Kind == analytics.At:
		return each(v.Whole, func(_ int, n int64) time.Time { return moment(n) })
	}
	return v.Whole
}

func amount(minor int64, currency string) decimal.Decimal {
	return decimal.New(minor, -int32(analytics.Digits(currency)))
}

func moment(n int64) time.Time { return time.Unix(0, n).UTC() }

func each[T any](in []int64, f func(row int, n int64) T) []T {
	out := make([]T, len(in))
	for i, n := range in {
		out[i] = f(i, n)
	}
	return out
}

func lists[T any](in [][]int64, f func(row, i int, n int64) T) [][]T {
	out := make([][]T, len(in))
	for row, list := range in {
		out[row] = each(list, func(i int, n int64) T { return f(row, i, n) })
	}
	return out
}

func (s *Store) insertOutside(ctx context.Context, block int64, ids []streams.ExternalID) error {
	batch, err := s.conn.PrepareBatch(s.once(ctx, token(block, outsideTable)), "INSERT INTO "+quote(outsideTable)+" (`_block`, `source`, `id`, `at`)")
	if err != nil {
		return err
	}
	defer batch.Close()
	for _, id := range ids {
		if err := batch.Append(block, id.Source, id.ID, id.At.UTC()); err != nil {
			return err
		}
	}
	return batch.Send()
}

func (s *Store) insertSkipped(ctx context.Context, block int64, skipped []projection.Skipped) error {
	batch, err := s.conn.PrepareBatch(s.once(ctx, token(block, skippedTable)), "INSERT INTO "+quote(skippedTable)+" (`_block`, `topic`, `partition`, `offset`, `at`, `reason`)")
	if err != nil {
		return err
	}
	defer batch.Close()
	for _, x := range skipped {
		if err := batch.Append(block, x.Topic, int64(x.Partition), x.Offset, x.At.UTC(), x.Reason); err != nil {
			return err
		}
	}
	return batch.Send()
}

// Known tells which events from outside are in blocks before the one that comes next.
func (s *Store) Known(ctx context.Context, ids []streams.ExternalID) (map[streams.ExternalID]bool, error) {
	s.mu.Lock()
	next := s.last + 1
	if s.epoch == 0 { // nobody writes here
		next = math.MaxInt64
	}
	if s.open != nil {
		next = s.open.number
	}
	s.mu.Unlock()
	return s.Earlier(ctx, ids, next)
}

// Earlier tells which events from outside are in blocks before one.
func (s *Store) Earlier(ctx context.Context, ids []streams.ExternalID, block int64) (map[streams.ExternalID]bool, error) {
	out := map[streams.ExternalID]bool{}
	for part := range slices.Chunk(ids, 1000) {
		var pairs []string
		var args []any
		for _, id := range part {
			pairs, args = append(pairs, "(?, ?)"), append(args, id.Source, id.ID)
		}
		err := eachRow(ctx, s.conn, "SELECT `source`, `id` FROM "+quote(outsideTable)+" WHERE (`source`, `id`) IN ("+strings.Join(pairs, ", ")+") AND `_block` < ?", func(row driver.Rows) error {
			var id streams.ExternalID
			err := row.Scan(&id.Source, &id.ID)
			out[id] = true
			return err
		}, append(args, block)...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func sameMoves(a, b []projection.Move) bool {
	at := map[place]projection.Move{}
	for _, m := range a {
		at[place{m.Topic, m.Partition}] = m
	}
	for _, m := range b {
		had, ok := at[place{m.Topic, m.Partition}]
		if !ok || had.From != m.From || had.Next != m.Next || !maps.Equal(had.Seen, m.Seen) {
			return false
		}
	}
	return len(a) == len(b)
}
