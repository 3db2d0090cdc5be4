package books

import (
	"encoding/json"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// shelfBook counts the units of one SKU, from the shelf's own events.
type shelfBook struct {
	added, claimed, drawn int64 // of what was received
	madeToOrder           int64 // drawn without having been received
	holds                 map[event.OrderID]hold
	delivered             int64 // as the deliveries on the log say
	state                 *shelfState
}

type hold struct {
	quantity    int64
	madeToOrder bool
}

// shelfState is what the shelf remembers, in the form of its snapshot.
type shelfState struct {
	OnHand      int64                             `json:"on_hand"`
	Claimed     int64                             `json:"claimed"`
	Shipped     int64                             `json:"shipped"`
	MadeToOrder int64                             `json:"made_to_order"`
	Holds       map[event.OrderID]json.RawMessage `json:"holds"`
}

// foldShelf takes the facts that a shelf decides about.
func (c *shop) foldShelf(e streams.Event) bool {
	switch e := e.(type) {
	case event.StockAdded:
		c.shelf(e.SKU).added += e.Quantity
	case event.StockHeld:
		c.held(e)
	case event.StockFreed:
		c.gone(e.SKU, e.Order, e.Quantity, false)
		c.order(e.Order).line(e.SKU).freed++
	case event.StockDrawn:
		c.gone(e.SKU, e.Order, e.Quantity, true)
		c.order(e.Order).line(e.SKU).drawn += e.Quantity
	case event.StockShort:
	default:
		return false
	}
	c.Looked(Stock, 1)
	return true
}

func (c *shop) held(e event.StockHeld) {
	s := c.shelf(e.SKU)
	if h, twice := s.holds[e.Order]; twice {
		c.Bad(Stock, "%s is held twice for order %s: %d and %d", e.SKU, e.Order, h.quantity, e.Quantity)
	}
	s.holds[e.Order] = hold{e.Quantity, e.MadeToOrder}
	if e.MadeToOrder {
		return
	}
	s.claimed += e.Quantity
	if s.claimed > s.added-s.drawn {
		c.Bad(Stock, "%s is sold twice: %d are claimed with order %s, %d lie on the shelf", e.SKU, s.claimed, e.Order, s.added-s.drawn)
	}
}

// gone ends a hold: its units left the house, or are free again.
func (c *shop) gone(sku event.SKU, id event.OrderID, quantity int64, left bool) {
	s := c.shelf(sku)
	h, ok := s.holds[id]
	if !ok || h.quantity != quantity {
		c.Bad(Stock, "%s gives up %d units for order %s, which holds %d", sku, quantity, id, h.quantity)
	}
	delete(s.holds, id)
	if h.madeToOrder {
		if left {
			s.madeToOrder += h.quantity
		}
		return
	}
	s.claimed -= h.quantity
	if left {
		s.drawn += h.quantity
	}
	if s.claimed < 0 || s.drawn > s.added {
		c.Bad(Stock, "%s counts %d claimed and %d shipped of %d received", sku, s.claimed, s.drawn, s.added)
	}
}

// Snapshot takes note of what a shelf remembers.
func (c *shop) Snapshot(s streams.Snapshot) {
	if s.Stream.Decider != "shelf" {
		return
	}
	var st shelfState
	if err := json.Unmarshal(s.State, &st); err != nil {
		c.Bad(Stock, "the shelf of %s is kept in a form that cannot be read: %v", s.Stream.Key, err)
		return
	}
	c.shelf(event.SKU(s.Stream.Key)).state = &st
}

// Posted takes an event from outside: what was delivered has to be on a shelf.
func (c *shop) Posted(e streams.Event) {
	if d, ok := e.(event.StockReceived); ok && d.Quantity > 0 {
		c.shelf(d.SKU).delivered += d.Quantity
	}
}

func (c *shop) judgeShelves() {
	for sku, s := range c.shelves {
		if s.state != nil && c.Settled {
			c.judgeState(sku, s)
		}
		if c.Settled && c.Complete && s.added != s.delivered {
			c.Bad(Stock, "%s: %d units were delivered, %d put on the shelf", sku, s.delivered, s.added)
		}
		for id := range s.holds {
			if o := c.orders[id]; c.Settled && (o == nil || o.placed == 0 || o.closed > 0) {
				c.Bad(Stock, "%s still holds %d units for order %s, which is over or was never placed", sku, s.holds[id].quantity, id)
			}
		}
	}
	if !c.Settled {
		return
	}
	for id, o := range c.orders {
		for sku, l := range o.lines {
			if want := l.wants; o.fulfilled() && l.drawn != want || !o.fulfilled() && l.drawn != 0 {
				c.Bad(Stock, "order %s (closed as %q) wants %d of %s, and %d left the shelf", id, o.closing, want, sku, l.drawn)
			}
		}
	}
}

// judgeState compares what the shelf remembers with what it said.
func (c *shop) judgeState(sku event.SKU, s *shelfBook) {
	st := s.state
	if st.OnHand < 0 || st.Claimed < 0 || st.Claimed > st.OnHand {
		c.Bad(Stock, "%s counts %d on the shelf, %d of them claimed", sku, st.OnHand, st.Claimed)
	}
	free := st.OnHand - st.Claimed
	if free+st.Claimed+st.Shipped != s.added || st.Claimed != s.claimed || st.Shipped != s.drawn || st.MadeToOrder != s.madeToOrder || len(st.Holds) != len(s.holds) {
		c.Bad(Stock, "%s remembers %d free + %d claimed + %d shipped (%d made to order, %d holds); its events say %d received, %d claimed, %d shipped (%d made to order, %d holds)",
			sku, free, st.Claimed, st.Shipped, st.MadeToOrder, len(st.Holds), s.added, s.claimed, s.drawn, s.madeToOrder, len(s.holds))
	}
}
