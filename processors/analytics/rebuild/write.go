package rebuild

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
)

type place struct {
	topic     string
	partition int32
}

// log is where it begins and ends.
func (r *Rebuild) log(ctx context.Context) (from, to map[place]int64, err error) {
	cl, err := kgo.NewClient(r.Config.Client...)
	if err != nil {
		return nil, nil, fmt.Errorf("no Kafka client for a backfill: %w", err)
	}
	defer cl.Close()
	var topics []string
	for _, t := range r.Config.Topology.Topics() {
		topics = append(topics, t.Name)
	}
	list := func(f func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[place]int64, error) {
		l, err := f(ctx, topics...)
		if err == nil {
			err = l.Error()
		}
		if err != nil {
			return nil, fmt.Errorf("where the log begins and ends cannot be read: %w", err)
		}
		out := map[place]int64{}
		l.Each(func(o kadm.ListedOffset) { out[place{o.Topic, o.Partition}] = o.Offset })
		return out, nil
	}
	adm := kadm.NewClient(cl)
	if from, err = list(adm.ListStartOffsets); err == nil {
		to, err = list(adm.ListEndOffsets)
	}
	return from, to, err
}

// ends are where the log ends.
func (r *Rebuild) ends(ctx context.Context) (map[place]int64, error) {
	_, to, err := r.log(ctx)
	return to, err
}

// offsets are those of the live tables, as far as the log goes: of a topic that was made
// anew they mean other events.
func (r *Rebuild) offsets(ctx context.Context) (map[place]int64, error) {
	ends, err := r.ends(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.Live.Offsets(ctx)
	if err != nil {
		return nil, err
	}
	out := map[place]int64{}
	for at, end := range ends {
		out[at] = min(all[at.topic][at.partition], end)
	}
	return out, nil
}

// writeUntil runs a writer of the shadow until it has come so far.
func (r *Rebuild) writeUntil(ctx context.Context, target map[place]int64, of int64, out *Report) error {
	have, err := Events(ctx, r.shadow)
	if err != nil {
		return err
	}
	s := &slowly{Store: r.shadow, rate: r.Rate, began: time.Now(), at: map[place]int64{}}
	s.told = func(n int64) {
		done := have + n
		r.tell(Progress{Doing: "writing events", Done: done, Of: max(of, done), Rate: float64(n) / time.Since(s.began).Seconds()})
	}
	cfg := r.Config
	cfg.What, cfg.Rebuild, cfg.Decode, cfg.FromStores, cfg.Log = "analytics anew", "begin again: weir backfill --drop-shadow", true, r.FromStores, r.Log
	cfg.Changed, cfg.Written = nil, nil
	if r.Rate > 0 {
		cfg.Batch = max(1, min(cfg.Batch, int(r.Rate)))
	}
	cfg.Until = func() bool {
		for at, next := range target {
			if s.at[at] < next {
				return false
			}
		}
		return true
	}
	err = projection.NewWriter(s).Run(ctx, cfg)
	out.Written += s.n
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, projection.ErrFenced) {
		err = fmt.Errorf("another weir backfill writes these tables: let it, or stop it: %w", err)
	}
	return err
}

// slowly is a store that is written at a rate, and knows how far it has come.
type slowly struct {
	analytics.Store
	rate  float64
	began time.Time
	n     int64
	at    map[place]int64
	told  func(int64)
}

// Claim notes where the writer begins.
func (s *slowly) Claim(ctx context.Context, partitions int32, read []projection.Cursor) (projection.Claim, error) {
	c, err := s.Store.Claim(ctx, partitions, read)
	for _, x := range c.Cursors {
		s.at[place{x.Topic, x.Partition}] = x.Next
	}
	return c, err
}

// Write waits until it is time for what was written before.
func (s *slowly) Write(ctx context.Context, b *projection.Batch) error {
	if err := wait(ctx, s.began, s.n, s.rate); err != nil {
		return err
	}
	if err := s.Store.Write(ctx, b); err != nil {
		return err
	}
	s.n += int64(len(b.Events))
	for _, m := range b.Moves {
		s.at[place{m.Topic, m.Partition}] = m.Next
	}
	s.told(s.n)
	return nil
}

// wait is for as long as so many take at a rate.
func wait(ctx context.Context, began time.Time, n int64, rate float64) error {
	if rate <= 0 {
		return nil
	}
	t := time.NewTimer(time.Until(began.Add(time.Duration(float64(n) / rate * float64(time.Second)))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write brings the shadow to where the live tables are, and the log ends.
func (r *Rebuild) write(ctx context.Context, out *Report) error {
	of, err := Events(ctx, r.Live)
	if err != nil {
		return err
	}
	for {
		began := time.Now()
		target, err := r.ends(ctx)
		if err != nil {
			return err
		}
		if err := r.writeUntil(ctx, target, of, out); err != nil {
			return err
		}
		if time.Since(began) < 5*time.Second { // what happens meanwhile is little
			break
		}
	}
	return r.carry(ctx, out)
}
