package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
	"github.com/weirstream/weir/streams/telemetry"
)

// The booking workload: orders of three lines (390 bytes of JSON) are booked to
// accounts (82 bytes of state), one event out for each in. Every key of a batch
// is another one, the worst case for snapshots.

type account string

func (account) Kind() string     { return "account" }
func (a account) String() string { return string(a) }

type details struct {
	Customer struct{ Name, Email, City string } `json:"customer"`
	Lines    []line                             `json:"lines"`
	Note     string                             `json:"note"`
}

type line struct {
	SKU   string `json:"sku"`
	Qty   int    `json:"qty"`
	Price int64  `json:"price"`
}

type ordered struct {
	ID      string  `json:"id"`
	Account account `json:"account"`
	Amount  int64   `json:"amount"`
	Details details `json:"details"`
}

func (o ordered) Key() streams.Key { return o.Account }

type booked struct {
	ID      string  `json:"id"`
	Account account `json:"account"`
	Amount  int64   `json:"amount"`
	Balance int64   `json:"balance"`
	Details details `json:"details"`
}

func (b booked) Key() streams.Key { return b.Account }

type ledger struct {
	Count, Sum int64
	Last       string
	Recent     []int64
}

func (l ledger) evolve(e streams.Event) ledger {
	b := e.(booked)
	l.Count, l.Sum, l.Last = l.Count+1, b.Balance, b.ID
	if l.Recent = append(l.Recent, b.Amount); len(l.Recent) > 8 {
		l.Recent = l.Recent[1:]
	}
	return l
}

func (l ledger) book(o ordered, _ streams.Input) streams.Decision {
	return streams.Emit(booked{o.ID, o.Account, o.Amount, l.Sum + o.Amount, o.Details})
}

func bookingTopology(b *testing.B) *streams.Topology {
	b.Helper()
	v, err := streams.NewVocabulary(streams.NewFact[ordered]("ordered"), streams.NewFact[booked]("booked"))
	if err != nil {
		b.Fatal(err)
	}
	// The till is there to own the input; the bench writes in its name.
	till := streams.Define("till", account(""), func(s struct{}, _ streams.Event) struct{} { return s },
		streams.OnCommand("sell", func(struct{}, ordered, streams.Input) streams.Decision { return streams.Nothing() }, ordered{}))
	books := streams.Define("books", account(""), ledger.evolve, streams.On(ledger.book, booked{}))
	top, err := streams.NewTopology(v, []streams.Service{{Name: "tills", Deciders: []*streams.Decider{till}}, {Name: "accounting", Deciders: []*streams.Decider{books}}})
	if err != nil {
		b.Fatal(err)
	}
	return top
}

const (
	benchLanes = 4
	benchKeys  = 40_000
)

// sample is the data of input n.
func sample(n int) (account, []byte) {
	o := ordered{ID: "o-" + strconv.Itoa(n), Account: account(fmt.Sprintf("acc-%06d", n%benchKeys)), Amount: int64(n%1000 + 1)}
	d := &o.Details
	d.Customer.Name, d.Customer.Email, d.Customer.City = "Ada Lovelace", "ada.lovelace@example.org", "London"
	d.Note = "leave with the neighbour, ring twice, do not bend"
	for i := range 3 {
		d.Lines = append(d.Lines, line{fmt.Sprintf("SKU-%05d", n%100+i), i + 1, int64(999 * (i + 1))})
	}
	data, err := json.Marshal(o)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return o.Account, data
}

// fill writes n inputs to the log, as lanes of the till.
func fill(b *testing.B, opts []kgo.Opt, n int) {
	b.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.AllowAutoTopicCreation())...)
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	var seq [benchLanes]int64
	for i := range n {
		key, data := sample(i)
		p := streams.Partition(key.String(), benchLanes)
		seq[p]++
		e := streams.Envelope{ID: "in-" + strconv.Itoa(i), Type: "ordered", Version: 1, Source: "/tills/till", Time: time.Now(), Key: key.String(), Correlation: "o-" + strconv.Itoa(i),
			Lane: streams.NewLane("tills", p, "bench"), Seq: seq[p], Prev: seq[p] - 1, Traceparent: fmt.Sprintf("00-%032x-%016x-00", i+1, i+1), Data: data}
		cl.Produce(context.Background(), e.Record("till.account", p), func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// progress counts decisions and tells when all are made.
type progress struct{ left chan int }

func (p *progress) OnBatch(i streams.BatchInfo) { p.left <- len(i.Inputs) }

// broker is an embedded one with the topics of the bookings.
func broker(b *testing.B) []kgo.Opt {
	b.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	opts := []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}
	if err := streams.MakeTopics(b.Context(), streams.Config{Topology: bookingTopology(b), Client: opts, Partitions: benchLanes}); err != nil {
		b.Fatal(err)
	}
	return opts
}

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// hooksFor are the telemetry variants that are compared.
func hooksFor(b *testing.B, spans int) []streams.Hook {
	b.Helper()
	if spans < 0 {
		return nil
	}
	t, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), Exporters: []sdktrace.SpanExporter{&telemetry.Recent{}}, SpansPerSecond: spans})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = t.Close(context.Background()) }) // the bench is over: spans that are left interest nobody
	return []streams.Hook{t}
}

func runLanes(b *testing.B, hooks []streams.Hook) {
	opts := broker(b)
	fill(b, opts, b.N)
	store, err := sqlite.Open(filepath.Join(b.TempDir(), "accounting.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	p := &progress{left: make(chan int, 1024)}
	i, err := streams.NewInstance(streams.Config{Topology: bookingTopology(b), Client: opts, Partitions: benchLanes, Hooks: append(hooks, p), StateCache: 2 * benchKeys}, "accounting", store)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	began := time.Now()
	go func() { ended <- i.Run(ctx) }()
	batches := 0
	for left := b.N; left > 0; batches++ {
		select {
		case n := <-p.left:
			left -= n
		case err := <-ended:
			b.Fatal(err)
		}
	}
	took, used := time.Since(began), cpu()-used
	b.StopTimer()
	b.ReportMetric(float64(b.N)/took.Seconds(), "decisions/s")
	b.ReportMetric(float64(b.N)/used.Seconds(), "decisions/cpu-s")
	b.ReportMetric(float64(b.N)/float64(batches), "inputs/batch")
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLanes is the whole lane loop: consume, decide, commit, publish.
func BenchmarkLanes(b *testing.B) {
	b.Run("telemetry=on", func(b *testing.B) { runLanes(b, hooksFor(b, 500)) })
	b.Run("telemetry=off", func(b *testing.B) { runLanes(b, hooksFor(b, -1)) })
}
