package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
)

// What is left is what the declaration says: what can be done now, and what
// comes after it, on the way that the saga has taken.
func TestWhatIsLeftIsDeclared(t *testing.T) {
	top := topology(t)
	s := shapeOf(top, shop.Business.Sagas)
	one, two := event.HoldRequested{SKU: "A", Order: "o1"}, event.HoldRequested{SKU: "B", Order: "o1"}
	held := event.StockHeld{Order: "o1", SKU: "A"}
	paid := []streams.Event{event.OrderPlaced{Order: "o1"}, one, held, event.StockReserved{Order: "o1"}, event.PaymentAuthorised{Order: "o1"}, event.OrderConfirmed{Order: "o1"}}
	for _, c := range []struct {
		name   string
		events []streams.Event
		want   string // those that can be done now with a !
	}{
		{"nothing", nil, ""},
		{"placed", []streams.Event{event.OrderPlaced{Order: "o1"}}, "claim! shelf claim payment order payment order shipment order claim message order"},
		{"one of two held", []streams.Event{event.OrderPlaced{Order: "o1"}, one, two, held}, "shelf! claim! payment order payment order shipment order claim message order"},
		{"all held", []streams.Event{event.OrderPlaced{Order: "o1"}, one, two, held, event.StockHeld{Order: "o1", SKU: "B"}, event.StockReserved{Order: "o1"}}, "payment! order payment order shipment order claim message order"},
		{"confirmed", paid, "payment! order shipment order claim message order"},
		{"shipped, and not yet noted", append(paid[:6:6], event.PaymentCaptured{Order: "o1"}, event.OrderReleased{Order: "o1"}, event.ShipmentDispatched{Order: "o1"}), "order! claim! message order"},
		{"told, and not booked out", append(paid[:6:6], event.PaymentCaptured{Order: "o1"}, event.OrderReleased{Order: "o1"}, event.ShipmentDispatched{Order: "o1"}, event.OrderShipped{Order: "o1"}, event.MailSent{Order: "o1"}), "claim! order"},
		{"one is short", []streams.Event{event.OrderPlaced{Order: "o1"}, one, event.StockShort{Order: "o1", SKU: "A"}}, "claim! order claim payment message order"},
		{"the capture is refused", append(paid[:6:6], event.PaymentCaptureRefused{Order: "o1"}), "order! claim payment message order"},
		{"cancelled", append(paid[:6:6], event.OrderCancelled{Order: "o1"}), "claim! payment! message! order"},
		{"all but told", append(paid[:6:6], event.OrderCancelled{Order: "o1"}, event.PaymentVoided{Order: "o1"}, event.StockReleased{Order: "o1"}), "message! order"},
		{"all is taken back", append(paid[:6:6], event.OrderCancelled{Order: "o1"}, event.PaymentRefunded{Order: "o1"}, event.StockReleased{Order: "o1"}, event.MailRefused{Order: "o1"}), "order!"},
		{"closed", append(paid[:6:6], event.OrderClosed{Order: "o1"}), ""},
	} {
		entries := entries(t, top, map[int][]streams.Event{0: c.events})
		held := 0
		for i := range entries {
			switch entries[i].Type {
			case "stock.held": // in the order of what was asked
				held++
				entries[i].Causation = fmt.Sprint("e", held)
			case "stock.reserved": // with the last
				entries[i].Causation = entries[i-1].ID
			}
		}
		var got []string
		for _, l := range s.ways["place-order"].left(s.hops(entries)) {
			if l.Now {
				l.By += "!"
			}
			got = append(got, l.By)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, want %s", c.name, strings.Join(got, " "), c.want)
		}
	}
}

// Every event that leads a saga on has words.
func TestEveryStepHasWords(t *testing.T) {
	c := &Console{Config: Config{Topology: topology(t)}}
	for saga, w := range shapeOf(c.Topology, shop.Business.Sagas).ways {
		for _, x := range append(w.on, w.back...) {
			what := c.toDo(x.to)
			if !strings.HasPrefix(what, "has to ") || strings.Contains(what, "bring about") {
				t.Errorf("%s: %s on %s %s", saga, x.by, x.on, what)
			}
		}
	}
}
