package event

import "github.com/weirstream/weir/streams"

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

// Key is the order that the fact is about.
func (e ShipmentDispatched) Key() streams.Key { return e.Order }
func (e ShipmentRefused) Key() streams.Key    { return e.Order }

var shippingFacts = []streams.Fact{
	streams.NewFact[ShipmentDispatched]("shipment.dispatched"),
	streams.NewFact[ShipmentRefused]("shipment.refused"),
}
