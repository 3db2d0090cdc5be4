package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ParkedType and MisplacedType are the runtime's own reports on a service's
// dead-letter topic. The store's rows are the truth.
const (
	ParkedType    = "weir.parked"
	MisplacedType = "weir.misplaced"
)

// DeadLetter is the data of a report.
type DeadLetter struct {
	Service string    `json:"service"`
	Decider string    `json:"decider,omitempty"`
	Key     string    `json:"key,omitempty"`
	Kind    InputKind `json:"kind,omitempty"`
	Name    string    `json:"name,omitempty"`
	ID      string    `json:"id,omitempty"`
	From    string    `json:"from"`
	Reason  string    `json:"reason"`
}

// park keeps an input that failed, or waits behind one that did. A reason
// makes it a failure, which is also reported on the dead-letter topic.
func (b *batch) park(in *input, stream StreamID, reason, stack string) error {
	l := b.l
	from := string(in.kind) + " " + in.id
	if in.rec != nil {
		from = fmt.Sprintf("%s/%d@%d", in.rec.Topic, in.rec.Partition, in.rec.Offset)
	} else if in.parked != nil {
		from = in.parked.From
	}
	row := ParkedInput{Seq: b.nextRow(), Stream: stream, Kind: in.kind, ID: in.id, Name: in.name, TypeVer: in.ver,
		Body: slices.Clone(in.body), Origin: in.origin, From: from, At: b.at, Reason: reason, Stack: stack, Source: in.source}
	if in.parked == nil {
		b.info.Inputs = append(b.info.Inputs, b.inputInfo(in, stream, InputParked, in.origin))
	} else { // it failed again: same place in the key's order
		row.Seq, row.At = in.parked.Seq, in.parked.At
		b.tx.Unparked = slices.DeleteFunc(b.tx.Unparked, func(s int64) bool { return s == row.Seq })
		b.tx.Unparked = append(b.tx.Unparked, row.Seq)
		b.failedAgain = true
	}
	b.tx.Parked = append(b.tx.Parked, row)
	l.parked[stream]++
	l.nParked++
	if in.cmd != nil {
		b.replies = append(b.replies, pendingReply{in.cmd, CommandReply{Status: ReplyParked,
			Body: rejection(Conflict, "parked", "the decision failed and waits for a person: %s", reason)}})
	}
	if reason == "" {
		return nil
	}
	l.log.Error("key parked", "decider", stream.Decider, "key", stream.Key, "input", in.name, "from", from,
		"reason", reason, "correlation", in.origin.Correlation, "trace", in.origin.Traceparent)
	return b.deadLetter(stream.Key, l.partOf(stream.Key), ParkedType, in.origin, in.id,
		DeadLetter{Service: l.service, Decider: stream.Decider, Key: stream.Key,
			Kind: in.kind, Name: in.name, ID: in.id, From: from, Reason: reason})
}

func (l *lane) partOf(key string) int32 { return Partition(key, l.cfg.Partitions) }

// misplaced reports a record that belongs to no stream of the lane. It parks
// nobody.
func (b *batch) misplaced(r *kgo.Record, reason string) error {
	l := b.l
	from := fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)
	l.log.Error("record misplaced", "from", from, "reason", reason)
	l.hooks.laneEvent(LaneEvent{Service: l.service, Lane: l.part, What: LaneMisplaced,
		Err: fmt.Errorf("%s: %s", from, reason)})
	return b.deadLetter("misplaced", l.part, MisplacedType, Origin{Correlation: from}, from,
		DeadLetter{Service: l.service, From: from, Reason: reason})
}

// deadLetter reports on the service's dead-letter topic.
func (b *batch) deadLetter(key string, partition int32, typ string, o Origin, cause string, d DeadLetter) error {
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("report of a dead letter: %w", err)
	}
	at := b.at
	if at.IsZero() { // reported while polling, before the batch has its time
		at = b.l.now()
	}
	env := Envelope{ID: deriveID(cause, typ, b.l.service, d.Decider, d.From), Type: typ, Version: 1,
		Source: "/" + b.l.service, Time: at, Key: key,
		Correlation: o.Correlation, Causation: cause, Traceparent: o.Traceparent, Data: body}
	r := b.number(&env, DeadTopic(b.l.service), partition)
	b.tx.Events = append(b.tx.Events, StoredEvent{Seq: env.Seq, Type: typ, TypeVer: 1, Topic: r.Topic,
		Partition: partition, Key: key, Record: packRecord(r)})
	return nil
}

// unpark asks the owning lane to decide a key's parked inputs again.
type unpark struct {
	stream StreamID
	drop   bool
	reply  chan unparked
}

type unparked struct {
	left        int
	failedAgain bool // one of them failed again
	err         error
}

// failRetry answers who waits for a retry that was not committed.
func (b *batch) failRetry(err error) {
	if b.unpark != nil {
		b.unpark.reply <- unparked{err: fmt.Errorf("nothing was retried or dropped: %w", err)}
	}
}

func (l *lane) unparkOne(stream StreamID) {
	l.nParked--
	if l.parked[stream]--; l.parked[stream] <= 0 {
		delete(l.parked, stream)
	}
}

// drop takes a parked input away undecided, and leaves word of it in the row of
// inputs.
func (b *batch) drop(p *ParkedInput) {
	b.tx.Unparked = append(b.tx.Unparked, p.Seq)
	b.rows = append(b.rows, InputEntry{Kind: p.Kind, Stream: p.Stream, Name: droppedName + p.Name, ID: p.ID,
		Body: []byte("null")})
	b.l.unparkOne(p.Stream)
}

func (l *lane) loadParked(ctx context.Context) error {
	page := l.cfg.MaxBatch
	for after := int64(0); ; {
		rows, err := l.store.Parked(ctx, l.part, StreamID{}, after, page)
		if err != nil {
			return fmt.Errorf("parked inputs of lane %s: %w", l.name, err)
		}
		for _, r := range rows {
			l.parked[r.Stream]++
			l.nParked++
			after = r.Seq
		}
		if len(rows) < page {
			return nil
		}
	}
}

// dropCancelled drops the parked timers behind this batch of a retry that its
// decisions cancelled or set again: their turn is a later batch's, which knows
// nothing of it.
func (b *batch) dropCancelled(ctx context.Context) error {
	if b.unpark == nil || b.l.parked[b.unpark.stream] == 0 || len(b.timers) == 0 {
		return nil
	}
	gone := map[int64]bool{}
	for _, seq := range b.tx.Unparked {
		gone[seq] = true
	}
	for after := b.lastParked; ; {
		rows, err := b.l.store.Parked(ctx, b.l.part, b.unpark.stream, after, b.l.cfg.MaxBatch)
		if err != nil {
			return fmt.Errorf("parked inputs of %s %q: %w", b.unpark.stream.Decider, b.unpark.stream.Key, err)
		}
		for i := range rows {
			in := rows[i].input()
			if after = rows[i].Seq; in.kind == TimerInput && !gone[after] && b.touched(&in) {
				b.drop(&rows[i])
			}
		}
		if len(rows) < b.l.cfg.MaxBatch {
			return nil
		}
	}
}

// addParked takes a parked key's rows as the batch's inputs.
func (b *batch) addParked(ctx context.Context, u *unpark) error {
	l := b.l
	rows, err := l.store.Parked(ctx, l.part, u.stream, 0, l.cfg.MaxBatch)
	if err != nil {
		return fmt.Errorf("parked inputs of %s %q: %w", u.stream.Decider, u.stream.Key, err)
	}
	if len(rows) == 0 || l.plan.deciders[u.stream.Decider] == nil {
		u.reply <- unparked{err: fmt.Errorf("%s %q in service %s: %w", u.stream.Decider, u.stream.Key, l.service,
			ErrNotParked)}
		return nil
	}
	b.unpark = u
	for i := range rows {
		r := &rows[i]
		b.inputs = append(b.inputs, r.input())
		b.lastParked = r.Seq
	}
	if u.drop {
		l.log.Warn("parked input dropped", "decider", u.stream.Decider, "key", u.stream.Key, "input", rows[0].Name,
			"id", rows[0].ID)
		b.drop(&rows[0])
		b.inputs = b.inputs[1:]
	}
	// A retry is a person's word that the cause is gone, poison included.
	for i := range b.inputs {
		delete(l.poison, b.inputs[i].cause()+" "+u.stream.Decider)
	}
	return nil
}
