package shipping_test

import (
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shipping"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

const id event.OrderID = "key-1" // the key of an outcome under test

func given(t *testing.T, history ...streams.Event) *streamtest.Case {
	t.Helper()
	return streamtest.Given(t, shipping.Service.Deciders[0], history...)
}

func TestShipment(t *testing.T) {
	to := event.Address{Name: "Ada", City: "Leeds"}
	placed := event.OrderPlaced{Order: id, ShipTo: to}
	released := event.OrderReleased{Order: id}
	planned := shipping.Planned{Order: id, ShipTo: to}
	cleared := shipping.Cleared{Order: id}
	asked := shipping.Asked{Order: id}
	dispatched := event.ShipmentDispatched{Order: id, Carrier: "post", Tracking: "T1"}
	refused := event.ShipmentRefused{Order: id, Reason: "island"}
	label := shipping.Label{Order: id, ShipTo: to}

	t.Run("address first", func(t *testing.T) {
		given(t).When(placed).Then(planned).AsksNothing()
		given(t, planned).When(released).Then(asked).Asks("label", "key-1/label", label)
	})
	t.Run("release first", func(t *testing.T) {
		given(t).When(released).Then(cleared).AsksNothing()
		given(t, cleared).When(placed).Then(planned, asked).Asks("label", "key-1/label", label)
	})
	t.Run("one label for repeats", func(t *testing.T) {
		given(t, planned).When(placed).Then().AsksNothing()
		given(t, cleared).When(released).Then().AsksNothing()
		given(t, planned, asked).When(released).Then().AsksNothing()
		given(t, cleared, planned, asked).When(placed).Then().AsksNothing()
	})
	t.Run("answer", func(t *testing.T) {
		given(t, planned, asked).WhenOutcome("label", shipping.Answer{Carrier: "post", Tracking: "T1"}).Then(dispatched)
		given(t, planned, asked).WhenOutcome("label", shipping.Answer{Reason: "island"}).Then(refused)
		given(t, planned, asked, dispatched).WhenOutcome("label", shipping.Answer{Carrier: "post", Tracking: "T1"}).Then()
	})
}
