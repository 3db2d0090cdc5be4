package console

import (
	"slices"
	"time"

	"github.com/weirstream/weir/streams"
)

// step is something that has yet to happen, and who has to do it.
type step struct {
	By, What string
	To       []string  // types of events that lead on, of which it has to bring about one
	Now      bool      // all that it waits for has happened
	Since    time.Time // when an outside call was called for; zero if none was
	Of, Done int       // keys of which each has to do it, and those that have
	on       []string  // types that it reacts to
}

// ways are a declared saga's ways to its ends: the one that was meant to be, and
// the one that takes back.
type ways struct {
	starts, ends, turns []string // turns are the events after which it goes back
	on, back            way
}

// way is the steps that lead to an end, each with those of its events that do.
// What nobody reacts to leads nowhere: a note of one's own, a question to the
// outside.
type way []stride

type stride struct {
	by, on string
	to     []string
}

func waysOf(t *streams.Topology, s streams.Saga) ways {
	steps, name := s.Steps(t), t.Name
	w := ways{starts: []string{name(s.Starts)}}
	for _, e := range s.Ends {
		w.ends = append(w.ends, name(e))
	}
	w.on = wayOf(steps, w.ends, func(st streams.Step) bool { return !st.Undo })
	w.back = wayOf(steps, w.ends, func(streams.Step) bool { return true })
	for _, x := range w.back {
		if !slices.ContainsFunc(w.on, func(y stride) bool { return y.on == x.on }) && !slices.Contains(w.turns, x.on) {
			w.turns = append(w.turns, x.on)
		}
	}
	return w
}

// wayOf goes back from the ends over the steps that may be taken.
func wayOf(steps []streams.Step, ends []string, may func(streams.Step) bool) (w way) {
	leads := map[string]bool{}
	for _, e := range ends {
		leads[e] = true
	}
	for n := -1; n != len(leads); {
		n, w = len(leads), nil
		for _, st := range steps {
			if st.On == "" || !may(st) {
				continue
			}
			x := stride{by: st.By, on: st.On}
			for _, e := range st.Emits {
				if leads[e] {
					x.to = append(x.to, e)
				}
			}
			if len(x.to) > 0 {
				leads[x.on] = true
				w = append(w, x)
			}
		}
	}
	return w
}

// left lists what is left of a saga of which these events have happened, in the
// order of its declaration. Steps of a decider to the same events are one.
func (w ways) left(hops []hop) (out []step) {
	times := map[string]int{}
	for _, h := range hops {
		times[h.Type]++
	}
	happened := func(e string) bool { return times[e] > 0 }
	if len(hops) == 0 || slices.ContainsFunc(w.ends, happened) {
		return nil
	}
	from, along := w.starts, w.on
	if turned := slices.DeleteFunc(slices.Clone(w.turns), func(e string) bool { return !happened(e) }); len(turned) > 0 {
		from, along = turned, w.back
	}
	ahead := along.from(from)
	for _, x := range ahead {
		keys, waiting := x.keys(hops)
		if ahead.done(x, times) || slices.ContainsFunc(x.to, happened) && waiting == 0 {
			continue
		}
		i := slices.IndexFunc(out, func(l step) bool { return l.By == x.by && slices.Equal(l.To, x.to) })
		if i < 0 {
			i, out = len(out), append(out, step{By: x.by, To: x.to})
		}
		out[i].on = append(out[i].on, x.on)
		if keys > out[i].Of {
			out[i].Of, out[i].Done = keys, keys-waiting
		}
	}
	for i := range out {
		out[i].Now = !slices.ContainsFunc(out[i].on, func(e string) bool { return !happened(e) && !ahead.instead(e, times) })
	}
	return out
}

// done reports whether a step has led to as many events as it had to, or others
// have gone on from them.
func (w way) done(x stride, times map[string]int) bool {
	n := 0
	for _, e := range x.to {
		n += times[e]
	}
	further := func(y stride) bool {
		// Who begins the next round does not go on from this one.
		return slices.Contains(x.to, y.on) && !slices.Contains(y.to, x.on) && slices.ContainsFunc(y.to, func(e string) bool { return times[e] > 0 })
	}
	return n > 0 && (n >= times[x.on] || slices.ContainsFunc(w, further))
}

// instead reports whether another event has happened in an event's place.
func (w way) instead(e string, times map[string]int) bool {
	return slices.ContainsFunc(w, func(x stride) bool {
		return slices.Contains(x.to, e) && slices.ContainsFunc(x.to, func(e string) bool { return times[e] > 0 })
	})
}

// from is the part of a way that can be reached from events.
func (w way) from(events []string) (out way) {
	reached := map[string]bool{}
	for _, e := range events {
		reached[e] = true
	}
	for n := -1; n != len(out); {
		n, out = len(out), nil
		for _, x := range w {
			if !reached[x.on] {
				continue
			}
			out = append(out, x)
			for _, e := range x.to {
				reached[e] = true
			}
		}
	}
	return out
}

// keys are of how many keys events came to the step, and from how many of them it has not
// led on: a decider keeps for itself what it has heard in part.
func (x stride) keys(hops []hop) (all, waiting int) {
	keys := map[string]string{} // by id
	waits := map[string]bool{}
	for _, h := range hops {
		if h.Type == x.on {
			keys[h.ID], waits[h.Key] = h.Key, true
		}
	}
	all = len(waits)
	for _, h := range hops {
		if key, ok := keys[h.Causation]; ok && h.By.Decider == x.by && slices.Contains(x.to, h.Type) {
			delete(waits, key)
		}
	}
	return all, len(waits)
}
