package streams

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// HaltError is a lane that stopped because something cannot be proven in
// order. It stays stopped until a person has applied the cure.
type HaltError struct {
	Lane Lane
	What string
	Cure string
	loss loss // of what was lost, if a person may accept that
}

func (e *HaltError) Error() string {
	return fmt.Sprintf("lane %s halted: %s. %s", e.Lane, e.What, e.Cure)
}

// owner holds one assigned lane: it claims it once, and lives it again from the
// store after every failure, for as long as the cursor says that it is ours.
type owner struct {
	i       *Instance
	part    int32
	hard    context.Context // ends what must end now: store calls, waits for acks
	kill    context.CancelFunc
	soft    context.Context // asks the loop to stop between two batches
	stop    context.CancelFunc
	done    chan struct{}
	unparks chan *unpark
	accepts chan chan error
	poison  map[string]string // inputs whose evolve failed: reason by id and decider

	seen    seen // of the store
	checked bool // by the claim's first life: the store is no old copy

	mu    sync.Mutex
	state LaneStatus
	deaf  func() error // of the command queue of the life that is lived
}

func newOwner(i *Instance, parent context.Context, part int32) *owner {
	o := &owner{i: i, part: part, done: make(chan struct{}), unparks: make(chan *unpark), accepts: make(chan chan error), poison: map[string]string{}}
	o.hard, o.kill = context.WithCancel(parent)
	o.soft, o.stop = context.WithCancel(o.hard)
	o.state = LaneStatus{Service: i.plan.service, Lane: part}
	return o
}

func (o *owner) status() LaneStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.state
	s.Offsets = cloneMap(s.Offsets)
	if o.deaf != nil {
		s.Deaf = o.deaf()
	}
	return s
}

// hears notes the command queue that the lane has now.
func (o *owner) hears(q *CommandQueue) {
	o.mu.Lock()
	o.deaf = q.Err
	o.mu.Unlock()
}

func (o *owner) report(what LaneChange, err error) {
	o.mu.Lock()
	o.state.State, o.state.Err = what, err
	o.mu.Unlock()
	o.i.hooks.laneEvent(LaneEvent{Service: o.i.plan.service, Lane: o.part, What: what, Err: err})
}

// stored notes how far the store is: no more, as a mirror ahead of its store is
// an alarm.
func (o *owner) stored(c *Cursor) {
	o.saw(c)
	m := make(map[string]int64, len(c.Inputs))
	for t, p := range c.Inputs {
		m[t] = p.Offset
	}
	o.mu.Lock()
	o.state.Offsets, o.state.stored = m, o.seen
	o.mu.Unlock()
}

// reclaimTime is how long a fenced lane waits for the group. A zombie's client
// learns within a heartbeat or two that it is out, and its lanes are stopped.
// Who is still assigned after that has been fenced by a zombie's last claim,
// and a sticky group would never tell it so: nobody would own the lane.
const reclaimTime = 30 * time.Second

// run owns the lane until it is stopped or halted.
func (o *owner) run() {
	defer close(o.done)
	defer o.kill()
	for {
		cur, err := o.retry(func() (*Cursor, error) { return o.i.store.Claim(o.hard, o.part) })
		if err != nil {
			return
		}
		o.checked = false
		o.report(LaneClaimed, nil)
		if !o.live(cur) || !sleep(o.soft, reclaimTime) {
			return
		}
	}
}

// live lives a claimed lane again and again, and tells whether it was fenced.
func (o *owner) live(cur *Cursor) (fenced bool) {
	log := o.i.log.With("lane", o.part)
	epoch := cur.Epoch
	for failures := 0; ; failures++ {
		began := o.i.cfg.Now()
		err := o.proves(cur)
		if err == nil {
			o.saw(cur)
			err = o.life(cur)
		}
		var halt *HaltError
		switch {
		case o.soft.Err() != nil:
			o.report(LaneReleased, nil)
			return false
		case errors.As(err, &halt):
			log.Error("lane halted", "error", err)
			o.report(LaneHalted, err)
			if !o.haltedUntil(halt) {
				return false
			}
			err = errLossAccepted
		}
		if o.i.cfg.Now().Sub(began) > time.Minute {
			failures = 0
		}
		log.Warn("lane starts again from its store", "error", err)
		o.report(LaneReloaded, err)
		if !sleep(o.soft, backoff(failures, 20*time.Millisecond, 5*time.Second)) {
			return false
		}
		if cur, err = o.retry(func() (*Cursor, error) { return o.i.store.Cursor(o.hard, o.part) }); err != nil {
			return false
		}
		if o.proves(cur) == nil && cur.Epoch != epoch {
			// Claiming again at once would be a war between two that do.
			log.Warn("lane is another's now, waiting for the group", "epoch", cur.Epoch, "ours", epoch)
			o.report(LaneFenced, ErrFenced)
			return true
		}
	}
}

// retry repeats a store call until it succeeds or the lane is to stop: store
// trouble never parks and never drops anything, the lane waits.
func (o *owner) retry(f func() (*Cursor, error)) (*Cursor, error) {
	for n := 0; ; n++ {
		c, err := f()
		if err == nil {
			o.i.clock.heard(c.Now)
			return c, nil
		}
		o.i.log.Warn("event store does not answer, trying again", "lane", o.part, "error", err)
		o.report(LaneReloaded, err)
		if !sleep(o.soft, backoff(n, 50*time.Millisecond, 5*time.Second)) {
			return nil, err
		}
	}
}

// backoff doubles from base to limit, and takes off up to half at random.
func backoff(n int, base, limit time.Duration) time.Duration {
	d := limit
	if n < 16 {
		d = min(base<<n, limit)
	}
	return d - rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
