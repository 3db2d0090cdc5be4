package verify

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"time"

	"github.com/weirstream/weir/streams"
)

// inputReader compares what one lane says it decided about with the log.
type inputReader struct {
	*checker
	name     streams.Lane
	book     *laneBook
	reacts   map[int32]bool // numbers of the types that its service decides about
	last     map[string]int64
	rev      int64
	decided  map[string][]bool // by topic, beside the partition's records
	ids      map[uint64]struct{}
	position map[string]streams.Position
	at       time.Time // of the row before
}

// readInputs reads every lane's rows of inputs.
func (c *checker) readInputs(ctx context.Context) error {
	return c.eachLane(func(name streams.Lane, l *laneBook) error {
		reacts, topics := c.reactions(l.service)
		r := &inputReader{checker: c, name: name, book: l, reacts: reacts, last: map[string]int64{}, decided: map[string][]bool{}, ids: map[uint64]struct{}{}}
		return r.read(ctx, topics)
	})
}

// reactions lists the types that a service decides about, and their topics.
func (c *checker) reactions(service string) (types map[int32]bool, topics []string) {
	types = map[int32]bool{}
	s, ok := c.Topology.Service(service)
	if !ok {
		return types, nil
	}
	for _, d := range s.Deciders {
		for _, x := range c.Topology.Reactions(d) {
			if x.Kind != streams.EventInput {
				continue
			}
			if x.Start == streams.All { // the others may leave out what was there before
				types[c.typ(x.Input)] = true
			}
			if t, ok := c.Topology.Topic(x.Input); ok && !slices.Contains(topics, t.Name) {
				topics = append(topics, t.Name)
			}
		}
	}
	return types, topics
}

func (r *inputReader) read(ctx context.Context, topics []string) error {
	store := r.Stores[r.book.service]
	// The cursor before the rows: what it has passed is in them.
	cur, err := store.Cursor(ctx, r.book.part)
	if err != nil {
		return err
	}
	r.position = cur.Inputs
	if err := store.Inputs(ctx, r.book.part, 0, r.row); err != nil {
		return err
	}
	for _, t := range topics {
		r.judgeMissed(t)
	}
	return nil
}

func (r *inputReader) row(row streams.InputRow) error {
	entries, err := streams.DecodeInputs(row.Entries)
	if err != nil || row.Rev <= r.rev {
		r.bad(Once, "lane %s: the row of inputs of commit %d (after %d) cannot be read: %v", r.name, row.Rev, r.rev, err)
		return nil
	}
	if row.At.Before(r.at) {
		r.bad(Timely, "lane %s: commit %d took its inputs at %s, after an earlier one at %s: its clock went back", r.name, row.Rev, clock(row.At), clock(r.at))
	}
	r.rev, r.at = row.Rev, row.At
	for i := range entries {
		r.looked(Once, 1)
		if e := &entries[i]; e.Topic != "" {
			r.event(e)
		} else if e.Kind != streams.EventInput { // a retried one
			r.stored(e)
		}
		if entries[i].Kind == streams.TimerInput && !r.Decide { // else those that were set are counted
			r.looked(Timely, 1)
		}
	}
	return nil
}

// event checks a record that was decided about.
func (r *inputReader) event(e *streams.InputEntry) {
	if last, again := r.last[e.Topic]; again && e.Offset <= last {
		r.bad(Once, "lane %s decided about %s/%d@%d after %d: a second time", r.name, e.Topic, r.book.part, e.Offset, last)
		return
	}
	r.last[e.Topic] = e.Offset
	b := r.log[streams.Target{Topic: e.Topic, Partition: r.book.part}]
	if b == nil || e.Offset < b.start || e.Offset >= b.end && !r.Settled {
		return
	}
	i, ok := slices.BinarySearchFunc(b.records, e.Offset, func(x record, o int64) int { return cmp.Compare(x.offset, o) })
	switch {
	case !ok:
		r.bad(Once, "lane %s decided about %s/%d@%d, which is not on the log", r.name, e.Topic, r.book.part, e.Offset)
		return
	case b.records[i].skip:
		r.bad(Once, "lane %s decided about %s/%d@%d (%s), which repeats an earlier event", r.name, e.Topic, r.book.part, e.Offset, r.names[b.records[i].typ])
	}
	if r.decided[e.Topic] == nil {
		r.decided[e.Topic] = make([]bool, len(b.records))
	}
	r.decided[e.Topic][i] = true
}

// stored checks a command, timer or outcome: each is decided about once, but
// for those of a parked key, which a person may have retried.
func (r *inputReader) stored(e *streams.InputEntry) {
	id := maphash.String(seed, string(e.Kind)+"\x00"+e.Name+"\x00"+e.ID)
	if _, twice := r.ids[id]; twice && !r.book.parked[e.Stream] {
		r.bad(Once, "lane %s decided twice about %s %s of %s %q with the id %s", r.name, e.Kind, e.Name, e.Stream.Decider, e.Stream.Key, e.ID)
	}
	r.ids[id] = struct{}{}
}

// judgeMissed finds records that the lane has passed, or should have, without
// deciding about them.
func (r *inputReader) judgeMissed(topic string) {
	b := r.log[streams.Target{Topic: topic, Partition: r.book.part}]
	if b == nil {
		return
	}
	pos, reads := r.position[topic]
	for i, x := range b.records {
		decided := r.decided[topic] != nil && r.decided[topic][i]
		passed := reads && x.offset < pos.Offset
		if decided || x.skip || !r.reacts[x.typ] || !passed && !r.Settled {
			continue
		}
		what := "passed over"
		if !passed {
			what = "has not read"
		}
		r.bad(Once, "lane %s %s %s/%d@%d (%s) without a decision, its cursor is at %d", r.name, what, topic, r.book.part, x.offset, r.names[x.typ], pos.Offset)
	}
}
