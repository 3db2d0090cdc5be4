package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lane is one life of an owned lane: from a cursor to a failure or the end of
// the ownership. All its memory is thrown away with it, because after a failed
// step it is ahead of the store. Only its own goroutine touches its fields.
type lane struct {
	o       *owner
	i       *Instance
	name    Lane
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

	looked    time.Time // when the log was searched for records in its name
	proven    time.Time // when the store was last compared with what was seen
	clockSet  time.Time // when the cursor's clock was set
	lastRead  time.Time // of the last record read: its timestamp
	committed time.Time // when the batch that is being published was stored
	wg        sync.WaitGroup
}

// life restores the lane from its cursor and works until something ends it.
func (o *owner) life(cur *Cursor) error {
	ctx, cancel := context.WithCancel(o.hard)
	l := &lane{o: o, i: o.i, cur: cur, name: NewLane(o.i.plan.service, o.part, cur.Incarnation), parked: map[StreamID]int{},
		states: newStateCache(o.i.cfg.StateCache), fetched: make(chan kgo.Fetches), high: map[string]int64{}, clockSet: time.Now(), looked: time.Now()}
	defer l.close(cancel)
	if err := l.i.hooks.at(PointClaimed, l.name); err != nil {
		return err
	}
	if err := l.restore(ctx); err != nil {
		return err
	}
	o.report(LaneRunning, nil)
	return l.loop(ctx)
}

func (l *lane) close(cancel context.CancelFunc) {
	cancel()
	if l.queue != nil {
		l.queue.Close()
	}
	if l.client != nil {
		l.client.Close()
	}
	if l.looker != nil {
		l.looker.Close()
	}
	l.wg.Wait()
}

// restore makes the lane's memory from its store, and publishes again what may
// not have reached Kafka.
func (l *lane) restore(ctx context.Context) error {
	var err error
	if l.client, err = kgo.NewClient(l.clientOpts()...); err != nil {
		return fmt.Errorf("lane %s: %w", l.name, err)
	}
	if err = l.checkStore(ctx); err != nil {
		return err
	}
	if err = l.position(ctx); err != nil {
		return err
	}
	// Before anything is produced: a client whose metadata are on their way for
	// that waits a second before it looks for the inputs' partitions again.
	l.consume(ctx)
	l.pub = newPublisher(l.client, l.cur.Published)
	if h := l.i.hooks.publish; h != nil {
		l.pub.sending = func(r *kgo.Record) func(error) { return h.OnPublish(l.i.plan.service, r) }
	}
	if err = l.republish(ctx); err != nil {
		return err
	}
	if err = l.loadParked(ctx); err != nil {
		return err
	}
	l.effects = newEffectRunner(l, ctx)
	if err = l.effects.load(ctx); err != nil {
		return err
	}
	if err = l.timers.load(ctx, l); err != nil {
		return err
	}
	l.queue = l.i.cfg.Commands.Serve(l.i.plan.service, l.o.part, l.cur.Epoch)
	l.o.hears(l.queue)
	l.o.stored(l.cur)
	return nil
}

// consume begins to read the inputs from the cursor.
func (l *lane) consume(ctx context.Context) {
	offsets := map[string]map[int32]kgo.Offset{}
	for _, t := range l.i.plan.topics() {
		offsets[t] = map[int32]kgo.Offset{l.o.part: kgo.NewOffset().At(l.cur.Inputs[t].Offset)}
	}
	if len(offsets) == 0 {
		return
	}
	l.client.AddConsumePartitions(offsets)
	l.wg.Go(func() { l.fetch(ctx) })
}

func (l *lane) clientOpts() []kgo.Opt {
	return slices.Concat(l.i.cfg.Client, []kgo.Opt{
		kgo.ClientID(fmt.Sprintf("%s-%d", l.i.plan.service, l.o.part)),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // else a lost offset rewinds or skips silently
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // a cursor that ignored them would never reach the end of its topic
		kgo.FetchMinBytes(1), kgo.FetchMaxWait(time.Second), kgo.FetchMaxBytes(4 << 20), kgo.MaxConcurrentFetches(1),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), // the default of 10 ms, times eight hops
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.UnknownTopicRetries(-1), // producing never gives up by itself
		kgo.MaxBufferedRecords(1 << 20),
	})
}

// fetch hands over what the client has, one poll at a time: the lane takes the
// next when it is ready, and the client stops fetching while it is not.
func (l *lane) fetch(ctx context.Context) {
	for {
		f := l.client.PollRecords(ctx, l.i.cfg.MaxBatch)
		if ctx.Err() != nil || f.IsClientClosed() {
			return
		}
		select {
		case l.fetched <- f:
		case <-ctx.Done():
			return
		}
	}
}

// position checks the cursor against the topics, and gives topics that are new
// to the lane their first position, in a commit of its own: "now" must not be
// taken again later.
func (l *lane) position(ctx context.Context) error {
	topics := l.i.plan.topics()
	if len(topics) == 0 {
		return nil
	}
	adm := kadm.NewClient(l.client)
	details, err := adm.ListTopics(ctx, topics...)
	if err != nil {
		return fmt.Errorf("topics of lane %s: %w", l.name, err)
	}
	fresh := false
	for _, t := range topics {
		d, ok := details[t]
		if !ok || d.Err != nil {
			return fmt.Errorf("topic %s of lane %s: %w", t, l.name, errors.Join(d.Err, kerr.UnknownTopicOrPartition))
		}
		if pos, ok := l.cur.Inputs[t]; ok {
			if pos.TopicID != d.ID {
				return l.lost(fmt.Sprintf("topic %s was deleted and made again, its offsets mean something else", t), "Restore the topic", l.readFrom(t))
			}
			continue
		}
		if err := l.begin(ctx, adm, t, d.ID); err != nil {
			return err
		}
		fresh = true
	}
	if !fresh {
		return nil
	}
	if err := l.i.store.Commit(ctx, l.o.part, &Tx{Cursor: l.cur}); err != nil {
		return fmt.Errorf("first cursor of lane %s: %w", l.name, err)
	}
	l.committedCursor()
	return nil
}

func (l *lane) begin(ctx context.Context, adm *kadm.Client, topic string, id kadm.TopicID) error {
	list := adm.ListStartOffsets
	if l.i.plan.starts[topic] == Now {
		list = adm.ListCommittedOffsets
	}
	offs, err := list(ctx, topic)
	if err != nil {
		return fmt.Errorf("offsets of %s: %w", topic, err)
	}
	o, ok := offs.Lookup(topic, l.o.part)
	if !ok || o.Err != nil {
		return fmt.Errorf("offset of %s/%d: %w", topic, l.o.part, errors.Join(o.Err, kerr.UnknownTopicOrPartition))
	}
	if l.i.plan.starts[topic] == All && o.Offset > 0 {
		return l.lost(fmt.Sprintf("topic %s/%d begins at offset %d: its first records are deleted, and a decider wants all", topic, l.o.part, o.Offset),
			"Restore the topic's records, or declare the input with streams.OnNew", l.readFrom(topic))
	}
	l.cur.Inputs[topic] = Position{TopicID: id, Offset: o.Offset}
	return nil
}

func (l *lane) halt(what, cure string) error { return &HaltError{Lane: l.name, What: what, Cure: cure} }

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
			b.unanswered(err)
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
	l.pause(l.nParked >= l.i.cfg.MaxParked)
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
	case <-l.o.soft.Done():
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
	case u := <-l.o.unparks:
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
	for len(b.inputs) < l.i.cfg.MaxBatch {
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

// pause says that the lane takes nothing more, or does again.
func (l *lane) pause(full bool) {
	if full == l.paused {
		return
	}
	if l.paused = full; !full {
		l.o.report(LaneRunning, nil)
		return
	}
	err := fmt.Errorf("lane %s takes no more inputs: %d are parked. Mend what they fail on, then weir dlq retry --all --service %s", l.name, l.nParked, l.i.plan.service)
	l.i.log.Error("lane paused", "lane", l.o.part, "error", err)
	l.o.report(LanePaused, err)
}

// measure tells the hooks how the lane is, and commits a cursor that moved
// over records that nobody decided about, or the mark of a lane that went idle.
func (l *lane) measure(ctx context.Context) error {
	lag := make(map[string]int64, len(l.high))
	for t, end := range l.high {
		lag[t] = max(end-l.cur.Inputs[t].Offset, 0)
	}
	e := LaneEvent{Service: l.i.plan.service, Lane: l.o.part, What: LaneMeasured, Parked: l.nParked, Lag: lag, Pending: l.effects.waiting}
	for _, n := range lag {
		if n > 0 {
			e.LagAge = max(l.i.cfg.Now().Sub(l.lastRead), 0)
		}
	}
	if !l.pub.idle() {
		e.Unpublished = l.i.cfg.Now().Sub(l.committed)
	}
	l.i.hooks.laneEvent(e)
	l.settleMark()
	if l.stale || l.pub.mark.Load() != l.cur.Published {
		if err := l.commitCursor(ctx); err != nil {
			return err
		}
	}
	l.o.stored(l.cur)
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
	if err := l.i.store.Commit(ctx, l.o.part, &Tx{Cursor: l.cur}); err != nil {
		return fmt.Errorf("cursor of lane %s: %w", l.name, err)
	}
	l.committedCursor()
	return nil
}

// committedCursor notes that the cursor is stored as it is.
func (l *lane) committedCursor() {
	l.cur.Rev++
	l.stale = false
	l.o.saw(l.cur)
}

// drain ends a life in order: everything committed is acknowledged by Kafka,
// and the mark says so.
func (l *lane) drain() error {
	if err := l.i.hooks.at(PointRevoked, l.name); err != nil {
		return err
	}
	if err := l.pub.wait(l.o.hard); err != nil {
		return err
	}
	l.settleMark()
	if l.stale || l.pub.mark.Load() != l.cur.Published {
		if err := l.commitCursor(l.o.hard); err != nil {
			return err
		}
	}
	l.o.stored(l.cur)
	return nil
}
