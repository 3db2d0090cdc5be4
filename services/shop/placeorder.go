package shop

import (
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

type emits = []streams.Event

// PlaceOrder takes an order from the customer's click to a parcel with the
// carrier, or back to nothing held and nothing paid.
var PlaceOrder = streams.Saga{
	Name:   "place-order",
	Starts: event.OrderPlaced{},
	Ends:   emits{event.OrderClosed{}},
	Within: 15 * time.Minute,
	Once: emits{event.OrderPlaced{}, event.StockReserved{}, event.PaymentAuthorised{}, event.OrderConfirmed{}, event.PaymentCaptured{}, event.OrderReleased{},
		event.ShipmentDispatched{}, event.OrderShipped{}, event.StockShipped{}, event.OrderCancelled{}, event.StockReleased{}, event.PaymentVoided{},
		event.PaymentRefunded{}, event.MailSent{}, event.OrderClosed{}},
	Answers:      emits{event.OrderConfirmed{}, event.OrderCancelled{}},
	AnswerWithin: time.Second,
	Undo:         emits{event.OrderCancelled{}, event.StockFreed{}, event.StockReleased{}, event.PaymentVoided{}, event.PaymentRefunded{}},
}
