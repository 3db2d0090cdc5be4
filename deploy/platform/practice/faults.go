// Package practice breaks a platform on purpose, to see what that looks like and who is
// called, and has simulated customers come.
package practice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// Fault is something that can be broken on purpose, to see what it looks like
// and who is called.
type Fault struct {
	Name   string    `json:"name"`
	What   string    `json:"what"`   // it does
	Effect string    `json:"effect"` // that is to be seen
	Alerts []string  `json:"alerts"` // that fire
	On     bool      `json:"on"`
	Since  time.Time `json:"since,omitzero"` // of its being on or off
}

// fault is a fault with its switch.
type fault struct {
	Fault
	on, off func(context.Context) error
}

// Platform is what is to be broken: one that is all in this process, as what is shared
// with others is not broken for practice.
type Platform struct {
	Business   *business.Business
	Topology   *streams.Topology
	Kafka      []kgo.Opt // of a client of the log
	Partitions int32
	HTTP       string                   // address of its interface
	PerSecond  float64                  // what its quota allows one client; 0: no bound
	Alerts     []string                 // names of those that watch the business
	Customers  bool                     // come by themselves
	Simulated  map[string]sim.Simulated // endpoints
	// Drop drops the input that a key is parked behind.
	Drop func(ctx context.Context, service string, key streams.StreamID) (left int, err error)
	// Tell has the metrics say whether the gateway is there.
	Tell func(gateway bool)
	Log  *slog.Logger
}

// Faults are the switches of a platform.
type Faults struct {
	Platform
	turning sync.Mutex // held while a switch is turned, which may take a while
	mu      sync.Mutex // of what is on
	all     []*fault
	gauge   *prometheus.GaugeVec

	slow   atomic.Int64 // nanoseconds that each commit takes longer
	skew   atomic.Int64 // nanoseconds that the clock of one service is ahead
	dead   atomic.Int64 // 1: the entrance answers nobody
	silent atomic.Int64 // 1: no customer comes
	stuck  atomic.Pointer[hang]
	noise  noise
	poison streams.StreamID // parked
}

// hang is a service whose lanes take nothing until somebody closes the channel.
type hang struct {
	service string
	until   chan struct{}
}

// skewed is the service whose clock can be wrong: one that asks outside, or any.
func (f *Faults) skewed() string {
	for _, s := range f.Business.Services {
		if len(s.Endpoints) > 0 {
			return s.Name
		}
	}
	return f.Business.Services[0].Name
}

// stuckService is the service that can hang: the last one without which the saga of
// customers does not go on, or any.
func (f *Faults) stuckService() string {
	last := f.Business.Services[len(f.Business.Services)-1].Name
	if f.Business.Customer == nil {
		return last
	}
	saga, _ := f.Business.Saga(f.Business.Customer.Begins)
	place := -1
	for _, step := range saga.Steps(f.Topology) {
		service, _, _ := f.Topology.Decider(step.By)
		at := slices.IndexFunc(f.Business.Services, func(s business.Service) bool { return service != nil && s.Name == service.Name })
		if at > place && len(step.Emits) > 0 {
			place, last = at, service.Name
		}
	}
	return last
}

// startTopic carries what begins the saga of customers.
func (f *Faults) startTopic() string {
	saga, _ := f.Business.Saga(f.Business.Customer.Begins)
	topic, _ := f.Topology.Topic(f.Topology.Name(saga.Starts))
	return topic.Name
}

// slowCommit is how much longer a commit takes in a slow store.
const slowCommit = 400 * time.Millisecond

// clockAhead is how far a wrong clock is ahead. Deadlines are minutes long.
const clockAhead = 10 * time.Second

// New offers the faults of a platform, none of them on.
func New(p Platform, i *telemetry.Instruments) (*Faults, error) {
	f := &Faults{Platform: p, gauge: i.Gauge(telemetry.FaultOn)}
	f.noise.running = map[string]context.CancelFunc{}
	f.all = f.switches()
	for _, x := range f.all {
		f.gauge.WithLabelValues(x.Name).Set(0)
	}
	return f, errors.Join(i.Err(), f.unknownAlerts())
}

// unknownAlerts reports faults of endpoints that say they call by an alert that there is not.
func (f *Faults) unknownAlerts() error {
	var errs []error
	for _, e := range f.Business.Endpoints() {
		for _, x := range e.Faults {
			for _, a := range x.Alerts {
				if !slices.Contains(f.Alerts, a) {
					errs = append(errs, fmt.Errorf("fault %s of endpoint %s names the alert %s, which there is not: see weir "+
						"alerts render", x.Name, e.Name, a))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// All are the faults that can be practised with a business, none of them on.
func All(b *business.Business) []Fault {
	t, err := b.Topology()
	if err != nil {
		return nil // whoever needs the topology says why
	}
	var out []Fault
	p := Platform{Business: b, Topology: t, Alerts: alerts.Business(b, t, alerts.Standard()).Names()}
	for _, x := range (&Faults{Platform: p}).switches() {
		out = append(out, x.Fault)
	}
	return out
}

// switches are all faults that a business can have: those of its endpoints, of what comes
// from outside, of the platform, and of its entrance.
func (f *Faults) switches() []*fault {
	var all []*fault
	for _, e := range f.Business.Endpoints() {
		for _, x := range e.Faults {
			all = append(all, f.simulated(e, x))
		}
	}
	all = append(all, f.ofThePlatform()...)
	if c := f.Business.Customer; c != nil {
		if c.Delivery != nil {
			all = append(all, f.ofPosted()...)
		}
		all = append(all, f.ofCustomers()...)
	}
	for _, x := range all { // what a business has not, it is not called for
		x.Alerts = slices.DeleteFunc(slices.Clone(x.Alerts), func(a string) bool { return !slices.Contains(f.Alerts, a) })
	}
	return all
}

func (f *Faults) ofThePlatform() []*fault {
	stuck, skewed := f.stuckService(), f.skewed()
	return []*fault{
		{Fault: Fault{Name: "slow-store", What: fmt.Sprintf("Every commit takes %s longer.", slowCommit), Effect: "Everything is late by a commit at every hop.",
			Alerts: []string{"StoreSlow", "SagaAnswerBurn"}}, on: set(&f.slow, int64(slowCommit)), off: set(&f.slow, 0)},
		{Fault: Fault{Name: "consumer-stuck", What: "The lanes of " + stuck + " hang, and take nothing.", Effect: "What " + stuck + " has to do waits, and sagas do not end without it.",
			Alerts: []string{"ServiceFreshnessBurn", "CompletenessBurn"}}, on: f.stick, off: f.unstick},
		{Fault: Fault{Name: "clock-skew", What: fmt.Sprintf("The clock of %s is %s ahead.", skewed, clockAhead), Effect: "Events from the future; ages and deadlines are wrong by so much.",
			Alerts: []string{"ClockSkew"}}, on: set(&f.skew, int64(clockAhead)), off: set(&f.skew, 0)},
		{Fault: Fault{Name: "host-starved", What: "Something else on the host takes nearly all of the processors.", Effect: "Everything is slow, for one reason: one call.",
			Alerts: []string{"GatewayLatencyBurn"}}, on: f.noise.begin("host-starved", f.starve), off: f.noise.end("host-starved")},
	}
}

func (f *Faults) ofPosted() []*fault {
	return []*fault{
		{Fault: Fault{Name: "poison-event", What: "An event that cannot be read is on the log.", Effect: "Its key is parked, all others flow; switching it off drops it.",
			Alerts: []string{"InputsParked"}}, on: f.poisonOn, off: f.poisonOff},
		{Fault: Fault{Name: "hot-key", What: "One key gets hundreds of events a second.", Effect: "One lane of its service has nearly all the work.",
			Alerts: []string{"HotKey"}}, on: f.noise.begin("hot-key", f.hotKey), off: f.noise.end("hot-key")},
		{Fault: Fault{Name: "ingestion-flood", What: "One client posts three times what its quota allows.", Effect: "It is told to wait; others are not affected.",
			Alerts: []string{"ClientsThrottled"}}, on: f.noise.begin("ingestion-flood", f.flood), off: f.noise.end("ingestion-flood")},
	}
}

func (f *Faults) ofCustomers() []*fault {
	return []*fault{
		{Fault: Fault{Name: "duplicate-storm", What: "What is on the log is published again, a hundred times a second.", Effect: "Repeats are skipped. Nothing happens twice.",
			Alerts: []string{"RepeatsStorm"}}, on: f.noise.begin("duplicate-storm", f.repeats), off: f.noise.end("duplicate-storm")},
		{Fault: Fault{Name: "entrance-silent", What: "No customer comes any more; everything is at work.", Effect: "Requests fall to those of the prober.",
			Alerts: []string{"CustomersGone"}}, on: f.silence, off: set(&f.silent, 0)},
		{Fault: Fault{Name: "entrance-dead", What: "The gateway cuts every connection, and is missing in the metrics.", Effect: "Nobody can ask for anything. No failure is counted.",
			Alerts: []string{"UnitMissing", "ProbesFail"}}, on: f.die, off: f.revive},
	}
}

// simulated breaks a simulated endpoint.
func (f *Faults) simulated(e business.Endpoint, x business.Fault) *fault {
	to := func(how sim.Faults) func(context.Context) error {
		return func(context.Context) error {
			s := f.Simulated[e.Name]
			if s == nil {
				return fmt.Errorf("the %s is not simulated here: break the real one", e.Name)
			}
			return s.SetFaults(how)
		}
	}
	how := sim.Faults{Seed: 1, Down: x.Down, LatencyMS: x.LatencyMS, Errors: x.Errors, Refuse: x.Refuse}
	return &fault{Fault: Fault{Name: x.Name, What: x.What, Effect: x.Effect, Alerts: x.Alerts}, on: to(how), off: to(sim.Faults{Seed: 1})}
}

func set(to *atomic.Int64, v int64) func(context.Context) error {
	return func(context.Context) error { to.Store(v); return nil }
}

// ErrNoFault says that no fault has the name.
var ErrNoFault = errors.New("no such fault")

// List tells all faults, in their order.
func (f *Faults) List() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Fault, len(f.all))
	for i, x := range f.all {
		out[i] = x.Fault
	}
	return out
}

// Turn switches a fault. One that is as wanted already stays so.
func (f *Faults) Turn(ctx context.Context, name string, on bool) error {
	f.turning.Lock()
	defer f.turning.Unlock()
	i := slices.IndexFunc(f.all, func(x *fault) bool { return x.Name == name })
	if i < 0 {
		return fmt.Errorf("%w: %q. See weir fault ls", ErrNoFault, name)
	}
	x := f.all[i]
	if x.On == on {
		return nil
	}
	act, value := x.off, 0.0
	if on {
		act, value = x.on, 1
	}
	if err := act(ctx); err != nil {
		return fmt.Errorf("fault %s: %w", name, err)
	}
	f.mu.Lock()
	x.On, x.Since = on, time.Now()
	f.mu.Unlock()
	f.gauge.WithLabelValues(name).Set(value)
	f.Log.Warn("a fault was switched", "fault", name, "on", on)
	return nil
}

// End switches all off, so that everything can drain.
func (f *Faults) End() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, x := range f.List() {
		if err := f.Turn(ctx, x.Name, false); err != nil {
			f.Log.Warn("a fault is still on", "error", err)
		}
	}
}

// OnPoint holds up the lanes of the stuck service. Lanes ask at every turn.
func (f *Faults) OnPoint(at streams.Point, lane streams.Lane) error {
	h := f.stuck.Load()
	if h == nil || at != streams.PointPolled {
		return nil
	}
	if service, _, _ := strings.Cut(string(lane), "/"); service == h.service {
		<-h.until
	}
	return nil
}

func (f *Faults) stick(context.Context) error {
	f.stuck.Store(&hang{f.stuckService(), make(chan struct{})})
	return nil
}

func (f *Faults) unstick(context.Context) error {
	close(f.stuck.Swap(nil).until)
	return nil
}

// Clock is a service's.
func (f *Faults) Clock(service string) func() time.Time {
	if service != f.skewed() {
		return time.Now
	}
	return func() time.Time { return time.Now().Add(time.Duration(f.skew.Load())) }
}

// Slow is a store whose commits can be made slow.
func (f *Faults) Slow(s streams.Store) streams.Store { return slowStore{s, &f.slow} }

type slowStore struct {
	streams.Store
	by *atomic.Int64
}

// Commit waits first.
func (s slowStore) Commit(ctx context.Context, lane int32, tx *streams.Tx) error {
	if by := time.Duration(s.by.Load()); by > 0 {
		select {
		case <-time.After(by):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.Store.Commit(ctx, lane, tx)
}
