// Package projectiontest is the conformance suite that every projection.Store
// passes, and the log that it reads: records of a small business in a broker of
// this process, over its real wire.
package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// Run runs the suite. open makes a place for a new, empty store (a file, a
// database) and returns a function that opens the store there: called twice it
// gives two openers of one store, called after Close it gives the same store
// again. The suite closes what it opens.
func Run(t *testing.T, open func(t testing.TB) func() projection.Store) {
	for _, c := range slices.Concat(lifeCases, troubleCases, writerCases, queryCases, viewCases) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(&place{T: t, empty: open, open: open(t)})
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
	empty func(testing.TB) func() projection.Store
	open  func() projection.Store
}

// model opens the store, once more if it is open already.
func (p *place) model() *projection.Model {
	p.Helper()
	return opened(p, p.open)
}

// another is a new, empty store somewhere else.
func (p *place) another() *projection.Model {
	p.Helper()
	return opened(p, p.empty(p))
}

func opened(t testing.TB, open func() projection.Store) *projection.Model {
	t.Helper()
	s := open()
	if s == nil {
		t.Fatal("open returned no store")
	}
	t.Cleanup(func() { s.Close() })
	return projection.New(s)
}

// patience is how long anything may take.
const patience = 30 * time.Second

var ctx = context.Background()

// Start runs the projection; the returned function ends it and gives its error.
func Start(t testing.TB, m interface {
	Run(context.Context, projection.Config) error
}, cfg projection.Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, cfg) }()
	var once bool
	var err error
	stop = func() error {
		cancel()
		if !once {
			once, err = true, <-done
		}
		return err
	}
	t.Cleanup(func() { stop() })
	return stop
}

// readAll runs the projection until it holds the event of every token.
func readAll(t testing.TB, m *projection.Model, cfg projection.Config, tokens ...streams.Token) {
	t.Helper()
	stop := Start(t, m, cfg)
	await(t, m, tokens...)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func await(t testing.TB, m *projection.Model, tokens ...streams.Token) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, token := range tokens {
		if err := m.Await(ctx, token.String()); err != nil {
			t.Fatal(err)
		}
	}
}

// failure runs the projection until it stops by itself.
func failure(t testing.TB, m *projection.Model, cfg projection.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := m.Run(ctx, cfg)
	if err == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("the projection did not stop (%v)", err)
	}
	return err
}

// Benchmark is the time for one event, from the broker to the rows.
func Benchmark(b *testing.B, open func(t testing.TB) func() projection.Store) {
	l, m := NewLog(b), opened(b, open(b))
	w := l.Writer("desk", 0)
	last := map[streams.Target]streams.Token{} // every partition's last event
	for i := range b.N {
		id := LoanID(fmt.Sprint("o", i/4))
		rec := w.Record("c-"+string(id), []streams.Event{asked(string(id), "ada"), Approved{Loan: id},
			CopyWanted{Loan: id, Title: "A"}, Closed{Loan: id}}[i%4])
		last[streams.Target{Topic: rec.Topic, Partition: rec.Partition}] = w.last
		l.cl.Produce(ctx, rec, nil)
	}
	if err := l.cl.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	stop := Start(b, m, l.Config())
	for _, token := range last {
		if err := m.Await(ctx, token.String()); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := stop(); err != nil {
		b.Fatal(err)
	}
}
