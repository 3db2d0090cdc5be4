package sagamonitor

import (
	"fmt"
	"time"

	"github.com/weirstream/weir/streams"
)

// plan is what a declared saga says about types of events.
type plan struct {
	name                        string
	starts                      string
	within                      time.Duration
	types, ends, once, undoOnly map[string]bool
	answers                     map[string]bool
	steps                       map[step][]reaction
}

// step is a decider and what it emits; a reaction, on what, and whether that
// takes something back.
type step struct{ decider, emits string }

type reaction struct {
	on   string // empty: a command or timer of its own
	undo bool
}

func newPlan(t *streams.Topology, s streams.Saga) (*plan, error) {
	var failed error
	name := func(e streams.Event) string {
		f, ok := t.Vocabulary.FactOf(e)
		if !ok {
			failed = fmt.Errorf("saga %s names %T, which is no registered event", s.Name, e)
			return ""
		}
		return f.Name
	}
	p := &plan{name: s.Name, starts: name(s.Starts), within: s.Within, types: map[string]bool{}, ends: map[string]bool{}, answers: map[string]bool{}, once: map[string]bool{},
		undoOnly: map[string]bool{}, steps: map[step][]reaction{}}
	p.types[p.starts] = true
	for _, st := range s.Steps(t) {
		for _, n := range st.Emits {
			p.types[n] = true
			p.steps[step{st.By, n}] = append(p.steps[step{st.By, n}], reaction{st.On, st.Undo})
		}
	}
	for _, e := range s.Undo {
		p.undoOnly[name(e)] = true
	}
	for _, e := range s.Ends {
		p.ends[name(e)] = true
	}
	for _, e := range s.Answers {
		p.answers[name(e)] = true
	}
	for _, e := range s.Once {
		p.once[name(e)] = true
	}
	return p, failed
}

// saga is one that is followed.
type saga struct {
	plan           *plan // nil until its start is read
	first          time.Time
	started, due   time.Time
	ended, endedAt time.Time // of the event; when it was read
	overdue        bool
	compensated    bool
	answered       bool
	money          map[string]*purse    // by account
	at             map[string]time.Time // of its events, by id
	seen           map[string]int       // by type
	last           []moment             // in the order of reading
	early          []Event              // read before the start
	waiting        []Event              // whose causes are not read yet
}

type moment struct {
	typ  string
	time time.Time
}

// over tells whether nothing more is expected of a saga: it has ended long ago,
// or its start never came.
func (s *saga) over(now time.Time) bool {
	if s.plan == nil {
		return now.Sub(s.first) > linger
	}
	return !s.ended.IsZero() && now.Sub(s.endedAt) > linger
}

// cause is when what led to an event happened, and whether the step takes
// something back. The outcome of an outside call names no event as its cause:
// then it is the latest one that the decider reacts to by such an event. Commands
// and timers have none, and count from the saga's start.
func (s *saga) cause(e Event) (from time.Time, undo, ok bool) {
	reactions := s.plan.steps[step{e.Decider, e.Type}]
	own := false
	for _, r := range reactions {
		if r.on == "" {
			own, undo = true, r.undo
			continue
		}
		for _, x := range s.last {
			if x.typ == r.on && !x.time.After(e.Time) && x.time.After(from) {
				from, undo, ok = x.time, r.undo, true
			}
		}
	}
	if at, direct := s.at[e.Causation]; direct {
		return at, undo, true
	}
	if !ok && own {
		return s.started, undo, true
	}
	return from, undo, ok
}
