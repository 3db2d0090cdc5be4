package projection

import (
	"context"
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
		return nil, fmt.Errorf("no Kafka client for the read model: %w", err)
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
	var log logState // after the cursors: its end only grows
	err = r.whenSpread(ctx, func() error {
		log, err = readLog(ctx, adm, topics)
		return err
	})
	if err != nil {
		return nil, err
	}
	starts := map[string]map[int32]kgo.Offset{}
	for _, c := range cursors {
		if err := log.follows(c, details[c.Topic].ID); err != nil {
			return nil, err
		}
		r.at(c.Topic, c.Partition, c.Next, c.Seen)
		if starts[c.Topic] == nil {
			starts[c.Topic] = map[int32]kgo.Offset{}
		}
		starts[c.Topic][c.Partition] = kgo.NewOffset().At(c.Next)
	}
	return starts, nil
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
	err = r.insist(ctx, func() (err error) {
		c, err = r.model.Claim(ctx, r.cfg.Partitions, read)
		return err
	})
	r.epoch = c.Epoch
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

// waitForTopics lists the topics; services that start at the same time may
// still have to make them.
func (r *run) waitForTopics(ctx context.Context, adm *kadm.Client, topics []string) (details kadm.TopicDetails, err error) {
	err = r.whenSpread(ctx, func() error {
		if details, err = adm.ListTopics(ctx, topics...); err != nil {
			return fmt.Errorf("topics cannot be listed: %w", err)
		}
		if missing, err := firstMissing(details); err != nil {
			return fmt.Errorf("topic %s cannot be read, make the topology's topics first: %w", missing, err)
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

// follows proves that the log goes on from a cursor: that of its topic, or of a
// new one, the beginning of a log from which nothing is missing.
func (l logState) follows(c Cursor, id kadm.TopicID) error {
	first, _ := l.start.Lookup(c.Topic, c.Partition)
	last, _ := l.end.Lookup(c.Topic, c.Partition)
	switch {
	case c.TopicID != id:
		return fmt.Errorf("topic %s was deleted and made again (id %x, was %x): its offsets mean other events; remove the read model to build it again", c.Topic, id[:], c.TopicID[:])
	case first.Offset > c.Next:
		return fmt.Errorf("%s/%d begins at offset %d, the read model needs %d: the log was truncated; raise the topic's retention and build the read model from a full log", c.Topic, c.Partition, first.Offset, c.Next)
	case last.Offset < c.Next:
		return fmt.Errorf("%s/%d ends at offset %d, the read model has read up to %d: the log lost its tail; remove the read model to build it again", c.Topic, c.Partition, last.Offset, c.Next)
	}
	return nil
}
