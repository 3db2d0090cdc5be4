package projection

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// repeat writes the pending batch again, of exactly the records that it was made of: a
// sink that is told what it may have already can leave that out, and nothing else.
func (r *run) repeat(ctx context.Context, log logState) error {
	moves := r.pending
	if len(moves) == 0 {
		return nil
	}
	r.cfg.Log.InfoContext(ctx, "the last batch may be half written, and is written again", "of", r.cfg.What, "partitions", len(moves))
	var recs []*kgo.Record
	var err error
	read := 0 // what is on the log and what is in a store never are of one batch
	for _, m := range moves {
		read += int(m.Next - m.From)
	}
	if read > 0 {
		recs, err = r.again(ctx, log, moves)
	} else {
		recs, err = r.storedAgain(ctx, moves)
	}
	if err != nil {
		return fmt.Errorf("the last batch of %s may be half written, and cannot be read again: %w", r.cfg.What, err)
	}
	b, err := r.read(ctx, r.cfg.Now(), inOrder(recs))
	if err != nil {
		return err
	}
	r.pending = nil
	return r.write(ctx, b, patientTries)
}

// again reads the records of some moves from the log.
func (r *run) again(ctx context.Context, log logState, moves []Move) (out []*kgo.Record, err error) {
	starts, ends := map[string]map[int32]kgo.Offset{}, map[place]int64{}
	for _, m := range moves {
		if first, _ := log.start.Lookup(m.Topic, m.Partition); first.Offset > m.From {
			return nil, fmt.Errorf("%s/%d begins at offset %d, and it begins at %d; %s", m.Topic, m.Partition, first.Offset, m.From, r.cfg.Rebuild)
		}
		if starts[m.Topic] == nil {
			starts[m.Topic] = map[int32]kgo.Offset{}
		}
		starts[m.Topic][m.Partition], ends[place{m.Topic, m.Partition}] = kgo.NewOffset().At(m.From), m.Next
	}
	cl, err := r.client(starts)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	for len(ends) > 0 {
		fetches := r.poll(ctx, cl)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := fatal(fetches); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			at := place{rec.Topic, rec.Partition}
			end, open := ends[at]
			if open && rec.Offset < end {
				out = append(out, rec)
			}
			if rec.Offset+1 >= end {
				delete(ends, at)
			}
		})
	}
	return out, nil
}

// storedAgain reads from its event store the events of a batch that came from there. It
// was of one lane.
func (r *run) storedAgain(ctx context.Context, moves []Move) (out []*kgo.Record, err error) {
	upTo, after, last, lanes := map[place]int64{}, int64(math.MaxInt64), int64(0), map[streams.Lane]bool{}
	for _, m := range moves {
		at := place{m.Topic, m.Partition}
		for lane, seq := range m.Seen {
			lanes[lane] = true
			upTo[at], after, last = seq, min(after, r.seen[source{at, lane}]), max(last, seq)
		}
	}
	if len(lanes) == 0 {
		return nil, nil
	}
	service, lane, ok := ownerOf(slices.Collect(maps.Keys(lanes))[0])
	if len(lanes) > 1 || !ok || r.cfg.Stores == nil {
		return nil, fmt.Errorf("it came from an event store, of %d lanes, and this process has none", len(lanes))
	}
	err = r.stored(ctx, service, lane, after, func(e *streams.StoredEvent) bool { return e.Seq <= upTo[place{e.Topic, e.Partition}] },
		func(_ context.Context, recs []*kgo.Record) error { out = append(out, recs...); return nil })
	return out, err
}
