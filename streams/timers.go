package streams

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// timerWatch knows when a lane's next timer falls due, and holds it back until
// the lane has read its inputs up to the ends seen after that: or else ten
// minutes of downtime would take back everything whose answer lies unread.
type timerWatch struct {
	next     time.Time
	set      bool
	reload   bool // after the next commit
	asking   bool
	barrier  *barrier
	barriers chan barrier
}

// barrier is where the inputs ended at a time after timers fell due.
type barrier struct {
	at   time.Time
	ends map[string]int64
	err  error
}

func (w *timerWatch) load(ctx context.Context, l *lane) error {
	if w.barriers == nil {
		w.barriers = make(chan barrier, 1)
	}
	var err error
	if w.next, w.set, err = l.store.NextTimer(ctx, l.part); err != nil {
		return fmt.Errorf("timers of lane %s: %w", l.name, err)
	}
	w.reload = false
	return nil
}

// noticed takes a timer that was just stored into account.
func (w *timerWatch) noticed(due time.Time) {
	if !w.set || due.Before(w.next) {
		w.next, w.set = due, true
	}
}

// channel fires when the next timer falls due, unless that is already known.
func (w *timerWatch) channel(now time.Time) (<-chan time.Time, func()) {
	if !w.set || w.asking || w.barrier != nil {
		return nil, func() {}
	}
	t := time.NewTimer(max(w.next.Sub(now), time.Millisecond)) // the lane's clock may be the slower one
	return t.C, func() { t.Stop() }
}

// ask looks up, beside the loop, where the inputs end now.
func (w *timerWatch) ask(ctx context.Context, l *lane) error {
	b := barrier{at: l.now(), ends: map[string]int64{}}
	if b.at.Before(w.next) {
		return nil // the timer's clock ran ahead of the lane's
	}
	if err := l.hooks.at(PointTimersDue, l.name); err != nil {
		return err
	}
	w.asking = true
	topics, adm := l.plan.topics(), kadm.NewClient(l.client)
	l.wg.Go(func() {
		if len(topics) > 0 {
			offs, err := adm.ListCommittedOffsets(ctx, topics...)
			b.err = err
			for _, t := range topics {
				o, ok := offs.Lookup(t, l.part)
				if b.err == nil && (!ok || o.Err != nil) {
					b.err = fmt.Errorf("end of %s/%d: %w", t, l.part, errorOr(o.Err, kerr.UnknownTopicOrPartition))
				}
				b.ends[t] = o.Offset
			}
		}
		w.barriers <- b // room for the one that is asked for
	})
	return nil
}

func errorOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (w *timerWatch) reached(b barrier) error {
	w.asking = false
	if b.err != nil {
		return fmt.Errorf("due timers wait for the end of the inputs: %w", b.err)
	}
	w.barrier = &b
	return nil
}

// admissible tells whether due timers may be decided now.
func (w *timerWatch) admissible(l *lane) bool {
	if w.barrier == nil {
		return false
	}
	for t, end := range w.barrier.ends {
		if l.cur.Inputs[t].Offset < end {
			return false
		}
	}
	return true
}

// addTimers takes the due timers into the batch.
func (b *batch) addTimers(ctx context.Context) error {
	l := b.l
	rows, err := l.store.Timers(ctx, l.part, l.timers.barrier.at, l.cfg.MaxBatch)
	if err != nil {
		return fmt.Errorf("timers of lane %s: %w", l.name, err)
	}
	for _, t := range rows {
		b.inputs = append(b.inputs, input{kind: TimerInput, id: t.ID, name: t.Name, body: t.Body, origin: t.Origin, stream: t.Stream, at: t.Due})
	}
	if len(rows) < l.cfg.MaxBatch {
		l.timers.barrier, l.timers.reload = nil, true
	}
	return nil
}
