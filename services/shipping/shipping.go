// Package shipping hands released orders to the carrier.
package shipping

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shipping/carrier"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Service is the shipping service.
var Service = business.Service{Name: "shipping", Deciders: []*streams.Decider{decider}, Endpoints: []business.Endpoint{carrier.Endpoint}}

var decider = streams.Define("shipment", event.OrderID(""), evolve,
	streams.On(plan, event.ShipmentPlanned{}, event.ShipmentAsked{}).Asks(label),
	streams.On(released, event.ShipmentCleared{}, event.ShipmentAsked{}).Asks(label),
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
	case event.ShipmentPlanned:
		s.Planned, s.ShipTo = true, e.ShipTo
	case event.ShipmentCleared:
		s.Cleared = true
	case event.ShipmentAsked:
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
	d := streams.Emit(event.ShipmentPlanned{Order: e.Order, ShipTo: e.ShipTo})
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
		return streams.Emit(event.ShipmentCleared(e))
	}
	return ask(streams.Nothing(), e.Order, s.ShipTo)
}

func ask(d streams.Decision, id event.OrderID, to event.Address) streams.Decision {
	return d.Emit(event.ShipmentAsked{Order: id}).Do(label.With(Label{Order: id, ShipTo: to}))
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
	if err := json.Unmarshal(res.Body, &a); err != nil {
		return Answer{}, fmt.Errorf("carrier's answer (status %d) is not JSON: %w", res.Status, err)
	}
	a.Reason = event.Clip(a.Reason)
	switch {
	case res.Status == 201 && a.Tracking != "":
		return a, nil
	case res.Status == 422:
		return Answer{Reason: a.Reason}, nil
	}
	return Answer{}, fmt.Errorf("carrier answered with status %d (%s): check its address and log", res.Status, a.Reason)
}
