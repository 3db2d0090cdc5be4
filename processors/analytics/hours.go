package analytics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Events are of these years, and nothing else is kept of them.
var (
	firstTime = time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// span is a part of time.
type span struct{ from, to time.Time }

// spans are all of time, the latest first, in parts that have not many more rows than may
// be looked at again at once.
func (r *Reconciler) spans(ctx context.Context) (out []span, err error) {
	counted, err := r.Store.Counted(ctx)
	if err != nil {
		return nil, err
	}
	to, rows := lastTime, int64(0)
	hours := slices.Sorted(maps.Keys(counted))
	for _, h := range slices.Backward(hours) {
		if rows += counted[h]; rows >= recheckRows {
			out = append(out, span{time.Unix(h, 0).UTC(), to})
			to, rows = time.Unix(h, 0).UTC(), 0
		}
	}
	return append(out, span{firstTime, to}), nil
}

// lookAtHours compares the latest hours, and some older ones.
func (r *Reconciler) lookAtHours(ctx context.Context) error {
	spans, err := r.spans(ctx)
	if err != nil {
		return err
	}
	if err := r.hours(ctx, spans[0].from, spans[0].to); err != nil || len(spans) == 1 {
		return err
	}
	if r.span++; r.span >= len(spans) {
		r.span = 1
	}
	return r.hours(ctx, spans[r.span].from, spans[r.span].to)
}

// hours compares what is counted by the hour with the rows. A block that is written
// meanwhile is in one and not yet in the other: only what stays different counts.
func (r *Reconciler) hours(ctx context.Context, from, to time.Time) error {
	var before map[Hour][2]Sum
	for try := range 3 {
		rows, counted, err := r.Store.Hours(ctx, from, to)
		if err != nil {
			return err
		}
		wrong := map[Hour][2]Sum{}
		for _, all := range []map[Hour]Sum{rows, counted} {
			for h := range all {
				d := [2]Sum{rows[h], counted[h]}
				if r.Keep > 0 && time.Unix(h.Start, 0).Before(r.Now().Add(-r.Keep+24*time.Hour)) {
					continue
				}
				if was, ok := before[h]; d[0] != d[1] && (try == 0 || ok && d[0].Checksum-d[1].Checksum == was[0].Checksum-was[1].Checksum) {
					wrong[h] = d
				}
			}
		}
		if before = wrong; len(wrong) == 0 {
			break
		}
		if try < 2 {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	var found []Difference
	for h, d := range before {
		found = append(found, Difference{Kind: Rollup, Table: HoursTable, Topic: h.Topic, Offset: h.Start,
			Detail: fmt.Sprintf("%s from %s on: %d rows, counted as %d", h.Type, time.Unix(h.Start, 0).UTC().Format(time.RFC3339), d[0].Rows, d[1].Rows)})
	}
	r.settle(ctx, found, func(d *Difference) bool {
		return d.Kind == Rollup && d.Offset >= from.Unix()-3600 && d.Offset < to.Unix()
	})
	return nil
}
