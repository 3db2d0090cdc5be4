package sagas

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
	Answers: emits{event.OrderConfirmed{}, event.OrderCancelled{}},
	Steps: []streams.Step{
		{By: "order", After: "place-order", Emits: emits{event.OrderPlaced{}}},

		// Claim the stock, all or none.
		{By: "claim", On: event.OrderPlaced{}, Emits: emits{event.HoldRequested{}}},
		{By: "shelf", On: event.HoldRequested{}, Emits: emits{event.StockHeld{}, event.StockShort{}}},
		{By: "claim", On: event.StockHeld{}, Emits: emits{event.LineClaimed{}, event.StockReserved{}}},
		{By: "claim", On: event.StockShort{}, Emits: emits{event.StockRejected{}, event.HoldReleased{}}},

		// Set the money aside once the stock is there, and confirm.
		{By: "payment", On: event.OrderPlaced{}, Emits: emits{event.PaymentDue{}, event.PaymentAsked{}, event.PaymentAuthorised{}, event.PaymentDeclined{}}},
		{By: "payment", On: event.StockReserved{}, Emits: emits{event.PaymentNoted{}, event.PaymentAsked{}, event.PaymentAuthorised{}, event.PaymentDeclined{}}},
		{By: "order", On: event.PaymentAuthorised{}, Emits: emits{event.OrderConfirmed{}}},

		// Take the money, then hand the order to the carrier.
		{By: "payment", On: event.OrderConfirmed{}, Emits: emits{event.PaymentAsked{}, event.PaymentCaptured{}, event.PaymentCaptureRefused{}}},
		{By: "order", On: event.PaymentCaptured{}, Emits: emits{event.OrderReleased{}}},
		{By: "shipment", On: event.OrderPlaced{}, Emits: emits{event.ShipmentPlanned{}, event.ShipmentAsked{}, event.ShipmentDispatched{}, event.ShipmentRefused{}}},
		{By: "shipment", On: event.OrderReleased{}, Emits: emits{event.ShipmentCleared{}, event.ShipmentAsked{}, event.ShipmentDispatched{}, event.ShipmentRefused{}}},
		{By: "order", On: event.ShipmentDispatched{}, Emits: emits{event.OrderShipped{}}},
		{By: "claim", On: event.ShipmentDispatched{}, Emits: emits{event.HoldShipped{}, event.StockShipped{}}},
		{By: "shelf", On: event.HoldShipped{}, Emits: emits{event.StockDrawn{}}},

		// Whatever refuses, and the customer, cancels.
		{By: "order", On: event.StockRejected{}, Emits: emits{event.OrderCancelled{}}, Undo: true},
		{By: "order", On: event.PaymentDeclined{}, Emits: emits{event.OrderCancelled{}}, Undo: true},
		{By: "order", On: event.PaymentCaptureRefused{}, Emits: emits{event.OrderCancelled{}}, Undo: true},
		{By: "order", On: event.ShipmentRefused{}, Emits: emits{event.OrderCancelled{}}, Undo: true},
		{By: "order", After: "cancel-order", Emits: emits{event.OrderCancelled{}}, Undo: true},

		// Deadlines: before the release they cancel, after it they only report.
		{By: "order", After: "confirm-by", Emits: emits{event.OrderCancelled{}}, Undo: true},
		{By: "order", After: "capture-by", Emits: emits{event.OrderCancelled{}}, Undo: true},
		{By: "order", After: "ship-by", Emits: emits{event.OrderDelayed{}}},
		{By: "order", After: "close-by", Emits: emits{event.OrderDelayed{}}},

		// Each side takes back what it did.
		{By: "claim", On: event.OrderCancelled{}, Emits: emits{event.HoldReleased{}, event.StockReleased{}}, Undo: true},
		{By: "shelf", On: event.HoldReleased{}, Emits: emits{event.StockFreed{}}, Undo: true},
		{By: "payment", On: event.OrderCancelled{}, Emits: emits{event.PaymentNoted{}, event.PaymentAsked{}, event.PaymentVoided{}, event.PaymentRefunded{}}, Undo: true},

		// The customer hears how it ended.
		{By: "message", On: event.OrderPlaced{}, Emits: emits{event.MailAddressed{}}},
		{By: "message", On: event.OrderShipped{}, Emits: emits{event.MailAsked{}, event.MailSent{}, event.MailRefused{}}},
		{By: "message", On: event.OrderCancelled{}, Emits: emits{event.MailAsked{}, event.MailSent{}, event.MailRefused{}}, Undo: true},

		// The order closes with the last side.
		{By: "order", On: event.StockShipped{}, Emits: emits{event.OrderSettled{}, event.OrderClosed{}}},
		{By: "order", On: event.StockReleased{}, Emits: emits{event.OrderSettled{}, event.OrderClosed{}}, Undo: true},
		{By: "order", On: event.PaymentVoided{}, Emits: emits{event.OrderSettled{}, event.OrderClosed{}}, Undo: true},
		{By: "order", On: event.PaymentRefunded{}, Emits: emits{event.OrderSettled{}, event.OrderClosed{}}, Undo: true},
		{By: "order", On: event.MailSent{}, Emits: emits{event.OrderSettled{}, event.OrderClosed{}}},
		{By: "order", On: event.MailRefused{}, Emits: emits{event.OrderSettled{}, event.OrderClosed{}}},
	},
}
