package verify

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weirstream/weir/streams"
)

func (r *laneReader) readParked(ctx context.Context) error {
	for after := int64(0); ; {
		rows, err := r.store.Parked(ctx, r.part, streams.StreamID{}, after, page)
		if err != nil {
			return err
		}
		for _, p := range rows {
			after = p.Seq
			r.end.parked = append(r.end.parked, p)
			r.left("%s %q is parked at %s %s (%s): %s", p.Stream.Decider, p.Stream.Key, p.Kind, p.Name, p.From, orElse(p.Reason, "waits behind another"))
		}
		if len(rows) < page {
			return nil
		}
	}
}

// left tells of something that a settled lane would not have.
func (r *laneReader) left(format string, args ...any) {
	if r.Settled {
		r.bad(Settled, "lane %s: %s", r.name, fmt.Sprintf(format, args...))
	}
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// everything that can be stored falls due before it.
var farAway = time.Unix(0, math.MaxInt64)

func (r *laneReader) readTimers(ctx context.Context) error {
	rows, err := r.store.Timers(ctx, r.part, farAway, math.MaxInt32)
	if err != nil {
		return err
	}
	r.end.timers = rows
	for _, t := range rows {
		if r.Rest.IsZero() || t.Due.Before(r.Rest) {
			r.left("timer %q of %s %q is still set, for %s", t.Name, t.Stream.Decider, t.Stream.Key, clock(t.Due))
		}
		if r.Timer != nil {
			r.Timer(r.service, t)
		}
	}
	return nil
}

func (r *laneReader) readPending(ctx context.Context) error {
	for after := int64(0); ; {
		rows, err := r.store.Effects(ctx, r.part, after, page)
		if err != nil {
			return err
		}
		for _, p := range rows {
			after = p.Seq
			r.end.pending = append(r.end.pending, p)
			r.left("effect %s of %s %q (key %s) has no outcome", p.Effect, p.Stream.Decider, p.Stream.Key, p.Key)
		}
		if len(rows) < page {
			return nil
		}
	}
}

// catchUp is how long lanes that have nothing to do may take to store how far
// they are: they look once a second.
const catchUp = 3 * time.Second

// judgeSettled finds lanes that have not read all that is there, or not
// published all that they stored.
func (c *checker) judgeSettled(ctx context.Context) error {
	if !c.Settled {
		return nil
	}
	c.looked(Settled, len(c.lanes))
	for patience := time.Now().Add(catchUp); ; {
		behind, err := c.behind(ctx)
		if err != nil || len(behind) == 0 {
			return err
		}
		if time.Now().After(patience) {
			for _, b := range behind {
				c.bad(Settled, "%s", b)
			}
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *checker) behind(ctx context.Context) (out []string, err error) {
	err = c.eachLane(func(name streams.Lane, l *laneBook) error {
		cur, err := c.Stores[l.service].Cursor(ctx, l.part)
		if err != nil {
			return err
		}
		if cur.Published < l.lastSent {
			out = append(out, fmt.Sprintf("lane %s: its mark says that it has published up to %d, its last event that travels is %d", name, cur.Published, l.lastSent))
		}
		_, topics := c.reactions(l.service)
		slices.Sort(topics)
		for _, t := range topics {
			b := c.log[streams.Target{Topic: t, Partition: l.part}]
			if b != nil && cur.Inputs[t].Offset < b.end {
				out = append(out, fmt.Sprintf("lane %s: it has read %s/%d up to %d of %d", name, t, l.part, cur.Inputs[t].Offset, b.end))
			}
		}
		return nil
	})
	return out, err
}
