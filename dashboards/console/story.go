package console

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
)

// story is what a person wants to know of a saga: what happened, what is left.
type story struct {
	Told  []string // in sentences, the first of which says how it stands
	Steps []telling
	Left  []step // in the order in which they are declared
}

// telling is a step that was made.
type telling struct {
	What  string
	After time.Duration // since the saga's start
	N     int           // of the hop
	Class string
}

// Then is what has to wait for others.
func (s story) Then() []step { return later(s.Left, false) }

// Now is what nothing keeps from happening.
func (s story) Now() []step { return later(s.Left, true) }

func later(all []step, now bool) (out []step) {
	for _, l := range all {
		if l.Now == now {
			out = append(out, l)
		}
	}
	return out
}

// teller tells the story of a saga by its events.
type teller struct {
	*Console
	saga  *declared
	began time.Time
	hops  []hop
}

// story tells a saga in the words of its events.
func (c *Console) story(saga projection.Saga, hops []hop) (s story) {
	t := teller{c, c.declaredAs(saga.Name), saga.Started, hops}
	if t.began.IsZero() && len(hops) > 0 {
		t.began = hops[0].Time
	}
	s.Told = t.tell(saga)
	for _, h := range hops {
		if slices.Contains(t.saga.once, h.Type) {
			s.Steps = append(s.Steps, telling{c.happened(h.Type), h.Time.Sub(t.began), h.N, h.Class})
		}
	}
	s.Left = c.shape.ways[saga.Name].left(hops)
	for i := range s.Left {
		l := &s.Left[i]
		l.What = c.toDo(l.To) + l.part()
		if l.Now && c.shape.asks(l.By, l.To) {
			l.Since = c.shape.askedSince(*l, hops)
			l.Now = !l.Since.IsZero() // or it was answered, and waits for the next occasion
		}
	}
	return s
}

// part says how many of several are there.
func (l *step) part() string {
	if l.Of < 2 {
		return ""
	}
	return fmt.Sprintf(" (%d of %d)", l.Done, l.Of)
}

// tell says how a saga stands, what it took back, and how long it took.
func (t teller) tell(s projection.Saga) (told []string) {
	answer := t.first(t.saga.answers)
	if stands := t.stands(answer); stands != "" {
		told = append(told, stands)
	}
	if back := t.takenBack(answer); len(back) > 0 {
		told = append(told, "Taken back: "+strings.Join(back, ", ")+".")
	}
	if s.State != projection.Ended || s.Name == "" {
		return told
	}
	if late := s.Ended.Sub(s.Due); late > 0 && !s.Due.IsZero() {
		told = append(told, "Its time was over "+span(late)+" before it ended.")
	}
	return append(told, "Closed after "+span(s.Ended.Sub(s.Started))+".")
}

// first is the earliest event of these types.
func (t teller) first(types []string) *hop {
	for i := range t.hops {
		if slices.Contains(types, t.hops[i].Type) {
			return &t.hops[i]
		}
	}
	return nil
}

// stands is a saga's life so far in one sentence: what was answered, and what came last.
func (t teller) stands(answer *hop) string {
	var last *hop
	for i, h := range t.hops {
		if slices.Contains(t.saga.once, h.Type) && !slices.Contains(t.saga.undo, h.Type) && !slices.Contains(t.saga.ends, h.Type) {
			last = &t.hops[i]
		}
	}
	switch {
	case answer == nil && last == nil:
		return ""
	case answer == nil && len(t.saga.answers) > 0 && t.first(t.saga.ends) == nil:
		return upper(t.when(last)) + ", and there is no answer yet."
	case answer == nil:
		return upper(t.when(last)) + "."
	case last == nil || last.N <= answer.N:
		return upper(t.when(answer)) + "."
	}
	return upper(t.when(answer)) + ", and " + t.when(last) + "."
}

// when says what happened, and how long after the start.
func (t teller) when(h *hop) string {
	what := t.happened(h.Type)
	if after := h.Time.Sub(t.began); h.Type != t.saga.starts {
		what += " after " + span(after)
	}
	return what
}

// takenBack lists the compensations that are done, without the one that was told already.
func (t teller) takenBack(answer *hop) (out []string) {
	times := map[string]int{}
	for _, h := range t.hops {
		times[h.Type]++
	}
	told := map[string]bool{}
	for i := range t.hops {
		h := &t.hops[i]
		if !slices.Contains(t.saga.undo, h.Type) || told[h.Type] || answer != nil && h.Type == answer.Type {
			continue
		}
		told[h.Type] = true
		what := t.when(h)
		if n := times[h.Type]; n > 1 {
			what += fmt.Sprintf(" (%d times)", n)
		} else if sum := t.amount(h); sum != "" {
			what += " (" + sum + ")"
		}
		out = append(out, what)
	}
	return out
}

// amount is the first money that an event tells, empty if it tells none.
func (t teller) amount(h *hop) string {
	f, ok := t.Topology.Vocabulary.Fact(h.Type)
	if !ok {
		return ""
	}
	e, err := f.Decode(h.Version, h.Data)
	if err != nil {
		return "" // its data say so where they are shown
	}
	v := reflect.ValueOf(e)
	if v.Kind() != reflect.Struct {
		return ""
	}
	for _, field := range reflect.VisibleFields(v.Type()) {
		value, err := v.FieldByIndexErr(field.Index)
		if err != nil || !field.IsExported() {
			continue
		}
		if sum, ok := value.Interface().(business.Sum); ok {
			if minor, currency := sum.Amount(); minor != 0 {
				return money(projection.Money{Minor: minor, Currency: currency})
			}
		}
	}
	return ""
}

// upper begins a sentence.
func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
