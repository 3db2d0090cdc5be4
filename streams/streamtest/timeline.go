package streamtest

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// timeline tells the story of the key that a text speaks of: the run's diary,
// and between its lines what the stores, the log and the rows of inputs hold of
// the key and of the sagas that it took part in.
func (w *World) timeline(text string) string {
	t := &timeline{w: w, ctx: context.Background(), keys: map[string]bool{}, sagas: map[string]bool{}}
	t.stored(func(e streams.StoredEvent, _ streams.Envelope) { t.keys[e.Stream.Key], t.keys[e.Key] = true, true })
	key := longestIn(text, t.keys)
	t.lines = w.diary.entries()
	if key == "" {
		return w.diary.write(t.lines)
	}
	t.key = key
	t.stored(func(e streams.StoredEvent, env streams.Envelope) {
		if e.Stream.Key == key || e.Key == key {
			t.sagas[env.Correlation] = true
		}
	})
	t.stored(t.event)
	t.inputs()
	t.log()
	return fmt.Sprintf("the story of %q:\n%s", key, w.diary.write(t.lines))
}

// longestIn finds the longest of the keys that a text contains.
func longestIn(text string, keys map[string]bool) (key string) {
	for k := range keys {
		if len(k) > len(key) && strings.Contains(text, k) {
			key = k
		}
	}
	return key
}

type timeline struct {
	w     *World
	ctx   context.Context
	key   string
	keys  map[string]bool
	sagas map[string]bool // correlations
	lines []entry
}

func (t *timeline) add(at time.Time, format string, args ...any) {
	t.lines = append(t.lines, entry{at, "    " + fmt.Sprintf(format, args...)})
}

func (t *timeline) mine(key, correlation string) bool { return key == t.key || t.sagas[correlation] }

// stored walks through all events of all stores.
func (t *timeline) stored(f func(streams.StoredEvent, streams.Envelope)) {
	for _, svc := range t.w.Topology.Services {
		for lane := range t.w.Partitions {
			// What cannot be read is told as a violation already.
			_ = t.w.look(svc.Name).Outbox(t.ctx, lane, 0, math.MaxInt, func(e streams.StoredEvent) error {
				if env, err := e.Envelope(); err == nil {
					f(e, env)
				}
				return nil
			})
		}
	}
}

func (t *timeline) event(e streams.StoredEvent, env streams.Envelope) {
	if t.mine(e.Stream.Key, env.Correlation) {
		t.add(env.Time, "store %s: #%d %s of %s %q v%d, because of %s → %s/%d %s", env.Lane, e.Seq, e.Type, e.Stream.Decider, e.Stream.Key, e.Version, env.Causation, e.Topic, e.Partition, env.Data)
	}
}

// inputs adds what the lanes say they decided about.
func (t *timeline) inputs() {
	for _, svc := range t.w.Topology.Services {
		for lane := range t.w.Partitions {
			_ = t.w.look(svc.Name).Inputs(t.ctx, lane, 0, func(r streams.InputRow) error {
				entries, err := streams.DecodeInputs(r.Entries)
				for _, e := range entries {
					if e.Topic == "" && t.mine(e.Stream.Key, e.Origin.Correlation) {
						t.add(r.At, "input %s/%d commit %d: %s %s of %s %q %s", svc.Name, lane, r.Rev, e.Kind, e.Name, e.Stream.Decider, e.Stream.Key, e.Body)
					}
				}
				return err
			})
		}
	}
}

// log adds the records that are on the log.
func (t *timeline) log() {
	var topics []string
	for _, x := range t.w.Topology.Topics() {
		topics = append(topics, x.Name)
	}
	cl, err := kgo.NewClient(append(t.w.Client(), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return // the story lacks the log
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.ctx, topics...)
	if err != nil {
		return
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += max(o.Offset, 0) })
	ctx, cancel := context.WithTimeout(t.ctx, 30*time.Second)
	defer cancel()
	for left > 0 && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			left--
			if e, err := streams.ReadEnvelope(r); err == nil && t.mine(string(r.Key), e.Correlation) {
				t.add(r.Timestamp, "log   %s/%d@%d: %s %q #%d after %d of %s", r.Topic, r.Partition, r.Offset, e.Type, r.Key, e.Seq, e.Prev, e.Lane)
			}
		})
	}
}
