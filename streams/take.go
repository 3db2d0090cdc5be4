package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// prepare reads from the store, in one call each, what the inputs need: states,
// stored replies, and which events from outside were taken before.
func (b *batch) prepare(ctx context.Context) error {
	l := b.l
	b.ctx = ctx
	var commands []string
	var externals []ExternalID
	var streams []StreamID
	want := func(id StreamID) {
		if l.states.get(id) == nil {
			l.states.put(id, &entry{}) // filled below; also drops the second mention
			streams = append(streams, id)
		}
	}
	for i := range b.inputs {
		in := &b.inputs[i]
		switch {
		case in.cmd != nil && in.name == registerCommand:
			for _, n := range in.names() {
				externals = append(externals, ExternalID{Source: registerSource, ID: n.ID})
			}
		case in.cmd != nil:
			commands = append(commands, in.id)
		case in.fresh():
			externals = append(externals, ExternalID{Source: in.source, ID: in.id})
		}
		if in.rec == nil {
			if _, ok := l.plan.deciders[in.stream.Decider]; ok {
				want(in.stream)
			}
			continue
		}
		for _, t := range l.plan.byType[in.name] {
			want(StreamID{t.decider.Name, in.key})
		}
	}
	if err := b.loadStates(ctx, streams); err != nil {
		return err
	}
	if err := b.answerRepeated(ctx, commands); err != nil {
		return err
	}
	return b.loadNames(ctx, externals)
}

// answerRepeated answers commands that were decided before, in the store or
// earlier in the batch.
func (b *batch) answerRepeated(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	stored, err := b.l.store.Replies(ctx, b.l.part, ids)
	if err != nil {
		return fmt.Errorf("replies of lane %s: %w", b.l.name, err)
	}
	for _, r := range stored {
		b.answered[r.ID] = r
	}
	return nil
}

// loadNames reads which names of events from outside, and of what clients sent,
// were taken before.
func (b *batch) loadNames(ctx context.Context, ids []ExternalID) error {
	if len(ids) == 0 {
		return nil
	}
	known, err := b.l.store.Externals(ctx, b.l.part, ids)
	if err != nil {
		return fmt.Errorf("names of events from outside of lane %s: %w", b.l.name, err)
	}
	for _, k := range known {
		b.named[ExternalID{Source: k.Source, ID: k.ID}] = k.Digest
	}
	return nil
}

// take decides about one input.
func (b *batch) take(in *input) error {
	switch {
	case in.parked != nil && in.kind == TimerInput && b.touched(in):
		b.drop(in.parked) // cancelled or set again by what waited before it
		return nil
	case in.parked != nil && b.failedAgain:
		return nil // the one before it failed again
	case in.cmd != nil && in.name == registerCommand:
		b.register(in)
		return nil
	case in.cmd != nil:
		return b.takeCommand(in)
	case in.rec != nil:
		return b.takeEvent(in)
	case in.kind == TimerInput && in.parked == nil:
		if b.touched(in) {
			return nil // cancelled or set again by an earlier decision of this batch
		}
		b.setTimer(TimerKey{in.stream, in.name}, nil)
	case in.kind == OutcomeInput && in.parked == nil:
		b.tx.Done = append(b.tx.Done, in.effect)
	}
	b.rows = append(b.rows, InputEntry{Kind: in.kind, Stream: in.stream, Name: in.name, ID: in.id, TypeVer: in.ver,
		Body: in.body, Origin: in.origin})
	if in.parked != nil {
		b.tx.Unparked = append(b.tx.Unparked, in.parked.Seq)
		b.l.unparkOne(in.stream)
	}
	t, ok := b.l.plan.target(in.stream, in.kind, in.name)
	if !ok {
		return b.park(in, in.stream, fmt.Sprintf("%s no longer decides about %s %s", in.stream.Decider, in.kind,
			in.name), "")
	}
	if in.kind == EventInput {
		f, _ := b.l.vocabulary.Fact(in.name)
		v, err := f.Decode(in.ver, in.body)
		if err == nil {
			err = sameKey(v, in.stream.Key)
		}
		if err != nil {
			return b.park(in, in.stream, err.Error(), "")
		}
		return b.decide(in, t, in.stream, v)
	}
	v, err := t.reaction.decode(in.body)
	if err != nil {
		return b.park(in, in.stream, fmt.Sprintf("the %s %s cannot be read: %v", in.kind, in.name, err), "")
	}
	return b.decide(in, t, in.stream, v)
}

// touched tells whether a decision of this batch cancelled or set a timer.
func (b *batch) touched(timer *input) bool {
	_, ok := b.timers[TimerKey{timer.stream, timer.name}]
	return ok
}

func (b *batch) takeEvent(in *input) error {
	if in.fresh() {
		switch b.takeName(ExternalID{in.source, in.id, b.at, in.digest()}) {
		case NameRepeated:
			b.info.Repeats++
			return nil
		case NameTaken: // ingestion would have told its sender
			return b.misplaced(in.rec, fmt.Sprintf("another event of source %q and id %q was taken before: "+
				"its sender has to give each an id of its own", in.source, in.id))
		}
	}
	f, _ := b.l.vocabulary.Fact(in.name)
	v, err := f.Decode(in.ver, in.body)
	var newer *NewerVersionError
	if errors.As(err, &newer) {
		return b.l.halt(err.Error(), "Deploy the newer version of this service.")
	}
	if err == nil {
		// By its record's key it would be decided as somebody else's, and parking
		// it would hold up a key that has nothing to do with it.
		if wrong := sameKey(v, in.key); wrong != nil {
			return b.misplaced(in.rec, wrong.Error())
		}
	}
	b.rows = append(b.rows, InputEntry{Kind: EventInput, Topic: in.rec.Topic, Offset: in.rec.Offset})
	for _, t := range b.l.plan.byType[in.name] {
		stream := StreamID{t.decider.Name, in.key}
		if err != nil {
			if err := b.park(in, stream, err.Error(), ""); err != nil {
				return err
			}
			continue
		}
		if err := b.decide(in, t, stream, v); err != nil {
			return err
		}
	}
	return nil
}

// sameKey reports why data cannot be about the key that it came under.
func sameKey(e Event, key string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the key in the data of %T cannot be read: panic: %v", e, p)
		}
	}()
	if k := e.Key().String(); k != key {
		return fmt.Errorf("the data of %T is about %q, but it came under the key %q", e, k, key)
	}
	return nil
}

func (b *batch) takeCommand(in *input) error {
	if r, ok := b.answered[in.id]; ok {
		a := CommandReply{r.Status, r.Body, r.Token}
		if r.Digest != in.cmd.digest() {
			a = CommandReply{Status: ReplyConflict, Body: rejection(Conflict, "id-reused",
				"the id %q was used for another command", in.id)}
		}
		b.replies = append(b.replies, pendingReply{in.cmd, a})
		return nil
	}
	t, ok := b.l.plan.commands[in.name]
	if !ok {
		b.replies = append(b.replies, pendingReply{in.cmd, CommandReply{Status: ReplyRejected,
			Body: rejection(Missing, "unknown-command", "service %s takes no command %q", b.l.service, in.name)}})
		return nil
	}
	if b.l.parked[in.stream] > 0 {
		b.replies = append(b.replies, pendingReply{in.cmd, CommandReply{Status: ReplyParked,
			Body: rejection(Conflict, "parked", "%s %q waits behind an input that failed: retry or drop it first", t.decider.Name,
				in.cmd.Key)}})
		return nil
	}
	v, err := t.reaction.decode(in.body)
	if err != nil {
		b.keepReply(in, CommandReply{Status: ReplyRejected,
			Body: rejection(Invalid, "malformed", "the command cannot be read: %v", err)})
		return nil
	}
	if err := sameKey(v.(Event), in.cmd.Key); err != nil {
		b.keepReply(in, CommandReply{Status: ReplyRejected, Body: rejection(Invalid, "malformed", "%v", err)})
		return nil
	}
	b.rows = append(b.rows, InputEntry{Kind: CommandInput, Stream: in.stream, Name: in.name, ID: in.id, Body: in.body,
		Origin: in.origin})
	return b.decide(in, t, in.stream, v)
}

// maxDetail bounds what a refusal says, in bytes: it may quote what was sent.
const maxDetail = 1000

func rejection(class Class, code, format string, args ...any) []byte {
	detail := fmt.Sprintf(format, args...)
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	b, err := codec.Marshal(&Rejection{class, code, detail})
	if err != nil {
		return []byte("{}") // two strings always encode
	}
	return b
}

// keepReply stores a command's reply, which is sent after the commit.
func (b *batch) keepReply(in *input, r CommandReply) {
	c := Command{Name: in.name, Key: in.stream.Key, Body: in.body}
	stored := Reply{ID: in.id, Digest: c.digest(), Status: r.Status, Body: r.Body, Token: r.Token, At: b.at}
	b.answered[in.id] = stored
	b.tx.Replies = append(b.tx.Replies, stored)
	if in.cmd != nil { // of a parked command that is decided again nobody waits
		b.replies = append(b.replies, pendingReply{in.cmd, r})
	}
}

// poisoned is an input whose evolve failed: the lane's memory is damaged, so
// the batch is thrown away and the input parks when it is read again.
type poisoned struct{ reason string }

func (p *poisoned) Error() string { return p.reason }

// decide runs one decision and adds what follows from it to the batch.
func (b *batch) decide(in *input, t target, stream StreamID, v any) error {
	l := b.l
	if l.parked[stream] > 0 && in.parked == nil {
		return b.park(in, stream, "", "")
	}
	if reason, ok := l.poison[in.cause()+" "+t.decider.Name]; ok {
		return b.park(in, stream, reason, "")
	}
	e, err := b.state(stream)
	if err != nil {
		return err
	}
	origin := in.origin
	var done func(BatchInfo, error)
	var hop Hop
	if h := l.hooks.decide; h != nil {
		hop = Hop{Service: l.service, Decider: t.decider.Name, Kind: in.kind, Name: in.name, Partition: l.part,
			Origin: in.origin, ID: in.id}
		if in.rec != nil {
			hop.Topic, hop.Offset = in.rec.Topic, in.rec.Offset
		}
		origin.Traceparent, done = h.OnDecide(hop)
	}
	x, err := t.decider.decide(t.reaction, e.value, v, Input{ID: in.id, Key: stream.Key, At: b.at,
		Correlation: in.origin.Correlation, cause: in.cause()})
	if err == nil {
		err = b.apply(in, t.decider, stream, e, x, origin)
	}
	if err != nil || x.reject != nil {
		l.states.drop(stream) // nothing of the decision is kept, also not what it wrote there
	}
	b.hopDecided(done, err, x.reject)
	if h := l.hooks.decide; h != nil && err != nil && done == nil {
		in.origin.Traceparent = h.OnFail(hop, err)
	} else if err != nil {
		in.origin.Traceparent = origin.Traceparent
	}
	var bad *poisoned
	if errors.As(err, &bad) {
		l.poison[in.cause()+" "+t.decider.Name] = bad.reason
		return err
	}
	var failed *DecisionError
	if errors.As(err, &failed) {
		return b.park(in, stream, failed.Reason, failed.Stack)
	}
	if err != nil {
		return err
	}
	result := b.inputInfo(in, stream, InputDecided, origin)
	if x.reject != nil {
		result.Result, result.Rejected = InputRejected, x.reject.Code
	}
	if in.parked != nil {
		result.Result = InputRetried
	}
	b.info.Inputs = append(b.info.Inputs, result)
	return nil
}

// inputInfo is what the hooks hear of an input.
func (b *batch) inputInfo(in *input, stream StreamID, result InputResult, origin Origin) InputInfo {
	return InputInfo{Decider: stream.Decider, Kind: in.kind, Name: in.name, Age: b.at.Sub(in.at), Result: result,
		Key: stream.Key, Origin: origin}
}

// hopDecided arranges for a hop's end: at the commit, or now if it failed.
func (b *batch) hopDecided(done func(BatchInfo, error), err error, reject *Rejection) {
	if done == nil {
		return
	}
	if err == nil && reject == nil {
		b.hops = append(b.hops, done)
		return
	}
	if err == nil {
		err = reject
	}
	done(b.info, err)
}
