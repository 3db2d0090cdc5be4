package shop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/services/shipping/carrier"
)

// An order of 675 lines, the longest of a real shop's year: once made to order,
// once with the very last line short.
func TestOrderOf675Lines(t *testing.T) {
	inShop(t, 4, func(s *house) {
		var lines []event.Line
		for n := range 675 {
			lines = append(lines, line(event.SKU(fmt.Sprintf("sku-%03d", n)), 1))
		}
		s.place(placing("long", lines...))
		s.deliver("rare", 1)
		s.place(placing("short", append(lines[:674:674], line("rare", 2))...))
		s.closed("long", "short")
		s.because("short", "out of stock: rare")
		h := s.story()
		if a := h["long"]; a.counts["stock.drawn"] != 675 || a.counts["line.claimed"] != 675 {
			t.Errorf("%s", a)
		}
		if a := h["short"]; a.counts["stock.freed"] != 674 {
			t.Errorf("%s", a)
		}
	})
}

// A hundred orders want the same SKU, and 60 of it are there.
func TestHotSKU(t *testing.T) {
	inShop(t, 4, func(s *house) {
		s.deliver("hot", 60)
		var ids []event.OrderID
		for n := range 100 {
			id := event.OrderID(fmt.Sprintf("o-%03d", n))
			ids = append(ids, id)
			s.place(placing(id, line(event.SKU(fmt.Sprint("own-", n)), 1), line("hot", 1)))
		}
		s.closed(ids...)
		if x := s.shelf("hot"); x.OnHand != 0 || x.Shipped != 60 {
			t.Errorf("shelf: %+v", x)
		}
		if n := s.count(ids, "order.shipped"); n != 60 {
			t.Errorf("%d orders fulfilled, want 60", n)
		}
	})
}

func (s *house) count(ids []event.OrderID, eventType string) (n int) {
	s.t.Helper()
	story := s.story()
	for _, id := range ids {
		n += story[id].counts[eventType]
	}
	return n
}

// Instances of payment and inventory die and join in the middle of a crowd,
// while the outside is as bad as it gets.
func TestInstancesDieInTheMiddleOfSagas(t *testing.T) {
	inShop(t, 4, func(s *house) {
		bad := sim.Faults{Seed: 7, Errors: .1, Lost: .15, Late: .1, LateMS: 3000, LatencyMS: 50, JitterMS: 300, Refuse: map[string]float64{provider.Declined: .1, provider.CaptureFailed: .1, carrier.Refused: .1}}
		check(t, s.provider.SetFaults(bad))
		check(t, s.carrier.SetFaults(bad))
		bad.Defers = .1
		check(t, s.mailbox.SetFaults(bad))
		s.deliver("hot", 30)
		var ids []event.OrderID
		place := func(n int) {
			for range n {
				id := event.OrderID(fmt.Sprintf("o-%03d", len(ids)))
				ids = append(ids, id)
				s.place(placing(id, line(event.SKU(fmt.Sprint("own-", len(ids)%9)), 2), line("hot", 1)))
				if len(ids)%7 == 0 {
					s.send("cancel-order", order.CancelOrder{Order: id, Reason: "changed my mind"})
				}
				time.Sleep(time.Duration(len(ids)%5) * 100 * time.Millisecond)
			}
		}
		place(15)
		payment, inventory := s.nodes["payment"], s.nodes["inventory"]
		s.start("payment")
		s.start("inventory")
		place(10)
		payment.Kill()
		place(10)
		inventory.Kill()
		place(10)
		s.nodes["payment"].Kill()
		s.start("payment")
		s.start("inventory")
		place(10)
		s.nodes["inventory"].Freeze()
		place(10)
		time.Sleep(20 * time.Second)
		s.nodes["inventory"].Thaw()
		s.start("payment")
		place(5)
		s.closed(ids...)
		if a, b := s.count(ids, "order.shipped"), s.count(ids, "order.cancelled"); a < 15 || b < 10 || a+b != len(ids) {
			t.Errorf("%d fulfilled and %d cancelled of %d: the test tests too little", a, b, len(ids))
		}
		time.Sleep(30 * time.Second) // killed instances' lanes are with others by now
	})
}
