//go:build real

package bench

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weirstream/weir/bench/flow"
	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
)

const flowPartitions = 12

// eventsOf makes events as a Run would.
func eventsOf(b testing.TB, f *flow.Flow, reading *projection.Reading, offsets map[string]int64, n int) (out []projection.Event) {
	for len(out) < n {
		recs, err := f.Order()
		if err != nil {
			b.Fatal(err)
		}
		for _, rec := range recs {
			env, err := streams.ReadEnvelope(rec)
			if err != nil {
				b.Fatal(err)
			}
			at := fmt.Sprint(rec.Topic, rec.Partition)
			e, err := reading.Event(&env, rec.Topic, rec.Partition, offsets[at])
			if err != nil {
				b.Fatal(err)
			}
			offsets[at]++
			out = append(out, e)
		}
	}
	return out
}

// BenchmarkRows makes the rows of a block of 100,000 events.
func BenchmarkRows(b *testing.B) {
	f, err := flow.New(flowPartitions, time.Now(), time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	reading, err := projection.NewReading(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	schema, err := analytics.NewSchema(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	events := eventsOf(b, f, reading, map[string]int64{}, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		schema.Block(1, events)
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkReading makes events of records.
func BenchmarkReading(b *testing.B) {
	f, err := flow.New(flowPartitions, time.Now(), time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	reading, err := projection.NewReading(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	var envs []streams.Envelope
	var topics []string
	for len(envs) < 10_000 {
		recs, err := f.Order()
		if err != nil {
			b.Fatal(err)
		}
		for _, rec := range recs {
			env, err := streams.ReadEnvelope(rec)
			if err != nil {
				b.Fatal(err)
			}
			envs, topics = append(envs, env), append(topics, rec.Topic)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range envs {
			if _, err := reading.Event(&envs[i], topics[i], 0, int64(i)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(envs)*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAnalyticsWrite writes blocks of 100,000 events.
func BenchmarkAnalyticsWrite(b *testing.B) {
	f, err := flow.New(flowPartitions, time.Now(), time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	reading, err := projection.NewReading(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	schema, err := analytics.NewSchema(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	s, err := clickhouse.Open(fmt.Sprintf("%s/bench_%d", os.Getenv("WEIR_REAL_CLICKHOUSE"), time.Now().UnixNano()), schema, clickhouse.Layout{})
	if err != nil {
		b.Fatal(err)
	}
	steps, err := s.Plan(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Apply(b.Context(), steps); err != nil {
		b.Fatal(err)
	}
	claim, err := s.Claim(context.Background(), flowPartitions, nil)
	if err != nil {
		b.Fatal(err)
	}
	events := eventsOf(b, f, reading, map[string]int64{}, 100_000)
	for b.Loop() {
		if err := s.Write(context.Background(), &projection.Batch{Epoch: claim.Epoch, Events: events}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
}
