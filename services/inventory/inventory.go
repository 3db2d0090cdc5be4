// Package inventory decides what lies on each shelf and what each order may
// take from it. Stock is never sold twice: a shelf counts every hold.
package inventory

import (
	"math"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Service is the inventory service: an order's claim and a SKU's shelf.
var Service = business.Service{Name: "inventory", Deciders: []*streams.Decider{claims, shelves},
	Facts: []streams.Fact{streams.NewFact[LineClaimed]("line.claimed", streams.Private())},
	Questions: []business.Question{{Name: "stock", Title: "Stock", About: "Units of each product that left the house and that came, and how often it was short.",
		Of: business.Events(event.StockDrawn{}, event.StockAdded{}, event.StockShort{}), By: []business.Dimension{business.By("product", "sku")},
		Numbers: []business.Number{business.TotalOf("drawn", "quantity", event.StockDrawn{}), business.TotalOf("added", "quantity", event.StockAdded{}),
			business.Share("turnover", "drawn", "added"), business.HowMany("short", event.StockShort{}), business.TotalOf("missed", "quantity", event.StockShort{})}}}}

var shelves = streams.Define("shelf", event.SKU(""), evolveShelf,
	streams.On(receive, event.StockAdded{}),
	streams.On(hold, event.StockHeld{}, event.StockShort{}),
	streams.On(free, event.StockFreed{}),
	streams.On(draw, event.StockDrawn{}),
)

// shelf counts units of one SKU: 0 <= Claimed <= OnHand, and what was received
// is OnHand + Shipped. Units made to order stand outside these counts.
type shelf struct {
	Tracked     bool                      `json:"tracked,omitempty"` // something was received once
	OnHand      int64                     `json:"on_hand"`           // lies on the shelf, claimed or not
	Claimed     int64                     `json:"claimed"`           // of OnHand, held for orders
	Shipped     int64                     `json:"shipped"`
	MadeToOrder int64                     `json:"made_to_order,omitempty"` // shipped without having been received
	Holds       map[event.OrderID]holding `json:"holds,omitempty"`
}

type holding struct {
	Quantity    int64 `json:"quantity"`
	MadeToOrder bool  `json:"made_to_order,omitempty"`
}

func evolveShelf(s shelf, e streams.Event) shelf {
	switch e := e.(type) {
	case event.StockAdded:
		s.Tracked, s.OnHand = true, s.OnHand+e.Quantity
	case event.StockHeld:
		if s.Holds == nil {
			s.Holds = map[event.OrderID]holding{}
		}
		s.Holds[e.Order] = holding{e.Quantity, e.MadeToOrder}
		if !e.MadeToOrder {
			s.Claimed += e.Quantity
		}
	case event.StockFreed:
		return s.gone(e.Order, false)
	case event.StockDrawn:
		return s.gone(e.Order, true)
	}
	return s
}

// gone ends an order's hold: its units left the house, or are free again.
func (s shelf) gone(id event.OrderID, left bool) shelf {
	h := s.Holds[id]
	delete(s.Holds, id)
	switch {
	case h.MadeToOrder && left:
		s.MadeToOrder += h.Quantity
	case h.MadeToOrder:
	case left:
		s.Claimed, s.OnHand, s.Shipped = s.Claimed-h.Quantity, s.OnHand-h.Quantity, s.Shipped+h.Quantity
	default:
		s.Claimed -= h.Quantity
	}
	return s
}

func receive(s shelf, e event.StockReceived, _ streams.Input) streams.Decision {
	if e.Quantity < 1 || e.Quantity > math.MaxInt64-s.OnHand-s.Shipped {
		return streams.Reject(streams.Invalid, "invalid-quantity", "%d units of %s cannot be received: count again", e.Quantity, e.SKU)
	}
	return streams.Emit(event.StockAdded(e))
}

func hold(s shelf, e event.HoldRequested, _ streams.Input) streams.Decision {
	if _, ok := s.Holds[e.Order]; ok {
		return streams.Nothing()
	}
	if left := s.OnHand - s.Claimed; e.Quantity < 1 || s.Tracked && left < e.Quantity {
		return streams.Emit(event.StockShort{Order: e.Order, SKU: e.SKU, Quantity: e.Quantity, Available: left})
	}
	return streams.Emit(event.StockHeld{Order: e.Order, SKU: e.SKU, Quantity: e.Quantity, MadeToOrder: !s.Tracked})
}

// free has nothing to do for an order that was told StockShort.
func free(s shelf, e event.HoldReleased, _ streams.Input) streams.Decision {
	if h, ok := s.Holds[e.Order]; ok {
		return streams.Emit(event.StockFreed{SKU: e.SKU, Order: e.Order, Quantity: h.Quantity})
	}
	return streams.Nothing()
}

func draw(s shelf, e event.HoldShipped, _ streams.Input) streams.Decision {
	if h, ok := s.Holds[e.Order]; ok {
		return streams.Emit(event.StockDrawn{SKU: e.SKU, Order: e.Order, Quantity: h.Quantity})
	}
	return streams.Nothing()
}
