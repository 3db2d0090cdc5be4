package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/weirstream/weir/streams"
)

const (
	batchSize  = 500
	recordSize = 390 + 400 // value and packed headers
	stateSize  = 82
)

// BenchmarkCommit commits batches of 500 events and 500 snapshots with
// synchronous=FULL. An op is an event. "fresh" streams are written once, the
// others again and again.
func BenchmarkCommit(b *testing.B) {
	for _, lanes := range []int{1, 4} {
		for _, keys := range []int{0, 20_000} {
			name := fmt.Sprintf("lanes=%d/streams=fresh", lanes)
			if keys > 0 {
				name = fmt.Sprintf("lanes=%d/streams=%d", lanes, keys)
			}
			b.Run(name, func(b *testing.B) { benchmarkCommit(b, lanes, keys) })
		}
	}
}

func benchmarkCommit(b *testing.B, lanes, keys int) {
	s, err := Open(filepath.Join(b.TempDir(), "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	b.ResetTimer()
	for lane := range lanes {
		wg.Go(func() { writeLane(b, s, int32(lane), keys, b.N/lanes/batchSize+1) })
	}
	wg.Wait()
	b.ReportMetric(float64((b.N/lanes/batchSize+1)*lanes*batchSize)/b.Elapsed().Seconds(), "events/s")
}

func writeLane(b *testing.B, s *Store, lane int32, keys, batches int) {
	c, err := s.Claim(context.Background(), lane)
	if err != nil {
		b.Error(err)
		return
	}
	g := generator{lane: lane, keys: keys, versions: map[int]int64{}}
	for range batches {
		tx := g.next(c)
		if err := s.Commit(context.Background(), lane, tx); err != nil {
			b.Error(err)
			return
		}
		c.Rev++
	}
}

// generator makes batches as a lane does: every stream once in a batch.
type generator struct {
	lane     int32
	keys     int // 0: a new one each time
	n        int
	versions map[int]int64
}

func (g *generator) next(c *streams.Cursor) *streams.Tx {
	tx := &streams.Tx{Cursor: c, Events: make([]streams.StoredEvent, batchSize), Snapshots: make([]streams.Snapshot, batchSize)}
	record, state := make([]byte, recordSize), make([]byte, stateSize)
	for i := range batchSize {
		n := g.n
		if g.n++; g.keys > 0 {
			n = n * 7919 % g.keys
		}
		v := g.versions[n]
		if g.keys > 0 {
			g.versions[n] = v + 1
		}
		c.LastSeq++
		id := streams.StreamID{Decider: "order", Key: fmt.Sprintf("o-%x-%d-%d", uint32(n)*2654435761, g.lane, n)}
		tx.Events[i] = streams.StoredEvent{Seq: c.LastSeq, Stream: id, Version: v + 1, Type: "order.placed", TypeVer: 1,
			Topic: "orders", Partition: g.lane, Key: id.Key, Record: record}
		tx.Snapshots[i] = streams.Snapshot{Stream: id, Version: v + 1, Prev: v, StateVersion: 1, State: state}
	}
	return tx
}

// BenchmarkBareAppend inserts the same rows and nothing else: no cursor, no
// snapshots, no kinds.
func BenchmarkBareAppend(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	g, c := generator{}, &streams.Cursor{}
	b.ResetTimer()
	for n := 0; n < b.N; n += batchSize {
		tx := g.next(c)
		err := s.do(context.Background(), "append", func(w *writer) error {
			vals := w.vals[:0]
			for i := range tx.Events {
				e := &tx.Events[i]
				vals = append(vals, e.Seq, int64(1), e.Version, int64(0), int64(0), e.Key, nil, e.Record)
			}
			return w.flush(insertEvents, vals)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkLoad reads the snapshots of 500 of 20,000 streams. An op is a
// snapshot.
func BenchmarkLoad(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "bench.db"), WithoutSync())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	writeLane(b, s, 0, 20_000, 40)
	ids := []streams.StreamID{}
	for _, sn := range (&generator{keys: 20_000, versions: map[int]int64{}}).next(&streams.Cursor{}).Snapshots {
		ids = append(ids, sn.Stream)
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += batchSize {
		if got, err := s.Load(context.Background(), 0, ids); err != nil || len(got) != batchSize {
			b.Fatal(len(got), err)
		}
	}
}

// BenchmarkOutbox reads 20,000 events in batches of 500. An op is an event.
func BenchmarkOutbox(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "bench.db"), WithoutSync())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	writeLane(b, s, 0, 0, 40)
	b.ResetTimer()
	for n := 0; n < b.N; n += batchSize {
		err := s.Outbox(context.Background(), 0, int64(n%(39*batchSize)), batchSize, func(streams.StoredEvent) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
}
