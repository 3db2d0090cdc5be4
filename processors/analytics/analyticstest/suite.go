// Package analyticstest is the conformance suite that every analytics.Store passes. A
// projection.Writer reads the log of a small business, in a broker of this process over
// its real wire, into the store. All engines give the same answers.
package analyticstest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/streams/business"
)

// Place is where one store lives: a file, a database.
type Place struct {
	// Open opens the store. Called twice it gives two openers of one store, called after
	// Close it gives the same store again. The suite closes what it opens.
	Open func(*analytics.Schema) (analytics.Store, error)
	// Hours reads HoursTable: what there is of each type in each hour.
	Hours func(testing.TB, analytics.Store) map[Hour]analytics.Sum
	// Drop, Double and Alter harm one row of a table behind the store's back. Alter gives
	// it another value in a column, of whatever kind and list that is.
	Drop, Double func(t testing.TB, s analytics.Store, table string)
	Alter        func(t testing.TB, s analytics.Store, table string, column analytics.Column)
	// Faults are the points within a Write where it can end, beside its beginning and its end.
	Faults []Fault
	// Hold has what Open opens get no rows of events to the store until release, though it
	// tries; Direct opens the same store, and gets through. Nil where a write is one step.
	Hold   func(testing.TB) (release func())
	Direct func(*analytics.Schema) (analytics.Store, error)
	// BreakSwap has the nth step of a swap, done or not, be the last that gets through until
	// release, which tells whether there were so many. Nil where a swap is one step.
	BreakSwap func(t testing.TB, nth int, done bool) (release func() (met bool))
	Slow      bool // to make: of many points at which something can end, some are tried
}

// Fault has the next Write of a store fail at some point, once: with an error after which
// the Run tries again, or with one after which it ends, as if its process had been killed.
type Fault struct {
	Name string
	Arm  func(testing.TB, analytics.Store)
}

// Hour is a row of HoursTable.
type Hour struct {
	Topic, Type string
	Hour        int64 // its beginning, in seconds since 1970
}

// Run runs the suite. empty makes a place for a new, empty store.
func Run(t *testing.T, empty func(testing.TB) Place) {
	for _, c := range slices.Concat(rowCases, viewCases, runCases, sumCases, proofCases, questionCases, schemaCases, anewCases, fileCases) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(&place{T: t, Place: empty(t), empty: empty})
		})
	}
}

type testCase struct {
	name string
	run  func(*place)
}

// place is where one test's store lives.
type place struct {
	*testing.T
	Place
	empty func(testing.TB) Place
}

// another is an empty place, of a test within this one.
func (p *place) another(t *testing.T) *place { return &place{T: t, Place: p.empty(t), empty: p.empty} }

// store opens the store, once more if it is open already.
func (p *place) store() analytics.Store { p.Helper(); return p.storeOf(ferry()) }

func (p *place) storeOf(b *business.Business) analytics.Store {
	p.Helper()
	s, err := p.Open(schemaOf(p, b))
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { s.Close() })
	return s
}

// patience is how long anything may take.
const patience = 30 * time.Second

var ctx = context.Background()

// settings are those of a Run: of blocks that are small, so that there are several.
func settings(l *projectiontest.Log) projection.Config {
	cfg := l.Config()
	cfg.What, cfg.Decode, cfg.Batch, cfg.Spacing = "analytics", true, 40, time.Millisecond
	return cfg
}

// large are those of a Run as it is in life.
func large(l *projectiontest.Log) projection.Config {
	cfg := settings(l)
	cfg.Batch = 100_000
	return cfg
}

// read runs a writer until the log is in the store, or the Run ends by itself.
func (p *place) read(l *projectiontest.Log, s analytics.Store, into projection.Sink, cfg projection.Config) error {
	p.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- projection.NewWriter(into).Run(ctx, cfg) }()
	for behind := "it has not begun"; ; {
		select {
		case err := <-ended:
			if err == nil {
				p.Fatalf("the log is not in the store in time: %s", behind)
			}
			return err
		case <-time.After(5 * time.Millisecond):
		}
		var err error
		if behind, err = l.Behind(s); err == nil && behind == "" {
			cancel()
			return <-ended
		}
	}
}

// catchUp is a read that nothing may stop.
func (p *place) catchUp(l *projectiontest.Log, s analytics.Store) {
	p.Helper()
	if err := p.read(l, s, s, settings(l)); err != nil {
		p.Fatal(err)
	}
}

// ask asks the store; nothing may go wrong.
func (p *place) ask(s analytics.Store, sql string, args ...any) [][]any {
	p.Helper()
	r, err := s.Select(ctx, sql, args, 0)
	if err != nil {
		p.Fatalf("%s: %v", sql, err)
	}
	return r.Rows
}
