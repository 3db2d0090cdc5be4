package verify

import (
	"bytes"
	"fmt"
	"time"

	"github.com/weirstream/weir/streams"
)

// timerBook follows one lane's timers, from the decisions that set them.
type timerBook struct {
	set     map[streams.TimerKey]streams.Timer
	ended   map[streams.TimerKey]string // how the last one of the name ended
	waiting map[string]streams.TimerKey // timers that fell due and are parked, by id
	void    map[string]string           // those of them that a later decision took back, and how
	steps   []step
}

// step is a decision that tells whether timers act on unread input: a timer, or
// a record.
type step struct {
	rev  int64
	what string
	due  time.Time // of a timer; else zero
	at   time.Time // when the record came onto the log, at the latest
}

func newTimerBook() timerBook {
	return timerBook{set: map[streams.TimerKey]streams.Timer{}, ended: map[streams.TimerKey]string{}, waiting: map[string]streams.TimerKey{}, void: map[string]string{}}
}

// timersOf follows what an input does to the lane's timers.
func (r *redecider) timersOf(d *streams.Redecided) {
	b, e := &r.timers, &d.Input
	acts := e.Kind == streams.TimerInput && !d.Dropped
	switch {
	case acts && d.Parked == nil:
		r.acts(d)
	case acts:
		if how, ok := b.void[e.ID]; ok {
			r.bad(Timely, "lane %s: commit %d decided about the %s, which had waited for its key and %s", r.name, d.Rev, e, how)
		}
	case d.Record != nil:
		r.stamped(d)
	}
	if e.Kind == streams.TimerInput {
		delete(b.waiting, e.ID)
	}
	for _, k := range d.Tx.Cancel {
		b.end(k, d)
	}
	for _, t := range d.Tx.Timers {
		r.looked(Timely, 1)
		b.set[streams.TimerKey{Stream: t.Stream, Name: t.Name}] = t
	}
	for _, p := range d.Tx.Parked {
		if p.Kind == streams.TimerInput {
			b.waiting[p.ID] = streams.TimerKey{Stream: p.Stream, Name: p.Name}
		}
	}
}

// end takes a timer back that is set, or that waits parked.
func (b *timerBook) end(k streams.TimerKey, d *streams.Redecided) {
	how := fmt.Sprintf("was cancelled by commit %d with the %s", d.Rev, &d.Input)
	if d.Input.Kind == streams.TimerInput && d.Input.Stream == k.Stream && d.Input.Name == k.Name {
		how = fmt.Sprintf("acted in commit %d", d.Rev)
	}
	for _, t := range d.Tx.Timers {
		if t.Stream == k.Stream && t.Name == k.Name {
			how = fmt.Sprintf("was replaced by commit %d with the %s", d.Rev, &d.Input)
		}
	}
	delete(b.set, k)
	b.ended[k] = how
	for id, w := range b.waiting {
		if w == k {
			b.void[id] = how
		}
	}
}

// acts checks a timer that fell due: it is the one that is set, and due.
func (r *redecider) acts(d *streams.Redecided) {
	e := &d.Input
	k := streams.TimerKey{Stream: e.Stream, Name: e.Name}
	t, ok := r.timers.set[k]
	switch {
	case !ok || t.ID != e.ID:
		r.bad(Timely, "lane %s: commit %d decided about the %s, which is not set: the last one %s", r.name, d.Rev, e, orElse(r.timers.ended[k], "is another, or was never set"))
		return
	case d.At.Before(t.Due):
		r.bad(Timely, "lane %s: commit %d decided at %s about the %s, which falls due at %s", r.name, d.Rev, clock(d.At), e, clock(t.Due))
	case !bytes.Equal(t.Body, e.Body):
		r.bad(Timely, "lane %s: commit %d decided about the %s with the body %s, it was set with %s", r.name, d.Rev, e, short(e.Body), short(t.Body))
	}
	r.timers.steps = append(r.timers.steps, step{rev: d.Rev, what: e.String(), due: t.Due})
}

// stamped notes when a record came onto the log. Kafka's clock has milliseconds,
// so it was before the next one.
func (r *redecider) stamped(d *streams.Redecided) {
	if d.Record.Attrs.TimestampType() != 1 {
		r.unstamped = true
		return
	}
	r.timers.steps = append(r.timers.steps, step{rev: d.Rev, what: fmt.Sprintf("%s/%d@%d", d.Record.Topic, d.Record.Partition, d.Record.Offset), at: d.Record.Timestamp.Add(time.Millisecond)})
}

// judgeUnread finds timers that acted while a record, on the log before they
// fell due, was still to be decided about. It goes from the end to the
// beginning, with the oldest record of the commits behind it.
func (r *redecider) judgeUnread() {
	var oldest step // of the commits after this one
	var here []step // the records of this one
	rev := int64(0)
	steps := r.timers.steps
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		if s.rev != rev {
			for _, x := range here {
				if oldest.rev == 0 || x.at.Before(oldest.at) {
					oldest = x
				}
			}
			here, rev = here[:0], s.rev
		}
		if s.due.IsZero() {
			here = append(here, s)
		} else if oldest.rev > 0 && oldest.at.Before(s.due.Add(-r.Skew)) {
			r.bad(Timely, "lane %s: commit %d decided about the %s, due at %s, before the record %s, which commit %d decided about and which was on the log by %s",
				r.name, s.rev, s.what, clock(s.due), oldest.what, oldest.rev, clock(oldest.at))
		}
	}
}

// judgeTimers compares the timers that should still be set with those that are.
func (r *redecider) judgeTimers() {
	stored := map[streams.TimerKey]bool{}
	for _, t := range r.end.timers {
		k := streams.TimerKey{Stream: t.Stream, Name: t.Name}
		stored[k] = true
		want, ok := r.timers.set[k]
		switch {
		case !ok:
			r.bad(Timely, "lane %s: timer %q of %s %q (%s) is stored and should not be set: the last one %s", r.name, t.Name, t.Stream.Decider, t.Stream.Key, t.ID, orElse(r.timers.ended[k], "was never set"))
		case want.ID != t.ID || !want.Due.Equal(t.Due) || !bytes.Equal(want.Body, t.Body):
			r.bad(Timely, "lane %s: timer %q of %s %q is stored as %s for %s with %s; decided again, it is %s for %s with %s", r.name, t.Name, t.Stream.Decider, t.Stream.Key,
				t.ID, clock(t.Due), short(t.Body), want.ID, clock(want.Due), short(want.Body))
		}
	}
	for k, t := range r.timers.set {
		if !stored[k] {
			r.bad(Timely, "lane %s: timer %q of %s %q (%s), set for %s, is lost: nobody cancelled or replaced it, and it never acted", r.name, k.Name, k.Stream.Decider, k.Stream.Key, t.ID, clock(t.Due))
		}
	}
}
