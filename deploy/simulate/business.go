// Package simulate lives through bad days of a whole business: all services, the
// simulated outside, customers, and a schedule of faults, in virtual time. What is
// simulated is what ships.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// days finds the outside and the books of each world that is simulated.
type days struct {
	business *business.Business
	topology *streams.Topology
	story    func(Story) // told how each saga ended; nil: nobody is
	mu       sync.Mutex
	worlds   map[*streamtest.World]*world
}

// world is the business in one world.
type world struct {
	*sim.World
	business *business.Business
	mu       sync.Mutex
	faults   sim.Faults
	acked    []streams.Key
}

// New is the simulation of a whole business. It needs customers.
func New(b *business.Business) (*streamtest.Simulation, error) { return newDays(b, nil) }

func newDays(of *business.Business, story func(Story)) (*streamtest.Simulation, error) {
	top, err := of.Topology()
	if err != nil {
		return nil, err
	}
	if of.Customer == nil {
		return nil, fmt.Errorf("business %s has no Customer: nothing would happen on any day", of.Name)
	}
	b := &days{business: of, topology: top, worlds: map[*streamtest.World]*world{}, story: story}
	s := &streamtest.Simulation{Topology: top, Instances: 2, Longest: longest(of), Open: b.open, Work: func(w *streamtest.World) { b.of(w).work(w) }, Check: b.check}
	for _, e := range of.Endpoints() { // a seed means the same at every start
		for _, t := range troubles {
			if t.of == "" || t.of == e.Protocol {
				s.Outside = append(s.Outside, streamtest.Trouble{Name: e.Name + t.name, Switch: func(w *streamtest.World, on bool) { b.of(w).trouble(w, e.Name, t.change, on) }})
			}
		}
	}
	return s, nil
}

// longest is what any saga may take: no timer of the business waits longer.
func longest(b *business.Business) (d time.Duration) {
	for _, s := range b.Sagas {
		d = max(d, s.Within)
	}
	return d
}

// troubles are beside what goes wrong with every tenth call anyway.
var troubles = []struct {
	name   string
	of     business.Protocol // empty: all
	change func(*sim.Faults)
}{
	{"-down", "", func(f *sim.Faults) { f.Down = true }},
	{"-silent", business.HTTP, func(f *sim.Faults) { f.Lost = 1 }},               // every call is acted on and never answered
	{"-late", business.HTTP, func(f *sim.Faults) { f.Late, f.LateMS = 1, 6000 }}, // every call is acted on and answered after its deadline
}

func (b *days) of(w *streamtest.World) *world {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.worlds[w]
}

func (b *days) open(w *streamtest.World) (closeAll func()) {
	s := &world{business: b.business, faults: sim.Faults{Seed: w.Rand.Uint64(), Errors: 0.1, Lost: 0.05, Refuse: map[string]float64{}, LatencyMS: 5, JitterMS: 30}}
	for _, e := range b.business.Endpoints() {
		for _, kind := range e.Refusals {
			s.faults.Refuse[kind] = 0.1
		}
	}
	var err error
	if s.World, err = sim.OpenWorld(w, b.business.Endpoints(), s.faults); err != nil {
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

func (s *world) trouble(w *streamtest.World, endpoint string, change func(*sim.Faults), on bool) {
	f := s.faults
	if on {
		change(&f)
	}
	if err := s.Servers[endpoint].SetFaults(f); err != nil {
		w.Violate("%v", err)
	}
}

// work is a bad day of customers: deliveries told twice, customers in bursts, repeated
// commands, and second thoughts at any moment.
func (s *world) work(w *streamtest.World) {
	who := s.business.Customer
	if who.Deliveries != nil {
		for n, d := range who.Deliveries(w.Rand) {
			for range 2 {
				if err := w.Post(fmt.Sprint("d-", n), d); err != nil {
					w.Violate("delivery: %v", err)
				}
			}
		}
	}
	var customers sync.WaitGroup
	for n := range 10 + w.Rand.IntN(20) {
		acts, again := who.BadDay(fmt.Sprint("c-", n), w.Rand), w.Rand.IntN(4) == 0
		customers.Go(func() { s.visit(w, acts, again) })
		if w.Rand.IntN(3) > 0 {
			time.Sleep(time.Duration(w.Rand.IntN(5000)) * time.Millisecond)
		}
	}
	customers.Wait()
}

// visit does what a customer does; nobody waits for an answer before the next thing.
func (s *world) visit(w *streamtest.World, acts []business.Act, again bool) {
	var under sync.WaitGroup
	defer under.Wait()
	for n, a := range acts {
		time.Sleep(a.After)
		id := fmt.Sprint(a.Command, "-", a.Body.Key().String(), "-", n)
		under.Go(func() { s.send(w, id, a) })
		if again && n == 0 {
			under.Go(func() { s.send(w, id, a) })
		}
	}
}

func (s *world) send(w *streamtest.World, id string, a business.Act) {
	r, err := w.Send(id, a.Command, a.Body)
	if err != nil {
		w.Violate("%s was never answered: %v", id, err)
	}
	if r.Status == streams.ReplyDone {
		s.mu.Lock()
		s.acked = append(s.acked, a.Body.Key())
		s.mu.Unlock()
	}
}

// check audits the books. A death between a mail and its outcome sends it
// again, so more mails come twice than on a good day.
func (b *days) check(ctx context.Context, w *streamtest.World, in verify.Input) (*verify.Report, error) {
	s := b.of(w)
	a := audit.Input{Input: in, Business: b.business, MailRepeats: 0.9}
	s.mu.Lock()
	a.Acknowledged = s.acked
	s.mu.Unlock()
	var err error
	if a.Ledgers, err = s.Ledgers(); err != nil {
		return nil, err
	}
	if b.story != nil {
		for _, o := range b.stories(ctx, in) {
			b.story(o)
		}
	}
	r, err := audit.Check(ctx, a)
	return r, errors.Join(err, ctx.Err())
}
