package analytics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// readTime is how long the log may say nothing while it is read again.
const readTime = 30 * time.Second

type topicPartition struct {
	topic     string
	partition int32
}

// part is what blocks have of one partition, while it is read again.
type part struct {
	ranges []placed
	seen   map[streams.Lane]int64
	filled map[streams.Lane]int64 // from event stores, since the last of ranges
}

type placed struct {
	block int64
	Range
	filled map[streams.Lane]int64 // from event stores, just before
}

// made is what blocks have to be, made from the log anew. It has none of those of which the
// log no longer has all, or that were read from event stores.
func (r *Reconciler) made(ctx context.Context, blocks []Written) (map[int64]*Block, error) {
	if r.Client == nil {
		return nil, nil
	}
	parts, starts := map[topicPartition]*part{}, map[string]map[int32]kgo.Offset{}
	ours := map[int64]bool{}
	for _, b := range blocks {
		if b.Number < 0 {
			continue // it was made from a file
		}
		if onLog(&b) {
			ours[b.Number] = true
		}
		for _, rg := range b.Ranges {
			at := topicPartition{rg.Topic, rg.Partition}
			p := parts[at]
			if p == nil {
				p = &part{seen: map[streams.Lane]int64{}}
				parts[at] = p
				if starts[rg.Topic] == nil {
					starts[rg.Topic] = map[int32]kgo.Offset{}
				}
			}
			for lane := range rg.Seen {
				if _, known := p.seen[lane]; !known { // of the first block that has something of it
					p.seen[lane] = rg.Before[lane]
				}
			}
			if rg.Next > rg.From && !rg.Stored {
				if len(p.ranges) == 0 {
					starts[rg.Topic][rg.Partition] = kgo.NewOffset().At(rg.From)
				}
				p.ranges = append(p.ranges, placed{b.Number, rg, p.filled})
				p.filled = nil
			} else if len(rg.Seen) > 0 {
				if p.filled == nil {
					p.filled = map[streams.Lane]int64{}
				}
				maps.Copy(p.filled, rg.Seen)
			}
		}
	}
	events, err := r.again(ctx, parts, starts, ours)
	if err != nil {
		return nil, err
	}
	out := map[int64]*Block{}
	for number := range ours {
		list, err := r.news(ctx, number, events[number])
		if err != nil {
			return nil, err
		}
		out[number] = r.Schema.Block(number, list)
	}
	return out, nil
}

// onLog tells whether a block was made from the log.
func onLog(b *Written) bool {
	for _, rg := range b.Ranges {
		if rg.Next > rg.From && !rg.Stored {
			return true
		}
	}
	return len(b.Ranges) == 0
}

// again reads what blocks have of the log. Those of which something is gone are not ours
// any more.
func (r *Reconciler) again(ctx context.Context, parts map[topicPartition]*part, starts map[string]map[int32]kgo.Offset, ours map[int64]bool) (map[int64][]projection.Event, error) {
	events := map[int64][]projection.Event{}
	left := 0
	for at, p := range parts {
		if len(p.ranges) == 0 {
			delete(starts[at.topic], at.partition)
			continue
		}
		left++
	}
	if left == 0 {
		return events, nil
	}
	cl, err := kgo.NewClient(append(r.Client[:len(r.Client):len(r.Client)], kgo.ConsumePartitions(starts), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		return nil, fmt.Errorf("no Kafka client to prove analytics with: %w", err)
	}
	defer cl.Close()
	drop := func(at topicPartition) {
		if p := parts[at]; p != nil && len(p.ranges) > 0 {
			for _, rg := range p.ranges {
				delete(ours, rg.block)
			}
			p.ranges, left = nil, left-1
		}
	}
	for heard := time.Now(); left > 0; {
		fetches := func() kgo.Fetches {
			ctx, cancel := context.WithTimeout(ctx, readTime)
			defer cancel()
			return cl.PollRecords(ctx, 10_000)
		}()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if fetches.NumRecords() > 0 {
			heard = time.Now()
		}
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, kerr.OffsetOutOfRange) {
				drop(topicPartition{e.Topic, e.Partition})
			} else if time.Since(heard) > readTime {
				return nil, fmt.Errorf("the log cannot be read again: %w", e.Err)
			}
		}
		var failed error
		fetches.EachRecord(func(rec *kgo.Record) {
			at := topicPartition{rec.Topic, rec.Partition}
			p := parts[at]
			if p == nil || len(p.ranges) == 0 || failed != nil {
				return
			}
			for len(p.ranges) > 0 && rec.Offset >= p.ranges[0].Next {
				maps.Copy(p.seen, p.ranges[0].filled)
				p.ranges = p.ranges[1:]
			}
			if len(p.ranges) > 0 {
				maps.Copy(p.seen, p.ranges[0].filled)
				p.ranges[0].filled = nil
				e, ok, err := r.event(p, rec)
				if failed = err; ok {
					events[p.ranges[0].block] = append(events[p.ranges[0].block], e)
				}
				if len(p.ranges) == 1 && rec.Offset+1 >= p.ranges[0].Next {
					p.ranges = nil
				}
			}
			if len(p.ranges) == 0 {
				left--
			}
		})
		if failed != nil {
			return nil, failed
		}
	}
	return events, nil
}

// event is what a record is for analytics, if it is news. This is not how a Run tells that,
// and has to come to the same.
func (r *Reconciler) event(p *part, rec *kgo.Record) (projection.Event, bool, error) {
	none := projection.Event{}
	if rec.Attrs.IsControl() {
		return none, false, nil
	}
	env, err := streams.ReadEnvelope(rec)
	if err != nil || env.ReplayID != "" {
		return none, false, nil
	}
	if env.Lane != "" {
		seen, known := p.seen[env.Lane]
		if !known || env.Seq <= seen { // of a lane that says nothing new: if it did, a hole would follow
			return none, false, nil
		}
		p.seen[env.Lane] = env.Seq
	} else if f, ok := r.Schema.Topology.Vocabulary.Fact(env.Type); ok && !f.External {
		return none, false, nil
	}
	env.Correlation = env.Saga()
	e, err := r.reading.Event(&env, rec.Topic, rec.Partition, rec.Offset)
	var newer *streams.NewerVersionError
	if errors.As(err, &newer) {
		return none, false, err
	}
	return e, err == nil, nil
}

// news leaves out events from outside that were there before.
func (r *Reconciler) news(ctx context.Context, block int64, events []projection.Event) ([]projection.Event, error) {
	var ids []streams.ExternalID
	for _, e := range events {
		if e.Lane == "" {
			ids = append(ids, streams.ExternalID{Source: e.Source, ID: e.ID})
		}
	}
	if len(ids) == 0 {
		return events, nil
	}
	known, err := r.Store.Earlier(ctx, ids, block)
	if err != nil {
		return nil, err
	}
	out := events[:0:0]
	for _, e := range events {
		id := streams.ExternalID{Source: e.Source, ID: e.ID}
		if e.Lane == "" && known[id] {
			continue
		}
		if e.Lane == "" {
			known[id] = true
		}
		out = append(out, e)
	}
	return out, nil
}
