package analyticstest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

// Benchmark is the time for one block of so many events, and the rows that are written in
// a second: those of all tables.
func Benchmark(b *testing.B, empty func(testing.TB) Place) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n, " events"), func(b *testing.B) { benchmark(b, empty(b), n) })
	}
}

func benchmark(b *testing.B, p Place, n int) {
	schema := schemaOf(b, ferry())
	s, err := p.Open(schema)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	events := someEvents(b, s)
	c, err := s.Claim(ctx, projectiontest.Partitions, nil)
	if err != nil {
		b.Fatal(err)
	}
	at, rows := c.Cursors[0], 0
	for b.Loop() {
		b.StopTimer()
		batch := many(events, n, at)
		batch.Epoch = c.Epoch
		at.Next += int64(n)
		for _, t := range schema.Block(0, batch.Events).Tables {
			rows += t.N
		}
		b.StartTimer()
		if err := s.Write(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
}

// recorder keeps the events that were written.
type recorder struct {
	projection.Sink
	events []projection.Event
}

func (r *recorder) Write(ctx context.Context, b *projection.Batch) error {
	r.events = append(r.events, b.Events...)
	return r.Sink.Write(ctx, b)
}

// someEvents are a few hundred, as a Run makes them.
func someEvents(t testing.TB, s analytics.Store) []projection.Event {
	l := projectiontest.NewLogOf(t, ferry())
	l.Produce(sail(l, 200)...)
	r := &recorder{Sink: s}
	stop := projectiontest.Start(t, projection.NewWriter(r), settings(l))
	l.CaughtUp(t, s)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	return r.events
}

// Fill writes some days of the suite's business into an empty store.
func Fill(t testing.TB, s analytics.Store) { t.Helper(); someEvents(t, s) }

// many is a batch of as many events as are wanted, of keys and correlations of their own,
// which follow one another by a second.
func many(some []projection.Event, n int, at projection.Cursor) *projection.Batch {
	b := &projection.Batch{Moves: []projection.Move{{Topic: at.Topic, Partition: at.Partition, From: at.Next, Next: at.Next + int64(n)}}}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range n {
		offset := at.Next + int64(i)
		e := some[i%len(some)]
		round := offset / int64(len(some))
		own := fmt.Sprintf("-%x", uint32(round)*2654435761) // scattered, as keys are
		e.ID, e.Key, e.Correlation = e.ID+own, e.Key+own, e.Correlation+own
		e.Topic, e.Partition, e.Offset, e.Time = at.Topic, at.Partition, offset, noon.Add(time.Duration(offset)*time.Second)
		changes := make([]projection.Change, len(e.Changes))
		for j, c := range e.Changes {
			c.Key += own
			changes[j] = c
		}
		e.Changes = changes
		b.Events = append(b.Events, e)
	}
	return b
}
