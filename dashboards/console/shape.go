package console

import (
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// shape is what the declared sagas say about single events.
type shape struct {
	deciders []lineage
	outcomes map[string]map[string]bool // by decider, the types that outcomes of its effects emit
	triggers map[[2]string][]string     // by decider and type of an outcome, what may have led to the call
	endpoint map[string]string          // that a decider calls
	undo     map[[2]string]bool         // input type and decider of the steps that take back
	undoOnly map[string]bool            // types that no other step emits
	refusal  map[string]bool            // types that make others take back
	ways     map[string]ways            // by saga
	show     func(name string, version int, data []byte) string
}

// lineage is a decider with its service.
type lineage struct{ Service, Decider string }

// Name is how the page calls it: by both, unless they are the same.
func (l lineage) Name() string {
	if l.Service == l.Decider || l.Service == "" {
		return l.Decider
	}
	return l.Service + " · " + l.Decider
}

func shapeOf(t *streams.Topology, sagas []streams.Saga) shape {
	s := shape{outcomes: map[string]map[string]bool{}, triggers: map[[2]string][]string{}, endpoint: map[string]string{}, undo: map[[2]string]bool{}, undoOnly: map[string]bool{}, refusal: map[string]bool{}, ways: map[string]ways{}, show: t.Vocabulary.ShowEvent}
	for _, service := range t.Services {
		for _, d := range service.Deciders {
			s.deciders = append(s.deciders, lineage{service.Name, d.Name})
			s.outcomes[d.Name] = map[string]bool{}
			for _, r := range t.Reactions(d) {
				if r.Kind == streams.OutcomeInput {
					for _, e := range r.Emits {
						s.outcomes[d.Name][e] = true
					}
				}
			}
		}
	}
	for _, f := range t.Flows() {
		if _, _, inside := t.Decider(f.To); !inside {
			s.endpoint[f.From] = f.To
		}
	}
	for _, saga := range sagas {
		s.steps(t, saga)
	}
	return s
}

// asks reports whether a decider has to ask outside before these events.
func (s *shape) asks(decider string, events []string) bool {
	return slices.ContainsFunc(events, func(e string) bool { return s.outcomes[decider][e] })
}

// askedSince is since when a step's outside call has had no answer; zero if it has: in
// a saga that goes round, the calls of earlier rounds are answered, and the step is
// there again.
func (s *shape) askedSince(l step, hops []hop) (at time.Time) {
	type trigger struct{ key, event string }
	open := map[trigger]time.Time{} // since the last answer
	for _, h := range hops {
		x := trigger{h.Key, h.Type}
		if _, ok := open[x]; !ok && slices.Contains(l.on, h.Type) {
			open[x] = h.Time
		}
		if h.By.Decider != l.By || !s.outcomes[l.By][h.Type] {
			continue
		}
		led := s.triggers[[2]string{l.By, h.Type}]
		own := slices.ContainsFunc(l.on, func(e string) bool { _, ok := open[trigger{h.Key, e}]; return ok && slices.Contains(led, e) })
		for x := range open {
			if slices.Contains(led, x.event) && (x.key == h.Key || !own) {
				delete(open, x)
			}
		}
	}
	for _, t := range open {
		if t.After(at) {
			at = t
		}
	}
	return at
}

func (s *shape) steps(t *streams.Topology, saga streams.Saga) {
	s.ways[saga.Name] = waysOf(t, saga)
	steps, undoes := saga.Steps(t), map[string]bool{}
	for _, e := range saga.Undo {
		s.undoOnly[t.Name(e)] = true
	}
	for _, st := range steps {
		for _, e := range st.Emits {
			undoes[e] = undoes[e] || st.Undo
		}
	}
	for _, st := range steps {
		if st.On == "" {
			continue
		}
		for _, e := range st.Emits {
			if k := [2]string{st.By, e}; s.outcomes[k[0]][k[1]] {
				s.triggers[k] = append(s.triggers[k], st.On)
			}
		}
		if st.Undo {
			s.undo[[2]string{st.On, st.By}] = true
			s.refusal[st.On] = !undoes[st.On]
		}
	}
}

// Classes of a hop, which are its colours.
const (
	plainHop = "hop"
	undoHop  = "comp"
	badHop   = "fail"
)

// class judges an event by what caused it: another event, or the one that led
// to the call whose outcome it is.
func (s *shape) class(e projection.Entry, decider string, cause *projection.Entry) string {
	switch {
	case s.refusal[e.Type]:
		return badHop
	case s.undoOnly[e.Type], cause != nil && s.undo[[2]string{cause.Type, decider}]:
		return undoHop
	}
	return plainHop
}

// decided is the decider of an event's source, /service/decider.
func decided(e projection.Entry) lineage {
	parts := strings.Split(strings.TrimPrefix(e.Source, "/"), "/")
	if len(parts) == 2 {
		return lineage{parts[0], parts[1]}
	}
	return lineage{"", e.Source}
}

// hop is one event of a saga as the page shows it.
type hop struct {
	projection.Entry
	N      int // from 1, names its place on the page
	By     lineage
	Class  string
	Cause  *projection.Entry // nil: a command, a timer or an outside answer
	Called *projection.Entry // what led to the outside call that this is the outcome of
	Shown  string            // data
}

// hops judges the events of a saga.
func (s *shape) hops(events []projection.Entry) []hop {
	byID := map[string]*projection.Entry{}
	for i := range events {
		byID[events[i].ID] = &events[i]
	}
	out := make([]hop, 0, len(events))
	for i, e := range events {
		h := hop{Entry: e, N: i + 1, By: decided(e), Cause: byID[e.Causation], Shown: mask(s.show(e.Type, e.Version, e.Data))}
		because := h.Cause
		if h.Cause == nil {
			h.Called = s.trigger(events[:i], h.By.Decider, e.Type)
			because = h.Called
		}
		h.Class = s.class(e, h.By.Decider, because)
		out = append(out, h)
	}
	return out
}

// trigger is the latest event that may have led to an outcome.
func (s *shape) trigger(before []projection.Entry, decider, outcome string) *projection.Entry {
	triggers := s.triggers[[2]string{decider, outcome}]
	for i := len(before) - 1; i >= 0 && len(triggers) > 0; i-- {
		if slices.Contains(triggers, before[i].Type) {
			return &before[i]
		}
	}
	return nil
}

// rowsOf are the deciders that a saga has to do with, in the topology's order.
func (s *shape) rowsOf(hops []hop) []lineage {
	rows := slices.Clone(s.deciders)
	for _, h := range hops {
		if !slices.Contains(rows, h.By) {
			rows = append(rows, h.By)
		}
	}
	return rows
}
