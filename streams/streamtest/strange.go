package streamtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// strangeRecords writes records that nobody should have written.
func (w *World) strangeRecords(f Fault) {
	r := rand.New(rand.NewPCG(w.schedule.Seed, uint64(f.At)))
	for n := range f.Count {
		rec, err := w.anyRecord(r)
		if err != nil || rec == nil {
			w.Note("nothing to %s: %v", f.Kind, err)
			return
		}
		if f.Kind != Repeat {
			if rec = w.strange(f, rec, fmt.Sprintf("strange-%s-%d", f.At, n)); rec == nil {
				return
			}
		}
		if err := w.client.ProduceSync(context.Background(), rec).FirstErr(); err != nil {
			w.Violate("the world could not write: %v", err)
			return
		}
		w.Note("%s: %s/%d@%d %s", f.Kind, rec.Topic, rec.Partition, rec.Offset, rec.Key)
	}
}

// strange makes a misplaced event or one that cannot be decoded of another.
func (w *World) strange(f Fault, rec *kgo.Record, id string) *kgo.Record {
	e, err := streams.ReadEnvelope(rec)
	if err != nil {
		return nil
	}
	e.ID, e.Source, e.Lane, e.Seq, e.Prev = id, "/world", "", 0, 0
	part := rec.Partition
	if f.Kind == Poison {
		e.Data = []byte(`"poison"`)
	} else if f.Count == 2 {
		e.Key = ""
	} else {
		part = (streams.Partition(e.Key, w.Partitions) + 1) % w.Partitions
	}
	return e.Record(rec.Topic, part)
}

// anyRecord reads one of the records that are on the log, of any age.
func (w *World) anyRecord(r *rand.Rand) (*kgo.Record, error) {
	topics := w.Topology.Topics()
	t, p := topics[r.IntN(len(topics))].Name, r.Int32N(w.Partitions)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(w.client).ListEndOffsets(ctx, t)
	if err != nil {
		return nil, err
	}
	end, _ := ends.Lookup(t, p)
	if end.Offset <= 0 {
		return nil, nil
	}
	at := kgo.NewOffset().At(r.Int64N(end.Offset))
	cl, err := kgo.NewClient(append(w.Client(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t: {p: at}}))...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	rs := cl.PollRecords(ctx, 1).Records()
	if len(rs) == 0 {
		return nil, ctx.Err()
	}
	return &kgo.Record{Topic: t, Partition: p, Key: rs[0].Key, Value: rs[0].Value, Headers: rs[0].Headers}, nil
}
