//go:build real

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/bench/flow"
	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams/business"
)

// BenchmarkAnalytics has the tables catch up with so many events on Kafka (WEIR_EVENTS, a
// million if it is not set), then keep up with live ones for half a minute, be proved, and
// be asked every question of the shop.
func BenchmarkAnalytics(b *testing.B) {
	n := eventsAsked()
	f, err := flow.New(flowPartitions, time.Now().Add(-time.Duration(n/20)*time.Second), time.Second)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		figures(b, f, n)
	}
}

func eventsAsked() int {
	if n, err := strconv.Atoi(os.Getenv("WEIR_EVENTS")); err == nil {
		return n
	}
	return 1_000_000
}

func figures(b *testing.B, f *flow.Flow, n int) {
	ctx := context.Background()
	brokers := kgo.SeedBrokers(os.Getenv("WEIR_REAL_KAFKA"))
	cl, err := kgo.NewClient(brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	makeTopics(b, cl, f)
	produce(b, cl, f, n)
	s, schema, _ := analyticsStore(b, f)
	var visible latencies
	cfg := projection.Config{Client: []kgo.Opt{brokers}, Business: shop.Business, Topology: f.Topology, Partitions: flowPartitions,
		What: "analytics", Decode: true, Batch: 30_000, Spacing: time.Second, Written: visible.written}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	began, cpu := time.Now(), cpuTime()
	go func() { ended <- projection.NewWriter(s).Run(running, cfg) }()
	b.Logf("resident before: %s", resident())
	caughtUp(b, cl, s)
	took, used := time.Since(began), cpuTime()-cpu
	rows := rowsOf(b, s)
	b.Logf("catch-up: %d events, %d rows in %v: %.0f events/s, %.0f rows/s; %.0f rows for a second of the sink's processor; resident %s",
		n, rows, took.Round(time.Millisecond), float64(n)/took.Seconds(), float64(rows)/took.Seconds(), float64(rows)/used.Seconds(), resident())
	b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
	b.ReportMetric(float64(rows)/used.Seconds(), "rows/cpu-s")
	visible.reset()
	live(b, cl, f, 30*time.Second)
	caughtUp(b, cl, s)
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	p50, p99, most := visible.of()
	b.Logf("visible after the commit: P50 %v, P99 %v, at most %v, of %d events; resident %s", p50, p99, most, len(visible.all), resident())
	b.ReportMetric(p99.Seconds(), "s_visible_P99")
	began = time.Now()
	r := &analytics.Reconciler{Store: s, Schema: schema, Client: []kgo.Opt{brokers}}
	found, err := r.All(ctx, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("reconciled in %v: %d differences", time.Since(began).Round(time.Millisecond), len(found))
	b.ReportMetric(float64(len(found)), "differences")
	ask(b, s, schema)
}

// ask asks every question, eleven times.
func ask(b *testing.B, s analytics.Store, schema *analytics.Schema) {
	worst := time.Duration(0)
	for _, q := range shop.Business.Questions() {
		p := analytics.Params{Zone: "Europe/London", Limit: 100}
		if q.Shape == business.Story {
			p.Key = "o-00000100"
		}
		var times []time.Duration
		var rows int
		for range 11 {
			began := time.Now()
			a, err := analytics.Ask(context.Background(), s, schema, q, p)
			if err != nil {
				b.Fatalf("%s: %v", q.Name, err)
			}
			rows, times = len(a.Rows), append(times, time.Since(began))
		}
		slices.Sort(times)
		fmt.Printf("%-24s P50 %6v  P95 %6v  (%d rows)\n", q.Name, times[5].Round(time.Millisecond), times[10].Round(time.Millisecond), rows)
		worst = max(worst, times[10])
	}
	b.ReportMetric(worst.Seconds(), "s_slowest_question_P95")
}

func makeTopics(b testing.TB, cl *kgo.Client, f *flow.Flow) {
	adm := kadm.NewClient(cl)
	var names []string
	for _, t := range f.Topology.Topics() {
		names = append(names, t.Name)
	}
	if _, err := adm.DeleteTopics(context.Background(), names...); err != nil {
		b.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		made, err := adm.CreateTopics(context.Background(), flowPartitions, 1, nil, names...)
		if err != nil {
			b.Fatal(err)
		}
		failed := made.Error()
		if failed == nil {
			return
		}
		if !errors.Is(failed, kerr.TopicAlreadyExists) || time.Now().After(end) {
			b.Fatal(failed)
		}
		if _, err := adm.DeleteTopics(context.Background(), names...); err != nil {
			b.Fatal(err)
		}
	}
}

func produce(b testing.TB, cl *kgo.Client, f *flow.Flow, n int) {
	for sent := 0; sent < n; {
		recs, err := f.Order()
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range recs {
			cl.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		sent += len(recs)
	}
	if err := cl.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// live produces some 1,500 events a second, each with the time at which it is produced.
func live(b testing.TB, cl *kgo.Client, f *flow.Flow, during time.Duration) {
	tick := time.NewTicker(13 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(during); time.Now().Before(end); <-tick.C {
		f.At, f.Between = time.Now(), 0
		recs, err := f.OrderNow()
		if err != nil {
			b.Fatal(err)
		}
		if err := cl.ProduceSync(context.Background(), recs...).FirstErr(); err != nil {
			b.Fatal(err)
		}
	}
}

func caughtUp(b testing.TB, cl *kgo.Client, s analytics.Store) {
	adm := kadm.NewClient(cl)
	for ; ; time.Sleep(100 * time.Millisecond) {
		ends, err := adm.ListEndOffsets(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		at, err := s.Offsets(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		behind := len(at) == 0
		for topic, parts := range at {
			for p, next := range parts {
				if end, ok := ends.Lookup(topic, p); ok && next < end.Offset {
					behind = true
				}
			}
		}
		if !behind {
			return
		}
	}
}

func rowsOf(b testing.TB, s analytics.Store) (n int64) {
	for above := int64(0); ; {
		blocks, err := s.Blocks(context.Background(), above, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if len(blocks) == 0 {
			return n
		}
		for _, x := range blocks {
			above = x.Number
			for _, sum := range x.Tables {
				n += sum.Rows
			}
		}
	}
}

// latencies are how long after their commit events are in the tables.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) written(events []projection.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for i := range events {
		l.all = append(l.all, now.Sub(events[i].Time))
	}
}

func (l *latencies) reset() { l.mu.Lock(); defer l.mu.Unlock(); l.all = nil }

func (l *latencies) of() (p50, p99, most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.all)
	n := len(l.all)
	if n == 0 {
		return 0, 0, 0
	}
	return l.all[n/2].Round(time.Millisecond), l.all[n*99/100].Round(time.Millisecond), l.all[n-1].Round(time.Millisecond)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is what the process has of memory, and has had at most.
func resident() string {
	b, _ := os.ReadFile("/proc/self/status")
	var out []string
	for _, line := range strings.Split(string(b), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && (name == "VmRSS" || name == "VmHWM") {
			out = append(out, fmt.Sprint(name, " ", strings.TrimSpace(value)))
		}
	}
	return strings.Join(out, ", ")
}

// BenchmarkQuestions asks every question of the shop, of so many events (WEIR_EVENTS).
func BenchmarkQuestions(b *testing.B) {
	n := eventsAsked()
	f, err := flow.New(flowPartitions, time.Now().Add(-time.Duration(n/20)*30*time.Second), 30*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	reading, err := projection.NewReading(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	s, schema, url := analyticsStore(b, f)
	b.Log(url)
	claim, err := s.Claim(context.Background(), flowPartitions, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		began := time.Now()
		offsets := map[string]int64{}
		for sent := 0; sent < n; sent += 50_000 {
			if err := s.Write(context.Background(), &projection.Batch{Epoch: claim.Epoch, Events: eventsOf(b, f, reading, offsets, 50_000)}); err != nil {
				b.Fatal(err)
			}
		}
		b.Logf("%d events written in %v, resident %s", n, time.Since(began).Round(time.Second), resident())
		ask(b, s, schema)
	}
}

// BenchmarkAsk asks every question of tables that are there: WEIR_DATABASE.
func BenchmarkAsk(b *testing.B) {
	f, _ := newFlow(b)
	schema, err := analytics.NewSchema(shop.Business, f.Topology)
	if err != nil {
		b.Fatal(err)
	}
	s, err := clickhouse.Open(os.Getenv("WEIR_DATABASE"), schema, clickhouse.Layout{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		ask(b, s, schema)
	}
}
