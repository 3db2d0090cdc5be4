// Package provider is the other side of payments, for who simulates it:
//
//	POST /v1/authorisations {order, amount, card}  201 {id} or 402 {reason}
//	POST /v1/captures       {order, amount, of}    201 {id} or 402 {reason}
//	POST /v1/voids          {order, amount, of}    201 {id}
//	POST /v1/refunds        {order, amount, of}    201 {id}
//
// A card whose token begins with "tok-declined" is always declined.
package provider

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams/business"
)

// Endpoint is the provider, and what can be wrong with it.
var Endpoint = business.Endpoint{Name: "provider", What: "payment provider", Protocol: business.HTTP, Simulate: New, Refusals: []string{Declined, CaptureFailed}, Faults: []business.Fault{
	{Name: "provider-slow", What: "Every call of the payment provider takes a second and a half.", Effect: "Orders are confirmed late; none is lost.",
		Alerts: []string{"SagaAnswerBurn"}, Trouble: business.Trouble{LatencyMS: 1500}},
	{Name: "provider-declining", What: "The provider declines four payments of five.", Effect: "Orders are cancelled, and their stock freed.",
		Alerts: []string{"CompensationBurn"}, Trouble: business.Trouble{Refuse: map[string]float64{Declined: .8}}},
	{Name: "provider-down", What: "The provider cuts every connection.", Effect: "Orders wait for their payment; calls are repeated under the same key.",
		Alerts: []string{"OutsideCallsBurn", "BreakerOpen", "SagaAnswerBurn"}, Trouble: business.Trouble{Down: true}},
}}

// Kinds of refusals that can be drawn.
const (
	Declined      = "declined"       // of authorisations
	CaptureFailed = "capture-failed" // the bank withdrew its authorisation
)

// Account is what happened to one order's money, in total.
type Account struct {
	Authorised event.Money `json:"authorised"`
	Captured   event.Money `json:"captured"`
	Voided     event.Money `json:"voided"`
	Refunded   event.Money `json:"refunded"`
}

// books are the provider's own.
type books struct {
	authorisations map[string]*rest // neither captured nor voided
	captures       map[string]*rest // not refunded
	orders         map[event.OrderID]*Account
}

// rest is what is left of an amount.
type rest struct {
	order event.OrderID
	left  event.Money
}

// New makes the provider's books, with nothing in them.
func New() business.Counterpart {
	return &books{map[string]*rest{}, map[string]*rest{}, map[event.OrderID]*Account{}}
}

type ask struct {
	Order  event.OrderID `json:"order"`
	Amount event.Money   `json:"amount"`
	Card   string        `json:"card"`
	Of     string        `json:"of"`
}

type done struct {
	ID string `json:"id"`
}

func (b *books) Paths() []string {
	return []string{"/v1/authorisations", "/v1/captures", "/v1/voids", "/v1/refunds"}
}

func (b *books) Ledger() any { return b.orders }

func (b *books) Decide(c business.Call) (int, any) {
	var a ask
	if err := json.Unmarshal(c.Body, &a); err != nil {
		return 400, business.Refusal{Reason: err.Error()}
	}
	if err := a.Amount.CheckCurrency(); err != nil || a.Amount.Minor < 1 || a.Order == "" {
		return 400, business.Refusal{Reason: fmt.Sprintf("order %q over %d %s: name an order and an amount", a.Order, a.Amount.Minor, a.Amount.Currency)}
	}
	may := map[string]func(business.Call, ask) (int, string){"/v1/authorisations": b.mayAuthorise, "/v1/captures": b.mayCapture, "/v1/voids": b.mayVoid, "/v1/refunds": b.mayRefund}
	if status, reason := may[c.Path](c, a); status != 201 {
		return status, business.Refusal{Reason: reason}
	}
	return 201, done{c.ID()}
}

func (b *books) mayAuthorise(c business.Call, a ask) (int, string) {
	if acc := b.orders[a.Order]; acc != nil {
		if _, err := acc.Authorised.Plus(a.Amount); err != nil {
			return 400, err.Error()
		}
	}
	if strings.HasPrefix(a.Card, "tok-declined") || c.Refuses(Declined) {
		return 402, "insufficient funds"
	}
	return 201, ""
}

func (b *books) mayCapture(c business.Call, a ask) (int, string) {
	x := b.authorisations[a.Of]
	switch {
	case x == nil || x.order != a.Order:
		return 404, "no such authorisation"
	case x.left != a.Amount:
		return 402, "already captured or voided, or another amount"
	case c.Refuses(CaptureFailed):
		return 402, "the bank withdrew its authorisation"
	}
	return 201, ""
}

func (b *books) mayVoid(_ business.Call, a ask) (int, string) {
	x := b.authorisations[a.Of]
	switch {
	case x == nil || x.order != a.Order:
		return 404, "no such authorisation"
	case x.left != a.Amount:
		return 422, "already captured or voided"
	}
	return 201, ""
}

func (b *books) mayRefund(_ business.Call, a ask) (int, string) {
	x := b.captures[a.Of]
	switch {
	case x == nil || x.order != a.Order:
		return 404, "no such capture"
	case x.left.Currency != a.Amount.Currency || x.left.Minor < a.Amount.Minor:
		return 422, "more than is left to refund"
	}
	return 201, ""
}

// Settle is the only place where money moves.
func (b *books) Settle(c business.Call, _ json.RawMessage) (err error) {
	var a ask
	if err := json.Unmarshal(c.Body, &a); err != nil {
		return err
	}
	acc := b.account(a)
	if known := b.authorisations[a.Of] != nil || b.captures[a.Of] != nil; a.Of != "" && !known {
		return fmt.Errorf("%s for order %s is about %q, which does not exist", c.Path, a.Order, a.Of)
	}
	switch c.Path {
	case "/v1/authorisations":
		b.authorisations[c.ID()] = &rest{a.Order, a.Amount}
		acc.Authorised, err = acc.Authorised.Plus(a.Amount)
	case "/v1/captures":
		b.authorisations[a.Of].left = a.Amount.Zero()
		b.captures[c.ID()] = &rest{a.Order, a.Amount}
		acc.Captured, err = acc.Captured.Plus(a.Amount)
	case "/v1/voids":
		b.authorisations[a.Of].left = a.Amount.Zero()
		acc.Voided, err = acc.Voided.Plus(a.Amount)
	case "/v1/refunds":
		b.captures[a.Of].left.Minor -= a.Amount.Minor
		acc.Refunded, err = acc.Refunded.Plus(a.Amount)
	}
	return err
}

func (b *books) account(a ask) *Account {
	acc := b.orders[a.Order]
	if acc == nil {
		zero := a.Amount.Zero()
		acc = &Account{zero, zero, zero, zero}
		b.orders[a.Order] = acc
	}
	return acc
}
