package telemetry

import "github.com/weirstream/weir/streams"

// Declare has every series of services begin at 0 that an objective counts: one that
// appears with its first event has not grown in the eyes of Prometheus, and the first
// failure would be seen by nobody. All their labels are known from the topology.
func (t *Telemetry) Declare(topology *streams.Topology, services []string) {
	m := t.metrics
	for _, name := range services {
		s, ok := topology.Service(name)
		if !ok {
			continue
		}
		m.spans.WithLabelValues(name)
		m.repeats.WithLabelValues(name)
		m.future.WithLabelValues(name)
		m.conflicts.WithLabelValues(name)
		m.batch.WithLabelValues(name)
		m.decide.WithLabelValues(name)
		m.commit.WithLabelValues(name)
		for _, d := range s.Deciders {
			m.age.WithLabelValues(name, d.Name)
			for _, r := range topology.Reactions(d) {
				m.declare(topology, name, d, r)
			}
		}
	}
}

func (m *metrics) declare(topology *streams.Topology, service string, d *streams.Decider, r streams.Reaction) {
	for _, result := range []streams.InputResult{streams.InputDecided, streams.InputRejected, streams.InputParked, streams.InputRetried} {
		m.inputs.WithLabelValues(service, d.Name, string(r.Kind), r.Input, string(result))
	}
	for _, e := range r.Emits {
		m.emitted.WithLabelValues(service, e)
	}
	if r.Kind != streams.OutcomeInput {
		return
	}
	for _, result := range []string{answered, inDoubt, unusable} {
		m.effect.WithLabelValues(service, r.Input, r.Endpoint, result)
	}
	m.heldBack.WithLabelValues(service, r.Input, r.Endpoint)
	m.breaker.WithLabelValues(service, r.Endpoint)
}

// DeclareEvents has the counts of events that may be posted begin at 0.
func (t *Telemetry) DeclareEvents(topology *streams.Topology, results ...string) {
	types := []string{Other}
	for _, f := range topology.Vocabulary.Facts() {
		if f.External {
			types = append(types, f.Name)
		}
	}
	for _, name := range types {
		for _, result := range results {
			t.metrics.ingested.WithLabelValues(name, result)
		}
	}
}
