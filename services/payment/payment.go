// Package payment decides when an order's money is set aside, taken and given
// back. Every cancelled order ends in exactly one PaymentVoided or
// PaymentRefunded, however late the provider answers.
package payment

import (
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Service is the payment service.
var Service = business.Service{Name: "payment", Deciders: []*streams.Decider{decider},
	Facts: []streams.Fact{streams.NewFact[Due]("payment.due", streams.Private()), streams.NewFact[Noted]("payment.noted", streams.Private()),
		streams.NewFact[Asked]("payment.asked", streams.Private())},
	Endpoints: []business.Endpoint{provider.Endpoint},
	Questions: []business.Question{{Name: "payments", Title: "Payments", About: "What the provider answers when money is to be set aside.",
		Of: business.Events(event.PaymentAuthorised{}, event.PaymentDeclined{}), Numbers: []business.Number{business.HowMany("asked"), business.HowMany("authorised", event.PaymentAuthorised{}),
			business.HowMany("declined", event.PaymentDeclined{}), business.Share("success", "authorised", "asked")}}}}

// Due notes what an order will cost, until its stock is reserved.
type Due struct {
	Order  event.OrderID `json:"order"`
	Amount event.Money   `json:"amount"`
	Card   string        `json:"card" weir:"personal"`
}

// Noted is bookkeeping: "reserved" (the stock is there before the amount is known) or
// "cancelled" (while the provider's answer is awaited).
type Noted struct {
	Order event.OrderID `json:"order"`
	Note  string        `json:"note"`
}

// Asked notes that the provider is being asked: "authorise", "capture", "void" or "refund".
type Asked struct {
	Order event.OrderID `json:"order"`
	Step  string        `json:"step"`
}

// Key is the order.
func (e Due) Key() streams.Key   { return e.Order }
func (e Noted) Key() streams.Key { return e.Order }
func (e Asked) Key() streams.Key { return e.Order }

var decider = streams.Define("payment", event.OrderID(""), evolve,
	streams.On(due, Due{}, Asked{}).Asks(authorise),
	streams.On(reserved, Noted{}, Asked{}).Asks(authorise),
	streams.On(confirmed, Asked{}).Asks(capture),
	streams.On(cancelled, Noted{}, Asked{}, event.PaymentVoided{}).Asks(void, refund),
	streams.OnOutcome(authorise, streams.While(in(stepAuthorise), authorisationCame),
		event.PaymentAuthorised{}, event.PaymentDeclined{}, Asked{}, event.PaymentVoided{}).Asks(void),
	streams.OnOutcome(capture, streams.While(in(stepCapture), captureCame),
		event.PaymentCaptured{}, event.PaymentCaptureRefused{}, Asked{}).Asks(void, refund),
	streams.OnOutcome(void, streams.While(in(stepVoid), voidCame), event.PaymentVoided{}),
	streams.OnOutcome(refund, streams.While(in(stepRefund), refundCame), event.PaymentRefunded{}),
)

// stage is how far the payment itself came. While it is the name of a step,
// the provider's answer to that step is awaited.
type stage string

const (
	authorised stage = "authorised"
	declined   stage = "declined"
	captured   stage = "captured"
	settled    stage = "settled" // voided or refunded
)

// Steps and notes, as Asked and Noted name them.
const (
	stepAuthorise, stepCapture, stepVoid, stepRefund = "authorise", "capture", "void", "refund"
	noteReserved, noteCancelled                      = "reserved", "cancelled"
)

type state struct {
	Stage     stage       `json:"stage,omitempty"`
	Due       bool        `json:"due,omitempty"` // the amount is known
	Amount    event.Money `json:"amount"`
	Card      string      `json:"card,omitempty"`     // until it is used
	Reserved  bool        `json:"reserved,omitempty"` // the stock was there first
	Cancelled bool        `json:"cancelled,omitempty"`
	ID        string      `json:"id,omitempty"` // of the authorisation, then of the capture
}

func evolve(s state, e streams.Event) state {
	switch e := e.(type) {
	case Due:
		s.Due, s.Amount, s.Card = true, e.Amount, e.Card
	case Noted:
		s.Reserved = s.Reserved || e.Note == noteReserved
		s.Cancelled = s.Cancelled || e.Note == noteCancelled
	case Asked:
		s.Stage, s.Card = stage(e.Step), ""
	case event.PaymentAuthorised:
		s.Stage, s.ID = authorised, e.Authorisation
	case event.PaymentDeclined:
		s.Stage = declined
	case event.PaymentCaptured:
		s.Stage, s.ID = captured, e.Capture
	case event.PaymentCaptureRefused:
		s.Stage = authorised // still set aside, and to be voided
	case event.PaymentVoided, event.PaymentRefunded:
		s.Stage, s.Card = settled, ""
	}
	return s
}

func in(this stage) func(state) bool { return func(s state) bool { return s.Stage == this } }

func due(s state, e event.OrderPlaced, _ streams.Input) streams.Decision {
	if s.Due || s.Stage != "" {
		return streams.Nothing()
	}
	d := streams.Emit(Due{Order: e.Order, Amount: e.Total, Card: e.Card})
	if !s.Reserved {
		return d
	}
	return ask(d, authorise, stepAuthorise, Ask{Order: e.Order, Amount: e.Total, Card: e.Card})
}

func reserved(s state, e event.StockReserved, _ streams.Input) streams.Decision {
	switch {
	case s.Reserved || s.Stage != "":
		return streams.Nothing()
	case !s.Due:
		return streams.Emit(Noted{Order: e.Order, Note: noteReserved})
	}
	return ask(streams.Nothing(), authorise, stepAuthorise, Ask{Order: e.Order, Amount: s.Amount, Card: s.Card})
}

func confirmed(s state, e event.OrderConfirmed, _ streams.Input) streams.Decision {
	if s.Stage != authorised || s.Cancelled {
		return streams.Nothing()
	}
	return ask(streams.Nothing(), capture, stepCapture, Ask{Order: e.Order, Amount: s.Amount, Of: s.ID})
}

func cancelled(s state, e event.OrderCancelled, _ streams.Input) streams.Decision {
	switch s.Stage {
	case "", declined, authorised, captured:
		return s.takeBack(streams.Nothing(), e.Order)
	case stepAuthorise, stepCapture: // in doubt: the outcome decides what there is to take back
		if !s.Cancelled {
			return streams.Emit(Noted{Order: e.Order, Note: noteCancelled})
		}
	}
	return streams.Nothing()
}

// takeBack asks for the undoing of what the stage says was done, if anything was.
func (s state) takeBack(d streams.Decision, id event.OrderID) streams.Decision {
	switch s.Stage {
	case captured:
		return ask(d, refund, stepRefund, Ask{Order: id, Amount: s.Amount, Of: s.ID})
	case authorised:
		return ask(d, void, stepVoid, Ask{Order: id, Amount: s.Amount, Of: s.ID})
	}
	return d.Emit(event.PaymentVoided{Order: id, Amount: s.Amount.Zero()})
}

// ask notes the step and asks the provider for it.
func ask(d streams.Decision, effect *streams.Effect[Ask, Answer], step string, a Ask) streams.Decision {
	return d.Emit(Asked{Order: a.Order, Step: step}).Do(effect.With(a))
}

func authorisationCame(s state, a Answer, in streams.Input) streams.Decision {
	id := event.OrderID(in.Key)
	if a.Done {
		return s.then(event.PaymentAuthorised{Order: id, Amount: s.Amount, Authorisation: a.ID}, id)
	}
	return s.then(event.PaymentDeclined{Order: id, Reason: a.Reason}, id)
}

func captureCame(s state, a Answer, in streams.Input) streams.Decision {
	id := event.OrderID(in.Key)
	if a.Done {
		return s.then(event.PaymentCaptured{Order: id, Amount: s.Amount, Capture: a.ID}, id)
	}
	return s.then(event.PaymentCaptureRefused{Order: id, Reason: a.Reason}, id)
}

// then emits the provider's answer, and takes it back at once if the order was
// cancelled while the answer was awaited.
func (s state) then(e streams.Event, id event.OrderID) streams.Decision {
	d := streams.Emit(e)
	if !s.Cancelled {
		return d
	}
	return evolve(s, e).takeBack(d, id)
}

func voidCame(s state, _ Answer, in streams.Input) streams.Decision {
	return streams.Emit(event.PaymentVoided{Order: event.OrderID(in.Key), Amount: s.Amount})
}

func refundCame(s state, _ Answer, in streams.Input) streams.Decision {
	return streams.Emit(event.PaymentRefunded{Order: event.OrderID(in.Key), Amount: s.Amount})
}
