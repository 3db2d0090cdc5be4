package shop_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/streams"
)

// audit checks what must hold of every order once all are over: one end, and
// money, shelves, parcels and mail that say the same about it.
func (s *house) audit() {
	s.t.Helper()
	story := s.story()
	skus := map[event.SKU]int64{} // shipped, by what the orders' events say
	for id, total := range s.placed {
		h := story[id]
		if h.counts["order.placed"] != 1 || h.counts["order.closed"] != 1 {
			s.t.Errorf("%s was placed or closed not just once: %s", id, h)
			continue
		}
		var end event.OrderClosed
		check(s.t, json.Unmarshal(h.events["order.closed"].Data, &end))
		if end.Outcome == event.Fulfilled {
			s.auditFulfilled(id, total, h, skus)
		} else {
			s.auditCancelled(id, h)
		}
	}
	s.auditShelves(skus)
	s.auditKeys()
	s.auditLanes()
}

func (s *house) auditFulfilled(id event.OrderID, total event.Money, h happened, skus map[event.SKU]int64) {
	s.t.Helper()
	for _, n := range []string{"order.confirmed", "order.released", "order.shipped", "stock.reserved", "stock.shipped", "payment.authorised", "payment.captured", "shipment.dispatched"} {
		if h.counts[n] != 1 {
			s.t.Errorf("fulfilled %s has %d × %s: %s", id, h.counts[n], n, h)
		}
	}
	for _, n := range []string{"order.cancelled", "stock.freed", "stock.released", "payment.voided", "payment.refunded", "stock.short"} {
		if h.counts[n] != 0 {
			s.t.Errorf("fulfilled %s has %d × %s: %s", id, h.counts[n], n, h)
		}
	}
	if h.counts["stock.drawn"] != h.counts["stock.held"] {
		s.t.Errorf("%s drew not all that it held: %s", id, h)
	}
	zero := total.Zero()
	if got, want := s.account(id), (provider.Account{Authorised: total, Captured: total, Voided: zero, Refunded: zero}); got != want {
		s.t.Errorf("money of fulfilled %s: %+v, want %+v", id, got, want)
	}
	if n := len(s.labels(id)); n != 1 {
		s.t.Errorf("fulfilled %s has %d parcels", id, n)
	}
	s.auditMail(id, "is on its way", h)
	var placed event.OrderPlaced
	check(s.t, json.Unmarshal(h.events["order.placed"].Data, &placed))
	for _, l := range placed.Lines {
		skus[l.SKU] += l.Quantity
	}
}

func (s *house) auditCancelled(id event.OrderID, h happened) {
	s.t.Helper()
	for _, n := range []string{"order.shipped", "stock.shipped", "stock.drawn", "shipment.dispatched"} {
		if h.counts[n] != 0 {
			s.t.Errorf("cancelled %s has %d × %s: %s", id, h.counts[n], n, h)
		}
	}
	for _, n := range []string{"order.cancelled", "stock.released"} {
		if h.counts[n] != 1 {
			s.t.Errorf("cancelled %s has %d × %s: %s", id, h.counts[n], n, h)
		}
	}
	if n := h.counts["payment.voided"] + h.counts["payment.refunded"]; n != 1 {
		s.t.Errorf("payment of cancelled %s settled %d times: %s", id, n, h)
	}
	if h.counts["stock.freed"] != h.counts["stock.held"] {
		s.t.Errorf("%s freed not all that it held: %s", id, h)
	}
	a := s.account(id)
	if back := a.Captured.Minor + a.Voided.Minor; back != a.Authorised.Minor || a.Captured != a.Refunded {
		s.t.Errorf("money of cancelled %s: %+v; %s", id, a, h)
	}
	if n := len(s.labels(id)); n != 0 {
		s.t.Errorf("cancelled %s has %d parcels", id, n)
	}
	s.auditMail(id, "was cancelled", h)
}

// auditMail wants one mail with this subject; copies of it may be many.
func (s *house) auditMail(id event.OrderID, subject string, h happened) {
	s.t.Helper()
	n := 0
	for _, m := range s.mailbox.Mails() {
		if strings.Contains(m.Subject, " "+string(id)+" ") {
			n++
			if !strings.Contains(m.Subject, subject) {
				s.t.Errorf("%s got a mail %q, want one that it %s", id, m.Subject, subject)
			}
		}
	}
	if n != h.counts["mail.sent"] || n+h.counts["mail.refused"] != 1 {
		s.t.Errorf("%s got %d mails: %s", id, n, h)
	}
}

// auditShelves compares the shelves with what was received and what left.
func (s *house) auditShelves(shipped map[event.SKU]int64) {
	s.t.Helper()
	for sku, n := range s.received {
		x := s.shelf(sku)
		if x.OnHand+x.Shipped != n || x.Shipped != shipped[sku] || x.Claimed != 0 || len(x.Holds) != 0 {
			s.t.Errorf("shelf of %s: %+v; %d received, %d sold", sku, x, n, shipped[sku])
		}
	}
	for sku := range shipped {
		if x := s.shelf(sku); x.Claimed != 0 || len(x.Holds) != 0 {
			s.t.Errorf("shelf of %s still holds: %+v", sku, x)
		}
	}
}

// auditKeys reads the ledgers: no key took effect twice.
func (s *house) auditKeys() {
	s.t.Helper()
	for name, h := range map[string]http.Handler{"provider": s.provider, "carrier": s.carrier} {
		var ledger struct {
			Keys map[string]struct{ Effects int }
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ledger", nil))
		check(s.t, json.Unmarshal(w.Body.Bytes(), &ledger))
		for k, r := range ledger.Keys {
			if r.Effects > 1 {
				s.t.Errorf("%s: key %s took effect %d times", name, k, r.Effects)
			}
		}
	}
}

// auditLanes wants every lane at work and nothing parked.
func (s *house) auditLanes() {
	s.t.Helper()
	for _, l := range s.c.Lanes() {
		if l.State != streams.LaneRunning {
			s.t.Errorf("lane %s/%d is %s: %v", l.Service, l.Lane, l.State, l.Err)
		}
	}
	for service, st := range s.stores {
		for lane := range s.c.Partitions {
			rows, err := st.Parked(s.t.Context(), lane, streams.StreamID{}, 0, 10)
			check(s.t, err)
			for _, r := range rows {
				s.t.Errorf("%s parked %s %s of %s: %s", service, r.Kind, r.Name, r.Stream.Key, r.Reason)
			}
			effects, err := st.Effects(s.t.Context(), lane, 0, 10)
			check(s.t, err)
			if len(effects) > 0 {
				s.t.Errorf("%s still waits for %+v", service, effects)
			}
			if due, ok, err := st.NextTimer(s.t.Context(), lane); ok || err != nil {
				s.t.Errorf("%s/%d still has a timer, due %v %v", service, lane, due, err)
			}
		}
	}
}
