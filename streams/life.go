package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// newLane is a lane at a cursor, with nothing in memory.
func newLane(o *owner, cur *Cursor) *lane {
	i := o.i
	return &lane{name: NewLane(i.plan.service, o.part, cur.Incarnation), service: i.plan.service, part: o.part,
		owner: o, cfg: &i.cfg, plan: i.plan, vocabulary: i.cfg.Topology.Vocabulary, store: i.store,
		hooks: &i.hooks, breakers: i.breakers, clock: i.clock, log: i.log, poison: o.poison,
		cur: cur, states: newStateCache(i.cfg.StateCache), parked: map[StreamID]int{}, high: map[string]int64{}}
}

// life restores the lane from its cursor and works until something ends it.
func (o *owner) life(cur *Cursor) error {
	ctx, cancel := context.WithCancel(o.hard)
	l := newLane(o, cur)
	l.fetched, l.clockSet, l.looked = make(chan kgo.Fetches), time.Now(), time.Now()
	defer l.close(cancel)
	if err := l.hooks.at(PointClaimed, l.name); err != nil {
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
	if h := l.hooks.publish; h != nil {
		l.pub.sending = func(r *kgo.Record) func(error) { return h.OnPublish(l.service, r) }
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
	l.queue = l.cfg.Commands.Serve(l.service, l.part, l.cur.Epoch)
	l.owner.hears(l.queue)
	l.owner.stored(l.cur)
	return nil
}

// consume begins to read the inputs from the cursor.
func (l *lane) consume(ctx context.Context) {
	offsets := map[string]map[int32]kgo.Offset{}
	for _, t := range l.plan.topics() {
		offsets[t] = map[int32]kgo.Offset{l.part: kgo.NewOffset().At(l.cur.Inputs[t].Offset)}
	}
	if len(offsets) == 0 {
		return
	}
	l.client.AddConsumePartitions(offsets)
	l.wg.Go(func() { l.fetch(ctx) })
}

func (l *lane) clientOpts() []kgo.Opt {
	return slices.Concat(l.cfg.Client, []kgo.Opt{
		kgo.ClientID(fmt.Sprintf("%s-%d", l.service, l.part)),
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
		f := l.client.PollRecords(ctx, l.cfg.MaxBatch)
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
	topics := l.plan.topics()
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
				return l.lost(fmt.Sprintf("topic %s was deleted and made again, its offsets mean something else", t),
					"Restore the topic", l.readFrom(t))
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
	if err := l.store.Commit(ctx, l.part, &Tx{Cursor: l.cur}); err != nil {
		return fmt.Errorf("first cursor of lane %s: %w", l.name, err)
	}
	l.cursorStored()
	return nil
}

func (l *lane) begin(ctx context.Context, adm *kadm.Client, topic string, id kadm.TopicID) error {
	list := adm.ListStartOffsets
	if l.plan.starts[topic] == Now {
		list = adm.ListCommittedOffsets
	}
	offs, err := list(ctx, topic)
	if err != nil {
		return fmt.Errorf("offsets of %s: %w", topic, err)
	}
	o, ok := offs.Lookup(topic, l.part)
	if !ok || o.Err != nil {
		return fmt.Errorf("offset of %s/%d: %w", topic, l.part, errors.Join(o.Err, kerr.UnknownTopicOrPartition))
	}
	if l.plan.starts[topic] == All && o.Offset > 0 {
		return l.lost(fmt.Sprintf("topic %s/%d begins at offset %d: its first records are deleted, "+
			"and a decider wants all", topic, l.part, o.Offset),
			"Restore the topic's records, or declare the input with streams.OnNew", l.readFrom(topic))
	}
	l.cur.Inputs[topic] = Position{TopicID: id, Offset: o.Offset}
	return nil
}
