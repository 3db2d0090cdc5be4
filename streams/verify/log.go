package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// record is what is kept of a record on the log.
type record struct {
	offset int64
	id     uint64 // hash of the event's id
	typ    int32  // number of its type
	skip   bool   // a consumer passes over it: a repeat, a replay, or no event at all
}

// partBook is one partition of one topic.
type partBook struct {
	start, end int64
	reader     *streams.LogReader // as a consumer reads it
	records    []record
	first      map[streams.Lane]int64 // the first there is
	posted     map[string]bool        // source and id of events from outside
	dead       bool                   // reports are not keyed by an entity
	kept       []*kgo.Record          // all of it, if inputs are decided again
}

// offset finds a kept record.
func (b *partBook) offset(o int64) (*kgo.Record, bool) {
	i, ok := slices.BinarySearchFunc(b.kept, o, func(r *kgo.Record, o int64) int { return cmp.Compare(r.Offset, o) })
	if !ok {
		return nil, false
	}
	return b.kept[i], true
}

// readLog reads every event topic from its start to where it ends now.
func (c *checker) readLog(ctx context.Context) error {
	if c.Client == nil {
		c.report.Note("no log was given: order, published and once were checked in the stores only")
		return nil
	}
	cl, err := kgo.NewClient(c.Client...)
	if err != nil {
		return fmt.Errorf("audit of the log: %w", err)
	}
	defer cl.Close()
	from, err := c.locate(ctx, kadm.NewClient(cl))
	if err != nil {
		return fmt.Errorf("audit of the log: %w", err)
	}
	if len(from) > 0 {
		if err := c.consume(ctx, from); err != nil {
			return fmt.Errorf("audit of the log: %w", err)
		}
	}
	return c.eachLane(func(name streams.Lane, l *laneBook) error {
		for to, events := range l.sent {
			c.judgeSent(name, l, to, events)
		}
		return nil
	})
}

// locate finds where each partition begins and ends.
func (c *checker) locate(ctx context.Context, adm *kadm.Client) (map[string]map[int32]kgo.Offset, error) {
	topics, err := c.topics(ctx, adm)
	if err != nil || len(topics) == 0 {
		return nil, err
	}
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, err
	}
	ends, err := adm.ListCommittedOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	from := map[string]map[int32]kgo.Offset{}
	trimmed := 0
	starts.Each(func(o kadm.ListedOffset) {
		end, _ := ends.Lookup(o.Topic, o.Partition)
		b := &partBook{start: o.Offset, end: end.Offset, reader: streams.NewLogReader(o.Offset, o.Offset == 0, nil),
			first: map[streams.Lane]int64{}, posted: map[string]bool{}, dead: strings.HasSuffix(o.Topic, ".dead")}
		c.log[streams.Target{Topic: o.Topic, Partition: o.Partition}] = b
		if b.start > 0 {
			trimmed++
		}
		if b.start < b.end {
			if from[o.Topic] == nil {
				from[o.Topic] = map[int32]kgo.Offset{}
			}
			from[o.Topic][o.Partition] = kgo.NewOffset().At(b.start)
		}
	})
	if trimmed > 0 && c.Complete {
		c.bad(Published, "%d partitions of the log do not begin at offset 0, though it is said to be complete", trimmed)
	}
	return from, nil
}

// topics lists the event topics that exist; what is stored for one that does
// not is missed later.
func (c *checker) topics(ctx context.Context, adm *kadm.Client) ([]string, error) {
	details, err := adm.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	var want []string
	for _, t := range c.Topology.Topics() {
		want = append(want, t.Name)
	}
	for service := range c.Stores {
		want = append(want, streams.DeadTopic(service))
	}
	return slices.DeleteFunc(want, func(t string) bool { return !details.Has(t) }), nil
}

// patience is how long the log may be silent before its end.
const patience = 20 * time.Second

func (c *checker) consume(ctx context.Context, from map[string]map[int32]kgo.Offset) error {
	cl, err := kgo.NewClient(append(c.Client[:len(c.Client):len(c.Client)], kgo.ConsumePartitions(from), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for left := c.unread(); left > 0; left = c.unread() {
		poll, cancel := context.WithTimeout(ctx, patience)
		f := cl.PollFetches(poll)
		cancel()
		if err := f.Err(); errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return fmt.Errorf("%d partitions do not reach their ends", left)
		} else if err != nil {
			return err
		}
		f.EachRecord(c.take)
	}
	return nil
}

func (c *checker) unread() (n int) {
	for _, b := range c.log {
		if b.reader.Next < b.end {
			n++
		}
	}
	return n
}

// take looks at one record as a consumer would.
func (c *checker) take(r *kgo.Record) {
	at := streams.Target{Topic: r.Topic, Partition: r.Partition}
	b := c.log[at]
	e, what, err := b.reader.Read(r)
	if r.Offset >= b.end || what == streams.ReadControl || what == streams.ReadBehind {
		return
	}
	c.looked(Order, 1)
	if c.Decide && !b.dead {
		b.kept = append(b.kept, r)
	}
	if what == streams.ReadUnreadable {
		c.bad(Order, "%v", err)
		b.records = append(b.records, record{offset: r.Offset, skip: true})
		return
	}
	rec := record{offset: r.Offset, id: maphash.String(seed, e.ID), typ: c.typ(e.Type), skip: what == streams.ReadReplayed}
	p := streams.Partition(e.Key, c.Partitions)
	misplaced := !b.dead && (p != r.Partition || streams.CheckKey(e.Key) != nil)
	if misplaced && e.Lane != "" {
		c.bad(Order, "%s/%d@%d: key %q belongs to partition %d", r.Topic, r.Partition, r.Offset, e.Key, p)
	}
	switch {
	case rec.skip:
	case misplaced && what == streams.ReadOutside: // a stranger's mistake, which lanes pass over
		rec.skip = true
	case what == streams.ReadOutside:
		rec.skip = c.takePosted(b, &e)
	default:
		rec.skip = what == streams.ReadRepeat
		c.takeSent(b, r, &e, rec.skip)
	}
	b.records = append(b.records, rec)
}

func (c *checker) typ(name string) int32 {
	n, ok := c.types[name]
	if !ok {
		n = int32(len(c.names))
		c.types[name], c.names = n, append(c.names, name)
	}
	return n
}

// takePosted takes an event from outside, and tells whether it is a repeat.
func (c *checker) takePosted(b *partBook, e *streams.Envelope) bool {
	id := e.Source + "\x00" + e.ID
	if b.posted[id] {
		return true
	}
	b.posted[id] = true
	c.stories.event(e)
	if c.Posted != nil {
		c.Posted(*e)
	}
	return false
}

// takeSent takes a lane's event, unless it is a repeat. A writer never passes over
// what it has sent either, which a consumer would not notice.
func (c *checker) takeSent(b *partBook, r *kgo.Record, e *streams.Envelope, repeat bool) {
	seen, known := b.reader.Last(e.Lane)
	switch {
	case repeat:
	case !known && b.start > 0: // what it follows is trimmed
		b.first[e.Lane] = e.Seq
	case e.Prev != seen:
		c.bad(Order, "%s/%d@%d (%s %q) is number %d of lane %s and follows %d there, after %d was read", r.Topic, r.Partition, r.Offset, e.Type, e.Key, e.Seq, e.Lane, e.Prev, seen)
	}
	if !repeat {
		b.reader.Take(e)
	}
	c.compare(b, r, e, repeat)
}

// compare looks up what is stored for a record.
func (c *checker) compare(b *partBook, r *kgo.Record, e *streams.Envelope, repeat bool) {
	l := c.lanes[e.Lane]
	if l == nil {
		service, _, _ := strings.Cut(string(e.Lane), "/")
		if c.Stores[service] != nil {
			c.bad(Published, "%s/%d@%d is of lane %s, which the store of %s does not have", r.Topic, r.Partition, r.Offset, e.Lane, service)
		}
		return
	}
	events := l.sent[streams.Target{Topic: r.Topic, Partition: r.Partition}]
	i, ok := slices.BinarySearchFunc(events, e.Seq, func(s sent, seq int64) int { return cmp.Compare(s.seq, seq) })
	switch {
	case !ok && e.Seq > l.last && !c.Settled: // stored after the store was read
	case !ok:
		c.bad(Published, "%s/%d@%d (%s %q) is number %d of lane %s, which stored no such event", r.Topic, r.Partition, r.Offset, e.Type, e.Key, e.Seq, e.Lane)
	case events[i].sum != fingerprint(r):
		c.bad(Published, "%s/%d@%d (%s %q) differs from number %d of lane %s as it is stored", r.Topic, r.Partition, r.Offset, e.Type, e.Key, e.Seq, e.Lane)
	case repeat && !events[i].seen && e.Seq >= b.first[e.Lane]:
		c.bad(Order, "%s/%d@%d (%s %q) is number %d of lane %s and was overtaken by a later one: consumers skip it for ever", r.Topic, r.Partition, r.Offset, e.Type, e.Key, e.Seq, e.Lane)
	}
	if ok {
		events[i].seen = true
	}
}

// judgeSent finds what is stored and was never published.
func (c *checker) judgeSent(name streams.Lane, l *laneBook, to streams.Target, events []sent) {
	b := c.log[to]
	for _, s := range events {
		due := c.Settled || s.seq <= l.published
		trimmed := b != nil && b.start > 0 && (b.reader.Took[name] == 0 || s.seq < b.first[name])
		if !s.seen && due && !(trimmed && !c.Complete) {
			c.bad(Published, "number %d of lane %s is stored and not on %s/%d (the mark says %d)", s.seq, name, to.Topic, to.Partition, l.published)
		}
	}
}
