package projectiontest

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
)

var lifeCases = []testCase{
	{"AnOrdersLife", anOrdersLife},
	{"PersonsAreNotKept", personsAreNotKept},
	{"AnotherCorrelationEndsASaga", anotherCorrelationEndsASaga},
	{"AnEndBeforeItsStart", anEndBeforeItsStart},
	{"TheOrderBetweenTopicsChangesNothing", theOrderBetweenTopicsChangesNothing},
}

func anOrdersLife(p *place) {
	l, s := NewLog(p), p.model()
	w := l.writer("order", 0)
	w.emit("c1", placed("o1", "ada"), event.HoldRequested{SKU: "A", Order: "o1", Quantity: 2},
		event.OrderConfirmed{Order: "o1"}, event.OrderReleased{Order: "o1"}, event.OrderShipped{Order: "o1", Carrier: "post", Tracking: "T1"})
	pay := l.writer("payment", 0)
	pay.emit("c1", event.PaymentAuthorised{Order: "o1"})
	readAll(p, s, l.Config(), w.last, pay.last)

	o, err := s.Order(ctx, "o1")
	if err != nil {
		p.Fatal(err)
	}
	if o.State != "shipped" || o.Closed || o.Customer != "ada" || o.Total != (event.Money{Minor: 510, Currency: "GBP"}) || o.Lines != 1 || o.Tracking != "T1" || o.Correlation != "c1" {
		p.Errorf("order is %+v", o)
	}
	h, err := s.History(ctx, "o1")
	if err != nil || len(h) != 6 {
		p.Fatalf("history has %d events, want 6 (%v)", len(h), err)
	}
	if h[0].Type != "order.placed" || h[0].Traceparent == "" || h[0].Lane != string(w.lane) || h[0].Seq != 1 || h[0].Kind != "order" {
		p.Errorf("first event is %+v", h[0])
	}
	sagas, err := s.Saga(ctx, "c1")
	if err != nil || len(sagas) != 1 || sagas[0].State != projection.Running || sagas[0].Events != 6 || sagas[0].Due.Sub(sagas[0].Started) != time.Hour {
		p.Errorf("sagas are %+v (%v)", sagas, err)
	}

	w.emit("c1", event.OrderClosed{Order: "o1", Outcome: event.Fulfilled})
	readAll(p, s, l.Config(), w.last)
	if o, _ := s.Order(ctx, "o1"); !o.Closed || o.Outcome != "fulfilled" || o.State != "shipped" {
		p.Errorf("closed order is %+v", o)
	}
	if sagas, _ := s.Saga(ctx, "c1"); sagas[0].State != projection.Ended || sagas[0].EndedBy != "order.closed" {
		p.Errorf("ended saga is %+v", sagas)
	}
	if n, err := s.Counts(ctx); err != nil || !reflect.DeepEqual(n, map[string]int64{"shipped": 1}) {
		p.Errorf("counts are %v (%v)", n, err)
	}
}

func personsAreNotKept(p *place) {
	l, s := NewLog(p), p.model()
	w := l.writer("order", 0)
	w.emit("c1", placed("o1", "ada"))
	readAll(p, s, l.Config(), w.last)
	h, err := s.History(ctx, "o1")
	if err != nil || len(h) != 1 {
		p.Fatal(h, err)
	}
	for _, secret := range []string{"ada@example.org", "Mill Lane", "tok_1"} {
		if bytes.Contains(h[0].Data, []byte(secret)) {
			p.Errorf("the history holds %q: %s", secret, h[0].Data)
		}
	}
	if !bytes.Contains(h[0].Data, []byte(`"customer":"ada"`)) {
		p.Errorf("the history lost the rest: %s", h[0].Data)
	}
}

// A cancellation is a saga of its own, and still ends the placement.
func anotherCorrelationEndsASaga(p *place) {
	l, s := NewLog(p), p.model()
	w := l.writer("order", 0)
	w.emit("place", placed("o1", "ada"))
	w.emit("cancel", event.OrderCancelled{Order: "o1", Reason: "regret"}, event.OrderClosed{Order: "o1", Outcome: event.Cancelled})
	w.emit("other", placed("o2", "ada"))
	readAll(p, s, l.Config(), w.last)
	ended, err := s.Sagas(ctx, projection.SagaFilter{Name: "place-order", State: projection.Ended})
	if err != nil || len(ended.Items) != 1 || ended.Items[0].Correlation != "place" {
		p.Errorf("ended are %+v (%v)", ended, err)
	}
	running, err := s.Sagas(ctx, projection.SagaFilter{State: projection.Running})
	if err != nil || len(running.Items) != 1 || running.Items[0].Correlation != "other" {
		p.Errorf("running are %+v (%v)", running, err)
	}
	if h, _ := s.History(ctx, "o1"); len(h) != 3 {
		p.Errorf("history has %d events, want those of both correlations: 3", len(h))
	}
}

// An end on another topic may be read before the start, under the saga's
// correlation or, about the same thing, under another.
func anEndBeforeItsStart(p *place) {
	for _, correlation := range []string{"c1", "other"} {
		l, s := NewLog(p), p.another()
		w, pay := l.writer("order", 0), l.writer("payment", 0)
		pay.emit("other", event.PaymentAuthorised{Order: "o1"}) // before the start: ends nothing
		pay.at = noon.Add(time.Second)
		pay.emit(correlation, event.PaymentAuthorised{Order: "o1"})
		pay.emit("later", event.PaymentAuthorised{Order: "o1"})
		readAll(p, s, l.Config(Payment), pay.last)
		w.at = w.at.Add(time.Millisecond)
		w.emit("c1", placed("o1", "ada"))
		readAll(p, s, l.Config(Payment), w.last)
		x, err := s.Saga(ctx, "c1")
		if err != nil || len(x) != 2 || x[0].Name != "pay" || x[0].State != projection.Ended || !x[0].Ended.Equal(noon.Add(time.Second+time.Millisecond)) {
			p.Errorf("ended under %s: %+v (%v)", correlation, x, err)
		}
	}
}

// Whatever order topics are read in, the rows come out the same.
func theOrderBetweenTopicsChangesNothing(p *place) {
	shop := NewLog(p).Shop(25)
	topics := map[string][]*kgo.Record{}
	for _, r := range shop {
		topics[r.Topic] = append(topics[r.Topic], r)
	}
	var first []string
	for round := range 4 {
		l, s := NewLog(p), p.another()
		stop := Start(p, s, l.Config(Payment))
		left := map[string][]*kgo.Record{}
		for topic, recs := range topics {
			left[topic] = recs
		}
		for len(left) > 0 {
			for topic, recs := range left { // in any order
				n := 1 + rand.IntN(len(recs))
				l.Produce(recs[:n]...)
				if left[topic] = recs[n:]; n == len(recs) {
					delete(left, topic)
				}
			}
		}
		l.CaughtUp(p, s)
		if err := stop(); err != nil {
			p.Fatal(err)
		}
		if got := Answers(p, s); round == 0 {
			first = got
		} else if Differ(p, first, got); p.Failed() {
			return
		}
	}
}
