package books

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams/business"
)

// judgeMoney compares the provider's ledger with how the orders ended.
func (c *shop) judgeMoney() {
	if !c.Ledger("provider", &c.provider) {
		return
	}
	c.judgeKeys("provider", c.provider.Keys, "authorise", "capture", "void", "refund")
	kept, owed := map[string]int64{}, map[string]int64{}
	for id, o := range c.orders {
		c.Looked(Money, 1)
		a := c.provider.Orders[id]
		kept[a.Captured.Currency] += a.Captured.Minor - a.Refunded.Minor
		if o.fulfilled() {
			owed[o.total.Currency] += o.total.Minor
		}
		c.judgeAccount(id, o, a)
	}
	for id, a := range c.provider.Orders {
		if c.orders[id] == nil && (a.Captured != a.Refunded || a.Authorised.Minor != a.Captured.Minor+a.Voided.Minor) {
			c.Bad(Money, "the provider has money of order %s, which nobody here knows: %+v", id, a)
		}
	}
	for currency, want := range owed {
		if got := kept[currency]; got != want && c.Settled {
			c.Bad(Money, "the provider kept %d minor units of %s, the fulfilled orders cost %d", got, currency, want)
		}
	}
}

// judgeAccount checks one order's money. While things move only the bounds hold:
// the ledger may be older or newer than the stores.
func (c *shop) judgeAccount(id event.OrderID, o *orderBook, a account) {
	hanging := a.Authorised.Minor - a.Captured.Minor - a.Voided.Minor
	switch {
	case a.Captured.Minor > o.total.Minor && o.placed > 0:
		c.Bad(Money, "order %s cost %d and was captured %d: more than once", id, o.total.Minor, a.Captured.Minor)
	case hanging < 0 || a.Refunded.Minor > a.Captured.Minor:
		c.Bad(Money, "order %s: more was given back than taken: %+v", id, a)
	case !c.Settled:
	case o.fulfilled() && (a.Captured != o.total || a.Refunded.Minor != 0):
		c.Bad(Money, "order %s was fulfilled and cost %d; captured %d, refunded %d", id, o.total.Minor, a.Captured.Minor, a.Refunded.Minor)
	case !o.fulfilled() && a.Captured != a.Refunded:
		c.Bad(Money, "order %s was not fulfilled (cancelled %d, closed as %q); captured %d, refunded %d", id, o.cancelled, o.closing, a.Captured.Minor, a.Refunded.Minor)
	case hanging != 0:
		c.Bad(Money, "order %s (closed as %q) leaves %d authorised and neither captured nor voided", id, o.closing, hanging)
	case o.captures > 1 || o.captures == 1 && o.captured != a.Captured || o.captures == 0 && a.Captured.Minor != 0:
		c.Bad(Money, "order %s: %d captures of %d are stored, the provider captured %d", id, o.captures, o.captured.Minor, a.Captured.Minor)
	}
}

// judgeKeys checks that every idempotency key is business identity and
// step.
func (c *shop) judgeKeys(who string, keys map[string]effect, steps ...string) {
	for key := range keys {
		id, step := key, ""
		if i := strings.LastIndexByte(key, '/'); i >= 0 {
			id, step = key[:i], key[i+1:]
		}
		if o := c.orders[event.OrderID(id)]; !slices.Contains(steps, step) || (o == nil && c.Settled) {
			c.Bad(business.Effects, "%s: key %s is not of an order and a step: a second attempt would be a second effect", who, key)
		}
	}
}

// judgeCarrier checks that fulfilled orders have one label, and others none.
func (c *shop) judgeCarrier() {
	if !c.Ledger("carrier", &c.carrier) {
		return
	}
	c.judgeKeys("carrier", c.carrier.Keys, "label")
	for id, o := range c.orders {
		n, want := len(c.carrier.Labels[id]), 0
		if o.fulfilled() {
			want = 1
		}
		if n > 1 || c.Settled && n != want || o.fulfilled() && o.dispatched != 1 {
			c.Bad(business.Effects, "order %s (closed as %q, dispatched %d times) has %d labels at the carrier", id, o.closing, o.dispatched, n)
		}
	}
	for id, labels := range c.carrier.Labels {
		if c.orders[id] == nil && c.Settled {
			c.Bad(business.Effects, "the carrier has %d labels of order %s, which nobody here knows", len(labels), id)
		}
	}
}

// messageID is that of an order's one mail, as the runtime derives it from the
// effect's key.
func messageID(id event.OrderID) string {
	sum := sha256.Sum256([]byte(string(id) + "/mail"))
	return "<" + hex.EncodeToString(sum[:16]) + "@weir>"
}

// judgeMail checks that a sent mail arrived, and no other.
func (c *shop) judgeMail() {
	if !c.Ledger("mailbox", &c.mailbox) {
		return
	}
	known := map[string]bool{}
	for id, o := range c.orders {
		mail := messageID(id)
		known[mail] = true
		n := c.mailbox.Mails[mail].Copies
		if o.mailed > 1 || o.mailed == 1 && n == 0 && c.Settled {
			c.Bad(business.Effects, "order %s says %d times that its mail was sent, the mailbox has %d copies", id, o.mailed, n)
		}
	}
	for mail := range c.mailbox.Mails {
		if !known[mail] && c.Settled {
			c.Bad(business.Effects, "the mailbox has a mail %s that is no order's: its id was not made of the order", mail)
		}
	}
}
