package simulate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// business finds the outside and the books of each world that is simulated.
type business struct {
	mu     sync.Mutex
	worlds map[*streamtest.World]*world
	story  func(Order) // told how each order ended; nil: nobody is
}

// shop is the business in one world.
type world struct {
	*Outside
	mu     sync.Mutex
	faults sim.Faults
	acked  []event.OrderID
}

// Business is the simulation of the whole business.
func Business() (*streamtest.Simulation, error) { return newBusiness(nil) }

func newBusiness(story func(Order)) (*streamtest.Simulation, error) {
	top, err := shop.Business.Topology()
	if err != nil {
		return nil, err
	}
	b := &business{worlds: map[*streamtest.World]*world{}, story: story}
	s := &streamtest.Simulation{Topology: top, Instances: 2, Open: b.open, Work: func(w *streamtest.World) { b.of(w).work(w) }, Check: b.check}
	for _, name := range slices.Sorted(maps.Keys(outsideTrouble)) { // a seed means the same at every start
		change := outsideTrouble[name]
		s.Outside = append(s.Outside, streamtest.Trouble{Name: name, Switch: func(w *streamtest.World, on bool) { b.of(w).trouble(w, change, on) }})
	}
	return s, nil
}

// outsideTrouble is beside what goes wrong with every tenth call anyway.
var outsideTrouble = map[string]func(s *world, on bool) error{
	"provider-down":   func(s *world, on bool) error { f := s.faults; f.Down = on; return s.Provider.SetFaults(f) },
	"provider-silent": func(s *world, on bool) error { return s.Provider.SetFaults(silent(s.faults, on)) },
	"provider-late":   func(s *world, on bool) error { return s.Provider.SetFaults(late(s.faults, on)) },
	"carrier-down":    func(s *world, on bool) error { f := s.faults; f.Down = on; return s.Carrier.SetFaults(f) },
	"carrier-silent":  func(s *world, on bool) error { return s.Carrier.SetFaults(silent(s.faults, on)) },
	"mailbox-down":    func(s *world, on bool) error { f := s.faults; f.Down = on; return s.Mailbox.SetFaults(f) },
}

// silent: every call is acted on and never answered.
func silent(f sim.Faults, on bool) sim.Faults {
	if on {
		f.Lost = 1
	}
	return f
}

// late: every call is acted on and answered after its deadline.
func late(f sim.Faults, on bool) sim.Faults {
	if on {
		f.Late, f.LateMS = 1, 6000
	}
	return f
}

func (b *business) of(w *streamtest.World) *world {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.worlds[w]
}

func (b *business) open(w *streamtest.World) (closeAll func()) {
	s := &world{faults: sim.Faults{Seed: w.Rand.Uint64(), Errors: 0.1, Lost: 0.05, Declines: 0.12, CaptureRefuse: 0.1, LatencyMS: 5, JitterMS: 30}}
	var err error
	if s.Outside, err = OpenOutside(w, s.faults); err != nil {
		w.T.Fatal(err)
	}
	w.Transports = s.Transports
	b.mu.Lock()
	b.worlds[w] = s
	b.mu.Unlock()
	return func() {
		b.mu.Lock()
		delete(b.worlds, w)
		b.mu.Unlock()
		if err := s.Close(); err != nil {
			w.Violate("the outside did not close: %v", err)
		}
	}
}

func (s *world) trouble(w *streamtest.World, change func(*world, bool) error, on bool) {
	if err := change(s, on); err != nil {
		w.Violate("%v", err)
	}
}

// work is a day of customers: deliveries told twice, orders in bursts, one SKU
// in every third, repeated commands, and cancellations at any moment.
func (s *world) work(w *streamtest.World) {
	for n := range 4 {
		d := event.StockReceived{SKU: sku(n), Quantity: int64(5 + w.Rand.IntN(60))}
		for range 2 {
			if err := w.Post(fmt.Sprint("d-", n), d); err != nil {
				w.Violate("delivery: %v", err)
			}
		}
	}
	var customers sync.WaitGroup
	for n := range 10 + w.Rand.IntN(20) {
		c := customer{w: w, s: s, id: fmt.Sprint("o-", n), again: w.Rand.IntN(4) == 0, lines: basket(w)}
		if w.Rand.IntN(4) == 0 {
			c.cancels = time.Duration(1+w.Rand.IntN(4000)) * time.Millisecond
		}
		customers.Go(c.shop)
		if w.Rand.IntN(3) > 0 {
			time.Sleep(time.Duration(w.Rand.IntN(5000)) * time.Millisecond)
		}
	}
	customers.Wait()
}

func sku(n int) event.SKU { return event.SKU(fmt.Sprint("sku-", n)) }

func basket(w *streamtest.World) (lines []event.Line) {
	for range 1 + w.Rand.IntN(3) {
		n := 0
		if w.Rand.IntN(3) > 0 {
			n = w.Rand.IntN(6) // 4 and 5 are made to order
		}
		lines = append(lines, event.Line{SKU: sku(n), Quantity: int64(1 + w.Rand.IntN(4)), Unit: event.Money{Minor: 250, Currency: "GBP"}})
	}
	return lines
}

type customer struct {
	w       *streamtest.World
	s       *world
	id      string
	again   bool
	cancels time.Duration // after so long; 0: never
	lines   []event.Line
}

func (c customer) shop() {
	place := order.PlaceOrder{Order: event.OrderID(c.id), Customer: "c-" + c.id, Email: c.id + "@example.org", Card: "tok-" + c.id, Lines: c.lines,
		ShipTo: event.Address{Name: "N", Street: "S", City: "C", Postcode: "P", Country: "GB"}}
	var orders sync.WaitGroup
	orders.Go(func() { c.send("place-"+c.id, "place-order", place) })
	if c.again {
		orders.Go(func() { c.send("place-"+c.id, "place-order", place) })
	}
	if c.cancels > 0 {
		time.Sleep(c.cancels)
		c.send("cancel-"+c.id, "cancel-order", order.CancelOrder{Order: event.OrderID(c.id), Reason: "changed my mind"})
	}
	orders.Wait()
}

func (c customer) send(id, name string, cmd streams.Event) {
	r, err := c.w.Send(id, name, cmd)
	if err != nil {
		c.w.Violate("%s was never answered: %v", id, err)
	}
	if r.Status == streams.ReplyDone && name == "place-order" {
		c.s.mu.Lock()
		c.s.acked = append(c.s.acked, event.OrderID(c.id))
		c.s.mu.Unlock()
	}
}

// check audits the books. A death between a mail and its outcome sends it
// again, so more mails come twice than on a good day.
func (b *business) check(ctx context.Context, w *streamtest.World, in verify.Input) (*verify.Report, error) {
	s := b.of(w)
	a := audit.Input{Input: in, MailRepeats: 0.9}
	s.mu.Lock()
	a.Acknowledged = s.acked
	s.mu.Unlock()
	if err := s.Ledgers(&a); err != nil {
		return nil, err
	}
	if b.story != nil {
		for _, o := range orders(ctx, in) {
			b.story(o)
		}
	}
	return audit.Check(ctx, a)
}
