package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// gap is what a partition of the log lacks: all before its first offset that was
// not read.
type gap struct {
	place
	first int64
}

// whole makes a batch of records. A hole before one of them is filled from the
// event store of the lane that wrote it.
func (r *run) whole(ctx context.Context, now time.Time, recs []*kgo.Record) (*Batch, error) {
	for filled := map[source]int64{}; ; {
		b, err := r.read(ctx, now, recs)
		var hole *HoleError
		if !errors.As(err, &hole) || r.filling || r.cfg.Stores == nil {
			return b, err
		}
		at := source{place{hole.Topic, hole.Partition}, hole.Lane}
		if seen, again := filled[at]; again && seen == hole.Seen {
			return b, err // the store does not have it either
		}
		filled[at] = hole.Seen
		service, lane, ok := ownerOf(hole.Lane)
		if _, ours := r.cfg.Topology.Service(service); !ok || !ours {
			return b, err // a stranger's: nobody has its events
		}
		r.cfg.Log.WarnContext(ctx, "events are missing on the log, and are read from the event store", "error", err)
		// From what is written on: hole.Seen may be of this very batch, which is not.
		if ferr := r.fillLane(ctx, service, lane, r.seen[at], map[string]map[int32]bool{hole.Topic: {hole.Partition: true}}); ferr != nil {
			return b, fmt.Errorf("%w; %w", err, ferr)
		}
	}
}

// ownerOf is the service and the partition of a lane.
func ownerOf(l streams.Lane) (service string, partition int32, ok bool) {
	parts := strings.Split(string(l), "/")
	if len(parts) != 3 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(parts[1], 10, 32)
	return parts[0], int32(n), err == nil
}

// fillGaps reads from the event stores what the log no longer has, and moves the
// cursors to where the log begins. Records that the log still has are read there
// once more, and told as repeats.
func (r *run) fillGaps(ctx context.Context, gaps []gap) error {
	if len(gaps) == 0 {
		return nil
	}
	g := gaps[0]
	if r.cfg.Stores == nil {
		return fmt.Errorf("%s/%d begins at offset %d, %s needs %d: the log was truncated, "+
			"and this process has no event stores to read the rest from; start the writer of %[4]s in one that has",
			g.topic, g.partition, g.first, r.cfg.What, r.next[g.place])
	}
	began := r.cfg.Now()
	r.cfg.Log.InfoContext(ctx, "the log no longer has what is needed: it is read from the event stores", "by", r.cfg.What, "partitions", len(gaps))
	wanted := map[string]map[int32]bool{}
	for _, g := range gaps {
		if wanted[g.topic] == nil {
			wanted[g.topic] = map[int32]bool{}
		}
		wanted[g.topic][g.partition] = true
	}
	services, lost := r.writersOf(wanted)
	for _, service := range services {
		for lane := range r.cfg.Partitions {
			if err := r.fillLane(ctx, service, lane, 0, wanted); err != nil {
				return err
			}
		}
	}
	if err := r.skipGaps(ctx, gaps, lost); err != nil {
		return err
	}
	r.cfg.Log.InfoContext(ctx, r.cfg.What+" goes on with the log", "after", r.cfg.Now().Sub(began).Round(time.Millisecond))
	return nil
}

// writersOf are the services that write to some topics, and the topics that none
// writes to.
func (r *run) writersOf(wanted map[string]map[int32]bool) (services []string, lost map[string]bool) {
	lost = map[string]bool{}
	for _, t := range r.cfg.Topology.Topics() {
		if wanted[t.Name] == nil {
			continue
		}
		if s, _, ok := r.cfg.Topology.Decider(t.Writer); ok {
			services = append(services, s.Name)
		} else {
			lost[t.Name] = true
		}
	}
	slices.Sort(services)
	return slices.Compact(services), lost
}

// isStored tells whether what is on a topic is in an event store too.
func (r *run) isStored(topic string) bool {
	services, _ := r.writersOf(map[string]map[int32]bool{topic: {}})
	return len(services) > 0
}

// skipGaps moves the cursors over what is not on the log. What no service wrote is
// lost, and that is noted.
func (r *run) skipGaps(ctx context.Context, gaps []gap, lost map[string]bool) error {
	now := r.cfg.Now()
	for _, g := range gaps {
		next := r.next[g.place]
		b := &Batch{Epoch: r.epoch, Forget: now.Add(-r.cfg.Window), Moves: []Move{{Topic: g.topic, Partition: g.partition, From: next, Next: g.first, Stored: !lost[g.topic]}}}
		if lost[g.topic] {
			b.Skipped = []Skipped{{Topic: g.topic, Partition: g.partition, Offset: next, At: now,
				Reason: fmt.Sprintf("the log begins at offset %d: what was posted from outside before is in no event store, and is missing here", g.first)}}
		}
		if err := r.write(ctx, b, patientTries); err != nil {
			return err
		}
	}
	return nil
}

// fillRecords is how many events of a store are read at once, at least; of a sink whose
// writes are larger a tenth of one.
const fillRecords = 500

// fillLane takes a lane's events above a sequence that went to some partitions.
func (r *run) fillLane(ctx context.Context, service string, lane int32, after int64, wanted map[string]map[int32]bool) error {
	return r.stored(ctx, service, lane, after, func(e *streams.StoredEvent) bool { return wanted[e.Topic][e.Partition] }, r.filled)
}

// filled takes records from an event store.
func (r *run) filled(ctx context.Context, recs []*kgo.Record) error {
	r.filling = true
	defer func() { r.filling = false }()
	return r.records(ctx, r.cfg.Now(), recs, patientTries)
}

// stored reads a lane's events above a sequence, some at a time.
func (r *run) stored(ctx context.Context, service string, lane int32, after int64, wanted func(*streams.StoredEvent) bool,
	take func(context.Context, []*kgo.Record) error) error {
	store, err := r.cfg.Stores(ctx, service)
	if err != nil {
		return fmt.Errorf("the event store of %s is needed to build %s: %w", service, r.cfg.What, err)
	}
	most := max(fillRecords, r.cfg.Batch/10)
	for {
		var recs []*kgo.Record
		read := 0
		err := store.Outbox(ctx, lane, after, most, func(e streams.StoredEvent) error {
			after, read = e.Seq, read+1
			if !wanted(&e) {
				return nil
			}
			rec, err := e.KafkaRecord()
			if err == nil {
				rec.Offset = -e.Seq // its place on the log is not known
				recs = append(recs, rec)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("the events of lane %s/%d cannot be read from their store: %w", service, lane, err)
		}
		if len(recs) > 0 {
			if err := take(ctx, recs); err != nil {
				return err
			}
		}
		if read < most {
			return nil
		}
	}
}

// debt is what the event stores have published, and where the log ended when
// they were asked: a new read model that has read so far holds all of it, or
// the topic was made anew.
type debt struct {
	sent map[source]int64
	ends map[place]int64
}

// owe asks the event stores what a new read model has to find on the log.
func (r *run) owe(ctx context.Context) (*debt, error) {
	d := &debt{sent: map[source]int64{}}
	for _, s := range r.cfg.Topology.Services {
		store, err := r.cfg.Stores(ctx, s.Name)
		if err != nil {
			return nil, fmt.Errorf("the event store of %s is needed to build %s: %w", s.Name, r.cfg.What, err)
		}
		for lane := range r.cfg.Partitions {
			c, err := store.Cursor(ctx, lane)
			if err != nil {
				return nil, fmt.Errorf("the cursor of lane %s/%d cannot be read: %w", s.Name, lane, err)
			}
			for to, seq := range c.Sent {
				if seq <= c.Published && r.kinds[to.Topic] != "" {
					d.sent[source{place{to.Topic, to.Partition}, streams.NewLane(s.Name, lane, c.Incarnation)}] = seq
				}
			}
		}
	}
	return d, nil
}

// settle reads from the event stores what was to be on the log, and was not.
func (r *run) settle(ctx context.Context) error {
	if r.debt == nil {
		return nil
	}
	for at, end := range r.debt.ends {
		if r.next[at] < end {
			return nil // not there yet
		}
	}
	for at, seq := range r.debt.sent {
		if r.seen[at] >= seq {
			continue
		}
		service, lane, _ := ownerOf(at.lane)
		r.cfg.Log.WarnContext(ctx, "events are missing on the log, and are read from the event store", "topic", at.topic, "partition", at.partition, "lane", at.lane)
		if err := r.fillLane(ctx, service, lane, r.seen[at], map[string]map[int32]bool{at.topic: {at.partition: true}}); err != nil {
			return err
		}
	}
	r.debt = nil
	return nil
}
