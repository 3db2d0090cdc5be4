package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// addFetches takes polled records, or returns why the lane cannot go on.
func (b *batch) addFetches(f kgo.Fetches) error {
	l := b.l
	var failed error
	f.EachError(func(topic string, p int32, err error) {
		var loss *kgo.ErrDataLoss
		switch {
		case errors.Is(err, kerr.OffsetOutOfRange), errors.As(err, &loss):
			failed = l.lost(fmt.Sprintf("topic %s/%d no longer has offset %d, which the lane reads next: %v", topic, p, l.cur.Inputs[topic].Offset, err),
				"Restore the topic's records", l.readFrom(topic))
		case failed == nil:
			failed = fmt.Errorf("fetching %s/%d: %w", topic, p, err)
		}
	})
	if failed != nil {
		return failed
	}
	f.EachPartition(func(p kgo.FetchTopicPartition) {
		l.high[p.Topic] = p.HighWatermark
		for _, r := range p.Records {
			if failed == nil {
				failed = b.addRecord(r)
			}
		}
	})
	return failed
}

// addRecord moves the cursor over a record, and takes it as an input unless it
// is a repeat, a replay or nobody's business.
func (b *batch) addRecord(r *kgo.Record) error {
	l := b.l
	pos := l.cur.Inputs[r.Topic]
	if r.Offset < pos.Offset {
		return nil
	}
	pos.Offset = r.Offset + 1
	l.cur.Inputs[r.Topic] = pos
	l.lastRead = r.Timestamp
	b.polled++
	if r.Attrs.IsControl() {
		return nil
	}
	key := string(r.Key)
	if err := checkKept(key); err != nil {
		return b.misplaced(r, err.Error())
	}
	if p := Partition(key, l.cfg.Partitions); p != l.part {
		return b.misplaced(r, fmt.Sprintf("key belongs to partition %d, not %d: the producer must hash with murmur2", p, l.part))
	}
	e, err := ReadEnvelope(r)
	if err != nil {
		return b.misplaced(r, err.Error())
	}
	if e.ReplayID != "" {
		return nil
	}
	in := eventInput(r, &e)
	if in.source == "" {
		if skip, err := l.repeated(r, &e); skip || err != nil {
			b.info.Repeats++
			return err
		}
	} else if err := CheckKey(key); err != nil { // a stranger's; of a lane's no sequence may be passed over
		return b.misplaced(r, err.Error())
	}
	if len(l.plan.byType[e.Type]) > 0 {
		b.inputs = append(b.inputs, in)
	}
	return nil
}

// eventInput is a record as an input. What no lane wrote has a source.
func eventInput(r *kgo.Record, e *Envelope) input {
	in := input{kind: EventInput, id: e.ID, name: e.Type, ver: e.Version, body: e.Data, key: string(r.Key), rec: r, at: e.Time,
		origin: e.origin()}
	if e.Lane == "" {
		if in.source = e.Source; in.source == "" {
			in.source = "unknown"
		}
		in.at = e.takenAt(r)
	}
	return in
}

// takenAt is when an event came to the log: what no lane wrote tells whatever time its
// sender likes, a backfill's may be a year old.
func (e *Envelope) takenAt(r *kgo.Record) time.Time {
	if e.Lane == "" && r.Timestamp.UnixMilli() > 0 { // there may be none
		return r.Timestamp
	}
	return e.Time
}

// repeated tells whether a record was taken before, by the highest sequence
// seen from its lane on its topic; a hole before it halts the lane.
func (l *lane) repeated(r *kgo.Record, e *Envelope) (bool, error) {
	src := Source{r.Topic, e.Lane}
	seen, known := l.cur.Seen[src]
	if e.Seq <= seen {
		return true, nil
	}
	// A lane that began with the topic's end has not seen what came before.
	all := l.plan.starts[r.Topic] == All
	if e.Prev > seen && (known || all) {
		return false, l.lost(fmt.Sprintf("%s/%d@%d is number %d of lane %s and follows %d there, but the last one seen is %d: events are missing", r.Topic, r.Partition, r.Offset, e.Seq, e.Lane, e.Prev, seen),
			"Restore the topic from a replica that has them", func(_ context.Context, _ *kadm.Client, c *Cursor) error {
				c.Seen[src] = e.Prev
				return nil
			})
	}
	l.cur.Seen[src] = e.Seq
	return false, nil
}
