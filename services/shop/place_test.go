package shop_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/streams"
)

// tells compares what is stored of an order, type by type.
func (s *house) tells(id event.OrderID, want string) {
	s.t.Helper()
	if got := s.story()[id].String(); got != want {
		s.t.Errorf("%s:\n got %s\nwant %s", id, got, want)
	}
}

// because compares why an order was cancelled.
func (s *house) because(id event.OrderID, want string) {
	s.t.Helper()
	var c event.OrderCancelled
	if e, ok := s.story()[id].events["order.cancelled"]; ok {
		check(s.t, json.Unmarshal(e.Data, &c))
	}
	if !strings.Contains(c.Reason, want) {
		s.t.Errorf("%s was cancelled because of %q, want %q", id, c.Reason, want)
	}
}

func (s *house) money(id event.OrderID, authorised, captured, voided, refunded int64) {
	s.t.Helper()
	a := s.account(id)
	if a.Authorised.Minor != authorised || a.Captured.Minor != captured || a.Voided.Minor != voided || a.Refunded.Minor != refunded {
		s.t.Errorf("money of %s: %+v, want %d authorised, %d captured, %d voided, %d refunded", id, a, authorised, captured, voided, refunded)
	}
}

func TestOrderIsFulfilled(t *testing.T) {
	inShop(t, 2, func(s *house) {
		s.deliver("tin", 9)
		s.place(placing("o-1", line("tin", 2), line("rug", 1), line("tin", 1)))
		s.closed("o-1")
		s.tells("o-1", "hold.requested 2, hold.shipped 2, line.claimed 2, mail.addressed 1, mail.asked 1, mail.sent 1, "+
			"order.closed 1, order.confirmed 1, order.placed 1, order.released 1, order.settled 1, order.shipped 1, "+
			"payment.asked 2, payment.authorised 1, payment.captured 1, payment.due 1, "+
			"shipment.asked 1, shipment.dispatched 1, shipment.planned 1, stock.drawn 2, stock.held 2, stock.reserved 1, stock.shipped 1")
		s.money("o-1", 1000, 1000, 0, 0)
		if x := s.shelf("tin"); x.OnHand != 6 || x.Shipped != 3 {
			t.Errorf("shelf of tins: %+v", x)
		}
	})
}

// Without an address there is no mail, and the order closes all the same.
func TestOrderWithoutMail(t *testing.T) {
	inShop(t, 2, func(s *house) {
		c := placing("o-1", line("rug", 1))
		c.Email = ""
		s.place(c)
		s.closed("o-1")
		refused := placing("o-2", line("rug", 1))
		refused.Email = "nobody@refused.example"
		s.place(refused)
		s.closed("o-2")
		if n := len(s.mailbox.Mails()); n != 0 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestCardIsDeclined(t *testing.T) {
	inShop(t, 2, func(s *house) {
		s.deliver("tin", 9)
		c := placing("o-1", line("tin", 2), line("rug", 1))
		c.Card = "tok-declined"
		s.place(c)
		s.closed("o-1")
		s.because("o-1", "payment declined: insufficient funds")
		s.tells("o-1", "hold.released 2, hold.requested 2, line.claimed 2, mail.addressed 1, mail.asked 1, mail.sent 1, "+
			"order.cancelled 1, order.closed 1, order.placed 1, order.settled 2, "+
			"payment.asked 1, payment.declined 1, payment.due 1, payment.voided 1, shipment.planned 1, "+
			"stock.freed 2, stock.held 2, stock.released 1, stock.reserved 1")
		s.money("o-1", 0, 0, 0, 0)
		if x := s.shelf("tin"); x.OnHand != 9 || x.Claimed != 0 {
			t.Errorf("shelf of tins: %+v", x)
		}
	})
}

// The last of many lines is short: nothing stays held, nobody is asked for money.
func TestLastLineIsOutOfStock(t *testing.T) {
	inShop(t, 2, func(s *house) {
		var lines []event.Line
		for n := range 12 {
			sku := event.SKU(fmt.Sprintf("sku-%02d", n))
			s.deliver(sku, 5)
			lines = append(lines, line(sku, 5))
		}
		s.place(placing("o-1", append(lines, line("sku-11", 1))...)) // six of the last
		s.closed("o-1")
		s.because("o-1", "out of stock: sku-11")
		s.money("o-1", 0, 0, 0, 0)
		h := s.story()["o-1"]
		if h.counts["stock.short"] != 1 || h.counts["stock.held"] != 11 || h.counts["stock.freed"] != 11 || h.counts["payment.asked"] != 0 {
			t.Errorf("%s", h)
		}
		s.place(placing("o-2", lines...)) // and all of it can be sold
		s.closed("o-2")
		if h := s.story()["o-2"]; h.counts["order.shipped"] != 1 {
			t.Errorf("%s", h)
		}
	})
}

// The provider sets the money aside and does not say so until the order is
// given up: the late yes is voided.
func TestPaymentInDoubtBeyondConfirmBy(t *testing.T) {
	inShop(t, 2, func(s *house) {
		check(t, s.provider.SetFaults(sim.Faults{Lost: 1}))
		s.place(placing("o-1", line("rug", 4)))
		s.phase("o-1", "cancelled")
		s.because("o-1", "not confirmed in time")
		s.money("o-1", 1000, 0, 0, 0)
		if s.order("o-1").Closed {
			t.Error("it closed while the money is set aside")
		}
		time.Sleep(time.Minute)
		check(t, s.provider.SetFaults(sim.Faults{}))
		s.closed("o-1")
		s.money("o-1", 1000, 0, 1000, 0)
		if h := s.story()["o-1"]; h.counts["payment.authorised"] != 1 || h.counts["order.confirmed"] != 0 || h.counts["payment.voided"] != 1 {
			t.Errorf("%s", h)
		}
	})
}

// The provider is silent for ever: the order is cancelled, its delay is told,
// and it is undone once there is an answer.
func TestSilentProvider(t *testing.T) {
	inShop(t, 2, func(s *house) {
		check(t, s.provider.SetFaults(sim.Faults{Down: true}))
		s.deliver("tin", 4)
		s.place(placing("o-1", line("tin", 4)))
		time.Sleep(14 * time.Minute)
		if h := s.story()["o-1"]; h.counts["order.cancelled"] != 1 || h.counts["order.delayed"] != 1 || h.counts["order.closed"] != 0 {
			t.Errorf("%s", h)
		}
		s.waits("o-1", "payment")
		if x := s.shelf("tin"); x.Claimed != 0 {
			t.Errorf("the shelf waits for the provider: %+v", x)
		}
		check(t, s.provider.SetFaults(sim.Faults{}))
		s.closed("o-1")
		s.money("o-1", 1000, 0, 1000, 0)
	})
}

// waits compares what a delayed order waits for.
func (s *house) waits(id event.OrderID, want ...string) {
	s.t.Helper()
	var d event.OrderDelayed
	check(s.t, json.Unmarshal(s.story()[id].events["order.delayed"].Data, &d))
	if strings.Join(d.WaitingFor, ",") != strings.Join(want, ",") {
		s.t.Errorf("%s waits for %v, want %v", id, d.WaitingFor, want)
	}
}

func TestCaptureInDoubtBeyondCaptureBy(t *testing.T) {
	inShop(t, 2, func(s *house) {
		s.confirmWithoutPayment("o-1")
		check(t, s.provider.SetFaults(sim.Faults{Lost: 1}))
		s.start("payment")
		s.phase("o-1", "cancelled")
		s.because("o-1", "not captured in time")
		s.money("o-1", 1000, 1000, 0, 0)
		check(t, s.provider.SetFaults(sim.Faults{}))
		s.closed("o-1")
		s.money("o-1", 1000, 1000, 0, 1000)
	})
}

func TestCaptureIsRefused(t *testing.T) {
	inShop(t, 2, func(s *house) {
		check(t, s.provider.SetFaults(sim.Faults{Refuse: map[string]float64{provider.CaptureFailed: 1}}))
		s.place(placing("o-1", line("rug", 4)))
		s.closed("o-1")
		s.because("o-1", "not captured: the bank withdrew its authorisation")
		s.money("o-1", 1000, 0, 1000, 0)
	})
}

func TestCarrierRefuses(t *testing.T) {
	inShop(t, 2, func(s *house) {
		s.deliver("tin", 4)
		c := placing("o-1", line("tin", 4))
		c.ShipTo.Country = "XX"
		s.place(c)
		s.closed("o-1")
		s.because("o-1", "cannot be shipped: we do not deliver there")
		s.money("o-1", 1000, 1000, 0, 1000)
		if x := s.shelf("tin"); x.OnHand != 4 || x.Claimed != 0 {
			t.Errorf("shelf of tins: %+v", x)
		}
	})
}

// confirmWithoutPayment brings an order to its confirmation and no further: the
// payment service is down by then.
func (s *house) confirmWithoutPayment(id event.OrderID) {
	s.t.Helper()
	check(s.t, s.provider.SetFaults(sim.Faults{LatencyMS: 1500}))
	s.place(placing(id, line("rug", 4)))
	time.Sleep(time.Second)
	s.stop("order")
	s.until(time.Minute, "authorisation", func() bool { return s.story()[id].counts["payment.authorised"] == 1 })
	s.stop("payment")
	check(s.t, s.provider.SetFaults(sim.Faults{}))
	s.start("order")
	s.phase(id, "confirmed")
}

func TestCancelAtEveryStep(t *testing.T) {
	const id event.OrderID = "o-1"
	o := placing(id, line("tin", 4))
	for name, f := range map[string]func(s *house){
		"before the reservation": func(s *house) {
			s.stop("inventory")
			s.place(o)
			time.Sleep(10 * time.Second)
			s.cancel(id, "done")
			time.Sleep(10 * time.Second)
			s.start("inventory")
			s.closed(id)
			s.money(id, 0, 0, 0, 0)
		},
		"while authorising, and the provider acts": func(s *house) {
			check(t, s.provider.SetFaults(sim.Faults{Lost: 1}))
			s.place(o)
			time.Sleep(10 * time.Second)
			s.cancel(id, "done")
			time.Sleep(10 * time.Second)
			check(t, s.provider.SetFaults(sim.Faults{}))
			s.closed(id)
			s.money(id, 1000, 0, 1000, 0)
		},
		"while authorising, and the answer is no": func(s *house) {
			check(t, s.provider.SetFaults(sim.Faults{Down: true}))
			poor := o
			poor.Card = "tok-declined"
			s.place(poor)
			time.Sleep(10 * time.Second)
			s.cancel(id, "done")
			check(t, s.provider.SetFaults(sim.Faults{}))
			s.closed(id)
			s.money(id, 0, 0, 0, 0)
			s.because(id, "changed my mind")
		},
		"after it was confirmed": func(s *house) {
			s.confirmWithoutPayment(id)
			s.cancel(id, "done")
			s.start("payment")
			s.closed(id)
			if a := s.account(id); a.Authorised.Minor != 1000 {
				t.Errorf("%+v", a)
			}
		},
		"while capturing": func(s *house) {
			check(t, s.provider.SetFaults(sim.Faults{LatencyMS: 1500}))
			s.place(o)
			s.phase(id, "confirmed")
			s.cancel(id, "done")
			s.closed(id)
			s.money(id, 1000, 1000, 0, 1000)
		},
		"after the release it is refused": func(s *house) {
			check(t, s.carrier.SetFaults(sim.Faults{Down: true}))
			s.place(o)
			s.phase(id, "released")
			s.cancel(id, "already-shipping")
			check(t, s.carrier.SetFaults(sim.Faults{}))
			s.closed(id)
			s.cancel(id, "already-shipping")
			s.money(id, 1000, 1000, 0, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, 2, func(s *house) {
				s.deliver("tin", 4)
				f(s)
			})
		})
	}
}

func TestRepeatedPlacingAndCancelling(t *testing.T) {
	inShop(t, 2, func(s *house) {
		check(t, s.provider.SetFaults(sim.Faults{LatencyMS: 1500}))
		o := placing("o-1", line("rug", 4))
		s.place(o)
		s.place(o) // another command, the same order
		first := s.sendAs("one", "place-order", o)
		if again := s.sendAs("one", "place-order", o); again.Status != streams.ReplyDone || string(again.Body) != string(first.Body) {
			t.Errorf("%s %s, then %s %s", first.Status, first.Body, again.Status, again.Body)
		}
		other := o
		other.Lines = []event.Line{line("rug", 5)}
		if r := s.send("place-order", other); r.Status != streams.ReplyRejected || !strings.Contains(string(r.Body), "order-exists") {
			t.Errorf("another content under the same id: %s %s", r.Status, r.Body)
		}
		if r := s.sendAs("one", "place-order", other); r.Status != streams.ReplyConflict {
			t.Errorf("another content under the same command: %s %s", r.Status, r.Body)
		}
		s.cancel("o-1", "done")
		s.cancel("o-1", "done")
		s.cancel("o-9", "unknown-order")
		s.closed("o-1")
		s.cancel("o-1", "done")
		s.place(o) // answered as at first, and it stays cancelled
		time.Sleep(time.Minute)
		if h := s.story()["o-1"]; h.counts["order.placed"] != 1 || h.counts["order.cancelled"] != 1 {
			t.Errorf("%s", h)
		}
	})
}
