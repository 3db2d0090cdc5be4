package storetest

import (
	"fmt"
	"time"

	"github.com/weirstream/weir/streams"
)

var waitingCases = []testCase{
	{"EffectsWaitUntilDone", func(p *place) {
		l := p.fresh()
		effect := func(seq int64) streams.PendingEffect {
			return streams.PendingEffect{Seq: seq, Stream: cart, ID: fmt.Sprint("e-", seq), Effect: "charge", Key: "pay c-1", Body: binary, Origin: from}
		}
		l.commit(streams.Tx{Effects: []streams.PendingEffect{effect(1), effect(2)}})
		l.commit(streams.Tx{Effects: []streams.PendingEffect{effect(3), effect(10)}})
		got, err := l.s.Effects(ctx, 3, 0, 10)
		check(p, "effects", err, got, []streams.PendingEffect{effect(1), effect(2), effect(3), effect(10)})
		got, err = l.s.Effects(ctx, 3, 1, 2)
		check(p, "effects above 1, limit 2", err, got, []streams.PendingEffect{effect(2), effect(3)})
		l.commit(streams.Tx{Done: []int64{2, 10, 77}})
		got, err = l.s.Effects(ctx, 3, 0, 10)
		check(p, "effects after some are done", err, got, []streams.PendingEffect{effect(1), effect(3)})
	}},
	{"AnEffectMayBeginAndEndInOneTx", func(p *place) {
		l := p.fresh()
		l.commit(streams.Tx{Effects: []streams.PendingEffect{{Seq: 1, Stream: cart}}})
		l.commit(streams.Tx{Effects: []streams.PendingEffect{{Seq: 2, Stream: cart}}, Done: []int64{1}})
		got, err := l.s.Effects(ctx, 3, 0, 10)
		check(p, "effects", err, len(got) == 1 && got[0].Seq == 2, true)
	}},
	{"ParkedInputsWaitByStream", func(p *place) {
		l := p.fresh()
		other := streams.StreamID{Decider: "cart", Key: "c-2"}
		twin := streams.StreamID{Decider: "shelf", Key: cart.Key}
		row := func(seq int64, id streams.StreamID, kind streams.InputKind) streams.ParkedInput {
			return streams.ParkedInput{Seq: seq, Stream: id, Kind: kind, ID: fmt.Sprint("p-", seq), Name: "order.placed", TypeVer: 3, Body: binary,
				Origin: from, From: "orders/3@17", At: noon, Reason: "broken", Stack: "line 1\nline 2"}
		}
		rows := []streams.ParkedInput{row(1, cart, streams.EventInput), row(2, other, streams.CommandInput), row(3, cart, streams.TimerInput),
			row(4, twin, streams.OutcomeInput), row(5, cart, streams.EventInput)}
		l.commit(streams.Tx{Parked: rows})
		all := streams.StreamID{}
		check(p, "of all", nil, l.parked(all, 0, 10), rows)
		check(p, "of all above 2, limit 2", nil, l.parked(all, 2, 2), rows[2:4])
		check(p, "of a stream", nil, l.parked(cart, 0, 10), []streams.ParkedInput{rows[0], rows[2], rows[4]})
		check(p, "of a stream above 1, limit 1", nil, l.parked(cart, 1, 1), rows[2:3])
		check(p, "of another decider", nil, l.parked(twin, 0, 10), rows[3:4])
		check(p, "of a decider never seen", nil, len(l.parked(streams.StreamID{Decider: "none", Key: cart.Key}, 0, 10)), 0)
		l.commit(streams.Tx{Unparked: []int64{1, 2, 99}})
		check(p, "after some are unparked", nil, l.parked(all, 0, 10), rows[2:])
	}},
	{"RepliesAreKept", func(p *place) {
		l := p.fresh()
		done := streams.Reply{ID: "r-1", Digest: "abc", Status: streams.ReplyDone, Body: binary, Token: "tok", At: noon}
		no := streams.Reply{ID: "ÿ 2", Digest: "def", Status: streams.ReplyRejected, At: noon.Add(1)}
		l.commit(streams.Tx{Replies: []streams.Reply{done, no}})
		got, err := l.s.Replies(ctx, 3, []string{"none", "ÿ 2"})
		check(p, "replies", err, got, []streams.Reply{no})
		got, err = l.s.Replies(ctx, 3, []string{"r-1"})
		check(p, "replies", err, got, []streams.Reply{done})
		got, err = l.s.Replies(ctx, 3, nil)
		check(p, "no replies", err, len(got), 0)
	}},
	{"ExternalsAreTold", func(p *place) {
		l := p.fresh()
		l.commit(streams.Tx{Externals: []streams.ExternalID{{Source: "a", ID: "1", At: noon}, {Source: "b", ID: "2", At: noon}}})
		got, err := l.s.Externals(ctx, 3, []streams.ExternalID{{Source: "a", ID: "2"}, {Source: "b", ID: "2"}, {Source: "b", ID: "1"}, {Source: "", ID: "a1"}})
		check(p, "externals", err, got, []streams.ExternalID{{Source: "b", ID: "2", At: noon}})
	}},
	{"InputsAreInOrder", func(p *place) {
		l := p.fresh()
		var want []int64
		for rev := int64(2); rev < 30; rev += 3 {
			l.commit(streams.Tx{Inputs: &streams.InputRow{Rev: rev, At: noon.Add(time.Duration(rev)), Entries: fmt.Append(binary, rev)}})
			if want = append(want, rev); rev == 5 {
				l.commit(streams.Tx{})
			}
		}
		check(p, "inputs", nil, l.inputs(0), want)
		check(p, "inputs above 11", nil, l.inputs(11), want[4:])
	}},
}

// outsideCases keep what comes from outside of the platform: record headers,
// commands' ids and panics hold any bytes. A store that cannot keep them fails the
// same batch for ever.
var outsideCases = []testCase{
	{"TextsFromOutsideAreBytes", func(p *place) {
		l := p.fresh()
		odd := string(binary)
		o := streams.Origin{Correlation: odd, Causation: odd + "2", Traceparent: odd + "3"}
		timer := streams.Timer{Stream: cart, Name: odd, ID: odd, Due: noon, Origin: o}
		effect := streams.PendingEffect{Seq: 1, Stream: cart, ID: odd, Effect: "charge", Key: odd, Origin: o}
		row := streams.ParkedInput{Seq: 1, Stream: cart, Kind: streams.CommandInput, ID: odd, Name: odd, Origin: o, From: odd, At: noon, Reason: odd, Stack: odd}
		reply := streams.Reply{ID: odd, Digest: odd, Status: streams.ReplyDone, Token: odd, At: noon}
		external := streams.ExternalID{Source: odd, ID: odd + "2", At: noon}
		l.commit(streams.Tx{Timers: []streams.Timer{timer}, Effects: []streams.PendingEffect{effect}, Parked: []streams.ParkedInput{row},
			Replies: []streams.Reply{reply}, Externals: []streams.ExternalID{external}})
		timers, err := l.s.Timers(ctx, 3, noon, 10)
		check(p, "timers", err, timers, []streams.Timer{timer})
		effects, err := l.s.Effects(ctx, 3, 0, 10)
		check(p, "effects", err, effects, []streams.PendingEffect{effect})
		check(p, "parked inputs", nil, l.parked(cart, 0, 10), []streams.ParkedInput{row})
		replies, err := l.s.Replies(ctx, 3, []string{odd})
		check(p, "replies", err, replies, []streams.Reply{reply})
		externals, err := l.s.Externals(ctx, 3, []streams.ExternalID{external, {Source: odd, ID: odd}})
		check(p, "externals", err, externals, []streams.ExternalID{external})
		l.commit(streams.Tx{Cancel: []streams.TimerKey{{Stream: cart, Name: odd}}})
		check(p, "timers after one is cancelled", nil, l.timers(noon, 10), "")
	}},
	{"AStrangeKeyIsNobodys", func(p *place) {
		l := p.fresh()
		l.commit(step(cart, 1, 1))
		got, err := l.s.Load(ctx, 3, []streams.StreamID{{Decider: "cart", Key: string(binary)}, cart}) // a command's key is loaded before it is checked
		check(p, "load", err, len(got), 1)
	}},
}

func (l *lane) parked(id streams.StreamID, after int64, limit int) []streams.ParkedInput {
	l.Helper()
	got, err := l.s.Parked(ctx, l.n, id, after, limit)
	if err != nil {
		l.Fatalf("parked inputs of %v: %v", id, err)
	}
	return got
}

// inputs lists the revs of the rows of inputs, and looks at their contents.
func (l *lane) inputs(after int64) (revs []int64) {
	l.Helper()
	err := l.s.Inputs(ctx, l.n, after, func(r streams.InputRow) error {
		revs = append(revs, r.Rev)
		want := streams.InputRow{Rev: r.Rev, At: noon.Add(time.Duration(r.Rev)), Entries: fmt.Append(binary, r.Rev)}
		check(l, "row of inputs", nil, r, want)
		return nil
	})
	if err != nil {
		l.Fatalf("inputs: %v", err)
	}
	return revs
}

var housekeepingCases = []testCase{
	{"ExpireForgetsWhatIsOlder", func(p *place) {
		l := p.fresh()
		l.commit(streams.Tx{
			Replies:   []streams.Reply{{ID: "old", At: noon.Add(-1)}, {ID: "at", At: noon}, {ID: "new", At: noon.Add(1)}},
			Externals: []streams.ExternalID{{Source: "s", ID: "old", At: noon.Add(-1)}, {Source: "s", ID: "at", At: noon}},
		})
		check(p, "expire", l.s.Expire(ctx, noon), 0, 0)
		replies, err := l.s.Replies(ctx, 3, []string{"old", "at", "new"})
		check(p, "replies that are left", err, len(replies), 2)
		ids, err := l.s.Externals(ctx, 3, []streams.ExternalID{{Source: "s", ID: "old"}, {Source: "s", ID: "at"}})
		check(p, "externals that are left", err, ids, []streams.ExternalID{{Source: "s", ID: "at", At: noon}})
	}},
	{"ExpireTakesManyAndNoPartInCommits", func(p *place) {
		l := p.fresh()
		var tx streams.Tx
		for i := range 3500 {
			tx.Replies = append(tx.Replies, streams.Reply{ID: fmt.Sprint(i), At: noon})
		}
		l.commit(tx)
		l.commit(everything(cart, 1, 1))
		check(p, "expire", l.s.Expire(ctx, noon.Add(1)), 0, 0)
		replies, err := l.s.Replies(ctx, 3, []string{"0", "1999", "3499", "r-1"})
		check(p, "replies that are left", err, len(replies), 0)
		l.commit(step(cart, 2, 2)) // the rev is as it was
		check(p, "timers, effects, parked and events that are left", nil,
			fmt.Sprintf("%s %d %d", l.timers(noon, 10), len(l.parked(cart, 0, 10)), len(l.outbox(0, 10))), "t-1 1 2")
	}},
}
