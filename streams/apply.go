package streams

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// apply adds a decision's consequences. Nothing of the lane is changed until
// all of them are known to be storable and publishable.
func (b *batch) apply(in *input, d *Decider, stream StreamID, e *entry, x Decision, origin Origin) error {
	if x.reject != nil {
		if in.cmd != nil { // nothing follows from it, and whoever asks could fill the disk with what was refused
			b.rows = b.rows[:len(b.rows)-1]
		}
		if in.kind == CommandInput {
			b.keepReply(in, CommandReply{Status: ReplyRejected, Body: rejection(x.reject.Class, x.reject.Code, "%s", x.reject.Detail)})
		}
		return nil
	}
	bodies, err := b.encodeAll(x)
	if err != nil {
		return &DecisionError{Reason: err.Error()}
	}
	first := len(b.tx.Events)
	for i, ev := range x.events {
		b.emit(in, d, stream, e, ev, bodies.events[i], i, origin)
	}
	if err := evolveAll(d, e, x.events); err != nil {
		return err
	}
	follow := Origin{Correlation: origin.Correlation, Causation: in.id, Traceparent: origin.Traceparent}
	for _, n := range x.cancels {
		b.setTimer(TimerKey{stream, n}, nil)
	}
	for i, t := range x.timers {
		b.setTimer(TimerKey{stream, t.name}, &Timer{Stream: stream, Name: t.name,
			ID: deriveID(in.cause(), d.Name, "timer", t.name), Due: b.at.Add(t.after), Body: bodies.timers[i], Origin: follow})
	}
	for i, w := range x.intents {
		b.tx.Effects = append(b.tx.Effects, PendingEffect{Seq: b.nextRow(), Stream: stream,
			ID:     deriveID(in.cause(), d.Name, "effect", fmt.Sprint(i)),
			Effect: w.effect.name, Key: w.effect.key(w.body), Body: bodies.intents[i], Origin: follow})
	}
	if in.kind == CommandInput {
		r := CommandReply{Status: ReplyDone, Body: bodies.reply}
		for _, last := range slices.Backward(b.tx.Events[first:]) { // the last one that travels
			if last.Topic != "" {
				r.Token = Token{Source{last.Topic, b.l.name}, last.Seq}.String()
				break
			}
		}
		b.keepReply(in, r)
	}
	if len(x.events) > 0 {
		b.changed = append(b.changed, stream)
	}
	return nil
}

// nextRow numbers rows of parked inputs and effects, from the lane's sequence:
// rising, and never used twice.
func (b *batch) nextRow() int64 {
	b.l.cur.LastSeq++
	return b.l.cur.LastSeq
}

func evolveAll(d *Decider, e *entry, events []Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &poisoned{fmt.Sprintf("evolve of %s panicked: %v\n%s", d.Name, p, debug.Stack())}
		}
	}()
	for _, ev := range events {
		d.evolve(e.value, ev)
	}
	return nil
}

type encoded struct {
	events, timers, intents [][]byte
	reply                   []byte
}

// encodeAll encodes what a decision says, and refuses what could be committed
// but never published.
func (b *batch) encodeAll(x Decision) (out encoded, err error) {
	enc := func(what string, v any) []byte {
		j, e := codec.Marshal(v)
		if e != nil && err == nil {
			err = fmt.Errorf("%s %T cannot be encoded: %w", what, v, e)
		}
		if len(j) > b.l.cfg.MaxEventBytes-2048 && err == nil { // room for key and headers
			err = fmt.Errorf("%s %T is %d bytes long, the broker takes %d: split it", what, v, len(j),
				b.l.cfg.MaxEventBytes-2048)
		}
		return j
	}
	for _, e := range x.events {
		out.events = append(out.events, enc("event", e))
	}
	for _, t := range x.timers {
		out.timers = append(out.timers, enc("timer body", t.body))
	}
	for _, i := range x.intents {
		out.intents = append(out.intents, enc("intent", i.body))
	}
	if x.reply != nil {
		out.reply = enc("reply", x.reply)
	}
	return out, err
}

// emit numbers an event and makes its record.
func (b *batch) emit(in *input, d *Decider, stream StreamID, e *entry, ev Event, body []byte, index int,
	origin Origin) {
	l := b.l
	f, _ := l.vocabulary.FactOf(ev)
	key := ev.Key().String()
	e.version++
	env := Envelope{ID: deriveID(in.cause(), d.Name, fmt.Sprint(index)), Type: f.Name, Version: f.Version,
		Source: "/" + l.service + "/" + d.Name, Time: b.at, Key: key, Correlation: origin.Correlation,
		Causation: in.id, Traceparent: origin.Traceparent, Data: body}
	stored := StoredEvent{Stream: stream, Version: e.version, Type: f.Name, TypeVer: f.Version, Key: key}
	if f.Private {
		l.cur.LastSeq++
		env.Lane, env.Seq = l.name, l.cur.LastSeq
		stored.Record = packRecord(env.Record("", 0))
	} else {
		r := b.number(&env, l.plan.facts[f.Name].topic, Partition(key, l.cfg.Partitions))
		stored.Topic, stored.Partition, stored.Record = r.Topic, r.Partition, packRecord(r)
	}
	stored.Seq = env.Seq
	b.tx.Events = append(b.tx.Events, stored)
	b.info.Events = append(b.info.Events, f.Name)
}

// number gives an envelope the lane's next sequence and makes its record.
func (b *batch) number(env *Envelope, topic string, partition int32) *kgo.Record {
	c := b.l.cur
	c.LastSeq++
	to := Target{topic, partition}
	env.Lane, env.Seq, env.Prev = b.l.name, c.LastSeq, c.Sent[to]
	c.Sent[to] = c.LastSeq
	r := env.Record(topic, partition)
	b.records = append(b.records, r)
	return r
}

func (b *batch) setTimer(k TimerKey, t *Timer) {
	if _, ok := b.timers[k]; !ok {
		b.timerOrder = append(b.timerOrder, k)
	}
	b.timers[k] = t
}
