// Package carrier is the other side of shipping, for who simulates it:
//
//	POST /v1/labels {order, ship_to}  201 {carrier, tracking} or 422 {reason}
//
// An address in the country "XX" is always refused.
package carrier

import (
	"encoding/json"
	"strings"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams/business"
)

// Endpoint is the carrier, and what can be wrong with it.
var Endpoint = business.Endpoint{Name: "carrier", What: "parcel carrier", Protocol: business.HTTP, Simulate: New, Refusals: []string{Refused}, Faults: []business.Fault{
	{Name: "carrier-down", What: "The carrier cuts every connection.", Effect: "Orders are confirmed and paid, and wait for their label.",
		Alerts: []string{"OutsideCallsBurn", "BreakerOpen"}, Trouble: business.Trouble{Down: true}},
}}

// Refused is the kind of refusal that can be drawn.
const Refused = "refused"

// books are the tracking numbers of each order's labels.
type books map[event.OrderID][]string

// New makes the carrier's books, with nothing in them.
func New() business.Counterpart { return books{} }

type ask struct {
	Order  event.OrderID `json:"order"`
	ShipTo event.Address `json:"ship_to"`
}

type label struct {
	Carrier  string `json:"carrier"`
	Tracking string `json:"tracking"`
}

func (b books) Paths() []string { return []string{"/v1/labels"} }

func (b books) Ledger() any { return b }

func (b books) Decide(c business.Call) (int, any) {
	var a ask
	if err := json.Unmarshal(c.Body, &a); err != nil || a.Order == "" {
		return 400, business.Refusal{Reason: "a label needs an order and an address"}
	}
	if a.ShipTo.Country == "XX" || c.Refuses(Refused) {
		return 422, business.Refusal{Reason: "we do not deliver there"}
	}
	return 201, label{"weir-post", strings.ToUpper(c.ID())}
}

func (b books) Settle(c business.Call, answer json.RawMessage) error {
	var a ask
	var l label
	if err := json.Unmarshal(c.Body, &a); err != nil {
		return err
	}
	if err := json.Unmarshal(answer, &l); err != nil {
		return err
	}
	b[a.Order] = append(b[a.Order], l.Tracking)
	return nil
}
