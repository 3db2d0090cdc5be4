package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/weirstream/weir/services/event"
)

// judgeMoney compares the provider's ledger with how the orders ended.
func (c *checker) judgeMoney() {
	if c.Provider == nil {
		c.report.Note("no provider's ledger was given: money was not checked")
		return
	}
	c.judgeKeys("provider", c.Provider.Keys, "authorise", "capture", "void", "refund")
	kept, owed := map[string]int64{}, map[string]int64{}
	for id, o := range c.orders {
		c.looked(Money, 1)
		a := c.Provider.Orders[id]
		kept[a.Captured.Currency] += a.Captured.Minor - a.Refunded.Minor
		if o.fulfilled() {
			owed[o.total.Currency] += o.total.Minor
		}
		c.judgeAccount(id, o, a)
	}
	for id, a := range c.Provider.Orders {
		if c.orders[id] == nil && (a.Captured != a.Refunded || a.Authorised.Minor != a.Captured.Minor+a.Voided.Minor) {
			c.bad(Money, "the provider has money of order %s, which nobody here knows: %+v", id, a)
		}
	}
	for currency, want := range owed {
		if got := kept[currency]; got != want && c.Settled {
			c.bad(Money, "the provider kept %d minor units of %s, the fulfilled orders cost %d", got, currency, want)
		}
	}
}

// judgeAccount checks one order's money. While things move only the bounds hold:
// the ledger may be older or newer than the stores.
func (c *checker) judgeAccount(id event.OrderID, o *orderBook, a Account) {
	hanging := a.Authorised.Minor - a.Captured.Minor - a.Voided.Minor
	switch {
	case a.Captured.Minor > o.total.Minor && o.placed > 0:
		c.bad(Money, "order %s cost %d and was captured %d: more than once", id, o.total.Minor, a.Captured.Minor)
	case hanging < 0 || a.Refunded.Minor > a.Captured.Minor:
		c.bad(Money, "order %s: more was given back than taken: %+v", id, a)
	case !c.Settled:
	case o.fulfilled() && (a.Captured != o.total || a.Refunded.Minor != 0):
		c.bad(Money, "order %s was fulfilled and cost %d; captured %d, refunded %d", id, o.total.Minor, a.Captured.Minor, a.Refunded.Minor)
	case !o.fulfilled() && a.Captured != a.Refunded:
		c.bad(Money, "order %s was not fulfilled (cancelled %d, closed as %q); captured %d, refunded %d", id, o.cancelled, o.closing, a.Captured.Minor, a.Refunded.Minor)
	case hanging != 0:
		c.bad(Money, "order %s (closed as %q) leaves %d authorised and neither captured nor voided", id, o.closing, hanging)
	case o.captures > 1 || o.captures == 1 && o.captured != a.Captured || o.captures == 0 && a.Captured.Minor != 0:
		c.bad(Money, "order %s: %d captures of %d are stored, the provider captured %d", id, o.captures, o.captured.Minor, a.Captured.Minor)
	}
}

// judgeKeys checks that every idempotency key is business identity and step,
// and took effect at most once.
func (c *checker) judgeKeys(who string, keys map[string]Effect, steps ...string) {
	for key, e := range keys {
		c.looked(Effects, 1)
		id, step := key, ""
		if i := strings.LastIndexByte(key, '/'); i >= 0 {
			id, step = key[:i], key[i+1:]
		}
		if e.Effects > 1 {
			c.bad(Effects, "%s: key %s took effect %d times", who, key, e.Effects)
		}
		if o := c.orders[event.OrderID(id)]; !slices.Contains(steps, step) || (o == nil && c.Settled) {
			c.bad(Effects, "%s: key %s is not of an order and a step: a second attempt would be a second effect", who, key)
		}
	}
}

// judgeCarrier checks that fulfilled orders have one label, and others none.
func (c *checker) judgeCarrier() {
	if c.Carrier == nil {
		c.report.Note("no carrier's ledger was given: labels were not checked")
		return
	}
	c.judgeKeys("carrier", c.Carrier.Keys, "label")
	for id, o := range c.orders {
		n, want := len(c.Carrier.Labels[id]), 0
		if o.fulfilled() {
			want = 1
		}
		if n > 1 || c.Settled && n != want || o.fulfilled() && o.dispatched != 1 {
			c.bad(Effects, "order %s (closed as %q, dispatched %d times) has %d labels at the carrier", id, o.closing, o.dispatched, n)
		}
	}
	for id, labels := range c.Carrier.Labels {
		if c.orders[id] == nil && c.Settled {
			c.bad(Effects, "the carrier has %d labels of order %s, which nobody here knows", len(labels), id)
		}
	}
}

// messageID is that of an order's one mail, as the runtime derives it from the
// effect's key.
func messageID(id event.OrderID) string {
	sum := sha256.Sum256([]byte(string(id) + "/mail"))
	return "<" + hex.EncodeToString(sum[:16]) + "@weir>"
}

// judgeMail checks that a sent mail arrived. It may have arrived twice, if the
// relay's answer was lost, but that has to stay the exception.
func (c *checker) judgeMail() {
	if c.Mailbox == nil {
		c.report.Note("no mailbox was given: mails were not checked")
		return
	}
	known, mails, repeated := map[string]bool{}, 0, 0
	for id, o := range c.orders {
		mail := messageID(id)
		known[mail] = true
		n := c.Mailbox.Mails[mail].Copies
		if o.mailed > 1 || o.mailed == 1 && n == 0 && c.Settled {
			c.bad(Effects, "order %s says %d times that its mail was sent, the mailbox has %d copies", id, o.mailed, n)
		}
		if n > 0 {
			mails++
		}
		if n > 1 {
			repeated++
		}
	}
	c.looked(Effects, mails)
	for mail := range c.Mailbox.Mails {
		if !known[mail] && c.Settled {
			c.bad(Effects, "the mailbox has a mail %s that is no order's: its id was not made of the order", mail)
		}
	}
	if repeated > 0 {
		c.report.Note("%d of %d mails arrived more than once", repeated, mails)
	}
	if float64(repeated) > c.MailRepeats*float64(mails)+1 {
		c.bad(Effects, "%d of %d mails arrived more than once: lost answers explain %.0f%%", repeated, mails, 100*c.MailRepeats)
	}
}
