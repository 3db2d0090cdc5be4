package streams

import "fmt"

// Pipeline is a stateless Kafka-to-Kafka step: filter, map, route.
type Pipeline struct {
	Name  string
	On    []Event // zero values
	Emits []Event // zero values
	// Step returns what an event becomes: nothing, one or many. It is pure.
	Step func(Event) ([]Event, error)
	// Transactional commits output and offsets in one Kafka transaction.
	// Without it output is at least once, and its repeats drop at lanes.
	Transactional bool

	types []string
}

func (p Pipeline) inputs() []string { return p.types }

func (t *Topology) ownPipeline(p Pipeline) (errs []error) {
	for _, e := range p.Emits {
		f, ok := t.Vocabulary.FactOf(e)
		if !ok {
			errs = append(errs, fmt.Errorf("pipeline %s may emit %T, which is not registered", p.Name, e))
			continue
		}
		errs = append(errs, t.ownType("pipeline "+p.Name, p.Name, f)...)
	}
	return errs
}
