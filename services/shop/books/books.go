// Package books checks that the shop's books balance: what the services stored, and what
// the outside world says happened. It names the order or shelf of every disagreement.
package books

import (
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams/business"
)

// Names of the shop's own invariants.
const (
	Money        = "money"        // the provider has exactly what shipped orders cost
	Stock        = "stock"        // nothing is sold twice, nothing is held for ever
	Terminal     = "terminal"     // every placed order ends exactly once
	Compensation = "compensation" // what was done for a cancelled order is undone once
)

// Invariants are what the books show.
var Invariants = []business.Invariant{{Name: Money, Of: "orders"}, {Name: Stock, Of: "shelf events"}, {Name: Terminal, Of: "orders"}, {Name: Compensation, Of: "orders"}}

// ledgers are those of the endpoints, as far as there are any.
type ledgers struct {
	provider struct {
		Keys   map[string]effect         `json:"keys"`
		Orders map[event.OrderID]account `json:"books"`
	}
	carrier struct {
		Keys   map[string]effect          `json:"keys"`
		Labels map[event.OrderID][]string `json:"books"` // tracking numbers
	}
	mailbox struct {
		Mails map[string]tally `json:"keys"` // by Message-ID
	}
}

// effect is what became of one idempotency key.
type effect struct {
	Path string `json:"path"`
}

// account is what happened to one order's money in total.
type account struct {
	Authorised event.Money `json:"authorised"`
	Captured   event.Money `json:"captured"`
	Voided     event.Money `json:"voided"`
	Refunded   event.Money `json:"refunded"`
}

// tally counts the copies of one mail.
type tally struct {
	Copies int `json:"copies"`
}

// shop is one audit. Its memory is a little per order and SKU.
type shop struct {
	*business.Audit
	ledgers
	orders  map[event.OrderID]*orderBook
	shelves map[event.SKU]*shelfBook
}

// New opens the books for an audit.
func New(a *business.Audit) business.Books {
	return &shop{Audit: a, orders: map[event.OrderID]*orderBook{}, shelves: map[event.SKU]*shelfBook{}}
}

// Judge compares everything.
func (c *shop) Judge() {
	c.judgeOrders()
	c.judgeShelves()
	c.judgeMoney()
	c.judgeCarrier()
	c.judgeMail()
}

func (c *shop) order(id event.OrderID) *orderBook {
	o := c.orders[id]
	if o == nil {
		o = &orderBook{lines: map[event.SKU]*lineBook{}}
		c.orders[id] = o
	}
	return o
}

func (c *shop) shelf(sku event.SKU) *shelfBook {
	s := c.shelves[sku]
	if s == nil {
		s = &shelfBook{holds: map[event.OrderID]hold{}}
		c.shelves[sku] = s
	}
	return s
}
