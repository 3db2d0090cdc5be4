package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A lane's life begins in life.go, which restores it from its store. Then it goes
// round the loop below. One turn of it, all on the lane's own goroutine:
//
//  1. wait for inputs and collect a batch of them: records of the log (poll.go),
//     commands, outcomes of outside calls, parked inputs that are retried, and
//     timers that are due, once what came before them is read (timers.go)
//  2. prepare: read from the store what they need, in one call each (take.go)
//  3. decide about each, in their order and at one time (take.go, states.go): what
//     follows is added to a transaction (apply.go), what fails is parked (park.go)
//  4. assemble the transaction, the cursor with it, and commit (batch.go, store.go)
//  5. send the replies, as they are stored
//  6. publish the events that are stored (publish.go)
//  7. follow up: outside calls that were asked for begin (effects.go), timers that
//     were set are noticed, hooks are told
//
// An error at any step ends the life, with all of the lane's memory: after a step
// that failed that is ahead of the store. owner.go begins the next one.

// lane is one life of an owned lane: from a cursor to a failure or the end of
// the ownership. Only its own goroutine touches its fields.
type lane struct {
	name       Lane
	service    string
	part       int32
	owner      *owner
	cfg        *Config
	plan       *plan
	vocabulary *Vocabulary
	store      Store
	hooks      *hooks
	breakers   *breakers
	clock      *clock
	log        *slog.Logger
	poison     map[string]string // the owner's: it outlives the lane

	cur     *Cursor
	client  *kgo.Client // consumes the lane's inputs and produces its events
	looker  *kgo.Client // for looks at what the lane has published; nil before the first
	pub     *publisher
	queue   *CommandQueue
	fetched chan kgo.Fetches
	states  *stateCache
	parked  map[StreamID]int
	nParked int
	effects *effectRunner
	timers  timerWatch
	high    map[string]int64 // end of each input topic, as last fetched
	stale   bool             // the cursor moved without a commit
	paused  bool             // as many inputs are parked as may be

	looked   time.Time // when the log was searched for records in its name
	proven   time.Time // when the store was last compared with what was seen
	clockSet time.Time // when the cursor's clock was set
	lastRead time.Time // of the last record read: its timestamp
	storedAt time.Time // when the batch that is being published was stored
	wg       sync.WaitGroup
}

// errStopped ends a loop between two batches, with nothing under way.
var errStopped = errors.New("the lane is asked to stop")

// loop is the whole of a lane's work.
func (l *lane) loop(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		b, err := l.wait(ctx, tick.C)
		if err != nil {
			if err == errStopped {
				return l.drain()
			}
			return err // also while stopping: after a doubtful commit nothing is committed on top
		}
		if b == nil {
			continue
		}
		if err := l.step(ctx, b); err != nil {
			b.failRetry(err)
			return err
		}
	}
}

// wait returns the inputs that are there, at least one and at most a batch of
// them, or nil if something else woke it.
func (l *lane) wait(ctx context.Context, tick <-chan time.Time) (*batch, error) {
	due, stopTimer := l.timers.channel(l.now())
	defer stopTimer()
	fetched, commands := l.fetched, l.queue.In
	l.pause(l.nParked >= l.cfg.MaxParked)
	if l.paused && l.timers.barrier == nil { // but due timers wait for what is unread
		fetched = nil
	}
	if l.paused || l.effects.full() {
		commands = nil // bounded: what waits is finished first
	}
	b := l.newBatch()
	if l.timers.admissible(l) {
		return b, b.addTimers(ctx)
	}
	select {
	case <-l.owner.soft.Done():
		return nil, errStopped
	case err := <-l.pub.failed:
		return nil, err
	case f := <-fetched:
		if err := b.addFetches(f); err != nil {
			return nil, err
		}
	case c := <-commands:
		b.addCommand(c)
	case o := <-l.effects.outcomes:
		b.addOutcome(o)
	case u := <-l.owner.unparks:
		if err := b.addParked(ctx, u); err != nil {
			u.reply <- unparked{err: err}
			return nil, err
		}
	case r := <-l.timers.barriers:
		return nil, l.timers.reached(r)
	case <-due:
		return nil, l.timers.ask(ctx, l)
	case <-tick:
		return nil, l.measure(ctx)
	}
	for len(b.inputs) < l.cfg.MaxBatch {
		select {
		case c := <-commands:
			b.addCommand(c)
			continue
		case o := <-l.effects.outcomes:
			b.addOutcome(o)
			continue
		default:
		}
		break
	}
	return b, nil
}

// step decides, commits, publishes and forgets.
func (l *lane) step(ctx context.Context, b *batch) (err error) {
	defer func() {
		if err != nil { // what was decided is thrown away, unless it is stored
			b.tellHops(err)
		}
	}()
	began, at := l.cfg.Now(), l.now()
	if err := l.hooks.at(PointPolled, l.name); err != nil {
		return err
	}
	if err := b.decideAll(ctx, at); err != nil {
		return err
	}
	if b.empty() {
		l.stale = l.stale || b.polled > 0
		return b.followUp(ctx)
	}
	if err := b.assemble(); err != nil {
		return err
	}
	if err := l.hooks.at(PointDecided, l.name); err != nil {
		return err
	}
	if err := b.commit(ctx, began); err != nil {
		return err
	}
	if err := l.hooks.at(PointCommitted, l.name); err != nil {
		return err
	}
	if len(b.records) > 0 { // a commit that publishes nothing says nothing of what is on its way
		l.storedAt = l.cfg.Now()
	}
	b.sendReplies() // the transaction holds the replies; the log need not have the events yet
	err = l.pub.publish(ctx, b.records, l.cur.LastSeq, func() error { return l.hooks.at(PointPublishing, l.name) })
	if err != nil {
		return err
	}
	if err := l.hooks.at(PointPublished, l.name); err != nil {
		return err
	}
	return b.followUp(ctx)
}

// pause says that the lane takes nothing more, or does again.
func (l *lane) pause(full bool) {
	if full == l.paused {
		return
	}
	if l.paused = full; !full {
		l.owner.report(LaneRunning, nil)
		return
	}
	err := fmt.Errorf("lane %s takes no more inputs: %d are parked. Mend what they fail on, "+
		"then weir dlq retry --all --service %s", l.name, l.nParked, l.service)
	l.log.Error("lane paused", "lane", l.part, "error", err)
	l.owner.report(LanePaused, err)
}

// measure tells the hooks how the lane is, and commits a cursor that moved
// over records that nobody decided about, or the mark of a lane that went idle.
func (l *lane) measure(ctx context.Context) error {
	lag := make(map[string]int64, len(l.high))
	for t, end := range l.high {
		lag[t] = max(end-l.cur.Inputs[t].Offset, 0)
	}
	e := LaneEvent{Service: l.service, Lane: l.part, What: LaneMeasured, Parked: l.nParked, Lag: lag,
		Pending: l.effects.waiting}
	for _, n := range lag {
		if n > 0 {
			e.LagAge = max(l.cfg.Now().Sub(l.lastRead), 0)
		}
	}
	if !l.pub.idle() {
		e.Unpublished = l.cfg.Now().Sub(l.storedAt)
	}
	l.hooks.laneEvent(e)
	l.settleMark()
	if l.stale || l.pub.mark.Load() != l.cur.Published {
		if err := l.commitCursor(ctx); err != nil {
			return err
		}
	}
	l.owner.stored(l.cur)
	return l.prove(ctx)
}

// settleMark moves the mark of an idle lane over the sequences that no record
// has: private events, and rows that are not events.
func (l *lane) settleMark() {
	if l.pub.idle() {
		l.pub.mark.Store(l.cur.LastSeq)
	}
}

func (l *lane) commitCursor(ctx context.Context) error {
	l.cur.Published = l.pub.mark.Load()
	if err := l.store.Commit(ctx, l.part, &Tx{Cursor: l.cur}); err != nil {
		return fmt.Errorf("cursor of lane %s: %w", l.name, err)
	}
	l.cursorStored()
	return nil
}

// cursorStored notes that the cursor is stored as it is.
func (l *lane) cursorStored() {
	l.cur.Rev++
	l.stale = false
	l.owner.saw(l.cur)
}

// drain ends a life in order: everything committed is acknowledged by Kafka,
// and the mark says so.
func (l *lane) drain() error {
	if err := l.hooks.at(PointRevoked, l.name); err != nil {
		return err
	}
	if err := l.pub.wait(l.owner.hard); err != nil {
		return err
	}
	l.settleMark()
	if l.stale || l.pub.mark.Load() != l.cur.Published {
		if err := l.commitCursor(l.owner.hard); err != nil {
			return err
		}
	}
	l.owner.stored(l.cur)
	return nil
}

func (l *lane) halt(what, cure string) error { return &HaltError{Lane: l.name, What: what, Cure: cure} }
