// Package sagamonitor measures sagas from the events that they leave on the
// log: how many begin and end, how long each step takes, what is taken back,
// whose time is over, and what happened twice.
package sagamonitor

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// Event is what the monitor looks at.
type Event struct {
	ID, Type, Correlation, Causation string
	Decider                          string
	Version                          int
	Time                             time.Time
	Data                             []byte
}

// Bounds of memory.
const (
	maxSagas = 200_000          // followed at a time; of more, the oldest are forgotten
	linger   = 10 * time.Minute // an ended saga is remembered, to know what happens again
)

// Monitor follows sagas. It is told every event once, in any order between
// topics.
type Monitor struct {
	now      func() time.Time
	plans    map[string]*plan // by the type of event that starts a saga
	known    map[string]bool  // types of events that belong to any saga
	accounts []account
	facts    *streams.Vocabulary

	mu    sync.Mutex
	sagas map[string]*saga // by correlation
	order []string         // of their first events
	total map[string]sum   // held by all, by account

	started, ended, overdue, again, moved *prometheus.CounterVec
	running, late, oldest, held           *prometheus.GaugeVec
	eventSeconds, stepSeconds, answer     *prometheus.HistogramVec
}

// New registers the metrics of the sagas of a business and of the money that they move.
func New(b *business.Business, t *streams.Topology, i *telemetry.Instruments, now func() time.Time) (*Monitor, error) {
	m := &Monitor{now: now, plans: map[string]*plan{}, known: map[string]bool{}, facts: t.Vocabulary,
		sagas: map[string]*saga{}, total: map[string]sum{},
		started: i.Counter(telemetry.SagasStarted), ended: i.Counter(telemetry.SagasEnded),
		overdue: i.Counter(telemetry.SagasOverdue),
		again:   i.Counter(telemetry.DuplicateEffects), moved: i.Counter(telemetry.MoneyMoved),
		running: i.Gauge(telemetry.SagasRunning), late: i.Gauge(telemetry.SagasLate), oldest: i.Gauge(telemetry.SagaOldest), held: i.Gauge(telemetry.MoneyHeld),
		eventSeconds: i.Histogram(telemetry.SagaEventSeconds), answer: i.Histogram(telemetry.SagaAnswer), stepSeconds: i.Histogram(telemetry.SagaStepSeconds)}
	for _, money := range b.Money {
		m.accounts = append(m.accounts, newAccount(t, money))
		m.total[money.Name] = sum{}
	}
	for _, s := range b.Sagas {
		p, err := newPlan(t, s)
		if err != nil {
			return nil, err
		}
		if m.plans[p.starts] != nil {
			return nil, fmt.Errorf("sagas %s and %s both start with %s", m.plans[p.starts].name, p.name, p.starts)
		}
		m.plans[p.starts] = p
		for typ := range p.types {
			m.known[typ] = true
		}
		m.zero(p)
	}
	return m, i.Err()
}

// zero has the counters of rare things begin at 0: one that appears with its
// first event has not grown in the eyes of Prometheus.
func (m *Monitor) zero(p *plan) {
	m.started.WithLabelValues(p.name)
	m.overdue.WithLabelValues(p.name)
	m.answer.WithLabelValues(p.name)
	for _, compensated := range []string{"true", "false"} {
		for _, inTime := range []string{"true", "false"} {
			m.ended.WithLabelValues(p.name, compensated, inTime)
		}
	}
	for typ := range p.once {
		m.again.WithLabelValues(p.name, typ)
	}
}

// Restore forgets all, and takes the events of sagas under way without counting
// them: they were counted when they happened.
func (m *Monitor) Restore(events []Event) {
	m.mu.Lock()
	m.sagas, m.order = map[string]*saga{}, nil
	m.mu.Unlock()
	m.take(events, false)
}

// Observe counts events. Those that belong to no saga are passed over.
func (m *Monitor) Observe(events []Event) { m.take(events, true) }

func (m *Monitor) take(events []Event, count bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		if !m.known[e.Type] || e.Correlation == "" {
			continue
		}
		s := m.sagas[e.Correlation]
		if s == nil {
			s = &saga{first: m.now(), at: map[string]time.Time{}, seen: map[string]int{}, money: map[string]*purse{}}
			m.sagas[e.Correlation] = s
			m.order = append(m.order, e.Correlation)
		}
		if p := m.plans[e.Type]; p != nil && s.plan == nil {
			m.begin(s, p, e, count)
		}
		m.event(s, e, count)
	}
}

func (m *Monitor) begin(s *saga, p *plan, e Event, count bool) {
	s.plan, s.started, s.due = p, e.Time, e.Time.Add(p.within)
	early := s.early
	s.early = nil
	if count {
		m.started.WithLabelValues(p.name).Inc()
	}
	for _, x := range early {
		m.event(s, x, count)
	}
}

// event takes one event of a saga. One that was read before the saga's start
// waits for it.
func (m *Monitor) event(s *saga, e Event, count bool) {
	if s.plan == nil {
		s.early = append(s.early, e)
		return
	}
	p := s.plan
	if !p.types[e.Type] {
		return
	}
	if _, again := s.at[e.ID]; again {
		return
	}
	s.at[e.ID] = e.Time
	s.seen[e.Type]++
	s.last = append(s.last, moment{e.Type, e.Time})
	s.compensated = s.compensated || p.undoOnly[e.Type]
	first := p.answers[e.Type] && !s.answered
	s.answered = s.answered || first
	m.money(s, e, count)
	if count {
		m.measure(s, e)
	}
	if count && first {
		m.answer.WithLabelValues(p.name).Observe(atLeast0(e.Time.Sub(s.started)))
	}
	if p.ends[e.Type] && s.ended.IsZero() {
		m.end(s, e, count)
	}
}

// money follows what an event moves. A counter takes nothing that is below zero: it
// would bring the process down.
func (m *Monitor) money(s *saga, e Event, count bool) {
	for i := range m.accounts {
		a := &m.accounts[i]
		put := a.put(m.facts, e)
		if len(a.out) > 0 {
			if s.money[a.name] == nil {
				s.money[a.name] = &purse{}
			}
			s.money[a.name].move(a, e, put)
			for currency := range put { // it is there from now on, also if all is out before the next sweep
				m.total[a.name][currency] += 0
			}
			continue
		}
		for currency, units := range put {
			if count && units >= 0 {
				m.moved.WithLabelValues(a.name, currency).Add(units)
			}
		}
	}
}

func (m *Monitor) measure(s *saga, e Event) {
	p := s.plan
	if s.seen[e.Type] == 1 {
		m.eventSeconds.WithLabelValues(p.name, e.Type).Observe(atLeast0(e.Time.Sub(s.started)))
	} else if p.once[e.Type] {
		m.again.WithLabelValues(p.name, e.Type).Inc()
	}
	s.waiting = append(s.waiting, e)
	s.waiting = slices.DeleteFunc(s.waiting, func(e Event) bool {
		from, undo, ok := s.cause(e)
		if ok {
			m.stepSeconds.WithLabelValues(p.name, e.Decider, e.Type, fmt.Sprint(undo)).Observe(atLeast0(e.Time.Sub(from)))
		}
		return ok
	})
}

func atLeast0(d time.Duration) float64 { return max(d.Seconds(), 0) }

func (m *Monitor) end(s *saga, e Event, count bool) {
	s.ended, s.endedAt = e.Time, m.now()
	if !count {
		return
	}
	inTime := !s.ended.After(s.due) && !s.overdue
	if !inTime && !s.overdue {
		m.overdue.WithLabelValues(s.plan.name).Inc()
	}
	s.overdue = !inTime
	m.ended.WithLabelValues(s.plan.name, fmt.Sprint(s.compensated), fmt.Sprint(inTime)).Inc()
}

// Sweep finds the sagas whose time is over, sets the gauges, and forgets what is
// long ended. It is to be called every few seconds.
func (m *Monitor) Sweep() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	under := map[string]*flight{}
	for _, total := range m.total { // a currency that is not held any more is at 0
		for currency := range total {
			total[currency] = 0
		}
	}
	for _, p := range m.plans {
		under[p.name] = &flight{}
	}
	m.order = slices.DeleteFunc(m.order, func(correlation string) bool {
		s := m.sagas[correlation]
		if len(m.sagas) > maxSagas || s.over(now) {
			delete(m.sagas, correlation)
			return true
		}
		if s.plan != nil && s.ended.IsZero() {
			m.look(s, under[s.plan.name], now)
			for account, p := range s.money {
				m.total[account].add(p.in)
			}
		}
		return false
	})
	for name, f := range under {
		m.running.WithLabelValues(name).Set(float64(f.sagas))
		m.late.WithLabelValues(name).Set(float64(f.late))
		m.oldest.WithLabelValues(name).Set(f.oldest.Seconds())
	}
	for account, total := range m.total {
		for currency, units := range total {
			m.held.WithLabelValues(account, currency).Set(units)
		}
	}
}

type flight struct {
	sagas, late int
	oldest      time.Duration
}

func (m *Monitor) look(s *saga, f *flight, now time.Time) {
	f.sagas++
	f.oldest = max(f.oldest, now.Sub(s.started))
	if now.Before(s.due) {
		return
	}
	f.late++
	if !s.overdue {
		s.overdue = true
		m.overdue.WithLabelValues(s.plan.name).Inc()
	}
}

// Followed is how many sagas are in memory, those that ended lately included.
func (m *Monitor) Followed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sagas)
}
