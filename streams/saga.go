package streams

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Saga is a declared choreography: nobody executes it. Its steps are what the
// deciders declare (see Steps); it is checked against them, drawn, watched and
// measured.
type Saga struct {
	Name   string
	Starts Event         // zero value of the event that begins it
	Ends   []Event       // the events that end it, each for good
	Within time.Duration // from start to end
	// Undo are the events that take back: who cancels, and who gives back for that.
	Undo []Event
	// Once may happen once in a saga at most: a second one is a fault of the
	// platform. They stand in the order in which a picture shows them.
	Once []Event
	// Answers: the first of them tells the customer how it goes, within AnswerWithin.
	Answers      []Event
	AnswerWithin time.Duration // 0: nobody waits for it
}

// Step is one reaction of the choreography.
type Step struct {
	By    string   // the decider
	On    string   // the type of event that it reacts to; empty for a deadline or command of its own
	After string   // the timer or command, where On is empty
	Emits []string // types of events that may follow, also by the outcome of a call
	Undo  bool     // takes back what an earlier step did
}

// Names of the saga's events in a topology. An event that is not registered has
// none; Check reports it.
func (t *Topology) namesOf(events []Event) (out []string) {
	for _, e := range events {
		if f, ok := t.Vocabulary.FactOf(e); ok {
			out = append(out, f.Name)
		}
	}
	return out
}

// Name of a registered event, or empty.
func (t *Topology) Name(e Event) string {
	if f, ok := t.Vocabulary.FactOf(e); ok {
		return f.Name
	}
	return ""
}

// Steps are the reactions that bring a saga from its start to its ends: those of the
// deciders that can be reached from its start and lead on to an end of it. Who only
// watches takes no part. They come in the order of what they lead to: as Once says,
// and before each of its events as they follow from one another; commands and
// deadlines last.
func (s Saga) Steps(t *Topology) []Step {
	all := t.allSteps()
	steps := s.between(t, all)
	undo := t.namesOf(s.Undo)
	for i := range steps {
		steps[i].Undo = slices.Contains(undo, steps[i].On) || len(steps[i].Emits) > 0 && !slices.ContainsFunc(steps[i].Emits, func(e string) bool { return !slices.Contains(undo, e) })
	}
	place := s.places(t, steps)
	order := make([]int, len(steps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		own := func(i int) int { return min(len(steps[i].After), 1) }
		return cmp.Or(own(a)-own(b), place[a].once-place[b].once, place[b].steps-place[a].steps)
	})
	out := make([]Step, len(steps))
	for i, at := range order {
		out[i] = steps[at]
	}
	return out
}

// allSteps are the reactions of all deciders, those to outcomes as part of what asked.
func (t *Topology) allSteps() (out []Step) {
	for _, service := range t.Services {
		for _, d := range service.Deciders {
			outcomes := map[string][]string{}
			for _, r := range t.Reactions(d) {
				if r.Kind == OutcomeInput {
					outcomes[r.Input] = r.Emits
				}
			}
			for _, r := range t.Reactions(d) {
				st := Step{By: d.Name, Emits: slices.Clone(r.Emits)}
				switch r.Kind {
				case OutcomeInput:
					continue
				case EventInput:
					st.On = r.Input
				default:
					st.After = r.Input
				}
				for _, effect := range r.Asks {
					for _, e := range outcomes[effect] {
						if !slices.Contains(st.Emits, e) {
							st.Emits = append(st.Emits, e)
						}
					}
				}
				slices.SortFunc(st.Emits, func(a, b string) int { return t.Vocabulary.place(a) - t.Vocabulary.place(b) })
				out = append(out, st)
			}
		}
	}
	return out
}

// between are the steps of the deciders on a way from the start to an end.
func (s Saga) between(t *Topology, all []Step) (out []Step) {
	start, ends := t.Name(s.Starts), t.namesOf(s.Ends)
	ended := func(e string) bool { return slices.Contains(ends, e) }
	leads, reached := map[string]bool{}, map[string]bool{start: true}
	for _, e := range ends {
		leads[e] = true
	}
	for n := -1; n != len(leads); { // back from the ends
		n = len(leads)
		for _, st := range all {
			if st.On != "" && slices.ContainsFunc(st.Emits, func(e string) bool { return leads[e] }) {
				leads[st.On] = leads[st.On] || !ended(st.On)
			}
		}
	}
	part := map[string]bool{}
	takes := func(st Step) bool { return slices.ContainsFunc(st.Emits, func(e string) bool { return leads[e] }) }
	for n := -1; n != len(reached)+len(part); { // forward from the start
		n = len(reached) + len(part)
		for _, st := range all {
			if st.On != "" && reached[st.On] && !ended(st.On) && takes(st) || slices.Contains(st.Emits, start) {
				part[st.By] = true
			}
			if part[st.By] && (st.On == "" || reached[st.On] && !ended(st.On)) {
				for _, e := range st.Emits {
					reached[e] = true
				}
			}
		}
	}
	for _, st := range all {
		if part[st.By] && (st.On == "" || reached[st.On] && !ended(st.On)) {
			out = append(out, st)
		}
	}
	return out
}

// distance is how far a step is from an event of Once: which one comes next, and by
// how many steps.
type distance struct{ once, steps int }

// places say where in the picture each step stands: before the first event of Once
// that it leads to, by itself or over others.
func (s Saga) places(t *Topology, steps []Step) []distance {
	once := t.namesOf(s.Once)
	far := distance{len(once), 0}
	of := map[string]distance{} // the events that are not in Once
	nearest := func(st Step) distance {
		d := far
		for _, e := range st.Emits {
			x, known := of[e]
			if i := slices.Index(once, e); i >= 0 {
				x, known = distance{i, 0}, true
			}
			if known && (x.once < d.once || x.once == d.once && x.steps < d.steps) {
				d = x
			}
		}
		return distance{d.once, d.steps + 1}
	}
	for changed := true; changed; {
		changed = false
		for _, st := range steps {
			d := nearest(st)
			if x, known := of[st.On]; st.On != "" && !slices.Contains(once, st.On) && d.once < far.once && (!known || d.once < x.once || d.once == x.once && d.steps < x.steps) {
				of[st.On], changed = d, true
			}
		}
	}
	out := make([]distance, len(steps))
	for i, st := range steps {
		out[i] = nearest(st)
	}
	return out
}

// Check reports every event of the saga that is not registered or that no step
// brings about, and every end that is never reached.
func (s Saga) Check(t *Topology) error {
	var errs []error
	if !nameRule.MatchString(s.Name) {
		errs = append(errs, fmt.Errorf("a saga is called %q: use lower case letters, digits and dashes", s.Name))
	}
	reached := map[string]bool{}
	for _, st := range s.Steps(t) {
		for _, e := range st.Emits {
			reached[e] = true
		}
	}
	check := func(does string, events ...Event) {
		for _, e := range events {
			switch n := t.Name(e); {
			case n == "":
				errs = append(errs, fmt.Errorf("saga %s %s %T, which is no registered event: add it to the facts of its service", s.Name, does, e))
			case !reached[n] && e != s.Starts:
				errs = append(errs, fmt.Errorf("saga %s %s %s, which no step between its start and its ends emits", s.Name, does, n))
			}
		}
	}
	if s.Starts == nil || len(s.Ends) == 0 || s.Within <= 0 {
		return errors.Join(append(errs, fmt.Errorf("saga %s needs a start, an end, and a time within which it gets there", s.Name))...)
	}
	check("starts with", s.Starts)
	check("ends with", s.Ends...)
	check("answers with", s.Answers...)
	check("may have once", s.Once...)
	check("is taken back by", s.Undo...)
	if s.AnswerWithin > 0 && len(s.Answers) == 0 {
		errs = append(errs, fmt.Errorf("saga %s promises an answer within %s and names no answers", s.Name, s.AnswerWithin))
	}
	return errors.Join(errs...)
}
