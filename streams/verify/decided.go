package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// redecider compares what one lane stored with what follows when its inputs are
// decided again.
type redecider struct {
	*checker
	*laneBook
	name   streams.Lane
	store  streams.Store
	stored []streams.StoredEvent // that still have to follow
	state  map[streams.StreamID]streams.Snapshot
	asked  map[streams.StreamID][]streams.PendingEffect // in their order
	parks  map[streams.StreamID][]streams.ParkedInput   // in their order
	reply  map[string]streams.Reply
	gone   map[attempted]bool // parked inputs that were given up, or still wait
	timers timerBook
}

// errAstray ends a comparison that cannot go on: nothing after it would agree.
var errAstray = errors.New("what follows is not what is stored")

// errNotThere says that the log lacks a record that was decided about.
var errNotThere = errors.New("it is not on the log")

// decideAgain decides every lane's stored inputs again.
func (c *checker) decideAgain(ctx context.Context) error {
	if !c.Decide {
		return nil
	}
	return c.eachLane(func(name streams.Lane, l *laneBook) error {
		if _, ok := c.Topology.Service(l.service); !ok {
			c.report.Note("lane %s: the topology has no service %s, so nothing was decided again", name, l.service)
			return nil
		}
		r := &redecider{checker: c, laneBook: l, name: name, store: c.Stores[l.service], state: map[streams.StreamID]streams.Snapshot{},
			asked: map[streams.StreamID][]streams.PendingEffect{}, parks: map[streams.StreamID][]streams.ParkedInput{},
			reply: map[string]streams.Reply{}, gone: map[attempted]bool{}, timers: newTimerBook()}
		return r.run(ctx)
	})
}

func (r *redecider) run(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	err := streams.Redecide(ctx, streams.RedecideConfig{Topology: r.Topology, Service: r.service, Partitions: r.Partitions, Lane: r.part, Store: r.store,
		Until: max(r.end.rev, 1), Record: r.record, Failed: r.failed}, r.take)
	r.judgeUnread()
	var astray *streams.ContradictionError
	switch {
	case errors.Is(err, errAstray):
		return nil
	case errors.As(err, &astray), errors.Is(err, errNotThere):
		r.bad(Decided, "lane %s: %v", r.name, err)
		return nil
	case err != nil:
		return err
	}
	for _, e := range r.stored {
		r.bad(Decided, "lane %s: event %d (%s of %s %q) is stored and follows from no input", r.name, e.Seq, e.Type, e.Stream.Decider, e.Stream.Key)
	}
	if !r.end.steady {
		r.report.Note("lane %s committed while it was read: its states, timers, effects and parked inputs were not compared", r.name)
		return nil
	}
	return r.judgeEnding(ctx)
}

// load reads the stored events, and which failures were not mended.
func (r *redecider) load(ctx context.Context) error {
	err := r.store.Outbox(ctx, r.part, 0, math.MaxInt, func(e streams.StoredEvent) error {
		if e.Seq <= r.end.seq && (e.Stream != streams.StreamID{} || e.Type != streams.MisplacedType) {
			r.stored = append(r.stored, e)
		}
		return nil
	})
	if err != nil || len(r.end.failures) == 0 {
		return err
	}
	for _, p := range r.end.parked {
		r.gone[attempted{p.Stream.Decider, p.ID}] = true
	}
	return r.store.Inputs(ctx, r.part, 0, func(row streams.InputRow) error {
		entries, err := streams.DecodeInputs(row.Entries)
		if err != nil {
			return nil // told by Redecide
		}
		for _, e := range entries {
			if _, dropped := e.Dropped(); dropped {
				r.gone[attempted{e.Stream.Decider, e.ID}] = true
			}
		}
		return nil
	})
}

// failed lets the failures happen again of an input that was decided in the
// end: the code was mended in between. All others have to fail by themselves.
func (r *redecider) failed(decider, id string, attempt int) (string, bool) {
	a := attempted{decider, id}
	if reasons := r.end.failures[a]; !r.gone[a] && attempt <= len(reasons) {
		return reasons[attempt-1], true
	}
	return "", false
}

func (r *redecider) record(topic string, offset int64) (*kgo.Record, error) {
	if b := r.log[streams.Target{Topic: topic, Partition: r.part}]; b != nil {
		if rec, ok := b.offset(offset); ok {
			return rec, nil
		}
	}
	return nil, errNotThere
}

// take compares what follows from one input with what is stored.
func (r *redecider) take(d streams.Redecided) error {
	r.looked(Decided, 1)
	if p := d.Parked; p != nil && !d.Dropped && !bytes.Equal(p.Body, d.Input.Body) {
		r.bad(Decided, "lane %s: commit %d retried %s with the body %s, but it was parked with %s", r.name, d.Rev, &d.Input, short(d.Input.Body), short(p.Body))
	}
	for _, s := range d.Tx.Snapshots {
		r.state[s.Stream] = s
	}
	for _, p := range d.Tx.Replies {
		r.reply[p.ID] = p
	}
	r.effects(&d)
	r.park(&d)
	r.timersOf(&d)
	for i := range d.Tx.Events {
		if err := r.compare(&d, &d.Tx.Events[i]); err != nil {
			return err
		}
	}
	return nil
}

// compare takes the next stored event, which has to be this one.
func (r *redecider) compare(d *streams.Redecided, want *streams.StoredEvent) error {
	if len(r.stored) == 0 {
		r.bad(Decided, "lane %s: %s follows from %s (commit %d), and is not stored", r.name, named(want), &d.Input, d.Rev)
		return errAstray
	}
	got := &r.stored[0]
	r.stored = r.stored[1:]
	w, werr := want.Envelope()
	g, gerr := got.Envelope()
	if err := errors.Join(werr, gerr); err != nil {
		r.bad(Decided, "lane %s: event %d cannot be compared: %v", r.name, got.Seq, err)
		return errAstray
	}
	what, is, should := difference(got, want, &g, &w)
	if what == "" {
		return nil
	}
	r.bad(Decided, "lane %s: event %d (%s) is stored with the %s %s; %s (commit %d), decided again, gives %s with %s", r.name, got.Seq, named(got), what, is, &d.Input, d.Rev, named(want), should)
	if g.ID != w.ID {
		return errAstray
	}
	return nil
}

func named(e *streams.StoredEvent) string {
	return fmt.Sprintf("%s of %s %q", e.Type, e.Stream.Decider, e.Stream.Key)
}

// difference names the first thing in which two events differ. Sequences, which
// reports of misplaced records shift, and trace contexts are not compared.
func difference(got, want *streams.StoredEvent, g, w *streams.Envelope) (what, is, should string) {
	for _, f := range []struct {
		what     string
		got, wnt any
	}{
		{"id", g.ID, w.ID}, {"type", got.Type, want.Type}, {"type", g.Type, w.Type},
		{"version of its type", got.TypeVer, want.TypeVer}, {"version of its type", g.Version, w.Version},
		{"stream", got.Stream, want.Stream}, {"stream version", got.Version, want.Version},
		{"key", got.Key, want.Key}, {"topic", got.Topic, want.Topic}, {"partition", got.Partition, want.Partition},
		{"time", g.Time.UnixNano(), w.Time.UnixNano()}, {"source", g.Source, w.Source},
		{"correlation", g.Correlation, w.Correlation}, {"cause", g.Causation, w.Causation},
		{"data", short(reproducible(got.Type, g.Data)), short(reproducible(want.Type, w.Data))},
	} {
		if f.got != f.wnt {
			return f.what, fmt.Sprint(f.got), fmt.Sprint(f.wnt)
		}
	}
	if !bytes.Equal(reproducible(got.Type, g.Data), reproducible(want.Type, w.Data)) {
		return "data", "beginning as the other", "another ending"
	}
	return "", "", ""
}

// reproducible is an event's data without what depends on the run: the stack that
// a report of a panic ends with.
func reproducible(typ string, data []byte) []byte {
	var d streams.DeadLetter
	if typ != streams.ParkedType || json.Unmarshal(data, &d) != nil {
		return data
	}
	d.Reason = firstLine(d.Reason)
	out, err := json.Marshal(d)
	if err != nil {
		return data
	}
	return out
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// short is data as a violation shows it.
func short(b []byte) string {
	if len(b) > 300 {
		return string(b[:300]) + "…"
	}
	return string(b)
}
