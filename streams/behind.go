package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Behind is how far a service or a pipeline is behind a topic.
type Behind struct {
	Service, Topic string
	Records        int64         // that it has not taken; of a partition where the oldest is younger than what a cursor may be, none
	Age            time.Duration // since the oldest of them was first seen on the log; 0 if there are none
	Older          bool          // than Age: the oldest is no longer on the log, and its time is not known
}

// Watcher sees from outside how far services and pipelines are behind: it compares
// the ends of the log with the cursors that services mirror, and with pipelines'
// offsets. Who hangs, is dead, or was never started cannot keep that from being
// known.
type Watcher struct {
	cfg   Config
	adm   *kadm.Client
	read  []reader
	mu    sync.Mutex
	marks map[string]map[int32][]mark // by topic and partition, oldest first
}

// reader is who reads the log, under a name.
type reader struct {
	name, group string
	topics      []string
	all         func(topic string) bool // whether it begins with what was there before it
	cursors     Cursors                 // of one that keeps them itself, and has no group
}

// Cursors are a reader's offsets to read next, by topic and partition.
type Cursors func(context.Context) (map[string]map[int32]int64, error)

// mark is an end of the log and when it was first seen.
type mark struct {
	end int64
	at  time.Time
}

// cursorAge is how old a mirrored cursor may be. What is younger may be taken already:
// a busy service that keeps up would seem to be behind by what comes in so long.
const cursorAge = 2 * mirrorEvery

// maxMarks bounds the marks of a partition. Beyond, every second one is
// dropped: ages get coarser.
const maxMarks = 1024

// NewWatcher makes a watcher of all services and pipelines of the topology.
func NewWatcher(cfg Config) (*Watcher, error) { return newWatcher(cfg, cfg.Topology.readers()...) }

// NewReaderWatcher makes a watcher of one that reads all topics of the topology
// from their beginnings, and keeps its cursors itself.
func NewReaderWatcher(cfg Config, name string, cursors Cursors) (*Watcher, error) {
	r := reader{name: name, cursors: cursors, all: func(string) bool { return true }}
	for _, t := range cfg.Topology.Topics() {
		r.topics = append(r.topics, t.Name)
	}
	return newWatcher(cfg, r)
}

func newWatcher(cfg Config, read ...reader) (*Watcher, error) {
	cfg.defaults()
	cl, err := kgo.NewClient(cfg.Client...)
	if err != nil {
		return nil, fmt.Errorf("no Kafka client to watch services with: %w", err)
	}
	w := &Watcher{cfg: cfg, adm: kadm.NewClient(cl), read: read, marks: map[string]map[int32][]mark{}}
	return w, nil
}

func (t *Topology) readers() (out []reader) {
	for i := range t.Services {
		p := newPlan(t, &t.Services[i])
		out = append(out, reader{name: p.service, group: MirrorGroup(p.service), topics: p.topics(),
			all: func(topic string) bool { return p.starts[topic] == All }})
	}
	for _, p := range t.Pipelines {
		types, _ := p.inputs(t.Vocabulary) // checked by NewTopology
		out = append(out, reader{name: p.Name, group: p.Name, topics: t.topicsOf(types), all: func(string) bool { return true }})
	}
	return out
}

// Close ends the watcher.
func (w *Watcher) Close() { w.adm.Close() }

// Look tells how far everyone is behind each of their topics.
func (w *Watcher) Look(ctx context.Context) ([]Behind, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var topics, groups []string
	for _, r := range w.read {
		topics = append(topics, r.topics...)
		if r.cursors == nil {
			groups = append(groups, r.group)
		}
	}
	slices.Sort(topics)
	topics = slices.Compact(topics)
	if len(topics) == 0 {
		return nil, nil
	}
	// Cursors first: an end is never older than the cursor that it is compared with.
	own, err := w.ownCursors(ctx)
	if err != nil {
		return nil, err
	}
	cursors := w.adm.FetchManyOffsets(ctx, groups...)
	for group, r := range cursors {
		if r.Err != nil && !errors.Is(r.Err, kerr.GroupIDNotFound) { // a service that was never started has none
			return nil, fmt.Errorf("mirrored cursors of %s not read: %w", group, r.Err)
		}
	}
	ends, err := w.adm.ListEndOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ends of the log not read: %w", err)
	}
	starts, err := w.adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("beginnings of the log not read: %w", err)
	}
	now := w.cfg.Now()
	if len(w.marks) == 0 {
		w.recall(ctx, topics, starts, now)
	}
	ends.Each(func(o kadm.ListedOffset) { w.mark(o.Topic, o.Partition, o.Offset, now) })
	var out []Behind
	for _, r := range w.read {
		next := func(topic string, partition int32) (int64, bool) {
			c, ok := cursors[r.group].Fetched.Lookup(topic, partition)
			return c.At, ok && c.At >= 0
		}
		if r.cursors != nil {
			next = func(topic string, partition int32) (int64, bool) {
				at, ok := own[r.name][topic][partition]
				return at, ok
			}
		}
		if err := r.beyond(own[r.name], ends); err != nil {
			return nil, err
		}
		out = append(out, w.behind(r, next, starts, ends, now)...)
	}
	return out, nil
}

// beyond is the error of cursors that are after the end of their log: it is not
// the log that they were read from, and how far they are behind is not known.
func (r *reader) beyond(cursors map[string]map[int32]int64, ends kadm.ListedOffsets) error {
	for _, topic := range r.topics {
		for partition, at := range cursors[topic] {
			if end, ok := ends.Lookup(topic, partition); ok && at > end.Offset {
				return fmt.Errorf("%s has read %s/%d up to offset %d, and it ends at %d: the topic was made anew, or lost its tail",
					r.name, topic, partition, at, end.Offset)
			}
		}
	}
	return nil
}

func (w *Watcher) ownCursors(ctx context.Context) (map[string]map[string]map[int32]int64, error) {
	out := map[string]map[string]map[int32]int64{}
	for _, r := range w.read {
		if r.cursors == nil {
			continue
		}
		var err error
		if out[r.name], err = r.cursors(ctx); err != nil {
			return nil, fmt.Errorf("cursors of %s not read: %w", r.name, err)
		}
	}
	return out, nil
}

// ages are how long ago a new watcher asks where the log ended.
var ages = []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, 6 * time.Hour, 2 * time.Hour, time.Hour,
	30 * time.Minute, 10 * time.Minute, 5 * time.Minute, 2 * time.Minute, time.Minute, 30 * time.Second, 10 * time.Second}

// recall marks where the log ended before this watcher was there, by the times
// of its records. What cannot be asked counts from now on; and a log whose first
// record is younger says nothing of when those before it were there.
func (w *Watcher) recall(ctx context.Context, topics []string, starts kadm.ListedOffsets, now time.Time) {
	for _, age := range ages {
		then, err := w.adm.ListOffsetsAfterMilli(ctx, now.Add(-age).UnixMilli(), topics...)
		if err != nil {
			return
		}
		then.Each(func(o kadm.ListedOffset) {
			if first, ok := starts.Lookup(o.Topic, o.Partition); ok && o.Err == nil && o.Offset > first.Offset {
				w.mark(o.Topic, o.Partition, o.Offset, now.Add(-age))
			}
		})
	}
}

func (w *Watcher) mark(topic string, partition int32, end int64, now time.Time) {
	if w.marks[topic] == nil {
		w.marks[topic] = map[int32][]mark{}
	}
	m := w.marks[topic][partition]
	if n := len(m); n > 0 && m[n-1].end > end {
		m = nil // of a log that was made anew, or has lost its end
	}
	if n := len(m); n > 0 && m[n-1].end >= end {
		return
	}
	if m = append(m, mark{end, now}); len(m) > maxMarks {
		kept := m[:0]
		for i := 0; i < len(m); i += 2 {
			kept = append(kept, m[i])
		}
		m = kept
	}
	w.marks[topic][partition] = m
}

func (w *Watcher) behind(r reader, cursor func(string, int32) (int64, bool), starts, ends kadm.ListedOffsets, now time.Time) (out []Behind) {
	for _, topic := range r.topics {
		b := Behind{Service: r.name, Topic: topic}
		for partition, end := range ends[topic] {
			next := end.Offset
			at, read := cursor(topic, partition)
			if read {
				next = at
			}
			// It has never read and wants all, or what it has read is another log: ends
			// are never older than cursors.
			first, ok := starts.Lookup(topic, partition)
			if ok && (!read && r.all(topic) || next > end.Offset) {
				next = first.Offset
			}
			if next >= end.Offset {
				continue
			}
			gone := ok && next < first.Offset
			age := w.seen(topic, partition, next, now)
			if !gone && r.cursors == nil && age < cursorAge {
				continue
			}
			b.Records += end.Offset - next
			b.Older = b.Older || gone
			b.Age = max(b.Age, age)
		}
		out = append(out, b)
	}
	return out
}

// seen is how long ago the record at an offset was first seen on the log.
func (w *Watcher) seen(topic string, partition int32, at int64, now time.Time) time.Duration {
	for _, m := range w.marks[topic][partition] {
		if m.end > at {
			return now.Sub(m.at)
		}
	}
	return 0
}
