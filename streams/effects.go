package streams

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// outcome is a definite answer, on its way into the lane.
type outcome struct {
	PendingEffect
	body []byte
	at   time.Time
}

// effectRunner makes a lane's outside calls: one at a time per stream, in the
// order of the intents, until the answer is definite. Its fields belong to the
// lane's goroutine.
type effectRunner struct {
	l        *lane
	ctx      context.Context // of the lane's life: an interrupted call is made again, with its key
	queues   map[StreamID][]PendingEffect
	streams  map[int64]StreamID
	waiting  int   // intents in the store, those beyond the bound included
	last     int64 // sequence of the last one taken up
	outcomes chan outcome
	slots    sync.Map // of calls at once, by slotKey: chan struct{}
}

// slotKey parts a lane's calls: those of an endpoint that hangs, and those that
// have failed again and again, take no turn of others.
type slotKey struct {
	endpoint string
	again    bool
}

// Bounds of the outside calls that a lane makes of an endpoint at the same time:
// of all, and of those that have failed more than a few times.
const (
	callsAtOnce = 64
	callsAgain  = 16
	fewFailures = 3
)

func newEffectRunner(l *lane, ctx context.Context) *effectRunner {
	return &effectRunner{l: l, ctx: ctx, queues: map[StreamID][]PendingEffect{}, streams: map[int64]StreamID{},
		outcomes: make(chan outcome)}
}

// full tells whether intents wait in the store because there are as many in
// memory as may be. Events are decided all the same: a deadline may wait for what
// they say, and act for those whose calls hang.
func (r *effectRunner) full() bool { return r.waiting > len(r.streams) }

// load takes up what the store has, and counts what is beyond the bound.
func (r *effectRunner) load(ctx context.Context) error {
	page := r.l.cfg.MaxBatch
	for after := int64(0); ; {
		rows, err := r.l.store.Effects(ctx, r.l.part, after, page)
		if err != nil {
			return fmt.Errorf("pending effects of lane %s: %w", r.l.name, err)
		}
		r.follow(rows, nil)
		if len(rows) < page {
			return nil
		}
		after = rows[len(rows)-1].Seq
	}
}

// refill takes up what waits in the store, once half of the bound is free.
func (r *effectRunner) refill(ctx context.Context) error {
	for most := r.l.cfg.MaxEffects; r.full() && len(r.streams) <= most/2; {
		rows, err := r.l.store.Effects(ctx, r.l.part, r.last, min(most-len(r.streams), r.l.cfg.MaxBatch))
		if err != nil {
			return fmt.Errorf("pending effects of lane %s: %w", r.l.name, err)
		}
		if len(rows) == 0 {
			return fmt.Errorf("lane %s has %d pending effects, and %d are in its store", r.l.name, r.waiting, len(r.streams))
		}
		for _, p := range rows {
			r.take(p)
		}
	}
	return nil
}

// follow takes new intents on and lets go of those whose outcome is stored.
func (r *effectRunner) follow(added []PendingEffect, done []int64) {
	for _, seq := range done {
		id, ok := r.streams[seq]
		if !ok {
			continue
		}
		delete(r.streams, seq)
		r.waiting--
		r.queues[id] = r.queues[id][1:] // one at a time: it is the head
		if len(r.queues[id]) == 0 {
			delete(r.queues, id)
		} else {
			r.start(r.queues[id][0])
		}
	}
	for _, p := range added {
		full := r.full() // in order: never a later one before those in the store
		r.waiting++
		if !full && len(r.streams) < r.l.cfg.MaxEffects {
			r.take(p)
		}
	}
}

func (r *effectRunner) take(p PendingEffect) {
	r.streams[p.Seq], r.last = p.Stream, p.Seq
	r.queues[p.Stream] = append(r.queues[p.Stream], p)
	if len(r.queues[p.Stream]) == 1 {
		r.start(p)
	}
}

func (r *effectRunner) start(p PendingEffect) {
	r.l.wg.Go(func() { r.run(p) })
}

// run asks until the answer is definite, and hands it to the lane.
func (r *effectRunner) run(p PendingEffect) {
	l := r.l
	if err := l.hooks.at(PointEffectAsked, l.name); err != nil {
		r.fail(err)
		return
	}
	for n := 1; ; n++ {
		body, err := r.attempt(&p, n)
		if r.ctx.Err() != nil {
			return
		}
		if err == nil {
			if err := l.hooks.at(PointEffectDone, l.name); err != nil {
				r.fail(err)
				return
			}
			select {
			case r.outcomes <- outcome{p, body, l.cfg.Now()}:
			case <-r.ctx.Done():
			}
			return
		}
		if errors.Is(err, errHeldBack) {
			n-- // not asked at all
			r.heldBack(&p, n)
		} else if n == 1 || n%10 == 0 || unusable(err) && n%3 == 0 {
			l.log.Warn("outside call without a definite answer, asking again", "effect", p.Effect, "key", p.Key, "attempt", n, "unusable", unusable(err), "error", err,
				"correlation", p.Origin.Correlation, "trace", p.Origin.Traceparent)
		}
		if !sleep(r.ctx, askAgain(err, n)) {
			return
		}
	}
}

// askAgain is how long a call waits after its nth attempt. Held back it looks
// often whether it is let through, the less so the more it has failed itself: who
// comes first after an outage should not be who causes one. What is unusable will
// be so for as long as a person needs.
func askAgain(err error, n int) time.Duration {
	switch {
	case errors.Is(err, errHeldBack):
		return backoff(n, 100*time.Millisecond, 2*time.Second)
	case unusable(err):
		return backoff(n, 500*time.Millisecond, 2*time.Minute)
	}
	return backoff(n, 100*time.Millisecond, 5*time.Second)
}

func (r *effectRunner) heldBack(p *PendingEffect, n int) {
	l := r.l
	if t, ok := l.plan.target(p.Stream, OutcomeInput, p.Effect); ok && l.hooks.effect != nil {
		l.hooks.effect.OnHeldBack(Attempt{Service: l.service, Effect: p.Effect, Endpoint: t.reaction.effect.endpoint, Number: n + 1, Origin: p.Origin})
	}
}

// fail ends the lane's life from outside its loop, which listens to its
// publisher's failures: an intent that nobody works on would wait for ever.
func (r *effectRunner) fail(err error) {
	select {
	case r.l.pub.failed <- err:
	default: // it ends already
	}
}

// attempt makes one call within its time limit, through the breaker.
func (r *effectRunner) attempt(p *PendingEffect, n int) (body []byte, err error) {
	l := r.l
	t, ok := l.plan.target(p.Stream, OutcomeInput, p.Effect)
	if !ok {
		return nil, notAsked(fmt.Errorf("%s no longer declares effect %q, but an intent of it is stored: "+
			"deploy the version that does", p.Stream.Decider, p.Effect))
	}
	e := t.reaction.effect
	slots := r.slotsOf(e.endpoint, n)
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-r.ctx.Done():
		return nil, r.ctx.Err()
	}
	return l.breakers.of(e.endpoint).do(n, func() ([]byte, error) {
		ctx, cancel := context.WithTimeout(r.ctx, e.limit)
		defer cancel()
		tp, done := p.Origin.Traceparent, func(error) string { return p.Origin.Traceparent }
		if h := l.hooks.effect; h != nil {
			tp, done = h.OnEffect(Attempt{Service: l.service, Effect: p.Effect, Endpoint: e.endpoint, Number: n,
				Origin: p.Origin})
		}
		body, err := call(withTraceparent(ctx, tp), e, l.cfg.Transports, *p)
		p.Origin.Traceparent = done(err)
		return body, err
	})
}

func (r *effectRunner) slotsOf(endpoint string, n int) chan struct{} {
	key, size := slotKey{endpoint, n > fewFailures+1}, callsAtOnce
	if key.again {
		size = callsAgain
	}
	slots, ok := r.slots.Load(key)
	if !ok {
		slots, _ = r.slots.LoadOrStore(key, make(chan struct{}, size))
	}
	return slots.(chan struct{})
}

// call runs the effect; a panic in it would come again with every attempt.
func call(ctx context.Context, e *effect, t Transports, p PendingEffect) (body []byte, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = notAsked(fmt.Errorf("effect %s panicked: %v", e.name, x))
		}
	}()
	return e.run(ctx, t, p.Key, p.Body)
}
