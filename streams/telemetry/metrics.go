package telemetry

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams"
)

// metrics are the collectors behind the names.
type metrics struct {
	inputs, laneInputs, rejections, emitted, repeats, future, conflicts, changes, spans, exported, ingested, posted, requests, refused, heldBack *prometheus.CounterVec
	age, batch, decide, commit, effect, seconds, senderAge                                                                                       *prometheus.HistogramVec
	lag, lagAge, unpublished, parked, pending, breaker, halted, inARow                                                                           *prometheus.GaugeVec

	mu       sync.Mutex
	resolved map[streams.InputInfo]inputMetrics // labels looked up once
	clients  clients
	routes   map[string][]string // methods
}

type inputMetrics struct {
	count prometheus.Counter
	age   prometheus.Observer
}

func (x inputMetrics) add(n int) {
	if n > 0 {
		x.count.Add(float64(n))
	}
}

// alike reports whether two inputs have the same series.
func alike(a, b *streams.InputInfo) bool {
	return a.Name == b.Name && a.Decider == b.Decider && a.Result == b.Result && a.Kind == b.Kind
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	i := NewInstruments(reg)
	m := &metrics{resolved: map[streams.InputInfo]inputMetrics{}, clients: clients{now: time.Now, last: map[string]time.Time{}, strangers: map[string]int{}}, routes: map[string][]string{},
		inputs: i.Counter(Inputs), laneInputs: i.Counter(LaneInputs), rejections: i.Counter(Rejections), emitted: i.Counter(Emitted), repeats: i.Counter(Repeats), future: i.Counter(FutureInputs),
		conflicts: i.Counter(Conflicts), changes: i.Counter(LaneChanges), spans: i.Counter(SpansStarted), exported: i.Counter(SpansExported),
		ingested: i.Counter(Ingested), posted: i.Counter(Posted), requests: i.Counter(Requests), heldBack: i.Counter(HeldBack), refused: i.Counter(QuotaRefused),
		age: i.Histogram(InputAge), batch: i.Histogram(BatchInputs), decide: i.Histogram(DecideSeconds), commit: i.Histogram(CommitSeconds),
		effect: i.Histogram(EffectSeconds), seconds: i.Histogram(RequestSeconds), senderAge: i.Histogram(SenderAge),
		lag: i.Gauge(LagRecords), lagAge: i.Gauge(LagSeconds), unpublished: i.Gauge(UnpublishedAge), parked: i.Gauge(Parked),
		pending: i.Gauge(EffectsPending), breaker: i.Gauge(BreakerState), halted: i.Gauge(LanesHalted), inARow: i.Gauge(FailedInARow),
	}
	return m, i.Err()
}

// OnBatch counts what a committed batch did.
func (t *Telemetry) OnBatch(b streams.BatchInfo) {
	m := t.metrics
	m.mu.Lock()
	var x inputMetrics
	run := 0 // inputs of one kind are looked up and counted together
	for i := range b.Inputs {
		in := &b.Inputs[i]
		if i == 0 || !alike(in, &b.Inputs[i-1]) {
			x.add(run)
			x, run = m.input(b.Service, in), 0
		}
		run++
		observe(x.age, max(in.Age, 0), in.Origin.Traceparent)
		if in.Age < -clockTolerance {
			m.future.WithLabelValues(b.Service).Inc()
		}
		if in.Rejected != "" {
			m.rejections.WithLabelValues(b.Service, in.Decider, in.Rejected).Inc()
		}
	}
	x.add(run)
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
	if len(b.Inputs) == 0 && len(b.Events) == 0 {
		return // repeats and nothing else: nothing was committed
	}
	m.laneInputs.WithLabelValues(b.Service, strconv.Itoa(int(b.Lane))).Add(float64(len(b.Inputs)))
	m.batch.WithLabelValues(b.Service).Observe(float64(len(b.Inputs)))
	m.decide.WithLabelValues(b.Service).Observe(b.Decide.Seconds())
	m.commit.WithLabelValues(b.Service).Observe(b.Commit.Seconds())
}

// clockTolerance is how far ahead an event's time may be: clocks differ a little.
const clockTolerance = time.Second

// observe takes a duration, and remembers its trace beside the bucket if the
// trace is kept: a graph's point leads to one.
func observe(o prometheus.Observer, d time.Duration, traceparent string) {
	if x, ok := o.(prometheus.ExemplarObserver); ok && len(traceparent) == 55 && traceparent[53:] == "01" {
		x.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": traceparent[3:35]})
		return
	}
	o.Observe(d.Seconds())
}

// input resolves an input's labels; the caller holds the lock.
func (m *metrics) input(service string, in *streams.InputInfo) inputMetrics {
	key := streams.InputInfo{Decider: in.Decider, Kind: in.Kind, Name: in.Name, Result: in.Result} // a decider has one service
	x, ok := m.resolved[key]
	if !ok {
		x = inputMetrics{m.inputs.WithLabelValues(service, in.Decider, string(in.Kind), in.Name, string(in.Result)), m.age.WithLabelValues(service, in.Decider)}
		if in.Result == streams.InputRetried { // by a person, hours later: that is no latency of ours
			x.age = prometheus.ObserverFunc(func(float64) {})
		}
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
	case streams.LaneHalted, streams.LanePaused: // it stands still, and waits for a person
		m.halted.WithLabelValues(e.Service, lane).Set(1)
	case streams.LaneClaimed, streams.LaneRunning:
		m.halted.WithLabelValues(e.Service, lane).Set(0)
	case streams.LaneReleased, streams.LaneFenced: // another instance tells from here on
		own := prometheus.Labels{"service": e.Service, "lane": lane}
		for _, g := range []*prometheus.GaugeVec{m.lag, m.lagAge, m.unpublished, m.parked, m.pending, m.halted} {
			g.DeletePartialMatch(own)
		}
	}
	m.changes.WithLabelValues(e.Service, string(e.What)).Inc()
}

// OnHeldBack counts calls that a breaker kept from being made.
func (t *Telemetry) OnHeldBack(a streams.Attempt) {
	t.metrics.heldBack.WithLabelValues(a.Service, a.Effect, a.Endpoint).Inc()
}

// OnBreaker keeps the state of an endpoint's breaker.
func (t *Telemetry) OnBreaker(service, endpoint, state string) {
	t.metrics.breaker.WithLabelValues(service, endpoint).Set(map[string]float64{"closed": 0, "half-open": 1, "open": 2}[state])
}
