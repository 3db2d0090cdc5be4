// Package shipping hands released orders to the carrier.
package shipping

import (
	"errors"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shipping/carrier"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Service is the shipping service.
var Service = business.Service{Name: "shipping", Deciders: []*streams.Decider{decider}, Facts: facts,
	Endpoints: []business.Endpoint{carrier.Endpoint}}

var facts = []streams.Fact{
	streams.NewFact[Planned]("shipment.planned", streams.Private()),
	streams.NewFact[Cleared]("shipment.cleared", streams.Private()),
	streams.NewFact[Asked]("shipment.asked", streams.Private()),
}

// Planned notes where an order will go, until it is released.
type Planned struct {
	Order  event.OrderID `json:"order"`
	ShipTo event.Address `json:"ship_to"`
}

// Cleared notes a release that came before the address.
type Cleared struct {
	Order event.OrderID `json:"order"`
}

// Asked notes that the carrier is being asked for a label.
type Asked struct {
	Order event.OrderID `json:"order"`
}

// Key is the order.
func (e Planned) Key() streams.Key { return e.Order }
func (e Cleared) Key() streams.Key { return e.Order }
func (e Asked) Key() streams.Key   { return e.Order }

var decider = streams.Define("shipment", event.OrderID(""), evolve,
	streams.On(plan, Planned{}, Asked{}).Asks(label),
	streams.On(released, Cleared{}, Asked{}).Asks(label),
	streams.OnOutcome(label, labelCame, event.ShipmentDispatched{}, event.ShipmentRefused{}),
)

type state struct {
	Planned bool          `json:"planned,omitempty"`
	ShipTo  event.Address `json:"ship_to,omitzero"` // until it is used
	Cleared bool          `json:"cleared,omitempty"`
	Asked   bool          `json:"asked,omitempty"`
	Done    bool          `json:"done,omitempty"`
}

func evolve(s state, e streams.Event) state {
	switch e := e.(type) {
	case Planned:
		s.Planned, s.ShipTo = true, e.ShipTo
	case Cleared:
		s.Cleared = true
	case Asked:
		s.Asked, s.ShipTo = true, event.Address{}
	case event.ShipmentDispatched, event.ShipmentRefused:
		s.Done = true
	}
	return s
}

func plan(s state, e event.OrderPlaced, _ streams.Input) streams.Decision {
	if s.Planned {
		return streams.Nothing()
	}
	d := streams.Emit(Planned{Order: e.Order, ShipTo: e.ShipTo})
	if !s.Cleared {
		return d
	}
	return ask(d, e.Order, e.ShipTo)
}

func released(s state, e event.OrderReleased, _ streams.Input) streams.Decision {
	switch {
	case s.Cleared || s.Asked:
		return streams.Nothing()
	case !s.Planned:
		return streams.Emit(Cleared(e))
	}
	return ask(streams.Nothing(), e.Order, s.ShipTo)
}

func ask(d streams.Decision, id event.OrderID, to event.Address) streams.Decision {
	return d.Emit(Asked{Order: id}).Do(label.With(Label{Order: id, ShipTo: to}))
}

func labelCame(s state, a Answer, in streams.Input) streams.Decision {
	id := event.OrderID(in.Key)
	switch {
	case !s.Asked || s.Done:
		return streams.Nothing()
	case a.Tracking == "":
		return streams.Emit(event.ShipmentRefused{Order: id, Reason: a.Reason})
	}
	return streams.Emit(event.ShipmentDispatched{Order: id, Carrier: a.Carrier, Tracking: a.Tracking})
}

// Label asks the carrier to take a parcel.
type Label struct {
	Order  event.OrderID `json:"order"`
	ShipTo event.Address `json:"ship_to"`
}

// Answer is the carrier's definite answer.
type Answer struct {
	Carrier  string `json:"carrier"`
	Tracking string `json:"tracking"` // empty: refused
	Reason   string `json:"reason"`
}

var label = streams.HTTPCall("label", "carrier", 2*time.Second,
	func(l Label) string { return string(l.Order) + "/label" },
	func(l Label) streams.HTTPRequest {
		return streams.HTTPRequest{Method: "POST", Path: "/v1/labels", Body: l}
	}, read)

// read takes 201 for a label and 422 for a definite no. Anything else proves
// nothing about the parcel, and the carrier is asked again.
func read(_ Label, res streams.HTTPResponse) (Answer, error) {
	var a Answer
	switch taken, err := res.Read(201, 422, &a); {
	case err != nil:
		return Answer{}, err
	case !taken:
		return Answer{Reason: event.Clip(a.Reason)}, nil
	case a.Tracking == "":
		return Answer{}, errors.New("no tracking number: check its address and log")
	}
	a.Reason = event.Clip(a.Reason)
	return a, nil
}
