package event

import "github.com/weirstream/weir/streams"

// Line is one row of an order as the customer wrote it. A SKU may stand in
// several lines.
type Line struct {
	SKU      SKU   `json:"sku" weir:"required,max=64"`
	Quantity int64 `json:"quantity" weir:"min=1,max=1000000"`
	Unit     Money `json:"unit"` // price of one
}

// Address is where a parcel goes. Of all of it only the country says nothing of somebody.
type Address struct {
	Name     string `json:"name" weir:"personal,max=254"`
	Street   string `json:"street" weir:"personal,max=254"`
	City     string `json:"city" weir:"personal,max=254"`
	Postcode string `json:"postcode" weir:"personal,max=254"`
	Country  string `json:"country" weir:"max=254"`
}

// OrderPlaced begins the place-order saga.
type OrderPlaced struct {
	Order    OrderID `json:"order"`
	Customer string  `json:"customer"`
	Email    string  `json:"email" weir:"personal"` // empty: no mail is sent
	ShipTo   Address `json:"ship_to"`
	Card     string  `json:"card" weir:"personal"` // the provider's token, never a number
	Lines    []Line  `json:"lines"`
	Total    Money   `json:"total"`
}

// OrderConfirmed says that stock is reserved and the payment authorised.
type OrderConfirmed struct {
	Order OrderID `json:"order"`
	Total Money   `json:"total"`
	Lines int     `json:"lines"` // as written
}

// OrderReleased hands a paid order to shipping; nobody may cancel it from here.
type OrderReleased struct {
	Order OrderID `json:"order"`
}

// OrderShipped says that the carrier has the parcel.
type OrderShipped struct {
	Order    OrderID `json:"order"`
	Carrier  string  `json:"carrier"`
	Tracking string  `json:"tracking"`
}

// OrderCancelled asks every service to take back what it did for the order.
type OrderCancelled struct {
	Order  OrderID `json:"order"`
	Reason string  `json:"reason"`
}

// OrderDelayed says that a deadline passed which nobody may cut short.
type OrderDelayed struct {
	Order      OrderID  `json:"order"`
	WaitingFor []string `json:"waiting_for"` // "shipment", "stock", "payment", "mail"
}

// Outcomes of a closed order.
const (
	Fulfilled = "fulfilled"
	Cancelled = "cancelled"
)

// OrderClosed ends the place-order saga: nothing more will happen.
type OrderClosed struct {
	Order   OrderID `json:"order"`
	Outcome string  `json:"outcome"` // Fulfilled or Cancelled
}

// Key is the order that the fact is about.
func (e OrderPlaced) Key() streams.Key    { return e.Order }
func (e OrderConfirmed) Key() streams.Key { return e.Order }
func (e OrderReleased) Key() streams.Key  { return e.Order }
func (e OrderShipped) Key() streams.Key   { return e.Order }
func (e OrderCancelled) Key() streams.Key { return e.Order }
func (e OrderDelayed) Key() streams.Key   { return e.Order }
func (e OrderClosed) Key() streams.Key    { return e.Order }

var orderFacts = []streams.Fact{
	streams.NewFact[OrderPlaced]("order.placed",
		streams.Words("the order was placed", "has to place the order")),
	streams.NewFact[OrderConfirmed]("order.confirmed",
		streams.Words("the order was confirmed", "has to confirm the order")),
	streams.NewFact[OrderReleased]("order.released",
		streams.Words("the order was released to shipping", "has to release the order")),
	streams.NewFact[OrderShipped]("order.shipped",
		streams.Words("the order was shipped", "has to note the shipment")),
	streams.NewFact[OrderCancelled]("order.cancelled",
		streams.Words("the order was cancelled", "has to cancel the order")),
	streams.NewFact[OrderDelayed]("order.delayed",
		streams.Words("a deadline of the order passed", "has to report the delay")),
	streams.NewFact[OrderClosed]("order.closed",
		streams.Words("the order was closed", "has to close the order")),
}
