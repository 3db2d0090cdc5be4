// Package order decides the life of an order, from placed to closed.
package order

import (
	"slices"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order/sales"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Service is the order service.
var Service = business.Service{Name: "order", Deciders: []*streams.Decider{decider},
	Facts:    []streams.Fact{streams.NewFact[Settled]("order.settled", streams.Private())},
	Commands: commands, Views: []*business.View{sales.Orders}, Questions: sales.Questions}

// Settled notes that one side of an order is done: "stock", "payment" or "mail".
type Settled struct {
	Order event.OrderID `json:"order"`
	Side  string        `json:"side"`
}

// Key is the order.
func (e Settled) Key() streams.Key { return e.Order }

var decider = streams.Define("order", event.OrderID(""), evolve,
	streams.OnCommand("place-order", place, event.OrderPlaced{}),
	streams.OnCommand("cancel-order", cancel, event.OrderCancelled{}),
	// What comes late finds the order cancelled, and others take back what it was about.
	streams.On(streams.While(in(placed), authorised), event.OrderConfirmed{}),
	streams.On(streams.While(in(confirmed), captured), event.OrderReleased{}),
	streams.On(streams.While(in(released), dispatched), event.OrderShipped{}),
	streams.On(undone(func(e event.StockRejected) string { return "out of stock: " + string(e.SKU) }, placed, confirmed), event.OrderCancelled{}),
	streams.On(undone(func(e event.PaymentDeclined) string { return "payment declined: " + e.Reason }, placed, confirmed), event.OrderCancelled{}),
	streams.On(undone(func(e event.PaymentCaptureRefused) string { return "not captured: " + e.Reason }, placed, confirmed), event.OrderCancelled{}),
	// The carrier's no is the one way to cancel a released order: no parcel left.
	streams.On(undone(func(e event.ShipmentRefused) string { return "cannot be shipped: " + e.Reason }, released), event.OrderCancelled{}),
	streams.On(settles[event.StockShipped](stock), Settled{}, event.OrderClosed{}),
	streams.On(settles[event.StockReleased](stock), Settled{}, event.OrderClosed{}),
	streams.On(settles[event.PaymentVoided](payment), Settled{}, event.OrderClosed{}),
	streams.On(settles[event.PaymentRefunded](payment), Settled{}, event.OrderClosed{}),
	streams.On(settles[event.MailSent](mail), Settled{}, event.OrderClosed{}),
	streams.On(settles[event.MailRefused](mail), Settled{}, event.OrderClosed{}),
	streams.OnTimer("confirm-by", undone(func(event.OrderID) string { return "not confirmed in time" }, placed), event.OrderCancelled{}),
	streams.OnTimer("capture-by", undone(func(event.OrderID) string { return "not captured in time" }, confirmed), event.OrderCancelled{}),
	streams.OnTimer("ship-by", overdue, event.OrderDelayed{}),
	streams.OnTimer("close-by", overdue, event.OrderDelayed{}),
)

// How long each wait may last. The first two cancel the order; the others, the last of
// them after a cancellation or a shipment, only report it, as a parcel or money may be
// on its way.
const ConfirmBy, CaptureBy, ShipBy, CloseBy = 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, 10 * time.Minute

type phase string

const placed, confirmed, released, shipped, cancelled phase = "placed", "confirmed", "released", "shipped", "cancelled"

// The sides that have to settle before an order closes.
const stock, payment, mail = "stock", "payment", "mail"

// state is comparable: a decision compares it to see whether a fact is news.
type state struct {
	Phase   phase       `json:"phase,omitempty"`
	Digest  string      `json:"digest,omitempty"` // of what was placed
	Total   event.Money `json:"total"`
	Lines   int         `json:"lines,omitempty"`
	Stock   bool        `json:"stock,omitempty"`
	Payment bool        `json:"payment,omitempty"`
	Mail    bool        `json:"mail,omitempty"`
	Closed  bool        `json:"closed,omitempty"`
}

func evolve(s state, e streams.Event) state {
	switch e := e.(type) {
	case event.OrderPlaced:
		return state{Phase: placed, Digest: e.Digest(), Total: e.Total, Lines: len(e.Lines)}
	case event.OrderConfirmed:
		s.Phase = confirmed
	case event.OrderReleased:
		s.Phase = released
	case event.OrderShipped:
		s.Phase = shipped
	case event.OrderCancelled:
		s.Phase = cancelled
	case Settled:
		s.Stock = s.Stock || e.Side == stock
		s.Payment = s.Payment || e.Side == payment
		s.Mail = s.Mail || e.Side == mail
	case event.OrderClosed:
		s.Closed = true
	}
	return s
}

// waitingFor names what an order still needs before it closes.
func (s state) waitingFor() []string {
	if s.Phase == released {
		return []string{"shipment"}
	}
	open := map[string]bool{stock: !s.Stock, payment: !s.Payment && s.Phase == cancelled, mail: !s.Mail}
	return slices.DeleteFunc([]string{stock, payment, mail}, func(side string) bool { return !open[side] })
}

func in(these ...phase) func(state) bool {
	return func(s state) bool { return slices.Contains(these, s.Phase) }
}

func authorised(s state, e event.PaymentAuthorised, _ streams.Input) streams.Decision {
	return streams.Emit(event.OrderConfirmed{Order: e.Order, Total: s.Total, Lines: s.Lines}).
		Cancel("confirm-by").After("capture-by", CaptureBy, e.Order)
}

func captured(_ state, e event.PaymentCaptured, _ streams.Input) streams.Decision {
	return streams.Emit(event.OrderReleased{Order: e.Order}).Cancel("capture-by").After("ship-by", ShipBy, e.Order)
}

func dispatched(_ state, e event.ShipmentDispatched, _ streams.Input) streams.Decision {
	return streams.Emit(event.OrderShipped(e)).Cancel("ship-by").After("close-by", CloseBy, e.Order)
}

// undone cancels an order in these phases, for a no or a deadline.
func undone[E any](reason func(E) string, phases ...phase) func(state, E, streams.Input) streams.Decision {
	return streams.While(in(phases...), func(_ state, e E, input streams.Input) streams.Decision {
		return undo(event.OrderID(input.Key), reason(e))
	})
}

func undo(id event.OrderID, reason string) streams.Decision {
	return streams.Emit(event.OrderCancelled{Order: id, Reason: reason}).
		Cancel("confirm-by", "capture-by", "ship-by").After("close-by", CloseBy, id)
}

func overdue(s state, id event.OrderID, _ streams.Input) streams.Decision {
	if s.Closed {
		return streams.Nothing()
	}
	return streams.Emit(event.OrderDelayed{Order: id, WaitingFor: s.waitingFor()})
}

// settles decides about a fact that ends one side of an order; the last of them
// closes it. A side may settle before the order knows why: StockShipped can
// overtake ShipmentDispatched, which travels on another topic.
func settles[E streams.Event](side string) func(state, E, streams.Input) streams.Decision {
	return func(s state, e E, _ streams.Input) streams.Decision {
		noted := Settled{event.OrderID(e.Key().String()), side}
		next := evolve(s, noted)
		switch {
		case s.Phase == "" || s.Closed || next == s:
			return streams.Nothing()
		case s.Phase != shipped && s.Phase != cancelled, len(next.waitingFor()) > 0:
			return streams.Emit(noted)
		}
		outcome := event.Fulfilled
		if s.Phase == cancelled {
			outcome = event.Cancelled
		}
		return streams.Emit(event.OrderClosed{Order: noted.Order, Outcome: outcome}).Cancel("close-by")
	}
}
