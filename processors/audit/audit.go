// Package audit checks that the books balance: what the services stored, what
// the log carries, and what the outside world says happened. It trusts none of
// the three, and names the order, stream or offset of every disagreement.
package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// Input is what there is to compare. What is left zero is not looked at, and
// the report says so.
type Input struct {
	Topology   *streams.Topology
	Partitions int32                    // of the platform
	Stores     map[string]streams.Store // by service
	Client     []kgo.Opt                // of the log; nil: no log
	// Complete says that the log was never trimmed: every stored event has to
	// be on it. Else a partition is compared from its first record on.
	Complete bool
	// Settled says that nothing moves any more: all orders are over and every
	// event is read. Else only what holds at every moment is checked.
	Settled      bool
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

// checker is one audit. Its memory is a little per order, SKU and stream, and
// some dozens of bytes per event; the events themselves are read past.
type checker struct {
	Input
	report  *Report
	orders  map[event.OrderID]*orderBook
	shelves map[event.SKU]*shelfBook
	lanes   map[streams.Lane]*laneBook
	log     map[streams.Target]*partBook
	types   map[string]int32 // numbers of the event types, to keep records small
	names   []string
}

// Check compares everything in the input. Its error says that something could
// not be read; what disagrees is in the report.
func Check(ctx context.Context, in Input) (Report, error) {
	if in.Topology == nil || in.Partitions < 1 {
		return Report{}, errors.New("an audit needs the topology and the platform's partition count")
	}
	if in.MailRepeats == 0 {
		in.MailRepeats = 0.25
	}
	c := &checker{Input: in, report: newReport(), orders: map[event.OrderID]*orderBook{}, shelves: map[event.SKU]*shelfBook{},
		lanes: map[streams.Lane]*laneBook{}, log: map[streams.Target]*partBook{}, types: map[string]int32{}}
	// Stores before the log: what is stored later than it was read is known by
	// its sequence, and excused.
	for _, step := range []func(context.Context) error{c.readStores, c.readLog, c.readInputs} {
		if err := step(ctx); err != nil {
			return *c.report, err
		}
	}
	c.judgeOrders()
	c.judgeShelves()
	c.judgeMoney()
	c.judgeCarrier()
	c.judgeMail()
	if !c.Settled {
		c.report.note("the platform is at work: only what holds at every moment was checked")
	}
	return *c.report, nil
}

// bad notes a violation.
func (c *checker) bad(name, format string, args ...any) {
	c.report.of(name).violate(fmt.Sprintf(format, args...))
}

// looked counts what an invariant was checked on.
func (c *checker) looked(name string, n int) { c.report.of(name).Looked += n }

func (c *checker) services() []string { return slices.Sorted(maps.Keys(c.Stores)) }

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
