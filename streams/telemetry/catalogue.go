package telemetry

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is a metric's type, as Prometheus calls it.
type Kind string

// The kinds of metrics.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric declares a metric. Nothing else registers one.
type Metric struct {
	Name    string    `json:"name"`
	Kind    Kind      `json:"kind"`
	Unit    string    `json:"unit"` // of what is counted or measured
	Labels  []string  `json:"labels,omitempty"`
	Help    string    `json:"help"`
	Buckets []float64 `json:"buckets,omitempty"` // upper bounds, of a histogram
}

// Seconds are the bucket bounds of durations. They hold the thresholds of the
// objectives (60 ms, 100 ms, 1 s, 60 s), as a quantile between two bounds is a
// guess and a share below a bound is a fact.
var Seconds = []float64{.001, .0025, .005, .01, .025, .06, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}

// Ages are the bucket bounds of ages that others tell: from a second to a year.
var Ages = []float64{1, 10, 60, 600, 3600, 21600, 86400, 604800, 2592000, 31536000}

var batchSizes = []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000}

// Catalogue declares every metric of the platform, in the order in which a
// person would read about them.
var Catalogue = []Metric{
	counter(Inputs, "inputs", "Inputs that a decider took, by what became of them: decided, rejected or parked.", "service", "decider", "kind", "input", "result"),
	counter(LaneInputs, "inputs", "Inputs that a lane took: one that takes far more than its neighbours has a hot key.", "service", "lane"),
	counter(Rejections, "inputs", "Inputs refused by a business rule.", "service", "decider", "code"),
	counter(Emitted, "events", "Events stored, by type.", "service", "type"),
	counter(Repeats, "records", "Records skipped because their effect was stored before.", "service"),
	duration(InputAge, "Time from an event to the commit of its effect.", "service", "decider"),
	counter(FutureInputs, "inputs", "Inputs that bear a time more than a second ahead of this process's clock.", "service"),
	{BatchInputs, Histogram, "inputs", []string{"service"}, "Inputs decided in one transaction.", batchSizes},
	duration(DecideSeconds, "Time to load and decide a batch.", "service"),
	duration(CommitSeconds, "Time to commit a batch.", "service"),
	gauge(LagRecords, "records", "Records that a lane has not read yet, as of its last fetch.", "service", "topic", "lane"),
	gauge(LagSeconds, "seconds", "Age of the last record read, while there are unread ones.", "service", "lane"),
	gauge(UnpublishedAge, "seconds", "Age of the oldest stored event that Kafka has not acknowledged.", "service", "lane"),
	gauge(Parked, "inputs", "Inputs parked: failed, or waiting behind one that did.", "service", "lane"),
	gauge(EffectsPending, "calls", "Outside calls that wait for a definite answer.", "service", "lane"),
	duration(EffectSeconds, "Time of one attempt at an outside call.", "service", "effect", "endpoint", "result"),
	counter(HeldBack, "calls", "Outside calls that an open breaker kept from being made; each is tried again.", "service", "effect", "endpoint"),
	gauge(BreakerState, "state", "Circuit breaker of an endpoint: 0 closed, 1 half-open, 2 open.", "service", "endpoint"),
	counter(Conflicts, "commits", "Commits that were refused or whose end is unknown.", "service"),
	counter(LaneChanges, "changes", "Changes in lanes' lives.", "service", "change"),
	gauge(LanesHalted, "lanes", "1 while a lane is halted and waits for a person.", "service", "lane"),
	gauge(UnitRuns, "units", "1 for each unit that the process is there for, whatever its state.", "unit"),
	gauge(UnitHalted, "units", "1 while a unit of a process is halted and waits for a person; the others go on.", "unit"),
	gauge(BehindRecords, "records", "Records between the stored cursors of a service, a pipeline, the read model (projection) or analytics and the ends of a topic, seen from outside; of services and pipelines none that are younger than four seconds, as their cursors are seen late.", "service", "topic"),
	gauge(BehindSeconds, "seconds", "How long the oldest record that a service, a pipeline, the read model (projection) or analytics has not taken is on the log, seen from outside; 0 if it has taken all.", "service"),
	gauge(AnalyticsProved, "seconds", "The time, in seconds since 1970, before which everything in analytics is proved to be what the log says, but for what weir_analytics_differences counts."),
	counter(AnalyticsProvedRows, "rows", "Rows of analytics that were proved to be what the log says."),
	gauge(AnalyticsDifferences, "rows", "Rows, of hours counts, in which analytics is not what the log says, as found by the last looks.", "table"),

	counter(Requests, "requests", "HTTP requests, by what was answered; 499 if the client went away before that. The caller is the prober or a client.", "route", "method", "status", "caller"),
	duration(RequestSeconds, "Time to answer an HTTP request, without the time in which it waited for its client.", "route", "method", "caller"),
	counter(Ingested, "events", "Events posted from outside, by type and what became of them: accepted, repeated (accepted before), refused, conflict or unavailable.", "type", "result"),
	counter(Posted, "events", "The same by client. Few have series of their own, and lose them when they are quiet: no objective counts these.", "client", "result"),
	gauge(FailedInARow, "requests", "Requests of clients that failed (5xx) since the last that went well.", "route", "method"),
	{SenderAge, Histogram, "seconds", []string{"type"}, "Age of events when they were posted, by the time that their sender gave them.", Ages},
	counter(QuotaRefused, "requests", "Requests refused because their client had used up its quota.", "client"),

	counter(SagasStarted, "sagas", "Sagas begun.", "saga"),
	counter(SagasEnded, "sagas", "Sagas ended, by whether a step took something back and whether the end was in the declared time.", "saga", "compensated", "in_time"),
	counter(SagasOverdue, "sagas", "Sagas whose declared time ran out before their end, each counted once.", "saga"),
	gauge(SagasRunning, "sagas", "Sagas under way.", "saga"),
	gauge(SagasLate, "sagas", "Sagas under way beyond their declared time.", "saga"),
	gauge(SagaOldest, "seconds", "Age of the oldest saga under way; 0 if none is.", "saga"),
	duration(SagaEventSeconds, "Time from a saga's start to its first event of a type.", "saga", "event"),
	duration(SagaAnswer, "Time from a saga's start to the first event that tells its customer how it goes. Sagas without one yet are missing here.", "saga"),
	duration(SagaStepSeconds, "Time from what a decider reacted to, to the event that came of it.", "saga", "decider", "event", "undo"),
	counter(DuplicateEffects, "events", "Events that may happen once in a saga, and happened again. Anything above 0 is a fault of the platform.", "saga", "event"),
	gauge(MoneyHeld, "units of the currency",
		"Money that sagas under way have put into an account and not taken out again.", "account", "currency"),
	counter(MoneyMoved, "units of the currency", "Money that came into an account that nothing takes it out of.",
		"account", "currency"),

	counter(Probes, "visits", "Visits of the prober, which does what a customer does, by how they went: done, "+
		"undone, unanswered or refused.", "result"),
	duration(ProbeSeconds, "Time from the prober's command to an answer that does not take it back."),
	gauge(FaultOn, "faults", "1 while a fault is switched on for practice.", "fault"),
	gauge(BuildInfo, "processes", "1, with the version of the program and of Go.", "version", "go"),
	gauge(DiskFree, "bytes", "What this process may still write on the disk under its data directory."),
	gauge(DiskSize, "bytes", "Size of the disk under the data directory of this process."),
	counter(SpansStarted, "spans", "Spans started.", "service"),
	counter(SpansExported, "spans", "Spans handed to an exporter; fewer than started, for long, means lost ones."),
}

func counter(name, unit, help string, labels ...string) Metric {
	return Metric{Name: name, Kind: Counter, Unit: unit, Help: help, Labels: labels}
}

func gauge(name, unit, help string, labels ...string) Metric {
	return Metric{Name: name, Kind: Gauge, Unit: unit, Help: help, Labels: labels}
}

func duration(name, help string, labels ...string) Metric {
	return Metric{Name: name, Kind: Histogram, Unit: "seconds", Help: help, Labels: labels, Buckets: Seconds}
}

// Declared finds a metric of the catalogue by its name.
func Declared(name string) (Metric, bool) {
	i := slices.IndexFunc(Catalogue, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return Catalogue[i], true
}

// Instruments register metrics of the catalogue, and no others.
type Instruments struct {
	reg prometheus.Registerer
	err error // the first one
}

// NewInstruments registers with reg.
func NewInstruments(reg prometheus.Registerer) *Instruments { return &Instruments{reg: reg} }

// Err is the first thing that went wrong with a registration.
func (i *Instruments) Err() error { return i.err }

func (i *Instruments) declared(name string, kind Kind) Metric {
	m, ok := Declared(name)
	if (!ok || m.Kind != kind) && i.err == nil {
		i.err = fmt.Errorf("%s is no %s of the catalogue: declare it in streams/telemetry", name, kind)
	}
	return m
}

func (i *Instruments) register(c prometheus.Collector) {
	if i.err == nil {
		i.err = i.reg.Register(c)
	}
}

// Counter registers a counter.
func (i *Instruments) Counter(name string) *prometheus.CounterVec {
	m := i.declared(name, Counter)
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: m.Help}, m.Labels)
	i.register(c)
	return c
}

// Gauge registers a gauge.
func (i *Instruments) Gauge(name string) *prometheus.GaugeVec {
	m := i.declared(name, Gauge)
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: m.Help}, m.Labels)
	i.register(g)
	return g
}

// Measured registers a gauge that is read when it is asked for.
func (i *Instruments) Measured(name string, read func() float64) {
	m := i.declared(name, Gauge)
	i.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: m.Help}, read))
}

// Histogram registers a histogram, with its classic buckets and native ones.
func (i *Instruments) Histogram(name string) *prometheus.HistogramVec {
	m := i.declared(name, Histogram)
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: m.Help, Buckets: m.Buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100}, m.Labels)
	i.register(h)
	return h
}
