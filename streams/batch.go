package streams

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// batch collects inputs and what becomes of them: one transaction.
type batch struct {
	l           *lane
	ctx         context.Context // of the step: a damaged state is read again
	at          time.Time
	inputs      []input
	polled      int // records polled, skipped ones included
	unpark      *unpark
	lastParked  int64                 // sequence of the last parked row that was read for it
	failedAgain bool                  // a parked input failed again: those behind it stay
	answered    map[string]Reply      // of commands decided before
	named       map[ExternalID]string // digests of names taken before
	tx          Tx
	records     []*kgo.Record
	changed     []StreamID
	timers      map[TimerKey]*Timer // the last word on each; nil cancels
	timerOrder  []TimerKey
	rows        []InputEntry
	replies     []pendingReply
	hops        []func(BatchInfo, error) // who hears how the decisions end
	info        BatchInfo
}

type pendingReply struct {
	cmd *CommandRequest
	CommandReply
}

func (l *lane) newBatch() *batch {
	return &batch{l: l, timers: map[TimerKey]*Timer{}, answered: map[string]Reply{}, named: map[ExternalID]string{},
		info: BatchInfo{Service: l.service, Lane: l.part}}
}

func (b *batch) addCommand(c *CommandRequest) {
	in := input{kind: CommandInput, id: c.ID, name: c.Name, body: c.Body, key: c.Key, cmd: c, at: b.l.cfg.Now(),
		origin: Origin{Correlation: c.Correlation, Traceparent: c.Traceparent}}
	if in.origin.Correlation == "" {
		in.origin.Correlation = c.Key // a command without a saga begins, or joins, that of its key
	}
	if t, ok := b.l.plan.commands[c.Name]; ok {
		in.stream = StreamID{t.decider.Name, c.Key}
	}
	b.inputs = append(b.inputs, in)
}

func (b *batch) addOutcome(o outcome) {
	b.inputs = append(b.inputs, input{kind: OutcomeInput, id: deriveID(o.ID, "outcome"), name: o.Effect, body: o.body,
		stream: o.Stream,
		effect: o.Seq, origin: o.Origin, at: o.at})
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
		d := l.plan.deciders[id.Decider]
		state, err := d.encode(e.value)
		if err != nil {
			return l.halt(fmt.Sprintf("the state of %s %q cannot be encoded: %v", id.Decider, id.Key, err),
				"Keep in the state only what JSON can hold.")
		}
		b.tx.Snapshots = append(b.tx.Snapshots, Snapshot{Stream: id, Version: e.version, Prev: e.stored,
			StateVersion: d.StateVersion, State: state})
		e.stored = e.version
	}
	for _, k := range b.timerOrder {
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

// commit stores the batch. After an error it may be stored all the same.
func (b *batch) commit(ctx context.Context, began time.Time) error {
	l := b.l
	b.info.Decide = l.cfg.Now().Sub(began)
	err := l.store.Commit(ctx, l.part, &b.tx)
	b.info.Commit = l.cfg.Now().Sub(began) - b.info.Decide
	if err != nil {
		b.tellHops(err)
		l.hooks.laneEvent(LaneEvent{Service: l.service, Lane: l.part, What: LaneConflict, Err: err})
		return fmt.Errorf("commit of lane %s: %w", l.name, err)
	}
	l.cursorStored()
	b.tellHops(nil)
	return nil
}

// tellHops tells who wrapped the decisions how they ended: stored, or thrown away.
func (b *batch) tellHops(err error) {
	for _, f := range b.hops {
		f(b.info, err)
	}
	b.hops = nil
}

func (b *batch) sendReplies() {
	for _, a := range b.replies {
		a.cmd.Reply(a.CommandReply)
	}
	b.replies = nil
}

// followUp starts what the commit asked for and forgets the rest.
func (b *batch) followUp(ctx context.Context) error {
	l := b.l
	b.sendReplies()
	l.effects.follow(b.tx.Effects, b.tx.Done)
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
		b.unpark.reply <- unparked{left: l.parked[b.unpark.stream], failedAgain: b.failedAgain}
	}
	return nil
}

// logInputs writes a line for what was decided, once it is stored: events, the
// most, only for who wants to see everything.
func (b *batch) logInputs(ctx context.Context) {
	log := b.l.log
	if !log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	for i := range b.info.Inputs {
		in := &b.info.Inputs[i]
		level := slog.LevelInfo
		switch {
		case in.Result == InputParked:
			continue // logged with its reason
		case in.Result == InputDecided && in.Kind == EventInput:
			level = slog.LevelDebug
		}
		if !log.Enabled(ctx, level) {
			continue
		}
		attrs := []slog.Attr{slog.Int("lane", int(b.l.part)), slog.String("decider", in.Decider),
			slog.String("key", in.Key), slog.String("kind", string(in.Kind)), slog.String("input", in.Name),
			slog.String("correlation", in.Origin.Correlation), slog.String("trace", in.Origin.Traceparent)}
		if in.Rejected != "" {
			attrs = append(attrs, slog.String("code", in.Rejected))
		}
		log.LogAttrs(ctx, level, "input "+string(in.Result), attrs...)
	}
}

func (b *batch) reportBatch() {
	if len(b.info.Inputs) > 0 || b.info.Repeats > 0 {
		b.l.hooks.committed(b.info)
	}
}
