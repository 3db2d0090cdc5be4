package shop

import (
	"fmt"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/review"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// customer buys one to five lines. Few articles are bought often and many seldom; one
// customer in fifty has second thoughts, one in ten says what the first thing is like.
var customer = business.Customer{Begins: PlaceOrder.Name, Visit: visit, BadDay: badDay, Probe: probe, Deliveries: deliveries, Delivery: delivery}

var home = event.Address{Name: "A Shopper", Street: "1 High Street", City: "Leeds", Postcode: "LS1 1AA", Country: "GB"}

func buys(name, who string, lines ...event.Line) business.Act {
	return business.Act{Command: "place-order", Body: order.PlaceOrder{Order: event.OrderID(name), Customer: who, Email: who + "@example.org",
		Card: "tok-" + who, ShipTo: home, Lines: lines}}
}

func line(sku string, quantity, minor int) event.Line {
	return event.Line{SKU: event.SKU(sku), Quantity: int64(quantity), Unit: event.Money{Minor: int64(minor), Currency: "GBP"}}
}

func visit(name string, chance business.Chance) []business.Act {
	lines := make([]event.Line, 1+chance.IntN(5))
	for i := range lines {
		n := chance.IntN(1 + chance.IntN(articles))
		lines[i] = line(article(n), 1+chance.IntN(4), 199+n*10)
	}
	who := fmt.Sprintf("c-%03d", chance.IntN(500))
	acts := []business.Act{buys(name, who, lines...)}
	switch n := chance.IntN(50); {
	case n == 0:
		acts = append(acts, business.Act{Command: "cancel-order", After: time.Duration(chance.IntN(50)) * time.Millisecond,
			Body: order.CancelOrder{Order: event.OrderID(name), Reason: "changed my mind"}})
	case n <= 5:
		acts = append(acts, reviews(who, lines[0].SKU, 2*time.Second, chance)...)
	}
	return acts
}

// reviews are what a customer writes of a product that should have been delivered by then,
// and what somebody of the shop makes of it.
func reviews(who string, product event.SKU, after time.Duration, chance business.Chance) []business.Act {
	w := review.Write{Stars: 1 + chance.IntN(5), Text: "As described."}
	m := review.Moderate{Publish: w.Stars > 1, Reason: "of the parcel, and not of the product"}
	w.Review = review.IDOf(who, product)
	m.Review = w.Review
	return []business.Act{{Command: "write-review", After: after, Body: w}, {Command: "moderate-review", After: 100 * time.Millisecond, Body: m}}
}

// badDay buys of four articles that there are and two that are made to order, the first
// of them most; one customer in four has second thoughts within four seconds, and one
// in four writes a review, delivered or not.
func badDay(name string, chance business.Chance) []business.Act {
	var lines []event.Line
	for range 1 + chance.IntN(3) {
		n := 0
		if chance.IntN(3) > 0 {
			n = chance.IntN(6)
		}
		lines = append(lines, line(article(n), 1+chance.IntN(4), 250))
	}
	acts := []business.Act{buys(name, "c-"+name, lines...)}
	switch chance.IntN(4) {
	case 0:
		acts = append(acts, business.Act{Command: "cancel-order", After: time.Duration(1+chance.IntN(4000)) * time.Millisecond,
			Body: order.CancelOrder{Order: event.OrderID(name), Reason: "changed my mind"}})
	case 1:
		acts = append(acts, reviews("c-"+name, lines[0].SKU, time.Duration(1+chance.IntN(20))*time.Second, chance)...)
	}
	return acts
}

// articles is how many there are.
const articles = 200

func article(n int) string { return fmt.Sprintf("sku-%03d", n) }

// probe buys what only this probe has ever heard of: what all probes bought could be
// made to run out.
func probe(name string) business.Act { return buys(name, "probe", line(name, 1, 1)) }

func delivery(name string) streams.Event {
	return event.StockReceived{SKU: event.SKU(name), Quantity: 1}
}

// deliveries fill the shelves of the articles that are bought most; the others are made
// to order.
func deliveries(chance business.Chance) (out []streams.Event) {
	for n := range 4 {
		out = append(out, event.StockReceived{SKU: event.SKU(article(n)), Quantity: int64(5 + chance.IntN(60))})
	}
	return out
}
