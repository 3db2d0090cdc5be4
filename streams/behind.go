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
	Records        int64         // that it has not taken
	Age            time.Duration // since the oldest of them was first seen on the log; 0 if there are none
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
}

// mark is an end of the log and when it was first seen.
type mark struct {
	end int64
	at  time.Time
}

// maxMarks bounds the marks of a partition. Beyond, every second one is
// dropped: ages get coarser.
const maxMarks = 1024

// NewWatcher makes a watcher of the whole topology. Ages count from its first Look.
func NewWatcher(cfg Config) (*Watcher, error) {
	cfg.defaults()
	cl, err := kgo.NewClient(cfg.Client...)
	if err != nil {
		return nil, fmt.Errorf("no Kafka client to watch services with: %w", err)
	}
	w := &Watcher{cfg: cfg, adm: kadm.NewClient(cl), read: cfg.Topology.readers(), marks: map[string]map[int32][]mark{}}
	return w, nil
}

func (t *Topology) readers() (out []reader) {
	for i := range t.Services {
		p := newPlan(t, &t.Services[i])
		out = append(out, reader{p.service, MirrorGroup(p.service), p.topics(), func(topic string) bool { return p.starts[topic] == All }})
	}
	for _, p := range t.Pipelines {
		types, _ := p.inputs(t.Vocabulary) // checked by NewTopology
		out = append(out, reader{p.Name, p.Name, t.topicsOf(types), func(string) bool { return true }})
	}
	return out
}

// Close ends the watcher.
func (w *Watcher) Close() { w.adm.Close() }

// Look tells how far everyone is behind each of their topics. Mirrored
// cursors are two seconds old at most.
func (w *Watcher) Look(ctx context.Context) ([]Behind, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var topics, groups []string
	for _, r := range w.read {
		topics, groups = append(topics, r.topics...), append(groups, r.group)
	}
	slices.Sort(topics)
	topics = slices.Compact(topics)
	if len(topics) == 0 {
		return nil, nil
	}
	// Cursors first: an end is never older than the cursor that it is compared with.
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
	ends.Each(func(o kadm.ListedOffset) { w.mark(o.Topic, o.Partition, o.Offset, now) })
	var out []Behind
	for _, r := range w.read {
		out = append(out, w.behind(r, cursors[r.group].Fetched, starts, ends, now)...)
	}
	return out, nil
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

func (w *Watcher) behind(r reader, cursors kadm.OffsetResponses, starts, ends kadm.ListedOffsets, now time.Time) (out []Behind) {
	for _, topic := range r.topics {
		b := Behind{Service: r.name, Topic: topic}
		for partition, end := range ends[topic] {
			next := end.Offset
			c, read := cursors.Lookup(topic, partition)
			read = read && c.At >= 0
			if read {
				next = c.At
			}
			// It has never read and wants all, or what it has read is another log: ends
			// are never older than cursors.
			if first, ok := starts.Lookup(topic, partition); ok && (!read && r.all(topic) || next > end.Offset) {
				next = first.Offset
			}
			if next >= end.Offset {
				continue
			}
			b.Records += end.Offset - next
			for _, m := range w.marks[topic][partition] {
				if m.end > next {
					b.Age = max(b.Age, now.Sub(m.at))
					break
				}
			}
		}
		out = append(out, b)
	}
	return out
}
