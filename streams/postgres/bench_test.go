//go:build real

package postgres

import (
	"fmt"
	"sync"
	"testing"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

const (
	batchSize  = 500
	recordSize = 390 + 400 // value and packed headers
	stateSize  = 82
)

// BenchmarkCommit commits batches of 500 events and 500 snapshots. An op is an
// event. "fresh" streams are written once, the others again and again.
func BenchmarkCommit(b *testing.B) {
	for _, lanes := range []int{1, 4} {
		for _, keys := range []int{0, 20_000} {
			b.Run(fmt.Sprintf("lanes=%d/%s", lanes, streamsName(keys)), func(b *testing.B) { commitLanes(b, open(b, fresh(b)), lanes, keys, true) })
		}
	}
}

// BenchmarkBound is what a pool's bound costs five services of four lanes each, which
// all commit at once.
func BenchmarkBound(b *testing.B) {
	for _, bound := range []int{2, 4, 8, 16, 32, 64} {
		b.Run(fmt.Sprint("connections=", bound), func(b *testing.B) {
			p := connect(b, streamtest.Real(b, "postgres"), WithConnections(bound))
			var stores [5]*Store
			for i := range stores {
				stores[i] = openOn(b, p, fresh(b))
			}
			batches := b.N/len(stores)/4/batchSize + 1
			b.ResetTimer()
			var wg sync.WaitGroup
			for _, s := range stores {
				for lane := range int32(4) {
					wg.Go(func() { writeLane(b, s, lane, 5_000, batches, true) })
				}
			}
			wg.Wait()
			b.ReportMetric(float64(batches*len(stores)*4*batchSize)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func streamsName(keys int) string {
	if keys == 0 {
		return "streams=fresh"
	}
	return fmt.Sprint("streams=", keys)
}

// BenchmarkSchema is what the schema's choices cost: how a stream's events are
// found, how its versions are guarded (snapshots swapped in every commit, or a
// unique index without them), and the room for changed snapshots.
func BenchmarkSchema(b *testing.B) {
	for _, v := range []struct {
		name      string
		change    string // %[1]s is the schema
		snapshots bool
	}{
		{"links", "", true},
		{"links,fillfactor=100", "ALTER TABLE %[1]s.snapshots SET (fillfactor=100)", true},
		{"index=stream", "CREATE INDEX ON %[1]s.events (lane,decider,stream,version)", true},
		{"index=number", "ALTER TABLE %[1]s.events ADD n bigint GENERATED ALWAYS AS (hashtextextended(encode(stream,'escape'),lane)) STORED; CREATE INDEX ON %[1]s.events (n)", true},
		{"index=hash", "CREATE INDEX ON %[1]s.events USING hash (stream)", true},
		{"index=unique,snapshots=none", "CREATE UNIQUE INDEX ON %[1]s.events (lane,decider,stream,version)", false},
	} {
		b.Run(v.name, func(b *testing.B) {
			service := fresh(b)
			s := open(b, service)
			if v.change != "" {
				sql(b, fmt.Sprintf(v.change, schemaOf(service)))
			}
			commitLanes(b, s, 1, 100_000, v.snapshots)
		})
	}
}

func commitLanes(b *testing.B, s *Store, lanes, keys int, snapshots bool) {
	var wg sync.WaitGroup
	batches := b.N/lanes/batchSize + 1
	began := walBytes(b)
	b.ResetTimer()
	for lane := range lanes {
		wg.Go(func() { writeLane(b, s, int32(lane), keys, batches, snapshots) })
	}
	wg.Wait()
	events := float64(batches * lanes * batchSize)
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.StopTimer()
	b.ReportMetric(float64(walBytes(b)-began)/events, "wal-bytes/event")
}

// walBytes is how much the server has logged, from a checkpoint on: what is
// written first after one is logged by whole pages.
func walBytes(b *testing.B) (n int64) {
	c := dial(b)
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "CHECKPOINT"); err != nil {
		b.Fatal(err)
	}
	if err := c.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(),'0/0')::bigint").Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

func writeLane(b *testing.B, s *Store, lane int32, keys, batches int, snapshots bool) {
	c, err := s.Claim(ctx, lane)
	if err != nil {
		b.Error(err)
		return
	}
	g := generator{lane: lane, keys: keys, versions: map[int]int64{}}
	for range batches {
		tx := g.next(c)
		if !snapshots {
			tx.Snapshots = nil
		}
		if err := s.Commit(ctx, lane, tx); err != nil {
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

// BenchmarkLoad reads the snapshots of 500 of 20,000 streams. An op is a
// snapshot.
func BenchmarkLoad(b *testing.B) {
	s := open(b, fresh(b))
	writeLane(b, s, 0, 20_000, 40, true)
	ids := []streams.StreamID{}
	for _, sn := range (&generator{keys: 20_000, versions: map[int]int64{}}).next(&streams.Cursor{}).Snapshots {
		ids = append(ids, sn.Stream)
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += batchSize {
		if got, err := s.Load(ctx, 0, ids); err != nil || len(got) != batchSize {
			b.Fatal(len(got), err)
		}
	}
}

// BenchmarkOutbox reads 20,000 events in batches of 500. An op is an event.
func BenchmarkOutbox(b *testing.B) {
	s := open(b, fresh(b))
	writeLane(b, s, 0, 0, 40, true)
	b.ResetTimer()
	for n := 0; n < b.N; n += batchSize {
		if err := s.Outbox(ctx, 0, int64(n%(39*batchSize)), batchSize, func(streams.StoredEvent) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
