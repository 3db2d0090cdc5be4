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
var Service = business.Service{Name: "payment", Deciders: []*streams.Decider{decider}, Endpoints: []business.Endpoint{provider.Endpoint}}

var decider = streams.Define("payment", event.OrderID(""), evolve,
	streams.On(due, event.PaymentDue{}, event.PaymentAsked{}).Asks(authorise),
	streams.On(reserved, event.PaymentNoted{}, event.PaymentAsked{}).Asks(authorise),
	streams.On(confirmed, event.PaymentAsked{}).Asks(capture),
	streams.On(cancelled, event.PaymentNoted{}, event.PaymentAsked{}, event.PaymentVoided{}).Asks(void, refund),
	streams.OnOutcome(authorise, authorisationCame, event.PaymentAuthorised{}, event.PaymentDeclined{}, event.PaymentAsked{}, event.PaymentVoided{}).Asks(void),
	streams.OnOutcome(capture, captureCame, event.PaymentCaptured{}, event.PaymentCaptureRefused{}, event.PaymentAsked{}).Asks(void, refund),
	streams.OnOutcome(void, voidCame, event.PaymentVoided{}),
	streams.OnOutcome(refund, refundCame, event.PaymentRefunded{}),
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

// Steps and notes, as PaymentAsked and PaymentNoted name them.
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
	case event.PaymentDue:
		s.Due, s.Amount, s.Card = true, e.Amount, e.Card
	case event.PaymentNoted:
		s.Reserved = s.Reserved || e.Note == noteReserved
		s.Cancelled = s.Cancelled || e.Note == noteCancelled
	case event.PaymentAsked:
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

func due(s state, e event.OrderPlaced, _ streams.Input) streams.Decision {
	if s.Due || s.Stage != "" {
		return streams.Nothing()
	}
	d := streams.Emit(event.PaymentDue{Order: e.Order, Amount: e.Total, Card: e.Card})
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
		return streams.Emit(event.PaymentNoted{Order: e.Order, Note: noteReserved})
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
	case "", declined:
		return streams.Emit(event.PaymentVoided{Order: e.Order, Amount: s.Amount.Zero()})
	case authorised, captured:
		return s.takeBack(streams.Nothing(), e.Order)
	case stepAuthorise, stepCapture: // in doubt: the outcome decides what there is to take back
		if !s.Cancelled {
			return streams.Emit(event.PaymentNoted{Order: e.Order, Note: noteCancelled})
		}
	}
	return streams.Nothing()
}

// takeBack asks for the undoing of what the stage says was done.
func (s state) takeBack(d streams.Decision, id event.OrderID) streams.Decision {
	if s.Stage == captured {
		return ask(d, refund, stepRefund, Ask{Order: id, Amount: s.Amount, Of: s.ID})
	}
	return ask(d, void, stepVoid, Ask{Order: id, Amount: s.Amount, Of: s.ID})
}

// ask notes the step and asks the provider for it.
func ask(d streams.Decision, effect *streams.Effect[Ask, Answer], step string, a Ask) streams.Decision {
	return d.Emit(event.PaymentAsked{Order: a.Order, Step: step}).Do(effect.With(a))
}

func authorisationCame(s state, a Answer, in streams.Input) streams.Decision {
	id := event.OrderID(in.Key)
	if s.Stage != stepAuthorise {
		return streams.Nothing()
	}
	if !a.Done {
		d := streams.Emit(event.PaymentDeclined{Order: id, Reason: a.Reason})
		if s.Cancelled {
			d = d.Emit(event.PaymentVoided{Order: id, Amount: s.Amount.Zero()})
		}
		return d
	}
	return s.then(event.PaymentAuthorised{Order: id, Amount: s.Amount, Authorisation: a.ID}, id)
}

func captureCame(s state, a Answer, in streams.Input) streams.Decision {
	id := event.OrderID(in.Key)
	switch {
	case s.Stage != stepCapture:
		return streams.Nothing()
	case a.Done:
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
	if s.Stage != stepVoid {
		return streams.Nothing()
	}
	return streams.Emit(event.PaymentVoided{Order: event.OrderID(in.Key), Amount: s.Amount})
}

func refundCame(s state, _ Answer, in streams.Input) streams.Decision {
	if s.Stage != stepRefund {
		return streams.Nothing()
	}
	return streams.Emit(event.PaymentRefunded{Order: event.OrderID(in.Key), Amount: s.Amount})
}
