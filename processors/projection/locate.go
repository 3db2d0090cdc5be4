package projection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// place is one partition of one topic.
type place struct {
	topic     string
	partition int32
}

// source is whom repeats are told by here.
type source struct {
	place
	lane streams.Lane
}

// locate finds where to read on in every partition, and proves that the log is
// still the one that was read before.
func (r *run) locate(ctx context.Context) (map[string]map[int32]kgo.Offset, error) {
	cl, err := kgo.NewClient(r.cfg.Client...)
	if err != nil {
		return nil, fmt.Errorf("no Kafka client for %s: %w", r.cfg.What, err)
	}
	defer cl.Close()
	topics := slices.Sorted(maps.Keys(r.kinds))
	adm := kadm.NewClient(cl)
	details, err := r.waitForTopics(ctx, adm, topics)
	if err != nil {
		return nil, err
	}
	cursors, err := r.claim(ctx, details)
	if err != nil {
		return nil, err
	}
	for _, c := range cursors {
		r.at(c.Topic, c.Partition, c.Next, c.Seen)
		r.ids[c.Topic] = c.TopicID
	}
	var log logState // after the cursors: its end only grows
	err = r.whenSpread(ctx, func() error {
		log, err = readLog(ctx, adm, topics)
		return err
	})
	if err != nil {
		return nil, err
	}
	var gaps []gap
	for _, c := range cursors {
		first, err := r.follows(log, c, details[c.Topic].ID)
		if err != nil {
			return nil, err
		}
		if last, _ := log.end.Lookup(c.Topic, c.Partition); r.cfg.FromStores && c.Next == 0 && r.isStored(c.Topic) {
			first = max(first, last.Offset)
		}
		if first > c.Next {
			gaps = append(gaps, gap{place{c.Topic, c.Partition}, first})
		}
	}
	if err := r.repeat(ctx, log); err != nil {
		return nil, err
	}
	gaps = slices.DeleteFunc(gaps, func(g gap) bool { return r.next[g.place] >= g.first })
	if len(r.seen) == 0 { // a new read model, or one that is built again
		r.history = r.cfg.Now()
	}
	if r.cfg.Stores != nil && (len(r.seen) == 0 || r.cfg.Until != nil) {
		if r.debt, err = r.owe(ctx); err == nil {
			if log, err = readLog(ctx, adm, topics); err == nil { // where all of that is by now
				r.debt.ends = log.ends()
			}
		}
		if err != nil {
			r.debt = nil
			r.cfg.Log.WarnContext(ctx, "whether the log has all that the event stores have published is not known, what is new may lack what a topic lost", "of", r.cfg.What, "error", err)
		}
	}
	if err := r.fillGaps(ctx, gaps); err != nil {
		return nil, err
	}
	starts := map[string]map[int32]kgo.Offset{}
	for at, next := range r.next {
		if starts[at.topic] == nil {
			starts[at.topic] = map[int32]kgo.Offset{}
		}
		starts[at.topic][at.partition] = kgo.NewOffset().At(next)
	}
	return starts, nil
}

// same makes sure, while a Run is on, that the log is still the one that it
// reads. While the broker cannot be asked nothing is known, and nothing is read.
func (r *run) same(ctx context.Context, adm *kadm.Client) error {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	topics := slices.Sorted(maps.Keys(r.kinds))
	details, err := adm.ListTopics(ctx, topics...)
	if err != nil {
		return nil
	}
	if missing, err := firstMissing(details); errors.Is(err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("topic %s is gone: make the topology's topics again, with weir kafka apply or by starting its service: %w", missing, err)
	} else if err != nil {
		return nil
	}
	log, err := readLog(ctx, adm, topics)
	if err != nil {
		return nil
	}
	for at, next := range r.next {
		c := Cursor{Topic: at.topic, Partition: at.partition, TopicID: r.ids[at.topic], Next: next}
		first, err := r.follows(log, c, details[at.topic].ID)
		if err != nil {
			return err
		}
		if first > next {
			return fmt.Errorf("%s/%d begins at offset %d, %d comes next: %w", at.topic, at.partition, first, next, errTruncated)
		}
	}
	return nil
}

// claim makes this run the only writer, and answers the cursors of every
// partition of the topics.
func (r *run) claim(ctx context.Context, details kadm.TopicDetails) (out []Cursor, err error) {
	var read []Cursor
	for t, d := range details {
		if n := len(d.Partitions); n != int(r.cfg.Partitions) {
			return nil, fmt.Errorf("topic %s has %d partitions, the platform has %d: growth is a drained migration", t, n, r.cfg.Partitions)
		}
		for p := range r.cfg.Partitions {
			read = append(read, Cursor{Topic: t, Partition: p, TopicID: d.ID})
		}
	}
	var c Claim
	err = r.insist(ctx, patientTries, func() (err error) {
		c, err = r.sink.Claim(ctx, r.cfg.Partitions, read)
		return err
	})
	r.epoch, r.pending = c.Epoch, c.Pending
	for _, c := range c.Cursors {
		if _, ok := r.kinds[c.Topic]; ok { // no more if the topology has lost it
			out = append(out, c)
		}
	}
	return out, err
}

type logState struct{ start, end kadm.ListedOffsets }

func readLog(ctx context.Context, adm *kadm.Client, topics []string) (l logState, err error) {
	if l.start, err = adm.ListStartOffsets(ctx, topics...); err == nil {
		err = l.start.Error()
	}
	if err != nil {
		return l, fmt.Errorf("the start of the log cannot be listed: %w", err)
	}
	if l.end, err = adm.ListEndOffsets(ctx, topics...); err == nil {
		err = l.end.Error()
	}
	if err != nil {
		return l, fmt.Errorf("the end of the log cannot be listed: %w", err)
	}
	return l, nil
}

func (l logState) ends() map[place]int64 {
	out := map[place]int64{}
	l.end.Each(func(o kadm.ListedOffset) { out[place{o.Topic, o.Partition}] = o.Offset })
	return out
}

// waitForTopics lists the topics; services that start at the same time may
// still have to make them.
func (r *run) waitForTopics(ctx context.Context, adm *kadm.Client, topics []string) (details kadm.TopicDetails, err error) {
	err = r.whenSpread(ctx, func() error {
		if details, err = adm.ListTopics(ctx, topics...); err != nil {
			return fmt.Errorf("topics cannot be listed: %w", err)
		}
		if missing, err := firstMissing(details); err != nil {
			return fmt.Errorf("topic %s cannot be read, make the topology's topics first, with weir kafka apply or by starting its service: %w", missing, err)
		}
		return nil
	})
	return details, err
}

// whenSpread repeats f while brokers do not know yet what another is told.
func (r *run) whenSpread(ctx context.Context, f func() error) error {
	for end := time.Now().Add(r.cfg.TopicWait); ; {
		err := f()
		if err == nil || !kerr.IsRetriable(err) || !time.Now().Before(end) { // an unknown topic may be made yet
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func firstMissing(details kadm.TopicDetails) (string, error) {
	for name, d := range details {
		if d.Err != nil {
			return name, d.Err
		}
	}
	return "", nil
}

// rebuild is the cure for a read model whose log is another one.
const rebuild = "stop its writer's process, remove the read model (reads.db with its -wal and -shm, or its database), and start the process again, where the event stores are: it is built from them and from the log"

// follows proves that the log goes on from a cursor, which is that of its topic.
// It answers where the log begins; what is before that and after the cursor is
// missing.
func (r *run) follows(l logState, c Cursor, id kadm.TopicID) (first int64, err error) {
	start, _ := l.start.Lookup(c.Topic, c.Partition)
	last, _ := l.end.Lookup(c.Topic, c.Partition)
	switch {
	case c.TopicID != id:
		return 0, &streams.OfflineError{Err: fmt.Errorf("topic %s was deleted and made again (id %x, was %x): its offsets mean other events; %s",
			c.Topic, id[:], c.TopicID[:], r.cfg.Rebuild)}
	case last.Offset < c.Next && start.Offset <= c.Next:
		return 0, &streams.OfflineError{Err: fmt.Errorf("%s/%d ends at offset %d, %s has read up to %d: the log lost its tail; %s",
			c.Topic, c.Partition, last.Offset, r.cfg.What, c.Next, r.cfg.Rebuild)}
	}
	return start.Offset, nil
}
