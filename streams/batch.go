package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// batch collects inputs and what becomes of them: one transaction.
type batch struct {
	l       *lane
	ctx     context.Context // of the step: a damaged state is read again
	at      time.Time
	inputs  []input
	taken   int // records polled, skipped ones included
	unpark  *unpark
	last    int64                 // sequence of the last parked row that was read for it
	again   bool                  // a parked input failed again: those behind it stay
	known   map[string]Reply      // of commands decided before
	named   map[ExternalID]string // digests of names taken before
	tx      Tx
	records []*kgo.Record
	changed []StreamID
	timers  map[TimerKey]*Timer // the last word on each; nil cancels
	order   []TimerKey
	rows    []InputEntry
	replies []answer
	done    []func(BatchInfo, error)
	info    BatchInfo
}

type answer struct {
	cmd *CommandRequest
	CommandReply
}

func (l *lane) newBatch() *batch {
	return &batch{l: l, timers: map[TimerKey]*Timer{}, known: map[string]Reply{}, named: map[ExternalID]string{}, info: BatchInfo{Service: l.i.plan.service, Lane: l.o.part}}
}

func (b *batch) addCommand(c *CommandRequest) {
	in := input{kind: CommandInput, id: c.ID, name: c.Name, body: c.Body, key: c.Key, cmd: c, at: b.l.i.cfg.Now(),
		origin: Origin{Correlation: c.Correlation, Traceparent: c.Traceparent}}
	if in.origin.Correlation == "" {
		in.origin.Correlation = c.Key // a command without a saga begins, or joins, that of its key
	}
	if t, ok := b.l.i.plan.commands[c.Name]; ok {
		in.stream = StreamID{t.decider.Name, c.Key}
	}
	b.inputs = append(b.inputs, in)
}

func (b *batch) addOutcome(o outcome) {
	b.inputs = append(b.inputs, input{kind: OutcomeInput, id: deriveID(o.ID, "outcome"), name: o.Effect, body: o.body, stream: o.Stream,
		effect: o.Seq, origin: o.Origin, at: o.at})
}

// addFetches takes polled records, or returns why the lane cannot go on.
func (b *batch) addFetches(f kgo.Fetches) error {
	l := b.l
	var failed error
	f.EachError(func(topic string, p int32, err error) {
		var loss *kgo.ErrDataLoss
		switch {
		case errors.Is(err, kerr.OffsetOutOfRange), errors.As(err, &loss):
			failed = l.lost(fmt.Sprintf("topic %s/%d no longer has offset %d, which the lane reads next: %v", topic, p, l.cur.Inputs[topic].Offset, err),
				"Restore the topic's records", l.readFrom(topic))
		case failed == nil:
			failed = fmt.Errorf("fetching %s/%d: %w", topic, p, err)
		}
	})
	if failed != nil {
		return failed
	}
	f.EachPartition(func(p kgo.FetchTopicPartition) {
		l.high[p.Topic] = p.HighWatermark
		for _, r := range p.Records {
			if failed == nil {
				failed = b.addRecord(r)
			}
		}
	})
	return failed
}

// addRecord moves the cursor over a record, and takes it as an input unless it
// is a repeat, a replay or nobody's business.
func (b *batch) addRecord(r *kgo.Record) error {
	l := b.l
	pos := l.cur.Inputs[r.Topic]
	if r.Offset < pos.Offset {
		return nil
	}
	pos.Offset = r.Offset + 1
	l.cur.Inputs[r.Topic] = pos
	l.lastRead = r.Timestamp
	b.taken++
	if r.Attrs.IsControl() {
		return nil
	}
	key := string(r.Key)
	if err := checkKept(key); err != nil {
		return b.misplaced(r, err.Error())
	}
	if p := Partition(key, l.i.cfg.Partitions); p != l.o.part {
		return b.misplaced(r, fmt.Sprintf("key belongs to partition %d, not %d: the producer must hash with murmur2", p, l.o.part))
	}
	e, err := ReadEnvelope(r)
	if err != nil {
		return b.misplaced(r, err.Error())
	}
	if e.ReplayID != "" {
		return nil
	}
	in := eventInput(r, &e)
	if in.source == "" {
		if skip, err := l.repeated(r, &e); skip || err != nil {
			b.info.Repeats++
			return err
		}
	} else if err := CheckKey(key); err != nil { // a stranger's; of a lane's no sequence may be passed over
		return b.misplaced(r, err.Error())
	}
	if len(l.i.plan.byType[e.Type]) > 0 {
		b.inputs = append(b.inputs, in)
	}
	return nil
}

// eventInput is a record as an input. What no lane wrote has a source.
func eventInput(r *kgo.Record, e *Envelope) input {
	in := input{kind: EventInput, id: e.ID, name: e.Type, ver: e.Version, body: e.Data, key: string(r.Key), rec: r, at: e.Time,
		origin: e.origin()}
	if e.Lane == "" {
		if in.source = e.Source; in.source == "" {
			in.source = "unknown"
		}
		in.at = e.takenAt(r)
	}
	return in
}

// takenAt is when an event came to the log: what no lane wrote tells whatever time its
// sender likes, a backfill's may be a year old.
func (e *Envelope) takenAt(r *kgo.Record) time.Time {
	if e.Lane == "" && r.Timestamp.UnixMilli() > 0 { // there may be none
		return r.Timestamp
	}
	return e.Time
}

// repeated tells whether a record was taken before, by the highest sequence
// seen from its lane on its topic; a hole before it halts the lane.
func (l *lane) repeated(r *kgo.Record, e *Envelope) (bool, error) {
	src := Source{r.Topic, e.Lane}
	seen, known := l.cur.Seen[src]
	if e.Seq <= seen {
		return true, nil
	}
	// A lane that began with the topic's end has not seen what came before.
	all := l.i.plan.starts[r.Topic] == All
	if e.Prev > seen && (known || all) {
		return false, l.lost(fmt.Sprintf("%s/%d@%d is number %d of lane %s and follows %d there, but the last one seen is %d: events are missing", r.Topic, r.Partition, r.Offset, e.Seq, e.Lane, e.Prev, seen),
			"Restore the topic from a replica that has them", func(_ context.Context, _ *kadm.Client, c *Cursor) error {
				c.Seen[src] = e.Prev
				return nil
			})
	}
	l.cur.Seen[src] = e.Seq
	return false, nil
}

// step decides, commits, publishes and forgets.
func (l *lane) step(ctx context.Context, b *batch) (err error) {
	defer func() {
		if err != nil { // what was decided is thrown away, unless it is stored
			b.end(err)
		}
	}()
	began, at := l.i.cfg.Now(), l.now()
	if err := l.i.hooks.at(PointPolled, l.name); err != nil {
		return err
	}
	if err := b.decideAll(ctx, at); err != nil {
		return err
	}
	if b.empty() {
		l.stale = l.stale || b.taken > 0
		return b.finish(ctx)
	}
	if err := b.assemble(); err != nil {
		return err
	}
	if err := l.i.hooks.at(PointDecided, l.name); err != nil {
		return err
	}
	if err := b.commit(ctx, began); err != nil {
		return err
	}
	if err := l.i.hooks.at(PointCommitted, l.name); err != nil {
		return err
	}
	if len(b.records) > 0 { // a commit that publishes nothing says nothing of what is on its way
		l.committed = l.i.cfg.Now()
	}
	b.answer() // the transaction holds the replies; the log need not have the events yet
	err = l.pub.publish(ctx, b.records, l.cur.LastSeq, func() error { return l.i.hooks.at(PointPublishing, l.name) })
	if err != nil {
		return err
	}
	if err := l.i.hooks.at(PointPublished, l.name); err != nil {
		return err
	}
	return b.finish(ctx)
}

// decideAll decides about the batch's inputs, at one time: that of their admission.
func (b *batch) decideAll(ctx context.Context, at time.Time) error {
	b.at = at
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for n := range b.inputs {
		if err := b.take(&b.inputs[n]); err != nil {
			return err
		}
	}
	return b.dropCancelled(ctx)
}

// commit stores the batch. After an error it may be stored all the same.
func (b *batch) commit(ctx context.Context, began time.Time) error {
	l := b.l
	b.info.Decide = l.i.cfg.Now().Sub(began)
	err := l.i.store.Commit(ctx, l.o.part, &b.tx)
	b.info.Commit = l.i.cfg.Now().Sub(began) - b.info.Decide
	if err != nil {
		b.end(err)
		l.i.hooks.laneEvent(LaneEvent{Service: l.i.plan.service, Lane: l.o.part, What: LaneConflict, Err: err})
		return fmt.Errorf("commit of lane %s: %w", l.name, err)
	}
	l.committedCursor()
	b.end(nil)
	return nil
}

// empty tells whether there is nothing to store but the cursor.
func (b *batch) empty() bool {
	return len(b.rows) == 0 && len(b.records) == 0 && len(b.tx.Replies) == 0 && len(b.tx.Externals) == 0
}

// assemble completes the transaction.
func (b *batch) assemble() error {
	l := b.l
	for _, id := range b.changed {
		e, err := b.state(id)
		if err != nil {
			return err
		}
		if e.version == e.stored {
			continue
		}
		d := l.i.plan.deciders[id.Decider]
		state, err := d.encode(e.value)
		if err != nil {
			return l.halt(fmt.Sprintf("the state of %s %q cannot be encoded: %v", id.Decider, id.Key, err), "Keep in the state only what JSON can hold.")
		}
		b.tx.Snapshots = append(b.tx.Snapshots, Snapshot{Stream: id, Version: e.version, Prev: e.stored, StateVersion: d.StateVersion, State: state})
		e.stored = e.version
	}
	for _, k := range b.order {
		b.tx.Cancel = append(b.tx.Cancel, k)
		if t := b.timers[k]; t != nil {
			b.tx.Timers = append(b.tx.Timers, *t)
		}
	}
	l.setClock(b.at)
	l.cur.Published = l.pub.mark.Load()
	b.tx.Cursor = l.cur
	if len(b.rows) > 0 {
		b.tx.Inputs = &InputRow{Rev: l.cur.Rev + 1, At: b.at, Entries: EncodeInputs(b.rows)}
	}
	return nil
}

func (b *batch) end(err error) {
	for _, f := range b.done {
		f(b.info, err)
	}
	b.done = nil
}

func (b *batch) answer() {
	for _, a := range b.replies {
		a.cmd.Reply(a.CommandReply)
	}
	b.replies = nil
}

// finish starts what the commit asked for and forgets the rest.
func (b *batch) finish(ctx context.Context) error {
	l := b.l
	b.answer()
	l.effects.committed(b.tx.Effects, b.tx.Done)
	if err := l.effects.refill(ctx); err != nil {
		return err
	}
	for i := range b.tx.Timers {
		l.timers.noticed(b.tx.Timers[i].Due)
	}
	if l.timers.reload {
		if err := l.timers.load(ctx, l); err != nil {
			return err
		}
	}
	l.states.trim()
	b.logInputs(ctx)
	b.reportBatch()
	if b.unpark != nil {
		b.unpark.reply <- unparked{left: l.parked[b.unpark.stream], again: b.again}
	}
	return nil
}

// logInputs writes a line for what was decided, once it is stored: events, the
// most, only for who wants to see everything.
func (b *batch) logInputs(ctx context.Context) {
	log := b.l.i.log
	if !log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	for i := range b.info.Inputs {
		in := &b.info.Inputs[i]
		level := slog.LevelInfo
		switch {
		case in.Result == "parked":
			continue // logged with its reason
		case in.Result == "decided" && in.Kind == EventInput:
			level = slog.LevelDebug
		}
		if !log.Enabled(ctx, level) {
			continue
		}
		attrs := []slog.Attr{slog.Int("lane", int(b.l.o.part)), slog.String("decider", in.Decider), slog.String("key", in.Key), slog.String("kind", string(in.Kind)),
			slog.String("input", in.Name), slog.String("correlation", in.Origin.Correlation), slog.String("trace", in.Origin.Traceparent)}
		if in.Rejected != "" {
			attrs = append(attrs, slog.String("code", in.Rejected))
		}
		log.LogAttrs(ctx, level, "input "+in.Result, attrs...)
	}
}

func (b *batch) reportBatch() {
	if len(b.info.Inputs) > 0 || b.info.Repeats > 0 {
		b.l.i.hooks.committed(b.info)
	}
}
