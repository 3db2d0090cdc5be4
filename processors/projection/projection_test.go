package projection_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

var ctx = context.Background()

func TestAnOrdersLife(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	w.emit("c1", placed("o1", "ada"), event.HoldRequested{SKU: "A", Order: "o1", Quantity: 2},
		event.OrderConfirmed{Order: "o1"}, event.OrderReleased{Order: "o1"}, event.OrderShipped{Order: "o1", Carrier: "post", Tracking: "T1"})
	p := k.writer("payment", 0)
	p.emit("c1", event.PaymentAuthorised{Order: "o1"})
	readAll(t, s, k.config(), w.last, p.last)

	o, err := s.Order(ctx, "o1")
	if err != nil {
		t.Fatal(err)
	}
	if o.State != "shipped" || o.Closed || o.Customer != "ada" || o.Total != (event.Money{Minor: 510, Currency: "GBP"}) || o.Lines != 1 || o.Tracking != "T1" || o.Correlation != "c1" {
		t.Errorf("order is %+v", o)
	}
	h, err := s.History(ctx, "o1")
	if err != nil || len(h) != 6 {
		t.Fatalf("history has %d events, want 6 (%v)", len(h), err)
	}
	if h[0].Type != "order.placed" || h[0].Traceparent == "" || h[0].Lane != string(w.lane) || h[0].Seq != 1 || h[0].Kind != "order" {
		t.Errorf("first event is %+v", h[0])
	}
	sagas, err := s.Saga(ctx, "c1")
	if err != nil || len(sagas) != 1 || sagas[0].State != projection.Running || sagas[0].Events != 6 || sagas[0].Due.Sub(sagas[0].Started) != time.Hour {
		t.Errorf("sagas are %+v (%v)", sagas, err)
	}

	w.emit("c1", event.OrderClosed{Order: "o1", Outcome: event.Fulfilled})
	readAll(t, s, k.config(), w.last)
	if o, _ := s.Order(ctx, "o1"); !o.Closed || o.Outcome != "fulfilled" || o.State != "shipped" {
		t.Errorf("closed order is %+v", o)
	}
	if sagas, _ := s.Saga(ctx, "c1"); sagas[0].State != projection.Ended || sagas[0].EndedBy != "order.closed" {
		t.Errorf("ended saga is %+v", sagas)
	}
	if n, err := s.Counts(ctx); err != nil || !reflect.DeepEqual(n, map[string]int64{"shipped": 1}) {
		t.Errorf("counts are %v (%v)", n, err)
	}
}

func TestPersonsAreNotKept(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	w.emit("c1", placed("o1", "ada"))
	readAll(t, s, k.config(), w.last)
	h, err := s.History(ctx, "o1")
	if err != nil || len(h) != 1 {
		t.Fatal(h, err)
	}
	for _, secret := range []string{"ada@example.org", "Mill Lane", "tok_1"} {
		if bytes.Contains(h[0].Data, []byte(secret)) {
			t.Errorf("the history holds %q: %s", secret, h[0].Data)
		}
	}
	if !bytes.Contains(h[0].Data, []byte(`"customer":"ada"`)) {
		t.Errorf("the history lost the rest: %s", h[0].Data)
	}
}

// A cancellation is a saga of its own, and still ends the placement.
func TestAnotherCorrelationEndsASaga(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	w.emit("place", placed("o1", "ada"))
	w.emit("cancel", event.OrderCancelled{Order: "o1", Reason: "regret"}, event.OrderClosed{Order: "o1", Outcome: event.Cancelled})
	w.emit("other", placed("o2", "ada"))
	readAll(t, s, k.config(), w.last)
	ended, err := s.Sagas(ctx, projection.SagaFilter{Name: "place-order", State: projection.Ended})
	if err != nil || len(ended.Items) != 1 || ended.Items[0].Correlation != "place" {
		t.Errorf("ended are %+v (%v)", ended, err)
	}
	running, err := s.Sagas(ctx, projection.SagaFilter{State: projection.Running})
	if err != nil || len(running.Items) != 1 || running.Items[0].Correlation != "other" {
		t.Errorf("running are %+v (%v)", running, err)
	}
	if h, _ := s.History(ctx, "o1"); len(h) != 3 {
		t.Errorf("history has %d events, want those of both correlations: 3", len(h))
	}
}

// An end on another topic may be read before the start, under the saga's
// correlation or, about the same thing, under another.
func TestAnEndBeforeItsStart(t *testing.T) {
	for _, correlation := range []string{"c1", "other"} {
		k, s := newKafka(t), fresh(t)
		cfg := k.config()
		cfg.Sagas = []streams.Saga{{Name: "pay", Starts: event.OrderPlaced{}, Ends: []streams.Event{event.PaymentAuthorised{}}}}
		w, p := k.writer("order", 0), k.writer("payment", 0)
		p.at = noon.Add(time.Second)
		p.emit(correlation, event.PaymentAuthorised{Order: "o1"})
		p.emit("later", event.PaymentAuthorised{Order: "o1"})
		readAll(t, s, cfg, p.last)
		w.emit("c1", placed("o1", "ada"))
		readAll(t, s, cfg, w.last)
		x, err := s.Saga(ctx, "c1")
		if err != nil || len(x) != 1 || x[0].State != projection.Ended || !x[0].Ended.Equal(noon.Add(time.Second+time.Millisecond)) {
			t.Errorf("ended under %s: %+v (%v)", correlation, x, err)
		}
	}
}

func TestRepeatsAreSkipped(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	a, b := w.record("c1", placed("o1", "ada")), w.record("c1", event.OrderConfirmed{Order: "o1"})
	k.produce(a, b, a, b, b)
	outside := streams.Envelope{ID: "d1", Type: "stock.received", Source: "dock", Time: noon, Key: "A", Data: []byte(`{"sku":"A","quantity":1}`)}
	ext := outside.Record("external.sku", streams.Partition("A", partitions))
	outside.Source = "other-dock"
	k.produce(ext, ext, outside.Record("external.sku", ext.Partition))
	again := streams.Envelope{ID: "r1", Type: "order.cancelled", Key: "o1", ReplayID: "replay-1", Data: []byte(`{"order":"o1"}`)}
	k.produce(again.Record(a.Topic, a.Partition))
	c := w.record("c1", event.OrderReleased{Order: "o1"})
	k.produce(c)
	readAll(t, s, k.config(), w.last)
	readAll(t, s, k.config(), w.last) // and nothing is read twice

	if h, _ := s.History(ctx, "o1"); len(h) != 3 {
		t.Errorf("history has %d events, want 3", len(h))
	}
	d1, err := s.Events(ctx, "d1")
	if err != nil || len(d1) != 2 {
		t.Errorf("%d events have id d1, want one for each source: 2 (%v)", len(d1), err)
	}
	if o, _ := s.Order(ctx, "o1"); o.State != "released" {
		t.Errorf("state is %s after a replayed cancellation", o.State)
	}
}

func TestAHoleStops(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	w.emit("c1", placed("o1", "ada"))
	readAll(t, s, k.config(), w.last)
	w.record("c1", event.OrderConfirmed{Order: "o1"}) // never arrives
	w.emit("c1", event.OrderReleased{Order: "o1"})
	for range 2 { // and a restart does not get over it
		var hole *projection.HoleError
		if err := failure(t, s, k.config()); !errors.As(err, &hole) || hole.Seen != 1 || hole.Prev != 2 || hole.Seq != 3 || hole.Topic != "order.order" || hole.Lane != w.lane {
			t.Fatalf("stopped with %v", err)
		}
	}
	if o, _ := s.Order(ctx, "o1"); o.State != "placed" {
		t.Errorf("state is %s: something beyond the hole was applied", o.State)
	}
}

// A lane writes to several partitions of a topic, between which there is no
// order: a higher sequence in one is no repeat and no hole in another.
func TestOneLaneInSeveralPartitions(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	var recs []*kgo.Record
	var tokens []streams.Token
	for i := range 60 {
		recs = append(recs, w.record("c", event.HoldRequested{SKU: event.SKU(fmt.Sprint("S", i)), Order: "o1", Quantity: 1}))
		tokens = append(tokens, w.last)
	}
	slices.SortStableFunc(recs, func(a, b *kgo.Record) int { return int(b.Partition - a.Partition) })
	k.produce(recs...)
	readAll(t, s, k.config(), tokens...)
	if h, _ := s.Events(ctx, "c"); len(h) != 60 {
		t.Errorf("%d events, want 60", len(h))
	}
}

func TestARestartGoesOnFromTheCursor(t *testing.T) {
	k := newKafka(t)
	path := filepath.Join(t.TempDir(), "read.db")
	w := k.writer("order", 0)
	var want []string
	for round := range 5 {
		for i := range 40 {
			id := fmt.Sprintf("o%d-%d", round, i)
			want = append(want, id)
			w.emit("c-"+id, placed(id, "ada"))
		}
		s, err := projection.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, s, k.config())
		if round%2 == 0 { // in the others it ends wherever it is
			await(t, s, w.last.String())
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, path)
	readAll(t, s, k.config(), w.last)
	for _, id := range want {
		if h, err := s.History(ctx, id); err != nil || len(h) != 1 {
			t.Fatalf("%s has %d events, want 1 (%v)", id, len(h), err)
		}
	}
}

// Whatever order topics are read in, the rows come out the same.
func TestTheOrderBetweenTopicsChangesNothing(t *testing.T) {
	k := newKafka(t)
	w, p := k.writer("order", 0), k.writer("payment", 0)
	var orders, payments []*kgo.Record
	for i := range 20 {
		id := event.OrderID(fmt.Sprint("o", i))
		c := "c-" + string(id)
		orders = append(orders, w.record(c, placed(string(id), "ada")), w.record(c, event.OrderConfirmed{Order: id}), w.record(c, event.OrderClosed{Order: id, Outcome: event.Fulfilled}))
		payments = append(payments, p.record(c, event.PaymentAuthorised{Order: id}))
	}
	var first []any
	for round := range 4 {
		log, s := newKafka(t), fresh(t)
		stop := start(t, s, log.config())
		a, b := slices.Clone(orders), slices.Clone(payments)
		for len(a)+len(b) > 0 {
			if n := len(a) + len(b); rand.IntN(n) < len(a) && (round != 0 || len(b) == 0) {
				log.produce(a[0])
				a = a[1:]
			} else {
				log.produce(b[0])
				b = b[1:]
			}
		}
		await(t, s, w.last.String())
		await(t, s, p.last.String())
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		var got []any
		page, err := s.Orders(ctx, "", "", "")
		got = append(got, page, err)
		sagas, err := s.Sagas(ctx, projection.SagaFilter{})
		got = append(got, sagas, err)
		if first == nil {
			first = got
		}
		if !reflect.DeepEqual(first, got) {
			t.Fatalf("round %d differs:\n%+v\n%+v", round, first, got)
		}
	}
}

func TestWhatIsNoEventIsPassedOver(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	k.produce(&kgo.Record{Topic: "order.order", Partition: 0, Key: []byte("x"), Value: []byte("hello")})
	bad := streams.Envelope{ID: "e1", Type: "order.placed", Source: "x", Key: "o1", Time: noon, Data: []byte(`{"lines":7}`)}
	k.produce(bad.Record("order.order", 0))
	bad.ID, bad.Data = "e2", []byte(`{"lines"`)
	k.produce(bad.Record("order.order", 0))
	w := k.writer("order", 0)
	w.emit("c1", placed("o1", "ada"))
	readAll(t, s, k.config(), w.last)
	skips, err := s.Skips(ctx)
	if err != nil || len(skips) != 3 {
		t.Errorf("passed over %+v, want 3 records (%v)", skips, err)
	}
}

func TestANewerVersionStops(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	e := streams.Envelope{ID: "e1", Type: "order.placed", Version: 2, Key: "o1", Time: noon, Data: []byte(`{}`)}
	k.produce(e.Record("order.order", 0))
	var newer *streams.NewerVersionError
	if err := failure(t, s, k.config()); !errors.As(err, &newer) {
		t.Errorf("stopped with %v", err)
	}
}

func TestALogThatIsNotTheSameStops(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(k *kafka, at place) error
	}{
		{"truncated", "the log was truncated", func(k *kafka, at place) error {
			var o kadm.Offsets
			o.AddOffset(at.topic, at.partition, 3, -1)
			res, err := k.admin().DeleteRecords(ctx, o)
			return errors.Join(err, res.Error())
		}},
		{"made again", "deleted and made again", func(k *kafka, at place) error {
			if _, err := k.admin().DeleteTopic(ctx, at.topic); err != nil {
				return err
			}
			_, err := k.admin().CreateTopic(ctx, partitions, 1, nil, at.topic)
			return err
		}},
		{"missing", "make the topology's topics first", func(k *kafka, at place) error {
			_, err := k.admin().DeleteTopic(ctx, at.topic)
			return err
		}},
		{"grown", "has 4 partitions, the platform has 3", func(k *kafka, at place) error {
			_, err := k.admin().CreatePartitions(ctx, 1, at.topic)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, s := newKafka(t), fresh(t)
			w := k.writer("order", 0)
			w.emit("c1", placed("o1", "ada"))
			readAll(t, s, k.config(), w.last)
			w.emit("c1", event.OrderConfirmed{Order: "o1"}, event.OrderReleased{Order: "o1"})
			if err := c.spoil(k, place{"order.order", streams.Partition("o1", partitions)}); err != nil {
				t.Fatal(err)
			}
			if err := failure(t, s, k.config()); !strings.Contains(err.Error(), c.want) {
				t.Errorf("stopped with %v, want %q", err, c.want)
			}
		})
	}
}

type place struct {
	topic     string
	partition int32
}

func TestATruncatedLogDoesNotBeginAReadModel(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	w.emit("c1", placed("o1", "ada"), event.OrderConfirmed{Order: "o1"})
	var o kadm.Offsets
	o.AddOffset("order.order", streams.Partition("o1", partitions), 1, -1)
	if _, err := k.admin().DeleteRecords(ctx, o); err != nil {
		t.Fatal(err)
	}
	if err := failure(t, s, k.config()); !strings.Contains(err.Error(), "the log was truncated") {
		t.Errorf("stopped with %v", err)
	}
}

func TestTwoWriters(t *testing.T) {
	k := newKafka(t)
	path := filepath.Join(t.TempDir(), "read.db")
	a, b := open(t, path), open(t, path)
	w := k.writer("order", 0)
	w.emit("c1", placed("o1", "ada"))
	start(t, a, k.config())
	await(t, a, w.last.String())
	if err := a.Run(ctx, k.config()); err == nil {
		t.Error("a second Run of one store was let in")
	}
	// Another process: both find the same cursor, one of them loses.
	two, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	errs := make(chan error, 1)
	go func() { errs <- b.Run(two, k.config()) }()
	var lost error
	for i := 0; i < 100 && lost == nil; i++ {
		w.emit("c1", event.OrderDelayed{Order: "o1"})
		select {
		case lost = <-errs:
		case <-time.After(5 * time.Millisecond):
		}
	}
	if lost != nil && !strings.Contains(lost.Error(), "another process writes") {
		t.Errorf("stopped with %v", lost)
	}
	h, err := a.History(ctx, "o1")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for _, e := range h {
		if seen[e.Seq] {
			t.Fatalf("sequence %d was applied twice", e.Seq)
		}
		seen[e.Seq] = true
	}
}
