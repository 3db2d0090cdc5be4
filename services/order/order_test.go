package order_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

const id event.OrderID = "key-1" // of a timer under test

func given(t *testing.T, history ...streams.Event) *streamtest.Case {
	t.Helper()
	return streamtest.Given(t, order.Service.Deciders[0], history...)
}

func eur(minor int64) event.Money { return event.Money{Minor: minor, Currency: "EUR"} }

func command() order.PlaceOrder {
	return order.PlaceOrder{Order: id, Customer: "c-7", Email: "ada@example.org", Card: "tok-1",
		ShipTo: event.Address{Name: "Ada", Street: "1 Mill Lane", City: "Leeds", Postcode: "LS1", Country: "GB"},
		Lines:  []event.Line{{SKU: "mug", Quantity: 2, Unit: eur(250)}, {SKU: "jug", Quantity: 1, Unit: eur(900)}, {SKU: "mug", Quantity: 1, Unit: eur(250)}}}
}

func placed(c order.PlaceOrder, total event.Money) event.OrderPlaced {
	return event.OrderPlaced{Order: c.Order, Customer: c.Customer, Email: c.Email, ShipTo: c.ShipTo, Card: c.Card, Lines: c.Lines, Total: total}
}

var (
	isPlaced    = placed(command(), eur(1650))
	isConfirmed = event.OrderConfirmed{Order: id, Total: eur(1650), Lines: 3}
	isReleased  = event.OrderReleased{Order: id}
	isShipped   = event.OrderShipped{Order: id, Carrier: "post", Tracking: "T1"}
	isCancelled = event.OrderCancelled{Order: id, Reason: "changed my mind"}
	fulfilled   = event.OrderClosed{Order: id, Outcome: event.Fulfilled}
	undone      = event.OrderClosed{Order: id, Outcome: event.Cancelled}
)

// The life of an order, step by step.
func upTo(last streams.Event) []streams.Event {
	life := []streams.Event{isPlaced, isConfirmed, isReleased, isShipped}
	for i, e := range life {
		if fmt.Sprintf("%T", e) == fmt.Sprintf("%T", last) {
			return life[:i+1]
		}
	}
	return nil
}

func settled(side string) order.Settled { return order.Settled{Order: id, Side: side} }

func TestPlace(t *testing.T) {
	reply := order.Reply{Order: id, State: "placed", Total: eur(1650)}
	given(t).When(command()).Then(isPlaced).Sets("confirm-by", 2*time.Minute).Replies(reply)

	t.Run("again with the same content changes nothing, at any time", func(t *testing.T) {
		given(t, isPlaced).When(command()).Then().Replies(reply)
		given(t, isPlaced, isCancelled, undone).When(command()).Then().Replies(reply)
	})
	t.Run("again with other content is refused", func(t *testing.T) {
		other := command()
		other.Lines = append(other.Lines, event.Line{SKU: "cup", Quantity: 1, Unit: eur(1)})
		given(t, isPlaced).When(other).Rejected("order-exists")
	})
	t.Run("675 lines", func(t *testing.T) {
		c := command()
		c.Lines = nil
		for i := range 675 {
			c.Lines = append(c.Lines, event.Line{SKU: event.SKU(fmt.Sprintf("sku-%d", i%600)), Quantity: int64(i + 1), Unit: eur(3)})
		}
		given(t).When(c).Then(placed(c, eur(3*675*676/2)))
	})
}

func TestPlaceRefuses(t *testing.T) {
	line := func(change func(*event.Line)) func(*order.PlaceOrder) {
		return func(c *order.PlaceOrder) { change(&c.Lines[1]) }
	}
	for name, change := range map[string]func(*order.PlaceOrder){
		"no lines":         func(c *order.PlaceOrder) { c.Lines = nil },
		"too many lines":   func(c *order.PlaceOrder) { c.Lines = make([]event.Line, 5_001) },
		"quantity 0":       line(func(l *event.Line) { l.Quantity = 0 }),
		"quantity -1":      line(func(l *event.Line) { l.Quantity = -1 }),
		"quantity 1000001": line(func(l *event.Line) { l.Quantity = 1_000_001 }),
		"free of charge":   line(func(l *event.Line) { l.Unit.Minor = 0 }),
		"negative price":   line(func(l *event.Line) { l.Unit.Minor = -5 }),
		"no SKU":           line(func(l *event.Line) { l.SKU = "" }),
		"SKU with NUL":     line(func(l *event.Line) { l.SKU = "a\x00b" }),
		"two currencies":   line(func(l *event.Line) { l.Unit.Currency = "GBP" }),
		"small currency": func(c *order.PlaceOrder) {
			c.Lines = []event.Line{{SKU: "a", Quantity: 1, Unit: event.Money{Minor: 1, Currency: "eur"}}}
		},
		"a line overflows":               line(func(l *event.Line) { l.Unit.Minor = math.MaxInt64 - 1; l.Quantity = 2 }),
		"the total overflows":            line(func(l *event.Line) { l.Unit.Minor = math.MaxInt64 }),
		"more than an order may come to": line(func(l *event.Line) { l.Unit.Minor, l.Quantity = event.MaxTotal, 1 }),
		"a mail of two lines":            func(c *order.PlaceOrder) { c.Email = "a@b\r\nRCPT TO:<x@y>" },
		"no mail address":                func(c *order.PlaceOrder) { c.Email = "nobody" },
		"a name of two lines":            func(c *order.PlaceOrder) { c.ShipTo.Name = "Ada\nBcc: eve" },
		"escapes for a card":             func(c *order.PlaceOrder) { c.Card = "tok\x1b[2J" },
		"a novel for a name":             func(c *order.PlaceOrder) { c.ShipTo.Name = strings.Repeat("x", 255) },
	} {
		t.Run(name, func(t *testing.T) {
			c := command()
			change(&c)
			given(t).When(c).Rejected("invalid-order")
		})
	}
}

func TestTheGoodEnd(t *testing.T) {
	given(t, upTo(isPlaced)...).When(event.PaymentAuthorised{Order: id, Amount: eur(1650), Authorisation: "A"}).
		Then(isConfirmed).Cancels("confirm-by").Sets("capture-by", 10*time.Minute)
	given(t, upTo(isConfirmed)...).When(event.PaymentCaptured{Order: id, Amount: eur(1650)}).
		Then(isReleased).Cancels("capture-by").Sets("ship-by", 30*time.Minute)
	given(t, upTo(isReleased)...).When(event.ShipmentDispatched{Order: id, Carrier: "post", Tracking: "T1"}).
		Then(isShipped).Cancels("ship-by").Sets("close-by", 10*time.Minute)

	t.Run("closes with the last side, stock or mail", func(t *testing.T) {
		given(t, upTo(isShipped)...).When(event.StockShipped{Order: id}).Then(settled("stock"))
		given(t, append(upTo(isShipped), settled("stock"))...).When(event.MailSent{Order: id}).Then(fulfilled).Cancels("close-by")
		given(t, append(upTo(isShipped), settled("stock"))...).When(event.MailRefused{Order: id}).Then(fulfilled)
		given(t, append(upTo(isShipped), settled("mail"))...).When(event.StockShipped{Order: id}).Then(fulfilled)
	})
	t.Run("stock may overtake the shipment's own news", func(t *testing.T) {
		early := append(upTo(isReleased), settled("stock"))
		given(t, upTo(isReleased)...).When(event.StockShipped{Order: id}).Then(settled("stock"))
		given(t, early...).When(event.StockShipped{Order: id}).Then()
		given(t, append(early, isShipped)...).When(event.MailSent{Order: id}).Then(fulfilled)
	})
	t.Run("repeats change nothing", func(t *testing.T) {
		end := append(upTo(isShipped), fulfilled)
		for _, e := range []streams.Event{event.PaymentAuthorised{Order: id}, event.PaymentCaptured{Order: id}, event.ShipmentDispatched{Order: id},
			event.StockShipped{Order: id}, event.MailSent{Order: id}} {
			given(t, end...).When(e).Then()
		}
	})
}

func TestRefusalsCancel(t *testing.T) {
	for _, c := range []struct {
		no     streams.Event
		reason string
		in     streams.Event
	}{
		{event.StockRejected{Order: id, SKU: "jug"}, "out of stock: jug", isPlaced},
		{event.PaymentDeclined{Order: id, Reason: "poor"}, "payment declined: poor", isPlaced},
		{event.PaymentCaptureRefused{Order: id, Reason: "gone"}, "not captured: gone", isConfirmed},
		{event.ShipmentRefused{Order: id, Reason: "island"}, "cannot be shipped: island", isReleased},
	} {
		given(t, upTo(c.in)...).When(c.no).Then(event.OrderCancelled{Order: id, Reason: c.reason}).
			Cancels("confirm-by", "capture-by", "ship-by").Sets("close-by", 10*time.Minute)
		given(t, append(upTo(c.in), isCancelled)...).When(c.no).Then()
		given(t, upTo(isShipped)...).When(c.no).Then()
	}
}

func TestCancelCommand(t *testing.T) {
	c := order.CancelOrder{Order: id, Reason: "changed my mind"}
	reply := order.Reply{Order: id, State: "cancelled"}
	given(t).When(c).Rejected("unknown-order")
	given(t, upTo(isPlaced)...).When(c).Then(isCancelled).Replies(reply).Sets("close-by", 10*time.Minute)
	given(t, upTo(isConfirmed)...).When(c).Then(isCancelled).Replies(reply)
	given(t, upTo(isReleased)...).When(c).Rejected("already-shipping")
	given(t, upTo(isShipped)...).When(c).Rejected("already-shipping")
	given(t, append(upTo(isShipped), fulfilled)...).When(c).Rejected("already-shipping")
	given(t, isPlaced, isCancelled).When(c).Then().Replies(reply)
	given(t, isPlaced, isCancelled, undone).When(c).Then().Replies(reply)
}

func TestTheCancelledEnd(t *testing.T) {
	for _, way := range [][]streams.Event{{isPlaced, isCancelled}, {isPlaced, isConfirmed, isCancelled}, {isPlaced, isConfirmed, isReleased, isCancelled}} {
		given(t, way...).When(event.StockReleased{Order: id}).Then(settled("stock"))
		given(t, append(way, settled("stock"))...).When(event.PaymentVoided{Order: id}).Then(settled("payment"))
		given(t, append(way, settled("stock"), settled("payment"))...).When(event.MailRefused{Order: id}).Then(undone).Cancels("close-by")
		given(t, append(way, settled("mail"), settled("stock"))...).When(event.PaymentRefunded{Order: id}).Then(undone)
		given(t, append(way, settled("mail"), settled("payment"))...).When(event.StockReleased{Order: id}).Then(undone)
		given(t, append(way, settled("payment"))...).When(event.PaymentVoided{Order: id}).Then()
	}
	t.Run("late news of a cancelled order changes nothing", func(t *testing.T) {
		for _, e := range []streams.Event{event.PaymentAuthorised{Order: id}, event.PaymentCaptured{Order: id}, event.PaymentDeclined{Order: id},
			event.StockRejected{Order: id}, event.PaymentCaptureRefused{Order: id}} {
			given(t, isPlaced, isCancelled).When(e).Then()
			given(t, isPlaced, isCancelled, undone).When(e).Then()
		}
	})
}

func TestDeadlines(t *testing.T) {
	given(t, upTo(isPlaced)...).WhenTimer("confirm-by", id).Then(event.OrderCancelled{Order: id, Reason: "not confirmed in time"}).Sets("close-by", 10*time.Minute)
	given(t, upTo(isConfirmed)...).WhenTimer("confirm-by", id).Then()
	given(t, upTo(isConfirmed)...).WhenTimer("capture-by", id).Then(event.OrderCancelled{Order: id, Reason: "not captured in time"})
	given(t, upTo(isReleased)...).WhenTimer("capture-by", id).Then()
	given(t, upTo(isReleased)...).WhenTimer("ship-by", id).Then(event.OrderDelayed{Order: id, WaitingFor: []string{"shipment"}})
	given(t, upTo(isShipped)...).WhenTimer("close-by", id).Then(event.OrderDelayed{Order: id, WaitingFor: []string{"stock", "mail"}})
	given(t, isPlaced, isCancelled, settled("stock")).WhenTimer("close-by", id).Then(event.OrderDelayed{Order: id, WaitingFor: []string{"payment", "mail"}})
	given(t, isPlaced, isCancelled, undone).WhenTimer("close-by", id).Then()
}
