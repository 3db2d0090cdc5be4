package verify_test

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/verify"
)

// liar is a real store whose rows are changed on their way out, as if they had
// been written so.
type liar struct {
	streams.Store
	cursor   func(*streams.Cursor)
	events   func(streams.StoredEvent) []streams.StoredEvent
	inputs   func(lane int32) func(rev int64, at *time.Time, e []streams.InputEntry) []streams.InputEntry
	raw      func(*streams.InputRow)
	snapshot func(*streams.Snapshot)
	timers   func([]streams.Timer) []streams.Timer
	pending  func([]streams.PendingEffect) []streams.PendingEffect
	parked   func([]streams.ParkedInput) []streams.ParkedInput
	replies  func([]streams.Reply)
}

func (l *liar) Cursor(ctx context.Context, lane int32) (*streams.Cursor, error) {
	c, err := l.Store.Cursor(ctx, lane)
	if err == nil && l.cursor != nil {
		l.cursor(c)
	}
	return c, err
}

func (l *liar) Outbox(ctx context.Context, lane int32, after int64, limit int, f func(streams.StoredEvent) error) error {
	return l.Store.Outbox(ctx, lane, after, limit, func(e streams.StoredEvent) error {
		if l.events == nil {
			return f(e)
		}
		for _, e := range l.events(e) {
			if err := f(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *liar) Inputs(ctx context.Context, lane int32, after int64, f func(streams.InputRow) error) error {
	change := func(_ int64, _ *time.Time, e []streams.InputEntry) []streams.InputEntry { return e }
	if l.inputs != nil {
		change = l.inputs(lane)
	}
	return l.Store.Inputs(ctx, lane, after, func(r streams.InputRow) error {
		entries, err := streams.DecodeInputs(r.Entries)
		if err != nil {
			return err
		}
		r.Entries = streams.EncodeInputs(change(r.Rev, &r.At, entries))
		if l.raw != nil {
			l.raw(&r)
		}
		return f(r)
	})
}

func (l *liar) Load(ctx context.Context, lane int32, ids []streams.StreamID) ([]streams.Snapshot, error) {
	have, err := l.Store.Load(ctx, lane, ids)
	for i := range have {
		if l.snapshot != nil {
			l.snapshot(&have[i])
		}
	}
	return have, err
}

func (l *liar) Timers(ctx context.Context, lane int32, due time.Time, limit int) ([]streams.Timer, error) {
	rows, err := l.Store.Timers(ctx, lane, due, limit)
	return lied(l.timers, rows), err
}

func (l *liar) Effects(ctx context.Context, lane int32, after int64, limit int) ([]streams.PendingEffect, error) {
	rows, err := l.Store.Effects(ctx, lane, after, limit)
	return lied(l.pending, rows), err
}

func (l *liar) Parked(ctx context.Context, lane int32, id streams.StreamID, after int64, limit int) ([]streams.ParkedInput, error) {
	rows, err := l.Store.Parked(ctx, lane, id, after, limit)
	return lied(l.parked, rows), err
}

func (l *liar) Replies(ctx context.Context, lane int32, ids []string) ([]streams.Reply, error) {
	rows, err := l.Store.Replies(ctx, lane, ids)
	if l.replies != nil {
		l.replies(rows)
	}
	return rows, err
}

func lied[T any](f func([]T) []T, rows []T) []T {
	if f == nil || len(rows) == 0 {
		return rows
	}
	return f(rows)
}

// lie makes the desks' store a liar.
func lie(l liar) func(*verify.Input) {
	return func(in *verify.Input) {
		l.Store = in.Stores["desks"]
		in.Stores["desks"] = &l
	}
}

// rewritten changes text of the same length in the events of a type.
func rewritten(typ, from, to string) liar {
	return liar{events: func(e streams.StoredEvent) []streams.StoredEvent {
		if e.Type == typ {
			e.Record = bytes.Replace(e.Record, []byte(from), []byte(to), 1)
		}
		return []streams.StoredEvent{e}
	}}
}

// changed changes each event.
func changed(f func(*streams.StoredEvent)) liar {
	return liar{events: func(e streams.StoredEvent) []streams.StoredEvent {
		f(&e)
		return []streams.StoredEvent{e}
	}}
}

// entry changes each entry of the rows of inputs.
func entry(f func(*streams.InputEntry)) liar {
	return liar{inputs: func(int32) func(int64, *time.Time, []streams.InputEntry) []streams.InputEntry {
		return func(_ int64, _ *time.Time, e []streams.InputEntry) []streams.InputEntry {
			for i := range e {
				f(&e[i])
			}
			return e
		}
	}}
}

// added puts an entry behind one of each row that has one which f takes.
func added(f func(streams.InputEntry) (streams.InputEntry, bool)) liar {
	return liar{inputs: func(int32) func(int64, *time.Time, []streams.InputEntry) []streams.InputEntry {
		return func(_ int64, _ *time.Time, e []streams.InputEntry) []streams.InputEntry {
			for i := range e {
				if more, ok := f(e[i]); ok {
					return slices.Insert(e, i+1, more)
				}
			}
			return e
		}
	}}
}

// moment changes the admission of rows that have an entry of a kind.
func moment(kind streams.InputKind, by time.Duration) liar {
	return liar{inputs: func(int32) func(int64, *time.Time, []streams.InputEntry) []streams.InputEntry {
		return func(_ int64, at *time.Time, e []streams.InputEntry) []streams.InputEntry {
			if slices.ContainsFunc(e, func(e streams.InputEntry) bool { return e.Kind == kind }) {
				*at = at.Add(by)
			}
			return e
		}
	}}
}

// late moves each record that nothing follows from behind the next timer of its
// lane, by at least a commit.
func late(nothing map[int64]bool) liar {
	return liar{inputs: func(int32) func(int64, *time.Time, []streams.InputEntry) []streams.InputEntry {
		var held []streams.InputEntry
		acted := false
		return func(_ int64, _ *time.Time, e []streams.InputEntry) []streams.InputEntry {
			if acted {
				e, held, acted = append(held, e...), nil, false
				return e
			}
			acted = slices.ContainsFunc(e, func(e streams.InputEntry) bool { return e.Kind == streams.TimerInput })
			return slices.DeleteFunc(e, func(e streams.InputEntry) bool {
				move := e.Topic != "" && nothing[e.Offset]
				if move {
					held = append(held, e)
				}
				return move
			})
		}
	}}
}
