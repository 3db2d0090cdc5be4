package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

// States of a unit.
const (
	unitRuns   = "runs"
	unitWaits  = "waits"  // for something that passes: it is tried again
	unitHalted = "halted" // waits for a person
)

// unit is a part of the process that stands and falls alone. What passes is tried
// again; what does not halts it, and the others go on.
type unit struct {
	name   string
	again  chan struct{} // a person asks for another try
	halted prometheus.Gauge

	mu    sync.Mutex
	state string
	err   error
	since time.Time
}

// UnitState tells how a unit is.
type UnitState struct {
	Unit    string    `json:"unit"`
	State   string    `json:"state"` // runs, waits or halted
	Because string    `json:"because,omitempty"`
	Since   time.Time `json:"since"`
	then    string
}

func (p *platform) newUnit(name string) *unit {
	u := &unit{name: name, again: make(chan struct{}, 1), halted: p.haltedUnits.WithLabelValues(name), state: unitRuns, since: time.Now()}
	u.halted.Set(0)
	p.supervised.mu.Lock()
	defer p.supervised.mu.Unlock()
	p.supervised.all = append(p.supervised.all, u)
	return u
}

// supervised are the units of the process.
type supervised struct {
	mu  sync.Mutex
	all []*unit
}

func (s *supervised) list() []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func (s *supervised) named(name string) *unit {
	for _, u := range s.list() {
		if u.name == name {
			return u
		}
	}
	return nil
}

func (u *unit) set(state string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state != state {
		u.since = time.Now()
	}
	u.state, u.err = state, err
	u.halted.Set(0)
	if state == unitHalted {
		u.halted.Set(1)
	}
}

func (u *unit) get() UnitState {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := UnitState{Unit: u.name, State: u.state, Since: u.since}
	if u.err != nil {
		s.Because, s.then = u.err.Error(), u.then()
	}
	return s
}

// then is what comes after the cure that a halted unit's error names.
func (u *unit) then() string {
	switch {
	case errors.As(u.err, new(*streams.OfflineError)):
		return ""
	case errors.As(u.err, new(*projection.HoleError)), errors.As(u.err, new(*streams.HaltError)):
		return fmt.Sprintf(". Then: weir unit restart %q. Or accept that it is lost: weir unit accept %q", u.name, u.name)
	}
	return fmt.Sprintf(". Cure that, then: weir unit restart %q", u.name)
}

// trouble says what is wrong with a unit, or nothing.
func (u *unit) trouble() string {
	s := u.get()
	switch s.State {
	case unitHalted:
		return fmt.Sprintf("%s is halted: %s%s", u.name, s.Because, s.then)
	case unitWaits:
		return fmt.Sprintf("%s waits and is tried again: %s", u.name, s.Because)
	}
	return ""
}

// Waits between two tries of a unit grow from the first to the last of these. One
// that has run for a while is well again.
const (
	firstTry = 200 * time.Millisecond
	lastTry  = 10 * time.Second
	wellTime = 5 * time.Second
)

// keep runs f until ctx ends, or f does so without an error.
func (p *platform) keep(ctx context.Context, u *unit, f func(context.Context) error) {
	for wait := firstTry; ; wait = min(2*wait, lastTry) {
		began := time.Now()
		well := time.AfterFunc(wellTime, func() { u.set(unitRuns, nil) })
		err := f(ctx)
		well.Stop()
		if err == nil || ctx.Err() != nil {
			u.set(unitRuns, nil)
			return
		}
		if time.Since(began) > wellTime {
			wait = firstTry
		}
		var retry <-chan time.Time
		if passing(err) {
			if u.get().State != unitWaits {
				p.Log.Warn("a unit waits, and is tried again", "unit", u.name, "error", err)
			}
			u.set(unitWaits, err)
			retry = time.After(wait)
		} else {
			u.set(unitHalted, err)
			p.Log.Error("a unit is halted, the others go on", "unit", u.name, "error", err.Error()+u.get().then)
		}
		select {
		case <-retry:
		case <-u.again:
			p.Log.Info("a unit is tried again, as a person asks", "unit", u.name)
			u.set(unitRuns, nil)
		case <-ctx.Done():
			return
		}
	}
}

// passing tells the errors that waiting may cure: of the way to a server, of one
// that is about to be another one, of a full disk.
func passing(err error) bool {
	var netErr net.Error
	var postgres interface{ SQLState() string }
	var sqlite interface{ Code() int }
	switch {
	case kerr.IsRetriable(err), errors.As(err, &netErr), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, projection.ErrUnavailable), errors.Is(err, projection.ErrFenced):
		return true
	case errors.As(err, &postgres):
		return slices.Contains([]string{"08", "53", "57", "58"}, postgres.SQLState()[:min(2, len(postgres.SQLState()))])
	case errors.As(err, &sqlite):
		return slices.Contains([]int{5, 6, 7, 10, 13}, sqlite.Code()&0xff) // busy, locked, memory, disk failed, disk full
	}
	return false
}

// persist calls f at the start until it succeeds, or fails for good.
func (p *platform) persist(ctx context.Context, what string, f func() error) error {
	for wait := firstTry; ; wait = min(2*wait, lastTry) {
		err := f()
		if err == nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		if wait == firstTry {
			p.Log.Warn("the start waits", "for", what, "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// background runs f as a unit until the platform stops, which waits for its end.
func (p *platform) background(ctx context.Context, name string, f func(context.Context) error) {
	p.together(ctx, map[string]func(context.Context) error{name: f})
}

// together runs several units that stop at once.
func (p *platform) together(ctx context.Context, units map[string]func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for name, f := range units {
		u := p.newUnit(name)
		running.Go(func() { p.keep(ctx, u, f) })
	}
	p.wait = append(p.wait, func() {
		cancel()
		running.Wait()
	})
}

// Units answers GET /v1/units.
type Units struct {
	Items []UnitState `json:"items"`
}

func (p *platform) unitStates() (out []UnitState) {
	for _, u := range p.supervised.list() {
		out = append(out, u.get())
	}
	slices.SortFunc(out, func(a, b UnitState) int { return strings.Compare(a.Unit, b.Unit) })
	return out
}

func (p *platform) listUnits(w http.ResponseWriter, _ *http.Request) {
	edge.JSON(w, http.StatusOK, Units{p.unitStates()})
}

// restartUnit has a unit that is halted, or waits, tried again at once.
func (p *platform) restartUnit(w http.ResponseWriter, r *http.Request) {
	if u := p.unitOf(w, r); u != nil {
		u.restart(w)
	}
}

// acceptUnit has the halted writer of the read model or of analytics, or a pipeline, go on without what
// the log and the event stores have lost.
func (p *platform) acceptUnit(w http.ResponseWriter, r *http.Request) {
	u := p.unitOf(w, r)
	if u == nil {
		return
	}
	var hole *projection.HoleError
	var halt *streams.HaltError
	u.mu.Lock()
	halted := u.state == unitHalted
	lost, pipeline := halted && errors.As(u.err, &hole), halted && errors.As(u.err, &halt) && slices.Contains(p.units.pipelines, u.name)
	u.mu.Unlock()
	if pipeline {
		p.acceptLog(w, r, u)
		return
	}
	if !lost {
		(&edge.Problem{Code: "not-possible", Status: http.StatusConflict,
			Detail: "the unit is not halted for something lost, there is nothing to accept: weir unit ls says how it is"}).Write(w)
		return
	}
	if u.name == AnalyticsUnit {
		p.analytics.writer.Accept(hole)
	} else {
		p.reads.Accept(hole)
	}
	p.Log.Warn("what is lost is accepted, as a person asks", "unit", u.name, "hole", hole.Error())
	u.restart(w)
}

// unitOf is the unit that a request names; nil if there is none, which is answered.
func (p *platform) unitOf(w http.ResponseWriter, r *http.Request) *unit {
	u := p.supervised.named(r.PathValue("name"))
	if u == nil {
		var names []string
		for _, s := range p.unitStates() {
			names = append(names, s.Unit)
		}
		(&edge.Problem{Code: "not-found", Status: http.StatusNotFound,
			Detail: "no unit of this process is called so: there are " + strings.Join(names, ", ")}).Write(w)
	}
	return u
}

func (u *unit) restart(w http.ResponseWriter) {
	if u.get().State == unitRuns {
		(&edge.Problem{Code: "unit-runs", Status: http.StatusConflict, Detail: "the unit runs: nothing was done"}).Write(w)
		return
	}
	select {
	case u.again <- struct{}{}:
	default: // asked for already
	}
	edge.JSON(w, http.StatusAccepted, u.get())
}
