package console

import (
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// declared is what the declarations of a saga and of its subject's view say together.
type declared struct {
	streams.Saga
	starts                    string // types of events
	once, undo, answers, ends []string
	view                      *business.View // nil: its subject has none
	turned, answered          []string       // times of the view that events of Undo and Answers set
	told                      bool           // documents of the view say when a saga began and was answered
	undone                    []string       // states of the view that events of Undo bring about
	Begins                    string         // what a client sends to begin one; empty: nobody can
}

func (c *Console) declare(s streams.Saga) declared {
	t := c.Topology
	d := declared{Saga: s, starts: t.Name(s.Starts), once: named(t, s.Once), undo: named(t, s.Undo),
		answers: named(t, s.Answers), ends: named(t, s.Ends), Begins: c.beginning(t.Name(s.Starts))}
	if v, ok := c.Business.ViewOf(s.Starts.Key().Kind()); ok {
		d.view, d.turned, d.answered = v, timesOf(t, v, d.undo), timesOf(t, v, d.answers)
		d.told = len(d.answered) > 0 && slices.Contains(named(t, v.Begins), d.starts)
		for _, state := range v.States {
			if slices.Contains(d.turned, business.StateField(state)) {
				d.undone = append(d.undone, state)
			}
		}
	}
	return d
}

func named(t *streams.Topology, events []streams.Event) (out []string) {
	for _, e := range events {
		out = append(out, t.Name(e))
	}
	return out
}

// timesOf are the times of a view's documents that events of these types set.
func timesOf(t *streams.Topology, v *business.View, types []string) (out []string) {
	for _, s := range v.From {
		if s.OfOther() || !slices.Contains(types, t.Name(s.Event)) {
			continue
		}
		_, set := s.Apply(s.Event, business.Moment{})
		for name, value := range set {
			if _, ok := value.(time.Time); ok {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// beginning is the command that emits an event, or the event from outside that leads to it.
func (c *Console) beginning(starts string) string {
	for _, service := range c.Topology.Services {
		for _, d := range service.Deciders {
			for _, r := range c.Topology.Reactions(d) {
				if !slices.Contains(r.Emits, starts) {
					continue
				}
				if cmd, ok := c.Business.Command(r.Input); ok && r.Kind == streams.CommandInput {
					return cmd.Verb() + " " + cmd.Path
				}
				if f, ok := c.Topology.Vocabulary.Fact(r.Input); ok && r.Kind == streams.EventInput && f.External {
					return f.Name + " to POST /v1/events"
				}
			}
		}
	}
	if f, ok := c.Topology.Vocabulary.Fact(starts); ok && f.External {
		return f.Name + " to POST /v1/events"
	}
	return ""
}

// declaredAs is what is declared of a saga; of no name, that of events which began none.
func (c *Console) declaredAs(name string) *declared {
	for i := range c.sagas {
		if c.sagas[i].Name == name {
			return &c.sagas[i]
		}
	}
	return &declared{}
}

// turnedBack tells whether something of a saga was taken back, as far as it is known from
// its subject's document and from types of its events.
func (d *declared) turnedBack(s projection.Saga, o *subject, types ...string) bool {
	if o != nil && o.view == d.view {
		for _, name := range d.turned {
			// An earlier saga of the same subject may have turned too.
			if at := o.at(name); !at.IsZero() && !at.Before(s.Started) {
				return true
			}
		}
	}
	return slices.ContainsFunc(append(types, s.Last, s.EndedBy), func(e string) bool { return slices.Contains(d.undo, e) })
}

// answeredAt is when the first answer came, as its subject's document says; zero if none has.
func (d *declared) answeredAt(o *subject) (first time.Time) {
	for _, name := range d.answered {
		if at := o.at(name); !at.IsZero() && !at.Before(o.Begun) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// happened is what an event says, in words.
func (c *Console) happened(eventType string) string {
	if f, ok := c.Topology.Vocabulary.Fact(eventType); ok {
		return f.Happened
	}
	return eventType
}

// toDo is what it takes to bring one of these events about, in words.
func (c *Console) toDo(types []string) string {
	const plainly = "has to bring about "
	if f, ok := c.Topology.Vocabulary.Fact(types[0]); ok && f.ToDo != plainly+f.Name {
		return f.ToDo
	}
	return plainly + strings.Join(types, " or ")
}
