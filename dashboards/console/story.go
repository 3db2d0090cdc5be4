package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// story is what a person wants to know of a saga: what happened, what is left.
type story struct {
	Happened []string
	Left     []step // in the order in which they are declared
}

// Then is what has to wait for others.
func (s story) Then() []step { return later(s.Left, false) }

// Now is what nothing keeps from happening.
func (s story) Now() []step { return later(s.Left, true) }

func later(all []step, now bool) (out []step) {
	for _, l := range all {
		if l.Now == now {
			out = append(out, l)
		}
	}
	return out
}

// teller finds the events of a saga by what they are.
type teller struct {
	top   *streams.Topology
	first map[string]*hop
	times map[string]int
}

func newTeller(top *streams.Topology, hops []hop) teller {
	t := teller{top, map[string]*hop{}, map[string]int{}}
	for i := range hops {
		h := &hops[i]
		if t.first[h.Type] == nil {
			t.first[h.Type] = h
		}
		t.times[h.Type]++
	}
	return t
}

func (t teller) name(e streams.Event) string {
	f, ok := t.top.Vocabulary.FactOf(e)
	if !ok {
		return ""
	}
	return f.Name
}

func (t teller) has(events ...streams.Event) bool {
	for _, e := range events {
		if t.first[t.name(e)] != nil {
			return true
		}
	}
	return false
}

// read decodes the first event of a type.
func read[E streams.Event](t teller) (e E, ok bool) {
	h := t.first[t.name(e)]
	return e, h != nil && json.Unmarshal(h.Data, &e) == nil
}

// tell tells what happened to an order.
func (t teller) tell(o *subject) (told []string) {
	told = append(told, t.sofar(o))
	if o.State == "cancelled" {
		if back := t.takenBack(); len(back) > 0 {
			told = append(told, "Taken back: "+strings.Join(back, ", ")+".")
		}
	}
	if !o.at("delayed_at").IsZero() {
		told = append(told, "A deadline passed on the way, "+span(o.at("delayed_at").Sub(o.Begun))+" after the placement.")
	}
	if closed := o.at("closed_at"); !closed.IsZero() {
		told = append(told, "Closed after "+span(closed.Sub(o.Begun))+".")
	}
	return told
}

// sofar is the order's life in one sentence.
func (t teller) sofar(o *subject) string {
	after := func(at time.Time) string { return "after " + span(at.Sub(o.Begun)) }
	confirmed := ""
	if at := o.at("confirmed_at"); !at.IsZero() {
		confirmed = "was confirmed " + after(at)
	}
	switch o.State {
	case "cancelled":
		where := "before it was confirmed"
		if confirmed != "" {
			where = "though it " + confirmed
		}
		why := ""
		if reason := o.text("reason"); reason != "" {
			why = ": " + mask(reason)
		}
		return fmt.Sprintf("The order was cancelled %s, %s%s.", after(o.at("cancelled_at")), where, why)
	case "shipped":
		return fmt.Sprintf("The order %s and shipped with %s %s, parcel %s.", confirmed, mask(o.text("carrier")), after(o.at("shipped_at")), mask(o.text("tracking")))
	case "released":
		return fmt.Sprintf("The order %s, is paid, and was released to shipping %s.", confirmed, after(o.at("released_at")))
	case "confirmed":
		return fmt.Sprintf("The order %s: its stock is held and the money set aside.", confirmed)
	}
	return "The order was placed and is not confirmed yet."
}

// takenBack lists the compensations that are done.
func (t teller) takenBack() (out []string) {
	if n := t.times[t.name(event.HoldReleased{})]; n > 0 {
		out = append(out, "stock of "+plural(n, "SKU"))
	}
	if e, ok := read[event.PaymentVoided](t); ok && e.Amount.Minor > 0 {
		out = append(out, money(projection.Money(e.Amount))+" that had been set aside")
	}
	if e, ok := read[event.PaymentRefunded](t); ok {
		out = append(out, money(projection.Money(e.Amount))+" refunded")
	}
	return out
}

// story tells a saga: of an order in its words, of another what is declared.
func (c *Console) story(saga string, o *subject, hops []hop) (s story) {
	t := newTeller(c.Topology, hops)
	if o != nil {
		s.Happened = t.tell(o)
	}
	s.Left = c.shape.ways[saga].left(hops)
	for i := range s.Left {
		l := &s.Left[i]
		l.What = t.todo(*l, o)
		if l.Now && c.shape.asks(l.By, l.To) {
			l.Since = c.shape.askedSince(*l, hops)
			l.Now = !l.Since.IsZero() // or it was answered, and waits for the next occasion
		}
	}
	return s
}

// todo says what a step has to do.
func (t teller) todo(l step, o *subject) string {
	total := "money"
	if o != nil {
		total = money(o.Amount())
	}
	count := func(e streams.Event) int { return t.times[t.name(e)] }
	switch l.To[0] {
	case t.name(event.StockHeld{}):
		return fmt.Sprintf("has to hold the stock (%d of %d SKUs held)", count(event.StockHeld{}), count(event.HoldRequested{}))
	case t.name(event.PaymentAuthorised{}):
		return "has to set " + total + " aside"
	case t.name(event.PaymentCaptured{}):
		return "has to capture " + total
	case t.name(event.PaymentVoided{}):
		if t.has(event.PaymentCaptured{}) {
			return "has to refund " + total
		}
		return "has to void the payment"
	}
	for e, what := range duties {
		if t.name(e) == l.To[0] {
			return what
		}
	}
	return "has to bring about " + strings.Join(l.To, " or ")
}

// duties are what it takes to bring events about.
var duties = map[streams.Event]string{
	event.HoldRequested{}:      "has to ask for the stock",
	event.StockReserved{}:      "has to reserve the stock",
	event.StockRejected{}:      "has to refuse the stock",
	event.StockShipped{}:       "has to book the stock out",
	event.StockReleased{}:      "has to release the stock",
	event.OrderConfirmed{}:     "has to confirm the order",
	event.OrderReleased{}:      "has to release the order",
	event.OrderShipped{}:       "has to note the shipment",
	event.OrderCancelled{}:     "has to cancel the order",
	event.OrderClosed{}:        "has to close the order",
	event.ShipmentDispatched{}: "has to hand the parcel to the carrier",
	event.MailSent{}:           "has to tell the customer",
}
