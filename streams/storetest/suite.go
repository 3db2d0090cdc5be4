// Package storetest is the conformance suite that every streams.Store passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
)

// Run runs the suite. open makes a place for a new, empty store (a file, a
// database) and returns a function that opens the store there: called twice it
// gives two openers of one store, called after Close it gives the same store
// again. The suite closes what it opens.
func Run(t *testing.T, open func(t *testing.T) func() streams.Store) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := &place{T: t, empty: open, open: open(t)}
			t.Cleanup(p.close)
			c.run(p)
		})
	}
}

type testCase struct {
	name string
	run  func(*place)
}

var cases = slices.Concat(identityCases, cursorCases, traceCases, snapshotCases, eventCases, timerCases, waitingCases, outsideCases, housekeepingCases)

// place is where one test's store lives.
type place struct {
	*testing.T
	empty  func(*testing.T) func() streams.Store
	open   func() streams.Store
	opened []streams.Store
}

// store opens the store, once more if it is open already.
func (p *place) store() streams.Store {
	p.Helper()
	s := p.open()
	if s == nil {
		p.Fatal("open returned no store")
	}
	p.opened = append(p.opened, s)
	return s
}

func (p *place) close() {
	for _, s := range p.opened {
		s.Close()
	}
}

// another is a new store somewhere else.
func (p *place) another() streams.Store {
	p.Helper()
	s := p.empty(p.T)()
	p.opened = append(p.opened, s)
	return s
}

// reopen closes a store and opens it again.
func (p *place) reopen(s streams.Store) streams.Store {
	p.Helper()
	if err := s.Close(); err != nil {
		p.Fatalf("close: %v", err)
	}
	return p.store()
}

// lane is a claimed lane of a store.
type lane struct {
	*place
	s streams.Store
	n int32
	c *streams.Cursor
}

func (p *place) claim(s streams.Store, n int32) *lane {
	p.Helper()
	c, err := stored(s.Claim(ctx, n))
	if err != nil {
		p.Fatalf("claim lane %d: %v", n, err)
	}
	return &lane{place: p, s: s, n: n, c: c}
}

// fresh is lane 3 of a new store.
func (p *place) fresh() *lane {
	p.Helper()
	return p.claim(p.store(), 3)
}

// try commits on top of what the lane last committed.
func (l *lane) try(tx streams.Tx) error {
	c := l.c.Clone()
	for i := range tx.Events {
		c.LastSeq = max(c.LastSeq, tx.Events[i].Seq)
	}
	tx.Cursor = c
	err := l.s.Commit(ctx, l.n, &tx)
	if err == nil {
		l.c = c
		l.c.Rev++
	}
	return err
}

func (l *lane) commit(tx streams.Tx) {
	l.Helper()
	if err := l.try(tx); err != nil {
		l.Fatalf("commit on lane %d: %v", l.n, err)
	}
}

// fenced expects the commit to be refused as another owner's.
func (l *lane) fenced(tx streams.Tx, why string) {
	l.Helper()
	if err := l.try(tx); !errors.Is(err, streams.ErrFenced) {
		l.Errorf("%s: got error %v, want ErrFenced", why, err)
	}
}

var (
	ctx  = context.Background()
	noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	cart = streams.StreamID{Decider: "cart", Key: "c-1"}
	from = streams.Origin{Correlation: "saga-1", Causation: "input-1", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	// bytes that a text column, a C string or an escape would spoil
	binary = []byte("\x00\xff\xfe{\"'\\\x00\n\x80\xc3(")
)

// event is the n-th of a stream and the seq-th of its lane.
func event(id streams.StreamID, seq, n int64) streams.StoredEvent {
	return streams.StoredEvent{Seq: seq, Stream: id, Version: n, Type: "cart.filled", TypeVer: 2, Topic: "carts", Partition: 3,
		Key: id.Key, Record: fmt.Appendf(nil, "record %d of %s %s", n, id.Decider, id.Key)}
}

func snapshot(id streams.StreamID, prev, version int64) streams.Snapshot {
	return streams.Snapshot{Stream: id, Version: version, Prev: prev, StateVersion: 7, State: fmt.Appendf(nil, `{"v":%d}`, version)}
}

// step is a commit of one event of a stream with its snapshot.
func step(id streams.StreamID, seq, n int64) streams.Tx {
	return streams.Tx{Events: []streams.StoredEvent{event(id, seq, n)}, Snapshots: []streams.Snapshot{snapshot(id, n-1, n)}}
}

func check[T any](p testing.TB, what string, err error, got, want T) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", what, err)
	}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		p.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// outbox lists what Outbox yields.
func (l *lane) outbox(after int64, limit int) []streams.StoredEvent {
	l.Helper()
	var out []streams.StoredEvent
	err := l.s.Outbox(ctx, l.n, after, limit, func(e streams.StoredEvent) error {
		out = append(out, e)
		return nil
	})
	if err != nil {
		l.Fatalf("outbox of lane %d: %v", l.n, err)
	}
	return out
}

func (l *lane) events(id streams.StreamID, after int64) []streams.StoredEvent {
	l.Helper()
	var out []streams.StoredEvent
	err := l.s.Events(ctx, l.n, id, after, func(e streams.StoredEvent) error {
		out = append(out, e)
		return nil
	})
	if err != nil {
		l.Fatalf("events of %v: %v", id, err)
	}
	return out
}

func seqs(es []streams.StoredEvent) []int64 {
	out := []int64{}
	for _, e := range es {
		out = append(out, e.Seq)
	}
	return out
}
