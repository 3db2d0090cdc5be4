// Package audit checks that the books balance: what the services stored, what
// the log carries, and what the outside world says happened. It trusts none of
// the three, and names the order, stream or offset of every disagreement. What
// holds in any topology is checked by streams/verify; here is the business.
package audit

import (
	"context"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams/verify"
)

// Input is what there is to compare. What is left zero is not looked at, and
// the report says so. The functions of verify.Input are the audit's own: what is
// given there is not called.
type Input struct {
	verify.Input
	Acknowledged []event.OrderID // orders whose placing was answered with a yes
	Provider     *Provider
	Carrier      *Carrier
	Mailbox      *Mailbox
	// MailRepeats is the share of mails that may arrive more than once, as mail
	// has no idempotency key; 0.25 if 0.
	MailRepeats float64
}

// Provider is the payment provider's ledger, in the form of its GET /ledger.
type Provider struct {
	Keys   map[string]Effect         `json:"keys"` // by idempotency key
	Orders map[event.OrderID]Account `json:"orders"`
}

// Carrier is the carrier's ledger, in the form of its GET /ledger.
type Carrier struct {
	Keys   map[string]Effect          `json:"keys"`
	Labels map[event.OrderID][]string `json:"orders"` // tracking numbers
}

// Mailbox is the mail relay's ledger, in the form of its GET /ledger.
type Mailbox struct {
	Mails map[string]Tally `json:"keys"` // by Message-ID
}

// Effect is what became of one idempotency key.
type Effect struct {
	Path    string `json:"path"`
	Calls   int    `json:"calls"`
	Effects int    `json:"effects"` // how often it took effect
}

// Account is what happened to one order's money in total.
type Account struct {
	Authorised event.Money `json:"authorised"`
	Captured   event.Money `json:"captured"`
	Voided     event.Money `json:"voided"`
	Refunded   event.Money `json:"refunded"`
}

// Tally counts the copies of one mail.
type Tally struct {
	Copies int `json:"copies"`
}

// checker is one audit. Its memory is a little per order and SKU, beside that of
// verify.
type checker struct {
	Input
	report  *Report // of the business's invariants alone
	orders  map[event.OrderID]*orderBook
	shelves map[event.SKU]*shelfBook
}

// Check compares everything in the input. Its error says that something could
// not be read; what disagrees is in the report, which is never nil.
func Check(ctx context.Context, in Input) (*Report, error) {
	if in.MailRepeats == 0 {
		in.MailRepeats = 0.25
	}
	c := &checker{Input: in, report: &Report{}, orders: map[event.OrderID]*orderBook{}, shelves: map[event.SKU]*shelfBook{}}
	for _, u := range units {
		c.report.Declare(u[0], u[1])
	}
	in.Event, in.Snapshot, in.Timer, in.Posted = c.fold, c.shelfState, c.timer, c.posted
	kept, err := verify.Check(ctx, in.Input)
	if err == nil {
		c.judgeOrders()
		c.judgeShelves()
		c.judgeMoney()
		c.judgeCarrier()
		c.judgeMail()
	}
	return merge(c.report, kept), err
}

// bad notes a violation.
func (c *checker) bad(name, format string, args ...any) { c.report.Violate(name, format, args...) }

// looked counts what an invariant was checked on.
func (c *checker) looked(name string, n int) { c.report.Looked(name, n) }

func (c *checker) order(id event.OrderID) *orderBook {
	o := c.orders[id]
	if o == nil {
		o = &orderBook{lines: map[event.SKU]*lineBook{}}
		c.orders[id] = o
	}
	return o
}

func (c *checker) shelf(sku event.SKU) *shelfBook {
	s := c.shelves[sku]
	if s == nil {
		s = &shelfBook{holds: map[event.OrderID]hold{}}
		c.shelves[sku] = s
	}
	return s
}
