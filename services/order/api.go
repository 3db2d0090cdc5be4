package order

import (
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

var commands = []business.Command{
	{Name: "place-order", Path: "/v1/orders", Success: 201, Caller: business.Buyer, Summary: "Place an order", Reply: Reply{}, MakesKey: "o-", Example: example},
	{Name: "cancel-order", Path: "/v1/orders/{order}/cancel", Caller: business.Buyer, Summary: "Cancel an order that is not released to shipping", Reply: Reply{}, Example: CancelOrder{example.Order, "changed my mind"}},
}

var example = PlaceOrder{Order: "o-1", Customer: "c-7", Email: "ada@example.org", Card: "tok-7",
	ShipTo: event.Address{Name: "Ada Byron", Street: "1 Mill Lane", City: "Leeds", Postcode: "LS1 1AA", Country: "GB"},
	Lines:  []event.Line{{SKU: "mug", Quantity: 2, Unit: event.Money{Minor: 250, Currency: "GBP"}}}}

// PlaceOrder is refused with "invalid-order", or "order-exists" if the id has other content.
type PlaceOrder struct {
	Order    event.OrderID `json:"order"`
	Customer string        `json:"customer" weir:"required,max=254"`
	Email    string        `json:"email" weir:"personal,max=254"` // empty: no mail is sent
	ShipTo   event.Address `json:"ship_to"`
	Card     string        `json:"card" weir:"personal,max=254"` // the provider's token, never a number
	Lines    []event.Line  `json:"lines" weir:"required,max=5000"`
}

// CancelOrder is refused with "unknown-order", or "already-shipping" once released.
type CancelOrder struct {
	Order  event.OrderID `json:"order"`
	Reason string        `json:"reason" weir:"max=254"`
}

// Reply answers both commands, also when they are repeated later.
type Reply struct {
	Order event.OrderID `json:"order"`
	State string        `json:"state"`          // "placed" or "cancelled"
	Total event.Money   `json:"total,omitzero"` // of what was placed
}

// Key is the order.
func (c PlaceOrder) Key() streams.Key  { return c.Order }
func (c CancelOrder) Key() streams.Key { return c.Order }

func place(s state, c PlaceOrder, _ streams.Input) streams.Decision {
	e, err := event.OrderPlaced{Order: c.Order, Customer: c.Customer, Email: c.Email, ShipTo: c.ShipTo, Card: c.Card, Lines: c.Lines}.Priced()
	if err != nil {
		return streams.Reject(streams.Invalid, "invalid-order", "%v", err)
	}
	reply := Reply{Order: c.Order, State: "placed", Total: e.Total}
	switch s.Digest {
	case "":
		return streams.Emit(e).After("confirm-by", ConfirmBy, c.Order).Reply(reply)
	case e.Digest():
		return streams.Nothing().Reply(reply)
	}
	return streams.Reject(streams.Conflict, "order-exists", "order %s was placed with other content: choose another id", c.Order)
}

func cancel(s state, c CancelOrder, _ streams.Input) streams.Decision {
	reply := Reply{Order: c.Order, State: "cancelled"}
	switch s.Phase {
	case "":
		return streams.Reject(streams.Missing, "unknown-order", "there is no order %s", c.Order)
	case cancelled:
		return streams.Nothing().Reply(reply)
	case placed, confirmed:
		return undo(c.Order, event.Clip(c.Reason)).Reply(reply)
	}
	return streams.Reject(streams.Conflict, "already-shipping", "order %s is %s: ask for a return when it has arrived", c.Order, s.Phase)
}
