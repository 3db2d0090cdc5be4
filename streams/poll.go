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
			failed = l.lost(fmt.Sprintf("topic %s/%d no longer has offset %d, which the lane reads next: %v", topic, p,
				l.cur.Inputs[topic].Offset, err),
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
		log := l.reader(p.Topic)
		for _, r := range p.Records {
			if failed == nil {
				failed = b.addRecord(log, r)
			}
		}
		l.moved(p.Topic, log)
	})
	return failed
}

// reader reads an input from the cursor. A lane that began with the topic's end
// has not seen what came before.
func (l *lane) reader(topic string) *LogReader {
	whole := l.plan.starts[topic] == All
	return NewLogReader(l.cur.Inputs[topic].Offset, whole, func(writer Lane) (int64, bool) {
		seq, known := l.cur.Seen[Source{topic, writer}]
		return seq, known
	})
}

// moved moves the cursor to where an input was read to.
func (l *lane) moved(topic string, log *LogReader) {
	pos := l.cur.Inputs[topic]
	pos.Offset = log.Next
	l.cur.Inputs[topic] = pos
	for writer, seq := range log.Took {
		l.cur.Seen[Source{topic, writer}] = seq
	}
}

// addRecord takes a record as an input unless it is a repeat, a replay or
// nobody's business. A hole before it halts the lane.
func (b *batch) addRecord(log *LogReader, r *kgo.Record) error {
	l := b.l
	e, what, unreadable := log.Read(r)
	if what == ReadBehind {
		return nil
	}
	l.lastRead = r.Timestamp
	b.polled++
	if what == ReadControl {
		return nil
	}
	key := string(r.Key)
	if err := checkKept(key); err != nil {
		return b.misplaced(r, err.Error())
	}
	if p := Partition(key, l.cfg.Partitions); p != l.part {
		return b.misplaced(r, fmt.Sprintf("key belongs to partition %d, not %d: the producer must hash with murmur2", p,
			l.part))
	}
	switch what {
	case ReadUnreadable:
		return b.misplaced(r, unreadable.Error())
	case ReadReplayed:
		return nil
	case ReadOutside:
		if err := CheckKey(key); err != nil { // a stranger's; of a lane's no sequence may be passed over
			return b.misplaced(r, err.Error())
		}
	case ReadRepeat:
		b.info.Repeats++
		return nil
	case ReadHole:
		return l.hole(log, r, &e)
	default:
		log.Take(&e)
	}
	if len(l.plan.byType[e.Type]) > 0 {
		b.inputs = append(b.inputs, eventInput(r, &e))
	}
	return nil
}

// hole halts the lane before an event that others of its writer should precede.
func (l *lane) hole(log *LogReader, r *kgo.Record, e *Envelope) error {
	seen, _ := log.Last(e.Lane)
	src, prev := Source{r.Topic, e.Lane}, e.Prev
	return l.lost(fmt.Sprintf("%s/%d@%d is number %d of lane %s and follows %d there, "+
		"but the last one seen is %d: events are missing",
		r.Topic, r.Partition, r.Offset, e.Seq, e.Lane, e.Prev, seen),
		"Restore the topic from a replica that has them", func(_ context.Context, _ *kadm.Client, c *Cursor) error {
			c.Seen[src] = prev
			return nil
		})
}

// eventInput is a record as an input. What no lane wrote has a source.
func eventInput(r *kgo.Record, e *Envelope) input {
	in := input{kind: EventInput, id: e.ID, name: e.Type, ver: e.Version, body: e.Data, key: string(r.Key), rec: r,
		at:     e.Time,
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
