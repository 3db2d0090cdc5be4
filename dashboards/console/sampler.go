package console

import (
	"context"
	"sync"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// Bounds of what is kept in memory.
const (
	sampleEvery = 2 * time.Second
	pointsKept  = 450 // 15 minutes for the curves
	readingKept = 31  // one minute for rates and quantiles
)

// point is what the curves show.
type point struct {
	at     time.Time
	events float64   // per second
	begun  []float64 // sagas per second, as they are declared
	lag    float64   // records
	flying float64   // sagas
}

// intake names inputs: who takes what.
type intake struct{ decider, kind, name string }

// unread names records that a service has not read of a topic.
type unread struct{ service, topic string }

// call names an outside call.
type call struct{ service, effect, endpoint string }

// calls are the attempts of an outside call, by how long they took.
type calls struct {
	count, doubt float64 // attempts, and those without an answer
	below        []float64
}

// reading is what the metrics said at one moment, summed over lanes.
type reading struct {
	at          time.Time
	events      float64
	begun       []float64 // events that begin sagas, as they are declared
	inputs      map[intake]float64
	lag         map[unread]float64
	age         map[string]float64 // seconds behind, by service
	behind      map[string]float64 // records, by service, seen from outside
	behindAge   map[string]float64 // seconds
	parked      float64
	unpublished map[string]float64 // seconds, by service
	calls       map[call]calls
	breakers    map[call]float64 // effect is empty
	proved      float64          // analytics is proved before that, in seconds since 1970; 0: not known
	differences float64          // of analytics
}

// samples are the readings of the last minutes.
type samples struct {
	mu       sync.Mutex
	points   []point
	readings []reading
}

func (s *samples) add(r reading, flying float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.readings); n > 0 {
		last := s.readings[n-1]
		if seconds := r.at.Sub(last.at).Seconds(); seconds > 0 {
			p := point{at: r.at, events: max(r.events-last.events, 0) / seconds, begun: make([]float64, len(r.begun)), flying: flying}
			for i := range min(len(r.begun), len(last.begun)) {
				p.begun[i] = max(r.begun[i]-last.begun[i], 0) / seconds
			}
			p.lag, _, _ = r.unread()
			s.points = keep(append(s.points, p), pointsKept)
		}
	}
	s.readings = keep(append(s.readings, r), readingKept)
}

// keep drops the oldest beyond n, and the memory behind them now and then.
func keep[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	if cap(list) > 2*n {
		return append(make([]T, 0, n+n/2), list[len(list)-n:]...)
	}
	return list[len(list)-n:]
}

// now returns the curves, the latest reading and an earlier one, about so old.
func (s *samples) now(back time.Duration) (points []point, last, before reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	points = append(points, s.points...)
	if len(s.readings) == 0 {
		return points, last, before
	}
	last = s.readings[len(s.readings)-1]
	before = s.readings[0]
	for _, r := range s.readings {
		if last.at.Sub(r.at) >= back {
			before = r
		}
	}
	return points, last, before
}

// Run samples the metrics, and retries what many keys are asked for, until ctx ends.
// Without it the page has no rates.
func (c *Console) Run(ctx context.Context) error {
	var retrying sync.WaitGroup
	retrying.Go(func() { c.retryAsked(ctx) })
	defer retrying.Wait()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if err := c.sample(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("metrics not sampled for the live page", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Console) sample(ctx context.Context) error {
	r, err := c.read()
	if err != nil {
		return err
	}
	f, err := c.Reads.InFlight(ctx, c.Now(), flyingCounted)
	flying := float64(f.Sagas)
	if points, _, _ := c.samples.now(0); err != nil && len(points) > 0 {
		flying = points[len(points)-1].flying // the other rates are worth having without it
	}
	c.samples.add(r, flying)
	return err
}

// label is one label of a metric, as the gatherer gives it.
type label interface {
	GetName() string
	GetValue() string
}

func labels[L label](pairs []L) map[string]string {
	out := make(map[string]string, len(pairs))
	for _, p := range pairs {
		out[p.GetName()] = p.GetValue()
	}
	return out
}

// read gathers the metrics that the page shows.
func (c *Console) read() (reading, error) {
	families, err := c.Metrics.Gather()
	r := reading{at: c.Now(), begun: make([]float64, len(c.sagas)), inputs: map[intake]float64{}, lag: map[unread]float64{}, age: map[string]float64{}, behind: map[string]float64{}, behindAge: map[string]float64{}, unpublished: map[string]float64{},
		calls: map[call]calls{}, breakers: map[call]float64{}}
	if err != nil {
		return r, err
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			l := labels(m.GetLabel())
			if f.GetName() == telemetry.EffectSeconds {
				h := m.GetHistogram()
				below := make([]float64, 0, len(telemetry.Seconds))
				for _, b := range h.GetBucket() {
					below = append(below, float64(b.GetCumulativeCount()))
				}
				r.call(l, float64(h.GetSampleCount()), below)
				continue
			}
			r.take(f.GetName(), l, m.GetCounter().GetValue()+m.GetGauge().GetValue(), c.sagas)
		}
	}
	return r, nil
}

// take adds one counter or gauge.
func (r *reading) take(name string, l map[string]string, v float64, sagas []declared) {
	service := l["service"]
	switch name {
	case telemetry.Emitted:
		r.events += v
		for i := range sagas {
			if l["type"] == sagas[i].starts {
				r.begun[i] += v
			}
		}
	case telemetry.Inputs:
		r.inputs[intake{l["decider"], l["kind"], l["input"]}] += v
	case telemetry.LagRecords:
		r.lag[unread{service, l["topic"]}] += v
	case telemetry.BehindRecords:
		r.behind[service] += v
	case telemetry.BehindSeconds:
		r.behindAge[service] = max(r.behindAge[service], v)
	case telemetry.LagSeconds:
		r.age[service] = max(r.age[service], v)
	case telemetry.Parked:
		r.parked += v
	case telemetry.UnpublishedAge:
		r.unpublished[service] = max(r.unpublished[service], v)
	case telemetry.AnalyticsProved:
		r.proved = max(r.proved, v)
	case telemetry.AnalyticsDifferences:
		r.differences += v
	case telemetry.BreakerState:
		r.breakers[call{service: service, endpoint: l["endpoint"]}] = v
	}
}

// unread is how much services have not read, and how old it is: the worse of what
// their lanes say and of what is seen from outside. It is not known if nobody
// says anything: a lane that stands still does not.
func (r *reading) unread() (records, age float64, known bool) {
	seen := 0.0
	for _, n := range r.lag {
		records += n
	}
	for _, a := range r.age {
		age = max(age, a)
	}
	for service, n := range r.behind {
		if service != streams.ProjectionUnit && service != streams.AnalyticsUnit {
			seen += n
			age, known = max(age, r.behindAge[service]), true
		}
	}
	return max(records, seen), age, known || len(r.lag) > 0
}

func (r *reading) call(l map[string]string, count float64, below []float64) {
	k := call{l["service"], l["effect"], l["endpoint"]}
	x := r.calls[k]
	if x.below == nil {
		x.below = make([]float64, len(below))
	}
	for i := range min(len(below), len(x.below)) {
		x.below[i] += below[i]
	}
	x.count += count
	if l["result"] != "answered" {
		x.doubt += count
	}
	r.calls[k] = x
}
