package projection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

const partitions = 3

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// house is a topology of two services over the real vocabulary.
func house(t testing.TB) *streams.Topology {
	t.Helper()
	v, err := event.Vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	type none struct{}
	keep := func(s none, _ streams.Event) none { return s }
	orders := streams.Define("order", event.OrderID(""), keep,
		streams.OnCommand("place-order", func(none, event.OrderPlaced, streams.Input) streams.Decision { return streams.Nothing() },
			event.OrderPlaced{}, event.OrderConfirmed{}, event.OrderReleased{}, event.OrderShipped{}, event.OrderCancelled{}, event.OrderDelayed{}, event.OrderClosed{}, event.HoldRequested{}))
	payments := streams.Define("payment", event.OrderID(""), keep,
		streams.On(func(none, event.OrderPlaced, streams.Input) streams.Decision { return streams.Nothing() },
			event.PaymentAuthorised{}))
	top, err := streams.NewTopology(v, []streams.Service{
		{Name: "order", Deciders: []*streams.Decider{orders}}, {Name: "payment", Deciders: []*streams.Decider{payments}}})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

var placement = streams.Saga{Name: "place-order", Starts: event.OrderPlaced{}, Ends: []streams.Event{event.OrderClosed{}}, Within: time.Hour}

// kafka is a broker in this process, over its real wire.
type kafka struct {
	t       testing.TB
	top     *streams.Topology
	brokers []string
	cl      *kgo.Client
}

func newKafka(t testing.TB) *kafka {
	t.Helper()
	k := &kafka{t: t, top: house(t)}
	var names []string
	for _, topic := range k.top.Topics() {
		names = append(names, topic.Name)
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, names...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	k.brokers = c.ListenAddrs()
	if k.cl, err = kgo.NewClient(kgo.SeedBrokers(k.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.cl.Close)
	return k
}

func (k *kafka) admin() *kadm.Client { return kadm.NewClient(k.cl) }

func (k *kafka) produce(recs ...*kgo.Record) {
	k.t.Helper()
	for _, r := range recs {
		c := *r
		if err := k.cl.ProduceSync(context.Background(), &c).FirstErr(); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *kafka) config() projection.Config {
	return projection.Config{Client: []kgo.Opt{kgo.SeedBrokers(k.brokers...)}, Topology: k.top, Partitions: partitions, Sagas: []streams.Saga{placement}}
}

// writer makes the records of one lane, as the runtime does.
type writer struct {
	k    *kafka
	lane streams.Lane
	seq  int64
	prev map[streams.Target]int64
	last streams.Token
	at   time.Time
}

func (k *kafka) writer(service string, lane int32) *writer {
	return &writer{k: k, lane: streams.NewLane(service, lane, "i1"), prev: map[streams.Target]int64{}, at: noon}
}

func (w *writer) record(correlation string, e streams.Event) *kgo.Record {
	w.k.t.Helper()
	f, _ := w.k.top.Vocabulary.FactOf(e)
	topic, _ := w.k.top.Topic(f.Name)
	data, err := json.Marshal(e)
	if err != nil {
		w.k.t.Fatal(err)
	}
	w.seq++
	w.at = w.at.Add(time.Millisecond)
	key := e.Key().String()
	to := streams.Target{Topic: topic.Name, Partition: streams.Partition(key, partitions)}
	env := streams.Envelope{ID: fmt.Sprintf("%s-%d", w.lane, w.seq), Type: f.Name, Version: f.Version, Source: topic.Writer, Time: w.at, Key: key,
		Correlation: correlation, Lane: w.lane, Seq: w.seq, Prev: w.prev[to], Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Data: data}
	w.prev[to] = w.seq
	w.last = streams.Token{Source: streams.Source{Topic: topic.Name, Lane: w.lane}, Seq: w.seq}
	return env.Record(to.Topic, to.Partition)
}

func (w *writer) emit(correlation string, events ...streams.Event) {
	w.k.t.Helper()
	for _, e := range events {
		w.k.produce(w.record(correlation, e))
	}
}

func open(t testing.TB, path string) *projection.Store {
	t.Helper()
	s, err := projection.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fresh(t testing.TB) *projection.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "read.db"))
}

// start runs the projection; the returned function ends it and gives its error.
func start(t testing.TB, s *projection.Store, cfg projection.Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, cfg) }()
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
func readAll(t testing.TB, s *projection.Store, cfg projection.Config, tokens ...streams.Token) {
	t.Helper()
	stop := start(t, s, cfg)
	for _, tok := range tokens {
		await(t, s, tok.String())
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func await(t testing.TB, s *projection.Store, token string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Await(ctx, token); err != nil {
		t.Fatal(err)
	}
}

// failure runs the projection until it stops by itself.
func failure(t testing.TB, s *projection.Store, cfg projection.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.Run(ctx, cfg)
	if err == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("the projection did not stop (%v)", err)
	}
	return err
}

func placed(id, customer string) event.OrderPlaced {
	return event.OrderPlaced{Order: event.OrderID(id), Customer: customer, Email: "ada@example.org", Card: "tok_1",
		ShipTo: event.Address{Name: "Ada", Street: "1 Mill Lane"},
		Lines:  []event.Line{{SKU: "A", Quantity: 2, Unit: event.Money{Minor: 255, Currency: "GBP"}}}, Total: event.Money{Minor: 510, Currency: "GBP"}}
}
