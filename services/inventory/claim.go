package inventory

import (
	"fmt"
	"slices"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// claims asks the shelves for an order's units, all or none. It is keyed by
// the order and talks to shelves, which are keyed by SKU, in events.
var claims = streams.Define("claim", event.OrderID(""), evolveClaim,
	streams.On(claimOrder, event.HoldRequested{}),
	streams.On(streams.While(open, lineHeld), LineClaimed{}, event.StockReserved{}),
	streams.On(streams.While(open, lineShort), event.StockRejected{}, event.HoldReleased{}),
	streams.On(release, event.HoldReleased{}, event.StockReleased{}),
	streams.On(ship, event.HoldShipped{}, event.StockShipped{}),
)

// LineClaimed notes in an order's claim that a shelf holds one of its SKUs.
type LineClaimed struct {
	Order event.OrderID `json:"order"`
	SKU   event.SKU     `json:"sku"`
}

// Key is the order.
func (e LineClaimed) Key() streams.Key { return e.Order }

type phase string

const (
	claiming phase = "claiming" // some shelves have not answered
	reserved phase = "reserved" // every SKU is held
	rejected phase = "rejected" // a SKU is short, all holds are given back
	released phase = "released"
	shipped  phase = "shipped"
)

type claim struct {
	Phase phase  `json:"phase,omitempty"`
	Wants []want `json:"wants,omitempty"` // gone when the claim has ended
	Open  int    `json:"open,omitempty"`  // wants that no shelf holds yet
}

type want struct {
	SKU      event.SKU `json:"sku"`
	Quantity int64     `json:"quantity"`
	Held     bool      `json:"held,omitempty"`
}

func evolveClaim(c claim, e streams.Event) claim {
	switch e := e.(type) {
	case event.HoldRequested:
		c.Phase, c.Open = claiming, c.Open+1
		c.Wants = append(c.Wants, want{SKU: e.SKU, Quantity: e.Quantity})
	case LineClaimed:
		if i := c.find(e.SKU); i >= 0 && !c.Wants[i].Held {
			c.Wants[i].Held, c.Open = true, c.Open-1
		}
	case event.StockReserved:
		c.Phase = reserved
	case event.StockRejected:
		return claim{Phase: rejected}
	case event.StockReleased:
		return claim{Phase: released}
	case event.StockShipped:
		return claim{Phase: shipped}
	}
	return c
}

func (c claim) find(sku event.SKU) int {
	return slices.IndexFunc(c.Wants, func(w want) bool { return w.SKU == sku })
}

func claimOrder(c claim, e event.OrderPlaced, _ streams.Input) streams.Decision {
	if c.Phase != "" {
		return streams.Nothing()
	}
	return streams.Emit(each(e.Holds(), func(h event.HoldRequested) streams.Event { return h })...)
}

func each[W any](wants []W, f func(W) streams.Event) []streams.Event {
	out := make([]streams.Event, len(wants))
	for i, w := range wants {
		out[i] = f(w)
	}
	return out
}

// open is what a claim is until it has ended: behind our HoldRequested, each shelf then
// has our HoldReleased.
func open(c claim) bool { return c.Phase == claiming }

func lineHeld(c claim, e event.StockHeld, _ streams.Input) streams.Decision {
	i := c.find(e.SKU)
	if i < 0 || c.Wants[i].Held {
		return streams.Nothing()
	}
	d := streams.Emit(LineClaimed{Order: e.Order, SKU: e.SKU})
	if c.Open == 1 {
		d = d.Emit(event.StockReserved{Order: e.Order})
	}
	return d
}

func lineShort(c claim, e event.StockShort, _ streams.Input) streams.Decision {
	return c.giveBack(streams.Emit(event.StockRejected{Order: e.Order, SKU: e.SKU}), e.Order)
}

// giveBack releases every SKU, also those whose shelf has not answered: its
// topic keeps the release behind the request.
func (c claim) giveBack(d streams.Decision, id event.OrderID) streams.Decision {
	return d.Emit(each(c.Wants, func(w want) streams.Event { return event.HoldReleased{SKU: w.SKU, Order: id} })...)
}

func release(c claim, e event.OrderCancelled, _ streams.Input) streams.Decision {
	switch c.Phase {
	case released:
		return streams.Nothing()
	case shipped:
		return streams.Fail(fmt.Errorf("order %s was cancelled after its units left: count the shelves", e.Order))
	}
	return c.giveBack(streams.Nothing(), e.Order).Emit(event.StockReleased{Order: e.Order})
}

func ship(c claim, e event.ShipmentDispatched, _ streams.Input) streams.Decision {
	if c.Phase == shipped {
		return streams.Nothing()
	}
	if c.Phase != reserved { // cannot follow from the events: this store, or another, was restored
		return streams.Fail(fmt.Errorf("order %s was shipped while its claim is %q: count the shelves", e.Order, c.Phase))
	}
	return streams.Emit(each(c.Wants, func(w want) streams.Event {
		return event.HoldShipped{SKU: w.SKU, Order: e.Order, Quantity: w.Quantity}
	})...).Emit(event.StockShipped{Order: e.Order})
}
