package event

import "github.com/weirstream/weir/streams"

// ShipmentPlanned notes where an order will go, until it is released.
type ShipmentPlanned struct {
	Order  OrderID `json:"order"`
	ShipTo Address `json:"ship_to" weir:"personal"`
}

// ShipmentCleared notes a release that came before the address.
type ShipmentCleared struct {
	Order OrderID `json:"order"`
}

// ShipmentAsked notes that the carrier is being asked for a label.
type ShipmentAsked struct {
	Order OrderID `json:"order"`
}

// ShipmentDispatched says that the carrier took the parcel.
type ShipmentDispatched struct {
	Order    OrderID `json:"order"`
	Carrier  string  `json:"carrier"`
	Tracking string  `json:"tracking"`
}

// ShipmentRefused is the carrier's definite no.
type ShipmentRefused struct {
	Order  OrderID `json:"order"`
	Reason string  `json:"reason"`
}

// Key is the order.
func (e ShipmentPlanned) Key() streams.Key { return e.Order }

// Key is the order.
func (e ShipmentCleared) Key() streams.Key { return e.Order }

// Key is the order.
func (e ShipmentAsked) Key() streams.Key { return e.Order }

// Key is the order.
func (e ShipmentDispatched) Key() streams.Key { return e.Order }

// Key is the order.
func (e ShipmentRefused) Key() streams.Key { return e.Order }

var shippingFacts = []streams.Fact{
	streams.NewFact[ShipmentPlanned]("shipment.planned", streams.Private()),
	streams.NewFact[ShipmentCleared]("shipment.cleared", streams.Private()),
	streams.NewFact[ShipmentAsked]("shipment.asked", streams.Private()),
	streams.NewFact[ShipmentDispatched]("shipment.dispatched"),
	streams.NewFact[ShipmentRefused]("shipment.refused"),
}
