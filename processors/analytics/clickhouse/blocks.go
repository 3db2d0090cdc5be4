package clickhouse

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
)

// cursorsEvery is how many blocks there are between two that bear all cursors: who claims
// reads so many at most.
const cursorsEvery = 100

// entry is a row of BlocksTable.
type entry struct {
	analytics.Written
	beside  map[string]int64    // rows of tables that no schema has
	cursors []projection.Cursor // all of them, after the block; of some blocks
}

// Claim takes the next number, for a block without rows. Whoever wants to write one that
// follows from an earlier state does not get its number any more.
func (s *Store) Claim(ctx context.Context, partitions int32, read []projection.Cursor) (projection.Claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.guard(ctx); err != nil {
		return projection.Claim{}, err
	}
	for {
		s.writer, s.open, s.done = newWriter(), nil, nil
		pending, err := s.load(ctx)
		if err != nil {
			return projection.Claim{}, err
		}
		have := map[string]int32{}
		for at := range s.cursors {
			have[at.topic]++
		}
		for topic, n := range have {
			if n != partitions {
				return projection.Claim{}, fmt.Errorf("analytics has %d partitions of %s, the platform has %d: growth is a drained migration", n, topic, partitions)
			}
		}
		for _, c := range read {
			if _, ok := s.cursors[place{c.Topic, c.Partition}]; !ok {
				s.cursors[place{c.Topic, c.Partition}] = projection.Cursor{Topic: c.Topic, Partition: c.Partition, TopicID: c.TopicID}
			}
		}
		err = s.take(ctx, s.last+1, entry{cursors: s.all()})
		if errors.Is(err, projection.ErrFenced) && ctx.Err() == nil {
			continue // somebody wrote another block: claim after that one
		}
		if err != nil {
			return projection.Claim{}, err
		}
		if err := s.unswapped(ctx); err != nil { // else rows would go to tables of two generations
			return projection.Claim{}, err
		}
		s.last, s.epoch, s.since = s.last+1, s.epoch+1, 0
		claim := projection.Claim{Epoch: s.epoch}
		if pending != nil {
			claim.Pending = s.reopen(pending)
		}
		claim.Cursors = s.all()
		return claim, nil
	}
}

// reopen goes back to before a block that is half written.
func (s *Store) reopen(b *analytics.Written) (moves []projection.Move) {
	for _, r := range b.Ranges {
		at := place{r.Topic, r.Partition}
		c := s.cursors[at]
		c.Next = r.From
		c.Seen = maps.Clone(c.Seen)
		for lane := range r.Seen {
			if before, ok := r.Before[lane]; ok {
				c.Seen[lane] = before
			} else {
				delete(c.Seen, lane)
			}
		}
		s.cursors[at] = c
		moves = append(moves, r.Move)
	}
	s.open = &open{b.Number, moves}
	return moves
}

// load reads how far the blocks have come, and which of them may be half written.
func (s *Store) load(ctx context.Context) (pending *analytics.Written, err error) {
	s.cursors, s.last = map[place]projection.Cursor{}, s.base.Load()
	blocks, err := s.read(ctx, "`number` >= (SELECT max(`number`) FROM "+quote(analytics.BlocksTable)+" WHERE `cursors` != '')", "")
	if err != nil {
		return nil, err
	}
	for i, b := range blocks {
		if i > 0 && b.Number != s.last+1 {
			return nil, fmt.Errorf("block %d of analytics follows %d: rows of %s are missing, or there twice; %s", b.Number, s.last, analytics.BlocksTable, analytics.Rebuild)
		}
		s.last = b.Number
		if i == 0 {
			for _, c := range b.cursors {
				s.cursors[place{c.Topic, c.Partition}] = c
			}
			continue
		}
		s.open = &open{number: b.Number}
		for _, r := range b.Ranges {
			if have := s.cursors[place{r.Topic, r.Partition}].Next; have != r.From {
				return nil, fmt.Errorf("block %d of analytics begins at offset %d of %s/%d, and %d comes next: %s is not what it was; %s", b.Number, r.From, r.Topic, r.Partition, have, analytics.BlocksTable, analytics.Rebuild)
			}
			s.open.moves = append(s.open.moves, r.Move)
		}
		s.close(s.open.moves)
	}
	with, err := s.read(ctx, "`ranges` != '[]' AND `number` > 0", " DESC LIMIT 1")
	if err != nil || len(with) == 0 {
		return nil, err
	}
	return s.half(ctx, &with[0])
}

// half answers the block if rows of it are missing.
func (s *Store) half(ctx context.Context, b *entry) (*analytics.Written, error) {
	if b.Number == s.whole.Load() {
		return nil, nil
	}
	want := map[string]int64{}
	maps.Copy(want, b.beside)
	for _, t := range s.schema.Tables {
		want[t.Name] = b.Tables[t.Name].Rows
	}
	for table, rows := range want {
		if rows == 0 {
			continue
		}
		if n, err := s.count(ctx, table, b.Number); err != nil || n < rows {
			return &b.Written, err
		}
	}
	s.whole.Store(b.Number)
	return nil, nil
}

// take writes the entry of a block, unless another one of its number is there.
func (s *Store) take(ctx context.Context, number int64, e entry) error {
	last, err := s.newest(ctx, s.database)
	if err != nil {
		return err
	}
	if last = max(last, s.base.Load()); last < number-1 {
		return fmt.Errorf("%w: analytics ends with block %d, and had %d: it is an older copy, and is written on from there", projection.ErrFenced, last, number-1)
	}
	if last == number-1 {
		e.Number, e.Writer, e.At = number, s.writer, time.Now()
		if err := s.insertEntry(ctx, token(number, analytics.BlocksTable), e); err != nil {
			return known(err)
		}
	}
	var writers []string
	err = eachRow(ctx, s.conn, "SELECT `writer` FROM "+quote(analytics.BlocksTable)+" WHERE `number` >= ?", func(row driver.Rows) error {
		var w string
		err := row.Scan(&w)
		writers = append(writers, w)
		return err
	}, number)
	if err != nil {
		return err
	}
	if len(writers) != 1 || writers[0] != s.writer {
		return projection.ErrFenced
	}
	return nil
}

func (s *Store) insertEntry(ctx context.Context, token string, e entry) error {
	cursors := ""
	if len(e.cursors) > 0 {
		cursors = stored(e.cursors)
	}
	tables, err := json.Marshal(e.Tables)
	if err != nil {
		return err
	}
	beside, err := json.Marshal(e.beside)
	if err != nil {
		return err
	}
	batch, err := s.conn.PrepareBatch(s.once(ctx, token), "INSERT INTO "+quote(analytics.BlocksTable)+" (`number`, `writer`, `at`, `ranges`, `tables`, `beside`, `cursors`)")
	if err != nil {
		return err
	}
	defer batch.Close()
	if err := batch.Append(e.Number, e.Writer, e.At.UTC(), stored(e.Ranges), string(tables), string(beside), cursors); err != nil {
		return err
	}
	return batch.Send()
}

// stored is a list as rows keep it.
func stored[T any](list []T) string {
	b, _ := json.Marshal(list) // of texts, numbers and maps of them
	if list == nil {
		return "[]"
	}
	return string(b)
}

// entry says what a block is made of.
func (s *Store) entry(block *analytics.Block, b *projection.Batch) (e entry, err error) {
	e.Ranges, err = block.Ranges(b.Moves, func(topic string, partition int32) projection.Cursor { return s.cursors[place{topic, partition}] })
	if err != nil {
		return e, err
	}
	e.Tables = block.Sums()
	e.beside = map[string]int64{outsideTable: int64(len(b.Externals)), skippedTable: int64(len(b.Skipped))}
	if s.since >= cursorsEvery {
		e.cursors, s.since = s.after(b.Moves), 0
	}
	return e, nil
}

// after are all cursors as they are after some moves.
func (s *Store) after(moves []projection.Move) []projection.Cursor {
	before, last := maps.Clone(s.cursors), s.last
	s.open = &open{number: last}
	s.close(moves)
	out := s.all()
	s.cursors, s.last, s.open = before, last, nil
	return out
}

// all are the cursors, in order.
func (s *Store) all() []projection.Cursor {
	return slices.SortedFunc(maps.Values(s.cursors), func(a, b projection.Cursor) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition - b.Partition)
	})
}

// Blocks lists those above a number.
func (s *Store) Blocks(ctx context.Context, above int64, limit int) ([]analytics.Written, error) {
	all, err := s.read(ctx, fmt.Sprintf("`number` > %d", above), fmt.Sprintf(" LIMIT %d", limit))
	var out []analytics.Written
	for _, e := range all {
		out = append(out, e.Written)
	}
	return out, err
}

func (s *Store) read(ctx context.Context, where, then string) (out []entry, err error) {
	sql := "SELECT `number`, `writer`, `at`, `ranges`, `tables`, `beside`, `cursors` FROM " + quote(analytics.BlocksTable) + " WHERE " + where + " ORDER BY `number`" + then
	var bad error // of the first that somebody has changed
	err = eachRow(ctx, s.conn, sql, func(row driver.Rows) error {
		var e entry
		var ranges, tables, beside, cursors string
		err := row.Scan(&e.Number, &e.Writer, &e.At, &ranges, &tables, &beside, &cursors)
		if err == nil && bad == nil {
			bad = e.decode(ranges, tables, beside, cursors)
		}
		out = append(out, e)
		return err
	})
	return out, cmp.Or(err, bad)
}

func (e *entry) decode(ranges, tables, beside, cursors string) error {
	err := errors.Join(json.Unmarshal([]byte(ranges), &e.Ranges), json.Unmarshal([]byte(tables), &e.Tables), json.Unmarshal([]byte(beside), &e.beside))
	if cursors != "" {
		err = errors.Join(err, json.Unmarshal([]byte(cursors), &e.cursors))
	}
	if err != nil {
		return fmt.Errorf("block %d of analytics cannot be read, somebody has changed %s: %w; %s", e.Number, analytics.BlocksTable, err, analytics.Rebuild)
	}
	return nil
}

// Offsets are those that come next, as the blocks tell.
func (s *Store) Offsets(ctx context.Context) (map[string]map[int32]int64, error) {
	look := &Store{conn: s.conn, schema: s.schema, layout: s.layout}
	look.base.Store(s.base.Load())
	look.whole.Store(s.whole.Load())
	pending, err := look.load(ctx)
	if err != nil {
		return nil, err
	}
	s.whole.Store(look.whole.Load())
	if pending != nil {
		look.reopen(pending)
	}
	out := map[string]map[int32]int64{}
	for at, c := range look.cursors {
		if out[at.topic] == nil {
			out[at.topic] = map[int32]int64{}
		}
		out[at.topic][at.partition] = c.Next
	}
	return out, nil
}
