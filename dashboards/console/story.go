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

// step is something that has yet to happen, and who has to do it.
type step struct {
	By, What string
	With     string    // the decider that has to answer it first, if any
	Since    time.Time // when an outside call was called for; zero if none was
}

// story is what a person wants to know of a saga: what happened, what is left.
type story struct {
	Happened []string
	Left     []step
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

// tell tells an order's saga.
func tell(top *streams.Topology, o projection.Order, hops []hop) story {
	t := newTeller(top, hops)
	s := story{Happened: []string{t.sofar(o)}}
	if o.State == "cancelled" {
		if back := t.takenBack(); len(back) > 0 {
			s.Happened = append(s.Happened, "Taken back: "+strings.Join(back, ", ")+".")
		}
	}
	if !o.DelayedAt.IsZero() {
		s.Happened = append(s.Happened, "A deadline passed on the way, "+span(o.DelayedAt.Sub(o.PlacedAt))+" after the placement.")
	}
	if o.Closed {
		s.Happened = append(s.Happened, "Closed after "+span(o.ClosedAt.Sub(o.PlacedAt))+".")
		return s
	}
	s.Left = t.left(o)
	return s
}

// sofar is the order's life in one sentence.
func (t teller) sofar(o projection.Order) string {
	after := func(at time.Time) string { return "after " + span(at.Sub(o.PlacedAt)) }
	confirmed := ""
	if !o.ConfirmedAt.IsZero() {
		confirmed = "was confirmed " + after(o.ConfirmedAt)
	}
	switch o.State {
	case "cancelled":
		where := "before it was confirmed"
		if confirmed != "" {
			where = "though it " + confirmed
		}
		why := ""
		if o.Reason != "" {
			why = ": " + mask(o.Reason)
		}
		return fmt.Sprintf("The order was cancelled %s, %s%s.", after(o.CancelledAt), where, why)
	case "shipped":
		return fmt.Sprintf("The order %s and shipped with %s %s, parcel %s.", confirmed, mask(o.Carrier), after(o.ShippedAt), mask(o.Tracking))
	case "released":
		return fmt.Sprintf("The order %s, is paid, and was released to shipping %s.", confirmed, after(o.ReleasedAt))
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
		out = append(out, money(e.Amount)+" that had been set aside")
	}
	if e, ok := read[event.PaymentRefunded](t); ok {
		out = append(out, money(e.Amount)+" refunded")
	}
	return out
}

// left lists what an order that is not closed waits for.
func (t teller) left(o projection.Order) []step {
	switch o.State {
	case "placed":
		return t.confirmation(o)
	case "confirmed":
		if t.has(event.PaymentCaptured{}) {
			return []step{{By: "order", What: "has to release the order"}}
		}
		return []step{{By: "payment", What: "has to capture " + money(o.Total), Since: o.ConfirmedAt}}
	case "released":
		if t.has(event.ShipmentDispatched{}) {
			return []step{{By: "order", What: "has to note the shipment"}}
		}
		return []step{{By: "shipment", What: "has to hand the parcel to the carrier", Since: o.ReleasedAt}}
	}
	return t.settlement(o)
}

func (t teller) confirmation(o projection.Order) []step {
	switch {
	case t.has(event.PaymentAuthorised{}):
		return []step{{By: "order", What: "has to confirm the order"}}
	case t.has(event.StockRejected{}, event.PaymentDeclined{}):
		return []step{{By: "order", What: "has to cancel the order"}}
	}
	pay := step{By: "payment", What: "has to set " + money(o.Total) + " aside"}
	if h := t.first[t.name(event.StockReserved{})]; h != nil {
		pay.Since = h.Time
		return []step{pay}
	}
	held, wanted := t.times[t.name(event.StockHeld{})], t.times[t.name(event.HoldRequested{})]
	return []step{{By: "claim", With: "shelf", What: fmt.Sprintf("has to reserve the stock (%d of %d SKUs held)", held, wanted)}, pay}
}

// settlement lists the sides that have not settled.
func (t teller) settlement(o projection.Order) (out []step) {
	cancelled := o.State == "cancelled"
	if !t.has(event.StockShipped{}, event.StockReleased{}) {
		what := "has to book the stock out"
		if cancelled {
			what = "has to release the stock"
		}
		out = append(out, step{By: "claim", With: "shelf", What: what})
	}
	if cancelled && !t.has(event.PaymentVoided{}, event.PaymentRefunded{}) {
		what := "has to void the payment"
		if t.has(event.PaymentCaptured{}) {
			what = "has to refund " + money(o.Total)
		}
		out = append(out, step{By: "payment", What: what, Since: o.CancelledAt})
	}
	if !t.has(event.MailSent{}, event.MailRefused{}) {
		since := o.ShippedAt
		if cancelled {
			since = o.CancelledAt
		}
		out = append(out, step{By: "message", What: "has to tell the customer", Since: since})
	}
	if len(out) == 0 {
		out = append(out, step{By: "order", What: "has to close the order"})
	}
	return out
}
