package books

import (
	"maps"
	"slices"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/streams"
)

// orderBook is what all services together said about one order.
type orderBook struct {
	total   event.Money
	lines   map[event.SKU]*lineBook
	closing string // the outcome it closed with
	late    int    // facts of the order's own after it closed

	placed, confirmed, released, shipped, cancelled, closed int
	stockReleased, stockShipped, voided, refunded, mailed   int
	captured                                                event.Money
	captures, dispatched                                    int
}

// lineBook is what became of one SKU of an order.
type lineBook struct {
	wants, drawn              int64
	requested, givenUp, freed int
}

func (o *orderBook) line(sku event.SKU) *lineBook {
	l := o.lines[sku]
	if l == nil {
		l = &lineBook{}
		o.lines[sku] = l
	}
	return l
}

func (o *orderBook) fulfilled() bool { return o.closing == event.Fulfilled }

// undone tells whether everything that was done for the order has to be undone by now.
func (c *shop) undone(o *orderBook) bool {
	return o.cancelled > 0 && (c.Settled || o.closed > 0)
}

// Event takes one event to the books.
func (c *shop) Event(e streams.Event) {
	if c.foldOrder(e) || c.foldShelf(e) {
		return
	}
	switch e := e.(type) {
	case event.HoldRequested:
		c.order(e.Order).line(e.SKU).requested++
	case event.HoldReleased:
		c.order(e.Order).line(e.SKU).givenUp++
	case event.StockReleased:
		c.order(e.Order).stockReleased++
	case event.StockShipped:
		c.order(e.Order).stockShipped++
	case event.PaymentCaptured:
		o := c.order(e.Order)
		o.captured, o.captures = e.Amount, o.captures+1
	case event.PaymentVoided:
		c.order(e.Order).voided++
	case event.PaymentRefunded:
		c.order(e.Order).refunded++
	case event.ShipmentDispatched:
		c.order(e.Order).dispatched++
	case event.MailSent:
		c.order(e.Order).mailed++
	}
}

// foldOrder takes the facts that the order itself decides about.
func (c *shop) foldOrder(e streams.Event) bool {
	var o *orderBook
	switch e := e.(type) {
	case event.OrderPlaced:
		o = c.order(e.Order)
		o.placed, o.total = o.placed+1, e.Total
		for _, l := range e.Lines {
			o.line(l.SKU).wants += l.Quantity
		}
	case event.OrderConfirmed:
		o = c.order(e.Order)
		o.confirmed++
	case event.OrderReleased:
		o = c.order(e.Order)
		o.released++
	case event.OrderShipped:
		o = c.order(e.Order)
		o.shipped++
	case event.OrderCancelled:
		o = c.order(e.Order)
		o.cancelled++
	case event.OrderDelayed:
		o = c.order(e.Order)
	case order.Settled:
		o = c.order(e.Order)
	case event.OrderClosed:
		o = c.order(e.Order)
		if o.closed++; o.closed > 1 {
			return true // told as such
		}
		o.closing = e.Outcome
		return true
	default:
		return false
	}
	if o.closed > 0 {
		o.late++
	}
	return true
}

// Timer takes note of a timer that is set.
func (c *shop) Timer(t streams.Timer) {
	o := c.orders[event.OrderID(t.Stream.Key)]
	if t.Stream.Decider == "order" && (o == nil || o.closed > 0 || c.Settled) {
		c.Bad(Terminal, "timer %q of order %s is still set, for %s", t.Name, t.Stream.Key, t.Due.Format("15:04:05"))
	}
}

func (c *shop) judgeOrders() {
	for _, key := range c.Acknowledged {
		id, is := key.(event.OrderID)
		if o := c.orders[id]; is && (o == nil || o.placed == 0) {
			c.Bad(Terminal, "order %s was acknowledged and does not exist", id)
		}
	}
	ended := map[string]int{}
	defer func() {
		c.Note("%d orders were fulfilled and %d cancelled", ended[event.Fulfilled], ended[event.Cancelled])
	}()
	for _, id := range slices.Sorted(maps.Keys(c.orders)) {
		o := c.orders[id]
		ended[o.closing]++
		if o.placed == 0 {
			if c.Settled {
				c.Bad(Terminal, "order %s is spoken of and was never placed", id)
			}
			continue
		}
		c.judgeTerminal(id, o)
		c.judgeCompensation(id, o)
	}
}

func (c *shop) judgeTerminal(id event.OrderID, o *orderBook) {
	c.Looked(Terminal, 1)
	ended, want := [2]int{o.shipped, o.cancelled}, [2]int{0, 1}
	if o.fulfilled() {
		want = [2]int{1, 0}
	}
	switch {
	case o.closed > 1 || o.closed == 0 && c.Settled:
		c.Bad(Terminal, "order %s closed %d times (placed %d, confirmed %d, released %d, shipped %d, cancelled %d)", id, o.closed, o.placed, o.confirmed, o.released, o.shipped, o.cancelled)
	case o.closed == 1 && ended != want:
		c.Bad(Terminal, "order %s closed as %q, having been shipped %d and cancelled %d times", id, o.closing, o.shipped, o.cancelled)
	}
	for what, n := range map[string]int{"placed": o.placed, "confirmed": o.confirmed, "released": o.released, "shipped": o.shipped, "cancelled": o.cancelled} {
		if n > 1 {
			c.Bad(Terminal, "order %s was %s %d times", id, what, n)
		}
	}
	if o.shipped > o.released || o.released > o.confirmed {
		c.Bad(Terminal, "order %s was shipped %d, released %d and confirmed %d times: a step is missing", id, o.shipped, o.released, o.confirmed)
	}
	if o.late > 0 {
		c.Bad(Terminal, "order %s had %d events after it closed", id, o.late)
	}
}

// judgeCompensation checks that what was done for an order is undone once if
// it was cancelled, and never if it was fulfilled.
func (c *shop) judgeCompensation(id event.OrderID, o *orderBook) {
	c.Looked(Compensation, 1)
	back := o.voided + o.refunded
	switch {
	case c.undone(o) && o.stockReleased != 1, o.fulfilled() && o.stockReleased > 0, o.stockReleased > 1:
		c.Bad(Compensation, "order %s (cancelled %d, closed as %q) had its stock released %d times", id, o.cancelled, o.closing, o.stockReleased)
	case c.undone(o) && o.stockShipped > 0 || o.stockShipped > 1:
		c.Bad(Compensation, "order %s (cancelled %d, closed as %q) had its stock shipped %d times", id, o.cancelled, o.closing, o.stockShipped)
	}
	if c.undone(o) && back != 1 || o.fulfilled() && back > 0 || back > 1 {
		c.Bad(Compensation, "order %s (cancelled %d, closed as %q) had its payment voided %d and refunded %d times", id, o.cancelled, o.closing, o.voided, o.refunded)
	}
	for sku, l := range o.lines {
		if l.requested > 1 || l.givenUp > 1 || l.freed > 1 {
			c.Bad(Compensation, "order %s asked %d times for %s, gave it up %d times and it was freed %d times", id, l.requested, sku, l.givenUp, l.freed)
		}
	}
}
