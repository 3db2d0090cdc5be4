package console

import (
	"slices"
	"strings"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// asks are the events that note the beginning of an outside call.
var asks = []streams.Event{event.PaymentAsked{}, event.ShipmentAsked{}, event.MailAsked{}}

// shape is what the declared sagas say about single events.
type shape struct {
	deciders []lineage
	asks     map[string]bool            // types
	outcomes map[string]map[string]bool // by decider, the types that outcomes of its effects emit
	endpoint map[string]string          // that a decider calls
	undo     map[[2]string]bool         // input type and decider of the steps that take back
	undoOnly map[string]bool            // types that no other step emits
	refusal  map[string]bool            // types that make others take back
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
	s := shape{asks: map[string]bool{}, outcomes: map[string]map[string]bool{}, endpoint: map[string]string{}, undo: map[[2]string]bool{}, undoOnly: map[string]bool{}, refusal: map[string]bool{}}
	for _, e := range asks {
		if f, ok := t.Vocabulary.FactOf(e); ok {
			s.asks[f.Name] = true
		}
	}
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

func (s *shape) steps(t *streams.Topology, saga streams.Saga) {
	name := func(e streams.Event) string {
		f, ok := t.Vocabulary.FactOf(e)
		if !ok {
			return ""
		}
		return f.Name
	}
	does, undoes := map[string]bool{}, map[string]bool{}
	for _, st := range saga.Steps {
		for _, e := range st.Emits {
			if st.Undo {
				undoes[name(e)] = true
			} else {
				does[name(e)] = true
			}
		}
	}
	for e := range undoes {
		s.undoOnly[e] = !does[e]
	}
	for _, st := range saga.Steps {
		if st.Undo && st.On != nil {
			on := name(st.On)
			s.undo[[2]string{on, st.By}] = true
			s.refusal[on] = !undoes[on]
		}
	}
}

// Classes of a hop, which are its colours.
const (
	plainHop = "hop"
	undoHop  = "comp"
	badHop   = "fail"
)

// class judges an event by what caused it; before is what its decider did
// last, for outcomes of calls, whose cause is no event.
func (s *shape) class(e projection.Entry, decider string, cause *projection.Entry, before string) string {
	switch {
	case s.refusal[e.Type]:
		return badHop
	case s.undoOnly[e.Type]:
		return undoHop
	case cause != nil && s.undo[[2]string{cause.Type, decider}]:
		return undoHop
	case cause == nil && s.outcomes[decider][e.Type] && before == undoHop:
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
	Called *projection.Entry // what asked for the outside answer, if this is one
	Shown  string            // data
}

// hops judges the events of a saga.
func (s *shape) hops(events []projection.Entry) []hop {
	byID := map[string]*projection.Entry{}
	for i := range events {
		byID[events[i].ID] = &events[i]
	}
	asked, last := map[lineage]*projection.Entry{}, map[lineage]string{}
	out := make([]hop, 0, len(events))
	for i, e := range events {
		h := hop{Entry: e, N: i + 1, By: decided(e), Cause: byID[e.Causation], Shown: maskData(e.Data)}
		h.Class = s.class(e, h.By.Decider, h.Cause, last[h.By])
		if h.Cause == nil && s.outcomes[h.By.Decider][e.Type] {
			h.Called, asked[h.By] = asked[h.By], nil
		}
		if s.asks[e.Type] {
			asked[h.By], last[h.By] = &events[i], h.Class
		}
		out = append(out, h)
	}
	return out
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
