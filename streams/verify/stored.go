package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

var seed = maphash.MakeSeed()

// fingerprint is of a record's key, headers and value, byte for byte.
func fingerprint(r *kgo.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	part := func(b []byte) {
		var n [8]byte
		for i, l := 0, uint64(len(b)); l > 0; i, l = i+1, l>>8 {
			n[i] = byte(l)
		}
		_, _ = h.Write(n[:]) // a hash takes everything
		_, _ = h.Write(b)
	}
	part(r.Key)
	part(r.Value)
	for i := range r.Headers {
		part([]byte(r.Headers[i].Key))
		part(r.Headers[i].Value)
	}
	return h.Sum64()
}

// sent is a stored event that the log should carry.
type sent struct {
	seq  int64
	sum  uint64
	seen bool // on the log, and not hidden from consumers by a later one
}

// laneBook is what one lane stored.
type laneBook struct {
	service   string
	part      int32
	published int64 // the mark: at or below it all is acknowledged
	last      int64 // the highest sequence read
	lastSent  int64 // the highest of an event that travels
	sent      map[streams.Target][]sent
	parked    map[streams.StreamID]bool // was parked once, so inputs may have been decided again
	end       ending
}

// ending is a lane's last commit, and what was stored then: all of it for
// deciding again.
type ending struct {
	rev, seq  int64     // of the cursor, before anything else was read
	clock     time.Time // of the lane, then
	steady    bool      // the lane did not commit while it was read
	snapshots map[streams.StreamID]streams.Snapshot
	timers    []streams.Timer
	parked    []streams.ParkedInput
	pending   []streams.PendingEffect
	failures  map[attempted][]string // the reasons, as reported, in their order
}

// attempted is an input that a decider could not decide about.
type attempted struct{ decider, id string }

// laneReader reads one lane of a store. Versions and ids are of the lane only:
// the same cause and the same stream are always the same lane's.
type laneReader struct {
	*checker
	*laneBook
	name     streams.Lane
	store    streams.Store
	versions map[streams.StreamID]int64
	ids      map[uint64]struct{}
}

func (c *checker) readStores(ctx context.Context) error {
	for _, service := range c.services() {
		store := c.Stores[service]
		info, err := store.Info(ctx, c.Partitions)
		if err != nil {
			return fmt.Errorf("audit of %s: %w", service, err)
		}
		for part := range c.Partitions {
			r := &laneReader{checker: c, store: store, name: streams.NewLane(service, part, info.Incarnation), versions: map[streams.StreamID]int64{}, ids: map[uint64]struct{}{},
				laneBook: &laneBook{service: service, part: part, sent: map[streams.Target][]sent{}, parked: map[streams.StreamID]bool{},
					end: ending{snapshots: map[streams.StreamID]streams.Snapshot{}, failures: map[attempted][]string{}}}}
			c.lanes[r.name] = r.laneBook
			if err := r.read(ctx); err != nil {
				return fmt.Errorf("audit of lane %s: %w", r.name, err)
			}
		}
	}
	return nil
}

func (r *laneReader) read(ctx context.Context) error {
	cur, err := r.store.Cursor(ctx, r.part)
	if err != nil {
		return err
	}
	r.published, r.end.rev, r.end.seq, r.end.clock = cur.Published, cur.Rev, cur.LastSeq, cur.Clock
	if err := r.store.Outbox(ctx, r.part, 0, math.MaxInt, r.event); err != nil {
		return err
	}
	for _, rest := range []func(context.Context) error{r.readSnapshots, r.readParked, r.readTimers, r.readPending} {
		if err := rest(ctx); err != nil {
			return err
		}
	}
	if cur, err = r.store.Cursor(ctx, r.part); err != nil {
		return err
	}
	r.end.steady = cur.Rev == r.end.rev
	return nil
}

// event takes one stored event to the books.
func (r *laneReader) event(e streams.StoredEvent) error {
	r.looked(Replayable, 1)
	rec, err := e.KafkaRecord()
	if err == nil && e.Seq <= r.last {
		err = fmt.Errorf("sequence %d follows %d", e.Seq, r.last)
	}
	if err != nil {
		r.bad(Replayable, "lane %s: event %d cannot be read: %v", r.name, e.Seq, err)
		return nil
	}
	env, err := streams.ReadEnvelope(rec)
	if err != nil {
		r.bad(Replayable, "lane %s: event %d: %v", r.name, e.Seq, err)
		return nil
	}
	r.last = e.Seq
	r.stories.followed(r.name, e.Seq, &env)
	r.target(&e, &env, rec)
	if e.Stream == (streams.StreamID{}) {
		r.dead(&e, &env)
		return nil
	}
	id := maphash.String(seed, env.ID)
	if _, twice := r.ids[id]; twice {
		r.bad(Once, "lane %s: event %d (%s of %s %q) has the id %s of an earlier one: input %s was decided twice", r.name, e.Seq, e.Type, e.Stream.Decider, e.Stream.Key, env.ID, env.Causation)
	}
	r.ids[id] = struct{}{}
	if have := r.versions[e.Stream]; e.Version != have+1 {
		r.bad(Replayable, "lane %s: %s %q goes from version %d to %d at event %d", r.name, e.Stream.Decider, e.Stream.Key, have, e.Version, e.Seq)
	}
	r.versions[e.Stream] = e.Version
	r.decode(&e, &env)
	return nil
}

// target files the event as one that a topic has to carry, if one has to.
func (r *laneReader) target(e *streams.StoredEvent, env *streams.Envelope, rec *kgo.Record) {
	if e.Topic == "" { // private: kept for the stream, told to nobody
		if env.Lane != r.name || env.Seq != e.Seq {
			r.bad(Order, "lane %s: private event %d is stored as number %d of lane %s", r.name, e.Seq, env.Seq, env.Lane)
		}
		return
	}
	r.looked(Published, 1)
	to := streams.Target{Topic: e.Topic, Partition: e.Partition}
	prev := int64(0)
	if n := len(r.sent[to]); n > 0 {
		prev = r.sent[to][n-1].seq
	}
	if env.Lane != r.name || env.Seq != e.Seq || env.Prev != prev {
		r.bad(Order, "lane %s: event %d is stored as number %d of lane %s after %d, and follows %d on %s/%d", r.name, e.Seq, env.Seq, env.Lane, env.Prev, prev, e.Topic, e.Partition)
	}
	r.sent[to] = append(r.sent[to], sent{seq: e.Seq, sum: fingerprint(rec)})
	r.lastSent = e.Seq
}

// decode reads the event as its Go type, for the caller's books.
func (r *laneReader) decode(e *streams.StoredEvent, env *streams.Envelope) {
	f, ok := r.Topology.Vocabulary.Fact(env.Type)
	if !ok {
		r.bad(Replayable, "lane %s: event %d is of type %s, which is not registered", r.name, e.Seq, env.Type)
		return
	}
	v, err := f.Decode(env.Version, env.Data)
	if err != nil {
		r.bad(Replayable, "lane %s: event %d: %v", r.name, e.Seq, err)
		return
	}
	if r.Event != nil {
		r.Event(r.service, v)
	}
}

// dead takes note of the runtime's own reports, which are of no stream.
func (r *laneReader) dead(e *streams.StoredEvent, env *streams.Envelope) {
	var d streams.DeadLetter
	if env.Type != streams.ParkedType || json.Unmarshal(env.Data, &d) != nil {
		return
	}
	r.parked[streams.StreamID{Decider: d.Decider, Key: d.Key}] = true
	if a := (attempted{d.Decider, d.ID}); e.Seq <= r.end.seq {
		r.end.failures[a] = append(r.end.failures[a], d.Reason)
	}
}

// page bounds what is asked of a store at once.
const page = 500

func (r *laneReader) readSnapshots(ctx context.Context) error {
	ids := make([]streams.StreamID, 0, page)
	for id := range r.versions {
		if ids = append(ids, id); len(ids) == page {
			if err := r.snapshots(ctx, ids); err != nil {
				return err
			}
			ids = ids[:0]
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return r.snapshots(ctx, ids)
}

func (r *laneReader) snapshots(ctx context.Context, ids []streams.StreamID) error {
	have, err := r.store.Load(ctx, r.part, ids)
	if err != nil {
		return err
	}
	found := map[streams.StreamID]bool{}
	for _, s := range have {
		found[s.Stream] = true
		if last := r.versions[s.Stream]; s.Version != last && (r.Settled || s.Version < last) {
			r.bad(Replayable, "lane %s: the snapshot of %s %q is of version %d, its last event of %d", r.name, s.Stream.Decider, s.Stream.Key, s.Version, last)
		}
		if r.Decide {
			r.end.snapshots[s.Stream] = s
		}
		if r.Snapshot != nil {
			r.Snapshot(r.service, s)
		}
	}
	for _, id := range ids {
		if !found[id] {
			r.bad(Replayable, "lane %s: %s %q has events and no snapshot", r.name, id.Decider, id.Key)
		}
	}
	return nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000000") }
