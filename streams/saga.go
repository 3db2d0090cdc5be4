package streams

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Saga is a declared choreography: nobody executes it. It is checked against
// what the deciders declare, drawn, watched and measured.
type Saga struct {
	Name    string
	Starts  Event         // zero value of the event that begins it
	Ends    []Event       // the events that end it, each for good
	Within  time.Duration // from start to end
	Once    []Event       // may happen once in a saga at most: a second one is a fault of the platform
	Answers []Event       // the first of them tells the customer how it goes
	Steps   []Step
}

// Step is one reaction of the choreography.
type Step struct {
	By    string  // the decider
	On    Event   // what it reacts to; nil for a deadline or command of its own
	After string  // the timer or command, where On is nil
	Emits []Event // what may follow
	Undo  bool    // takes back what an earlier step did
}

// Check reports every step that no decider performs, every event of the saga
// that no step produces, and every end that is never reached.
func (s Saga) Check(t *Topology) error {
	var errs []error
	reached := map[string]bool{}
	name := func(e Event) string {
		f, ok := t.Vocabulary.FactOf(e)
		if !ok {
			errs = append(errs, fmt.Errorf("saga %s names %T, which is no registered event", s.Name, e))
			return ""
		}
		return f.Name
	}
	reached[name(s.Starts)] = true
	for _, st := range s.Steps {
		for _, e := range st.Emits {
			reached[name(e)] = true
		}
	}
	for _, st := range s.Steps {
		errs = append(errs, s.checkStep(t, st, name, reached)...)
	}
	for _, e := range s.Ends {
		if n := name(e); !reached[n] {
			errs = append(errs, fmt.Errorf("saga %s ends with %s, which no step emits", s.Name, n))
		}
	}
	for _, e := range s.Answers {
		if n := name(e); !reached[n] {
			errs = append(errs, fmt.Errorf("saga %s answers with %s, which no step emits", s.Name, n))
		}
	}
	for _, e := range s.Once {
		if n := name(e); !reached[n] {
			errs = append(errs, fmt.Errorf("saga %s may have %s once, and no step emits it", s.Name, n))
		}
	}
	return errors.Join(errs...)
}

func (s Saga) checkStep(t *Topology, st Step, name func(Event) string, reached map[string]bool) (errs []error) {
	_, d, ok := t.Decider(st.By)
	if !ok {
		return []error{fmt.Errorf("saga %s has a step by %q, which is no decider", s.Name, st.By)}
	}
	what := st.After
	if st.On != nil {
		what = name(st.On)
		if !reached[what] {
			errs = append(errs, fmt.Errorf("saga %s: %s waits for %s, which no step emits", s.Name, st.By, what))
		}
	}
	reactions := t.Reactions(d)
	i := slices.IndexFunc(reactions, func(r Reaction) bool { return r.Input == what })
	if i < 0 {
		return append(errs, fmt.Errorf("saga %s: %s does not handle %s", s.Name, st.By, what))
	}
	may := reactions[i].Emits
	for _, r := range reactions { // what a decision asks of the outside comes back as an outcome
		if r.Kind == OutcomeInput {
			may = append(may, r.Emits...)
		}
	}
	for _, e := range st.Emits {
		if n := name(e); !slices.Contains(may, n) {
			errs = append(errs, fmt.Errorf("saga %s: %s does not emit %s on %s", s.Name, st.By, n, what))
		}
	}
	return errs
}
