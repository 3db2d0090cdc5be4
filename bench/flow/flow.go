// Package flow makes the events of many orders, as services would write them, for whoever
// measures a reader of the log.
package flow

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
)

// Flow writes orders, one after the other, each some time after the last.
type Flow struct {
	Topology   *streams.Topology
	Partitions int32
	At         time.Time     // of the next order
	Between    time.Duration // two orders
	n          int
	now        bool
	lanes      map[string]*lane
}

type lane struct {
	name streams.Lane
	seq  int64
	prev map[streams.Target]int64
}

// New begins at a time.
func New(partitions int32, at time.Time, between time.Duration) (*Flow, error) {
	t, err := shop.Business.Topology()
	return &Flow{Topology: t, Partitions: partitions, At: at, Between: between, lanes: map[string]*lane{}}, err
}

// OrderNow is the next order, all of whose events are of this moment.
func (f *Flow) OrderNow() ([]*kgo.Record, error) {
	f.now = true
	defer func() { f.now = false }()
	return f.Order()
}

var countries = []string{"GB", "GB", "GB", "FR", "DE", "NL", "IE"}

// Order is the records of the next order: nine of ten are confirmed and shipped.
func (f *Flow) Order() (out []*kgo.Record, err error) {
	i := f.n
	f.n++
	f.At = f.At.Add(f.Between)
	id := event.OrderID(fmt.Sprintf("o-%08d", i))
	placed := event.OrderPlaced{Order: id, Customer: fmt.Sprintf("c-%d", i*7919%20_011), Email: "a@example.org", Card: "tok-1",
		ShipTo: event.Address{Name: "Ada", Street: "1 Mill Lane", City: "Leeds", Postcode: "LS1", Country: countries[i%len(countries)]}}
	for l := range 1 + i%4 {
		placed.Lines = append(placed.Lines, event.Line{SKU: event.SKU(fmt.Sprintf("sku-%03d", (i*31+l*17)%400)), Quantity: int64(1 + (i+l)%5), Unit: event.Money{Minor: int64(99 + 50*(i%40)), Currency: "GBP"}})
	}
	if placed, err = placed.Priced(); err != nil {
		return nil, err
	}
	at := f.At
	say := func(after time.Duration, e streams.Event) {
		if err == nil {
			if at = at.Add(after); f.now {
				at = time.Now()
			}
			var rec *kgo.Record
			if rec, err = f.record(string(id), at, e); err == nil {
				out = append(out, rec)
			}
		}
	}
	ms := time.Millisecond
	say(0, placed)
	for _, l := range placed.Lines {
		say(ms, event.HoldRequested{SKU: l.SKU, Order: id, Quantity: l.Quantity})
		say(ms, event.StockHeld{Order: id, SKU: l.SKU, Quantity: l.Quantity})
	}
	say(2*ms, event.StockReserved{Order: id})
	if i%10 == 9 {
		say(30*ms, event.PaymentDeclined{Order: id, Reason: "insufficient funds"})
		say(2*ms, event.OrderCancelled{Order: id, Reason: "payment declined: insufficient funds"})
		say(5*ms, event.MailSent{Order: id})
		say(2*ms, event.OrderClosed{Order: id, Outcome: event.Cancelled})
		return out, err
	}
	say(time.Duration(30+i%50)*ms, event.PaymentAuthorised{Order: id, Amount: placed.Total, Authorisation: "a-" + string(id)})
	say(2*ms, event.OrderConfirmed{Order: id, Total: placed.Total, Lines: len(placed.Lines)})
	say(40*ms, event.PaymentCaptured{Order: id, Amount: placed.Total, Capture: "k-" + string(id)})
	say(2*ms, event.OrderReleased{Order: id})
	say(60*ms, event.ShipmentDispatched{Order: id, Carrier: "post", Tracking: "T" + string(id)})
	say(2*ms, event.OrderShipped{Order: id, Carrier: "post", Tracking: "T" + string(id)})
	for _, l := range placed.Lines {
		say(ms, event.StockDrawn{Order: id, SKU: l.SKU, Quantity: l.Quantity})
	}
	say(5*ms, event.MailSent{Order: id})
	say(2*ms, event.OrderClosed{Order: id, Outcome: event.Fulfilled})
	return out, err
}

// record is an event as the lane of its key writes it.
func (f *Flow) record(correlation string, at time.Time, e streams.Event) (*kgo.Record, error) {
	fact, _ := f.Topology.Vocabulary.FactOf(e)
	topic, _ := f.Topology.Topic(fact.Name)
	data, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	key := e.Key().String()
	p := streams.Partition(key, f.Partitions)
	service, _, _ := f.Topology.Decider(topic.Writer)
	name := fmt.Sprintf("%s/%d", service.Name, p)
	l := f.lanes[name]
	if l == nil {
		l = &lane{streams.NewLane(service.Name, p, "i1"), 0, map[streams.Target]int64{}}
		f.lanes[name] = l
	}
	to := streams.Target{Topic: topic.Name, Partition: p}
	l.seq++
	env := streams.Envelope{ID: fmt.Sprintf("%s-%s-%d", service.Name, l.name, l.seq), Type: fact.Name, Version: fact.Version, Source: service.Name + "/" + topic.Writer, Time: at, Key: key,
		Correlation: correlation, Lane: l.name, Seq: l.seq, Prev: l.prev[to], Data: data}
	l.prev[to] = l.seq
	return env.Record(to.Topic, to.Partition), nil
}
