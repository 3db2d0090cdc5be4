//go:build real

package bench

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weirstream/weir/bench/flow"
	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
)

const flowPartitions = 12

// envelope is one on the log, and its topic.
type envelope struct {
	streams.Envelope
	topic     string
	partition int32
}

// envelopesOf are those of the next orders, at least so many.
func envelopesOf(b testing.TB, f *flow.Flow, n int) (out []envelope) {
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
			out = append(out, envelope{env, rec.Topic, rec.Partition})
		}
	}
	return out
}

// eventsOf makes events as a Run would.
func eventsOf(b testing.TB, f *flow.Flow, reading *projection.Reading, offsets map[string]int64, n int) (out []projection.Event) {
	for _, env := range envelopesOf(b, f, n) {
		at := fmt.Sprint(env.topic, env.partition)
		e, err := reading.Event(&env.Envelope, env.topic, env.partition, offsets[at])
		if err != nil {
			b.Fatal(err)
		}
		offsets[at]++
		out = append(out, e)
	}
	return out
}

// BenchmarkRows makes the rows of a block of 100,000 events.
func BenchmarkRows(b *testing.B) {
	f, reading := newFlow(b)
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
	f, reading := newFlow(b)
	envs := envelopesOf(b, f, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		for i := range envs {
			if _, err := reading.Event(&envs[i].Envelope, envs[i].topic, 0, int64(i)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(envs)*b.N)/b.Elapsed().Seconds(), "events/s")
}

// analyticsStore is an empty one, in a database of its own.
func analyticsStore(b testing.TB, f *flow.Flow) (*clickhouse.Store, *analytics.Schema, string) {
	schema, err := analytics.NewSchema(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	url := fmt.Sprintf("%s/bench_%d", os.Getenv("WEIR_REAL_CLICKHOUSE"), time.Now().UnixNano())
	s, err := clickhouse.Open(url, schema, clickhouse.Layout{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	steps, err := s.Plan(context.Background())
	if err == nil {
		err = s.Apply(context.Background(), steps)
	}
	if err != nil {
		b.Fatal(err)
	}
	return s, schema, url
}

func newFlow(b testing.TB) (*flow.Flow, *projection.Reading) {
	f, err := flow.New(flowPartitions, time.Now().Add(-24*time.Hour), time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	reading, err := projection.NewReading(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	return f, reading
}

// BenchmarkAnalyticsSink writes blocks of 100,000 events, and beside each the same rows into
// the same tables with clickhouse-go alone: row by row, as its documentation has it, and by
// columns, which is the fastest way that it has. Rows and values of the bare programs are
// made beforehand.
func BenchmarkAnalyticsSink(b *testing.B) {
	f, reading := newFlow(b)
	s, schema, _ := analyticsStore(b, f)
	_, _, rowwise := analyticsStore(b, f)
	_, _, columnwise := analyticsStore(b, f)
	byRow, byColumn := bare(b, rowwise), bare(b, columnwise)
	claim, err := s.Claim(context.Background(), flowPartitions, nil)
	if err != nil {
		b.Fatal(err)
	}
	var sink, rowTime, columnTime time.Duration
	rows := 0
	offsets := map[string]int64{}
	for b.Loop() {
		events := eventsOf(b, f, reading, offsets, 100_000)
		block := schema.Block(int64(rows), events)
		var rowValues [][][]any
		for _, r := range block.Tables {
			rows += r.N
			rowValues = append(rowValues, valuesOf(r))
		}
		runtime.GC()
		began := time.Now()
		if err := s.Write(context.Background(), &projection.Batch{Epoch: claim.Epoch, Events: events}); err != nil {
			b.Fatal(err)
		}
		sink += time.Since(began)
		runtime.GC()
		began = time.Now()
		for i, r := range block.Tables {
			insertRows(b, byRow, r.Table.Name, rowValues[i])
		}
		rowTime += time.Since(began)
		runtime.GC()
		began = time.Now()
		for _, r := range block.Tables {
			insertColumns(b, byColumn, r)
		}
		columnTime += time.Since(began)
	}
	b.ReportMetric(float64(rows)/sink.Seconds(), "rows/s")
	b.ReportMetric(float64(rowTime)/float64(sink), "x_of_bare_rows")
	b.ReportMetric(float64(columnTime)/float64(sink), "x_of_bare_columns")
}

func bare(b testing.TB, url string) driver.Conn {
	o, err := clickhouse.Options(url)
	if err != nil {
		b.Fatal(err)
	}
	c, err := ch.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

// valuesOf are rows as Append takes them.
func valuesOf(r *analytics.Rows) [][]any {
	out := make([][]any, r.N)
	for at := range r.Cols {
		column := reflect.ValueOf(clickhouse.Values(r, at))
		for i := range out {
			out[i] = append(out[i], column.Index(i).Interface())
		}
	}
	return out
}

func insertRows(b testing.TB, c driver.Conn, table string, rows [][]any) {
	batch, err := c.PrepareBatch(context.Background(), "INSERT INTO `"+table+"`")
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range rows {
		if err := batch.Append(row...); err != nil {
			b.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		b.Fatal(err)
	}
}

func insertColumns(b testing.TB, c driver.Conn, r *analytics.Rows) {
	batch, err := c.PrepareBatch(context.Background(), "INSERT INTO `"+r.Table.Name+"`")
	if err != nil {
		b.Fatal(err)
	}
	for at := range r.Cols {
		if err := batch.Column(at).Append(clickhouse.Values(r, at)); err != nil {
			b.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		b.Fatal(err)
	}
}
