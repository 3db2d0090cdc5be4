package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
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

// faults are the switches of a platform that is all in this process.
type faults struct {
	p       *platform
	turning sync.Mutex // held while a switch is turned, which may take a while
	mu      sync.Mutex // of what is on
	all     []*fault
	gauge   *prometheus.GaugeVec

	slow   atomic.Int64 // nanoseconds that each commit takes longer
	skew   atomic.Int64 // nanoseconds that the clock of one service is ahead
	dead   atomic.Int64 // 1: the entrance answers nobody
	silent atomic.Int64 // 1: no shopper comes
	stuck  atomic.Pointer[chan struct{}]
	noise  noise
	poison streams.StreamID // parked
}

// Services that faults hit.
const (
	skewedService = "payment"
	stuckService  = "notification"
)

// slowCommit is how much longer a commit takes in a slow store.
const slowCommit = 400 * time.Millisecond

// clockAhead is how far a wrong clock is ahead. Deadlines are minutes long.
const clockAhead = 10 * time.Second

func newFaults(p *platform) (*faults, error) {
	i := telemetry.NewInstruments(p.metrics)
	f := &faults{p: p, gauge: i.Gauge(telemetry.FaultOn)}
	f.noise.running = map[string]context.CancelFunc{}
	f.all = f.switches()
	for _, x := range f.all {
		f.gauge.WithLabelValues(x.Name).Set(0)
	}
	return f, i.Err()
}

// AllFaults are the faults that weir dev can practise, none of them on.
func AllFaults() []Fault {
	var out []Fault
	for _, x := range (&faults{}).switches() {
		out = append(out, x.Fault)
	}
	return out
}

// switches are all faults, in the order of the way of an order, and then those of all
// orders at once.
func (f *faults) switches() []*fault {
	return []*fault{
		f.simulated("provider-slow", provider, sim.Faults{LatencyMS: 1500}, "Every call of the payment provider takes a second and a half.",
			"Orders are confirmed late; none is lost.", "ConfirmationLatencyBurn"),
		f.simulated("provider-declining", provider, sim.Faults{Declines: 0.8}, "The provider declines four payments of five.",
			"Orders are cancelled, and their stock freed.", "CompensationBurn"),
		f.simulated("provider-down", provider, sim.Faults{Down: true}, "The provider cuts every connection.",
			"Orders wait for their payment; calls are repeated under the same key.", "OutsideCallsBurn", "BreakerOpen", "ConfirmationLatencyBurn"),
		f.simulated("carrier-down", carrier, sim.Faults{Down: true}, "The carrier cuts every connection.",
			"Orders are confirmed and paid, and wait for their label.", "OutsideCallsBurn", "BreakerOpen"),
		{Fault: Fault{Name: "poison-event", What: "An event that cannot be read is on the log.", Effect: "Its key is parked, all others flow; switching it off drops it.",
			Alerts: []string{"InputsParked"}}, on: f.poisonOn, off: f.poisonOff},
		{Fault: Fault{Name: "hot-key", What: "One article gets hundreds of events a second.", Effect: "One lane of inventory has nearly all the work.",
			Alerts: []string{"HotKey"}}, on: f.noise.begin("hot-key", f.hotKey), off: f.noise.end("hot-key")},
		{Fault: Fault{Name: "slow-store", What: fmt.Sprintf("Every commit takes %s longer.", slowCommit), Effect: "Everything is late by a commit at every hop.",
			Alerts: []string{"StoreSlow", "ConfirmationLatencyBurn"}}, on: set(&f.slow, int64(slowCommit)), off: set(&f.slow, 0)},
		{Fault: Fault{Name: "consumer-stuck", What: "The lanes of " + stuckService + " hang, and take nothing.", Effect: "Orders are shipped and not closed: their mail waits.",
			Alerts: []string{"ServiceFreshnessBurn", "CompletenessBurn"}}, on: f.stick, off: f.unstick},
		{Fault: Fault{Name: "duplicate-storm", What: "What is on the log is published again, a hundred times a second.", Effect: "Repeats are skipped. Nothing happens twice.",
			Alerts: []string{"RepeatsStorm"}}, on: f.noise.begin("duplicate-storm", f.repeats), off: f.noise.end("duplicate-storm")},
		{Fault: Fault{Name: "clock-skew", What: fmt.Sprintf("The clock of %s is %s ahead.", skewedService, clockAhead), Effect: "Events from the future; ages and deadlines are wrong by so much.",
			Alerts: []string{"ClockSkew"}}, on: set(&f.skew, int64(clockAhead)), off: set(&f.skew, 0)},
		{Fault: Fault{Name: "ingestion-flood", What: "One client posts three times what its quota allows.", Effect: "It is told to wait; others are not affected.",
			Alerts: []string{"ClientsThrottled"}}, on: f.noise.begin("ingestion-flood", f.flood), off: f.noise.end("ingestion-flood")},
		{Fault: Fault{Name: "entrance-silent", What: "No shopper comes any more; everything is at work.", Effect: "Requests fall to those of the prober.",
			Alerts: []string{"CustomersGone"}}, on: f.silence, off: set(&f.silent, 0)},
		{Fault: Fault{Name: "entrance-dead", What: "The gateway cuts every connection, and is missing in the metrics.", Effect: "Nobody can order. No failure is counted.",
			Alerts: []string{"UnitMissing", "ProbesFail"}}, on: f.die, off: f.revive},
		{Fault: Fault{Name: "host-starved", What: "Something else on the host takes nearly all of the processors.", Effect: "Everything is slow, for one reason: one call.",
			Alerts: []string{"GatewayLatencyBurn", "ConfirmationLatencyBurn"}}, on: f.noise.begin("host-starved", f.starve), off: f.noise.end("host-starved")},
	}
}

// simulated breaks a simulated server.
func (f *faults) simulated(name, server string, how sim.Faults, what, effect string, alerts ...string) *fault {
	to := func(how sim.Faults) func(context.Context) error {
		return func(context.Context) error {
			s, ok := f.p.outside.simulated[server].(interface{ SetFaults(sim.Faults) error })
			if !ok {
				return fmt.Errorf("the %s is not simulated here: break the real one", server)
			}
			return s.SetFaults(how)
		}
	}
	how.Seed = 1
	return &fault{Fault: Fault{Name: name, What: what, Effect: effect, Alerts: alerts}, on: to(how), off: to(sim.Faults{Seed: 1})}
}

func set(to *atomic.Int64, v int64) func(context.Context) error {
	return func(context.Context) error { to.Store(v); return nil }
}

// ErrNoFault says that no fault has the name.
var ErrNoFault = errors.New("no such fault")

// list tells all faults, in their order.
func (f *faults) list() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Fault, len(f.all))
	for i, x := range f.all {
		out[i] = x.Fault
	}
	return out
}

// turn switches a fault. One that is as wanted already stays so.
func (f *faults) turn(ctx context.Context, name string, on bool) error {
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
	f.p.Log.Warn("a fault was switched", "fault", name, "on", on)
	return nil
}

// end switches all off, so that everything can drain.
func (f *faults) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, x := range f.list() {
		if err := f.turn(ctx, x.Name, false); err != nil {
			f.p.Log.Warn("a fault is still on", "error", err)
		}
	}
}

// OnPoint holds up the lanes of the stuck service.
func (f *faults) OnPoint(at streams.Point, lane streams.Lane) error {
	if service, _, _ := strings.Cut(string(lane), "/"); at != streams.PointPolled || service != stuckService {
		return nil
	}
	if until := f.stuck.Load(); until != nil {
		<-*until
	}
	return nil
}

func (f *faults) stick(context.Context) error {
	until := make(chan struct{})
	f.stuck.Store(&until)
	return nil
}

func (f *faults) unstick(context.Context) error {
	close(*f.stuck.Swap(nil))
	return nil
}

// clock is a service's.
func (f *faults) clock(service string) func() time.Time {
	if service != skewedService {
		return time.Now
	}
	return func() time.Time { return time.Now().Add(time.Duration(f.skew.Load())) }
}

// slowStore is a store whose commits can be made slow.
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

// startFaults offers faults where all is embedded: what is shared with others
// is not broken for practice.
func (p *platform) startFaults(context.Context) (err error) {
	if p.broker == nil || !p.units.all {
		return nil
	}
	p.faults, err = newFaults(p)
	return err
}

// Faults answers GET /v1/faults.
type Faults struct {
	Faults []Fault `json:"faults"`
}

func (p *platform) listFaults(w http.ResponseWriter, _ *http.Request) {
	if p.faults == nil {
		noFaults(w)
		return
	}
	edge.JSON(w, http.StatusOK, Faults{p.faults.list()})
}

func (p *platform) turnFault(w http.ResponseWriter, r *http.Request) {
	name, verb := r.PathValue("name"), r.PathValue("verb")
	if p.faults == nil {
		noFaults(w)
		return
	}
	if verb != "on" && verb != "off" {
		(&edge.Problem{Code: "not-found", Status: http.StatusNotFound, Detail: "a fault is switched on or off"}).Write(w)
		return
	}
	switch err := p.faults.turn(r.Context(), name, verb == "on"); {
	case errors.Is(err, ErrNoFault):
		(&edge.Problem{Code: "no-fault", Status: http.StatusNotFound, Detail: err.Error()}).Write(w)
	case err != nil:
		(&edge.Problem{Code: "fault", Status: http.StatusConflict, Detail: err.Error()}).Write(w)
	default:
		p.listFaults(w, r)
	}
}

func noFaults(w http.ResponseWriter) {
	(&edge.Problem{Code: "no-faults", Status: http.StatusNotFound, Detail: "faults are for practice, in weir dev: this platform uses real servers"}).Write(w)
}
