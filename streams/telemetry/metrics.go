package telemetry

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams"
)

// metrics are the collectors behind the names.
type metrics struct {
	inputs, rejections, emitted, repeats, conflicts, changes, spans, exported *prometheus.CounterVec
	age, batch, decide, commit, effect, request                               *prometheus.HistogramVec
	lag, lagAge, unpublished, parked, pending, breaker, halted                *prometheus.GaugeVec

	mu       sync.Mutex
	resolved map[streams.InputInfo]inputMetrics // labels looked up once
}

type inputMetrics struct {
	count prometheus.Counter
	age   prometheus.Observer
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	var failed error
	register := func(c prometheus.Collector) {
		if err := reg.Register(c); err != nil && failed == nil {
			failed = err
		}
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		register(c)
		return c
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		c := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		register(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		c := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100}, labels)
		register(c)
		return c
	}
	m := &metrics{resolved: map[streams.InputInfo]inputMetrics{},
		inputs:      counter(Inputs, "Inputs that a decider took, by what became of them.", "service", "decider", "kind", "input", "result"),
		rejections:  counter(Rejections, "Inputs refused by a business rule.", "service", "decider", "code"),
		emitted:     counter(Emitted, "Events stored, by type.", "service", "type"),
		repeats:     counter(Repeats, "Records skipped because their effect was stored before.", "service"),
		conflicts:   counter(Conflicts, "Commits that were refused or whose end is unknown.", "service"),
		changes:     counter(LaneChanges, "Changes in lanes' lives.", "service", "change"),
		spans:       counter(SpansStarted, "Spans started.", "service"),
		exported:    counter(SpansExported, "Spans handed to an exporter; fewer than started, for long, means lost ones."),
		age:         histogram(InputAge, "Time from an event to the commit of its effect.", Seconds, "service", "decider"),
		batch:       histogram(BatchInputs, "Inputs decided in one transaction.", []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000}, "service"),
		decide:      histogram(DecideSeconds, "Time to load and decide a batch.", Seconds, "service"),
		commit:      histogram(CommitSeconds, "Time to commit a batch.", Seconds, "service"),
		effect:      histogram(EffectSeconds, "Time of one attempt at an outside call.", Seconds, "service", "effect", "endpoint", "result"),
		request:     histogram(RequestSeconds, "Time to answer an HTTP request.", Seconds, "route", "method", "status"),
		lag:         gauge(LagRecords, "Records that a lane has not read yet.", "service", "topic", "lane"),
		lagAge:      gauge(LagSeconds, "Age of the last record read, while there are unread ones.", "service", "lane"),
		unpublished: gauge(UnpublishedAge, "Age of the oldest stored event that Kafka has not acknowledged.", "service", "lane"),
		parked:      gauge(Parked, "Inputs parked: failed, or waiting behind one that did.", "service", "lane"),
		pending:     gauge(EffectsPending, "Outside calls that wait for a definite answer.", "service", "lane"),
		breaker:     gauge(BreakerState, "Circuit breaker of an endpoint: 0 closed, 1 half-open, 2 open.", "service", "endpoint"),
		halted:      gauge(LanesHalted, "1 while a lane is halted and waits for a person.", "service", "lane"),
	}
	return m, failed
}

// OnBatch counts what a committed batch did.
func (t *Telemetry) OnBatch(b streams.BatchInfo) {
	m := t.metrics
	m.mu.Lock()
	for _, in := range b.Inputs {
		x := m.input(b.Service, in)
		x.count.Inc()
		x.age.Observe(in.Age.Seconds())
		if in.Rejected != "" {
			m.rejections.WithLabelValues(b.Service, in.Decider, in.Rejected).Inc()
		}
	}
	m.mu.Unlock()
	var last string
	n := 0
	for _, e := range b.Events { // runs of one type are counted together
		if e != last && n > 0 {
			m.emitted.WithLabelValues(b.Service, last).Add(float64(n))
			n = 0
		}
		last = e
		n++
	}
	if n > 0 {
		m.emitted.WithLabelValues(b.Service, last).Add(float64(n))
	}
	if b.Repeats > 0 {
		m.repeats.WithLabelValues(b.Service).Add(float64(b.Repeats))
	}
	m.batch.WithLabelValues(b.Service).Observe(float64(len(b.Inputs)))
	m.decide.WithLabelValues(b.Service).Observe(b.Decide.Seconds())
	m.commit.WithLabelValues(b.Service).Observe(b.Commit.Seconds())
}

// input resolves an input's labels; the caller holds the lock.
func (m *metrics) input(service string, in streams.InputInfo) inputMetrics {
	key := streams.InputInfo{Decider: in.Decider, Kind: in.Kind, Name: in.Name, Result: in.Result} // a decider has one service
	x, ok := m.resolved[key]
	if !ok {
		x = inputMetrics{m.inputs.WithLabelValues(service, in.Decider, string(in.Kind), in.Name, in.Result), m.age.WithLabelValues(service, in.Decider)}
		m.resolved[key] = x
	}
	return x
}

// OnLane keeps the gauges of lanes.
func (t *Telemetry) OnLane(e streams.LaneEvent) {
	m, lane := t.metrics, strconv.Itoa(int(e.Lane))
	switch e.What {
	case streams.LaneMeasured:
		for topic, n := range e.Lag {
			m.lag.WithLabelValues(e.Service, topic, lane).Set(float64(n))
		}
		m.lagAge.WithLabelValues(e.Service, lane).Set(e.LagAge.Seconds())
		m.unpublished.WithLabelValues(e.Service, lane).Set(e.Unpublished.Seconds())
		m.parked.WithLabelValues(e.Service, lane).Set(float64(e.Parked))
		m.pending.WithLabelValues(e.Service, lane).Set(float64(e.Pending))
		return
	case streams.LaneConflict:
		m.conflicts.WithLabelValues(e.Service).Inc()
	case streams.LaneHalted:
		m.halted.WithLabelValues(e.Service, lane).Set(1)
	case streams.LaneClaimed:
		m.halted.WithLabelValues(e.Service, lane).Set(0)
	case streams.LaneReleased, streams.LaneFenced: // another instance tells from here on
		own := prometheus.Labels{"service": e.Service, "lane": lane}
		for _, g := range []*prometheus.GaugeVec{m.lag, m.lagAge, m.unpublished, m.parked, m.pending, m.halted} {
			g.DeletePartialMatch(own)
		}
	}
	m.changes.WithLabelValues(e.Service, string(e.What)).Inc()
}

// OnBreaker keeps the state of an endpoint's breaker.
func (t *Telemetry) OnBreaker(service, endpoint, state string) {
	t.metrics.breaker.WithLabelValues(service, endpoint).Set(map[string]float64{"closed": 0, "half-open": 1, "open": 2}[state])
}
