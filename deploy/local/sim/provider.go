package sim

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"

	"github.com/weirstream/weir/services/event"
)

// Provider is a payment provider over HTTP:
//
//	POST /v1/authorisations {order, amount, card}      201 {id} or 402 {reason}
//	POST /v1/captures       {order, amount, of}        201 {id} or 402 {reason}
//	POST /v1/voids          {order, amount, of}        201 {id}
//	POST /v1/refunds        {order, amount, of}        201 {id}
//	GET  /ledger            every key and every order, for audits
//	GET, POST /faults       see Faults
//
// Every POST needs an Idempotency-Key header: the same key has one effect and
// one answer, and another body under it is a 409. A card whose token begins
// with "tok-declined" is always declined.
type Provider struct {
	desk
	mux            *http.ServeMux
	authorisations map[string]*authorisation
	captures       map[string]*capture
	orders         map[event.OrderID]*Account
}

// Account is what happened to one order's money, in total.
type Account struct {
	Authorised event.Money `json:"authorised"`
	Captured   event.Money `json:"captured"`
	Voided     event.Money `json:"voided"`
	Refunded   event.Money `json:"refunded"`
}

type authorisation struct {
	order event.OrderID
	left  event.Money // neither captured nor voided
}

type capture struct {
	order event.OrderID
	left  event.Money // not refunded
}

type paymentAsk struct {
	Order  event.OrderID `json:"order"`
	Amount event.Money   `json:"amount"`
	Card   string        `json:"card"`
	Of     string        `json:"of"`
}

type done struct {
	ID string `json:"id"`
}

// NewProvider starts a provider with what its journal holds.
func NewProvider(c Config) (*Provider, error) {
	p := &Provider{mux: http.NewServeMux(), authorisations: map[string]*authorisation{}, captures: map[string]*capture{}, orders: map[event.OrderID]*Account{}}
	p.decide, p.effect = p.decidePayment, p.move
	if err := p.open(c); err != nil {
		return nil, err
	}
	for _, path := range []string{"authorisations", "captures", "voids", "refunds"} {
		p.mux.Handle("POST /v1/"+path, &p.desk)
	}
	p.mux.HandleFunc("GET /ledger", p.ledger)
	p.mux.Handle("GET /faults", p.trouble)
	p.mux.Handle("POST /faults", p.trouble)
	return p, nil
}

// ServeHTTP serves the provider's API.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// SetFaults replaces all faults.
func (p *Provider) SetFaults(f Faults) error { return p.set(f) }

// Close drains: calls under way are finished, later ones answered 503.
func (p *Provider) Close() error { return p.desk.Close() }

// decidePayment answers a new request; nothing has moved yet.
func (p *Provider) decidePayment(q request) (int, any) {
	var a paymentAsk
	if err := json.Unmarshal(q.Body, &a); err != nil {
		return http.StatusBadRequest, problem{err.Error()}
	}
	if err := a.Amount.CheckCurrency(); err != nil || a.Amount.Minor < 1 || a.Order == "" {
		return http.StatusBadRequest, problem{fmt.Sprintf("order %q over %d %s: name an order and an amount", a.Order, a.Amount.Minor, a.Amount.Currency)}
	}
	status, reason := http.StatusCreated, ""
	switch q.Path {
	case "/v1/authorisations":
		status, reason = p.mayAuthorise(q.Key, a)
	case "/v1/captures":
		status, reason = p.mayCapture(q.Key, a)
	case "/v1/voids":
		if x := p.authorisations[a.Of]; x == nil || x.order != a.Order {
			status, reason = http.StatusNotFound, "no such authorisation"
		} else if x.left != a.Amount {
			status, reason = http.StatusUnprocessableEntity, "already captured or voided"
		}
	case "/v1/refunds":
		if x := p.captures[a.Of]; x == nil || x.order != a.Order {
			status, reason = http.StatusNotFound, "no such capture"
		} else if x.left.Currency != a.Amount.Currency || x.left.Minor < a.Amount.Minor {
			status, reason = http.StatusUnprocessableEntity, "more than is left to refund"
		}
	}
	if status != http.StatusCreated {
		return status, problem{reason}
	}
	return status, done{idOf(q)}
}

func (p *Provider) mayAuthorise(key string, a paymentAsk) (int, string) {
	if acc := p.orders[a.Order]; acc != nil {
		if _, err := acc.Authorised.Plus(a.Amount); err != nil {
			return http.StatusBadRequest, err.Error()
		}
	}
	if strings.HasPrefix(a.Card, "tok-declined") || p.refuses(p.get().Declines, key) {
		return http.StatusPaymentRequired, "insufficient funds"
	}
	return http.StatusCreated, ""
}

func (p *Provider) mayCapture(key string, a paymentAsk) (int, string) {
	x := p.authorisations[a.Of]
	switch {
	case x == nil || x.order != a.Order:
		return http.StatusNotFound, "no such authorisation"
	case x.left != a.Amount:
		return http.StatusPaymentRequired, "already captured or voided, or another amount"
	case p.refuses(p.get().CaptureRefuse, key):
		return http.StatusPaymentRequired, "the bank withdrew its authorisation"
	}
	return http.StatusCreated, ""
}

// idOf names what a request created; the same key gives the same id.
func idOf(q request) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(q.Key)) // a hash takes everything
	return strings.TrimSuffix(strings.TrimPrefix(q.Path, "/v1/"), "s") + "-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// move is the effect of a granted request: the only place where money moves.
func (p *Provider) move(x decided) (err error) {
	var a paymentAsk
	if err := json.Unmarshal(x.Body, &a); err != nil {
		return err
	}
	acc := p.account(a)
	if known := p.authorisations[a.Of] != nil || p.captures[a.Of] != nil; a.Of != "" && !known {
		return fmt.Errorf("%s for order %s is about %q, which does not exist", x.Path, a.Order, a.Of)
	}
	switch x.Path {
	case "/v1/authorisations":
		p.authorisations[idOf(x.request)] = &authorisation{a.Order, a.Amount}
		acc.Authorised, err = acc.Authorised.Plus(a.Amount)
	case "/v1/captures":
		p.authorisations[a.Of].left = a.Amount.Zero()
		p.captures[idOf(x.request)] = &capture{a.Order, a.Amount}
		acc.Captured, err = acc.Captured.Plus(a.Amount)
	case "/v1/voids":
		p.authorisations[a.Of].left = a.Amount.Zero()
		acc.Voided, err = acc.Voided.Plus(a.Amount)
	case "/v1/refunds":
		p.captures[a.Of].left.Minor -= a.Amount.Minor
		acc.Refunded, err = acc.Refunded.Plus(a.Amount)
	}
	return err
}

func (p *Provider) account(a paymentAsk) *Account {
	acc := p.orders[a.Order]
	if acc == nil {
		zero := a.Amount.Zero()
		acc = &Account{zero, zero, zero, zero}
		p.orders[a.Order] = acc
	}
	return acc
}

// Account returns what happened to an order's money, for audits.
func (p *Provider) Account(id event.OrderID) Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	if acc := p.orders[id]; acc != nil {
		return *acc
	}
	return Account{}
}

func (p *Provider) ledger(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	b, err := json.Marshal(map[string]any{"keys": p.records, "orders": p.orders})
	p.mu.Unlock()
	writeLedger(w, b, err)
}
