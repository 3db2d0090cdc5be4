package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
)

var traceCases = []testCase{
	{"AFencedCommitLeavesNoTrace", func(p *place) {
		old := p.fresh()
		now := p.claim(p.store(), 3)
		before := now.contents()
		old.fenced(everything(cart, 1, 1), "an older owner")
		check(p, "contents after a fenced commit", nil, now.contents(), before)
	}},
	{"AFencedCommitRemovesNothing", func(p *place) {
		old := p.fresh()
		old.commit(everything(cart, 1, 1))
		now := p.claim(p.store(), 3)
		before := now.contents()
		old.fenced(streams.Tx{Cancel: []streams.TimerKey{{Stream: cart, Name: "quiet"}}, Done: []int64{1}, Unparked: []int64{1}}, "an older owner")
		check(p, "contents after a fenced commit", nil, now.contents(), before)
	}},
	{"AWrongPrevLeavesNoTrace", func(p *place) {
		l := p.fresh()
		l.commit(everything(cart, 1, 1))
		before := l.contents()
		tx := everything(cart, 2, 2)
		tx.Cancel, tx.Done, tx.Unparked = []streams.TimerKey{{Stream: cart, Name: "quiet"}}, []int64{1}, []int64{1}
		tx.Snapshots = append(tx.Snapshots, snapshot(streams.StreamID{Decider: "cart", Key: "c-2"}, 4, 5))
		l.fenced(tx, "a snapshot on top of what is not stored")
		check(p, "contents after a commit on a wrong version", nil, l.contents(), before)
		l.commit(step(cart, 2, 2))
	}},
	{"ReopenKeepsEverything", func(p *place) {
		l := p.fresh()
		l.commit(everything(cart, 1, 1))
		before := l.contents()
		if !strings.Contains(before, "saga-1") {
			p.Fatalf("contents lack what was written: %s", before)
		}
		l.s = p.reopen(l.s)
		check(p, "contents after it was reopened", nil, l.contents(), before)
		check(p, "contents for another opener", nil, (&lane{place: p, s: p.store(), n: 3}).contents(), before)
	}},
	{"LanesAreApart", func(p *place) {
		a := p.fresh()
		a.commit(everything(cart, 1, 1))
		b, c := p.claim(a.s, 2), p.claim(a.s, 4)
		for _, l := range []*lane{b, c} {
			if s := l.contents(); strings.Contains(s, "saga-1") || strings.Contains(s, "cart") {
				p.Errorf("lane %d shows what lane 3 holds: %s", l.n, s)
			}
		}
		before := a.contents()
		b.commit(everything(cart, 1, 1))
		c.commit(streams.Tx{Cancel: []streams.TimerKey{{Stream: cart, Name: "quiet"}}, Done: []int64{1}, Unparked: []int64{1}})
		check(p, "contents after its neighbours' commits", nil, a.contents(), before)
	}},
}

var snapshotCases = []testCase{
	{"LoadLeavesOutWhatIsNotThere", func(p *place) {
		l := p.fresh()
		other := streams.StreamID{Decider: "shelf", Key: cart.Key}
		l.commit(streams.Tx{Snapshots: []streams.Snapshot{snapshot(cart, 0, 3)}})
		got, err := l.s.Load(ctx, 3, []streams.StreamID{{Decider: "cart", Key: "none"}, cart, other})
		check(p, "load", err, got, []streams.Snapshot{snapshot(cart, 0, 3)})
		got, err = l.s.Load(ctx, 3, nil)
		check(p, "load of nothing", err, len(got), 0)
	}},
	{"SnapshotComparesPrev", func(p *place) {
		l := p.fresh()
		l.fenced(streams.Tx{Snapshots: []streams.Snapshot{snapshot(cart, 1, 2)}}, "version 1 of a stream never written")
		l.commit(streams.Tx{Snapshots: []streams.Snapshot{snapshot(cart, 0, 2)}})
		for _, prev := range []int64{0, 1, 3} {
			l.fenced(streams.Tx{Snapshots: []streams.Snapshot{snapshot(cart, prev, 4)}}, fmt.Sprintf("prev %d on top of version 2", prev))
		}
		l.commit(streams.Tx{Snapshots: []streams.Snapshot{snapshot(cart, 2, 2)}})
		l.commit(streams.Tx{Snapshots: []streams.Snapshot{snapshot(cart, 2, 4)}})
		got, err := l.s.Load(ctx, 3, []streams.StreamID{cart})
		want := snapshot(cart, 0, 4)
		check(p, "load", err, got, []streams.Snapshot{want})
	}},
	{"OneWrongPrevAmongManyFailsAll", func(p *place) {
		l := p.fresh()
		ss := make([]streams.Snapshot, 200)
		ids := make([]streams.StreamID, len(ss))
		for i := range ss {
			ids[i] = streams.StreamID{Decider: "cart", Key: fmt.Sprint("c-", i)}
			ss[i] = snapshot(ids[i], 0, 1)
		}
		for _, bad := range []int{0, 77, 199} {
			ss[bad].Prev = 1
			l.fenced(streams.Tx{Snapshots: ss}, fmt.Sprintf("snapshot %d of 200 on a wrong version", bad))
			ss[bad].Prev = 0
		}
		got, err := l.s.Load(ctx, 3, ids)
		check(p, "snapshots after failed commits", err, len(got), 0)
		l.commit(streams.Tx{Snapshots: ss})
		got, err = l.s.Load(ctx, 3, ids)
		check(p, "snapshots", err, len(got), len(ss))
	}},
	{"KeysAreExact", func(p *place) {
		l := p.fresh()
		keys := []string{"é", "e\u0301", "É", "日本", "🛒", " a", "a", "a ", "A", "a'b\"c", "%_", "a\tb\n", "\\", "ß", "ss"}
		var tx streams.Tx
		var ids []streams.StreamID
		for i, k := range keys {
			id := streams.StreamID{Decider: "cart", Key: k}
			ids = append(ids, id)
			tx.Snapshots = append(tx.Snapshots, snapshot(id, 0, int64(i+1)))
		}
		l.commit(tx)
		got, err := l.s.Load(ctx, 3, ids)
		check(p, "snapshots", err, len(got), len(keys))
		for _, s := range got {
			check(p, fmt.Sprintf("version of key %q", s.Stream.Key), nil, keys[s.Version-1], s.Stream.Key)
		}
	}},
	{"BodiesAreBytes", func(p *place) {
		l := p.fresh()
		for i, body := range [][]byte{binary, nil, {0}, bytes.Repeat([]byte{0xff, 0}, 1<<20)} {
			s := snapshot(cart, int64(i), int64(i+1))
			s.State = body
			e := event(cart, int64(i+1), int64(i+1))
			e.Record = body
			l.commit(streams.Tx{Snapshots: []streams.Snapshot{s}, Events: []streams.StoredEvent{e}})
			got, err := l.s.Load(ctx, 3, []streams.StreamID{cart})
			if err != nil || len(got) != 1 || !bytes.Equal(got[0].State, body) {
				p.Errorf("state of %d bytes came back otherwise: %v", len(body), err)
			}
			if out := l.outbox(int64(i), 1); len(out) != 1 || !bytes.Equal(out[0].Record, body) {
				p.Errorf("record of %d bytes came back otherwise", len(body))
			}
		}
	}},
}

var eventCases = []testCase{
	{"AKindOfAFailedCommitIsKeptByTheNext", func(p *place) {
		l := p.fresh()
		twice := streams.Tx{Events: []streams.StoredEvent{event(cart, 1, 1), event(cart, 1, 1)}, Snapshots: []streams.Snapshot{snapshot(cart, 0, 1)}}
		if err := l.try(twice); err == nil || errors.Is(err, streams.ErrFenced) {
			p.Fatalf("two events of one sequence: %v", err)
		}
		l.commit(streams.Tx{Events: []streams.StoredEvent{event(cart, 1, 1)}, Snapshots: []streams.Snapshot{snapshot(cart, 0, 1)}})
		l.s = p.reopen(l.s)
		check(p, "outbox", nil, l.outbox(0, 10), []streams.StoredEvent{event(cart, 1, 1)})
	}},
	{"EventsComeBackWhole", func(p *place) {
		l := p.fresh()
		a := event(cart, 1, 1)
		a.Key, a.Partition, a.Topic = "日本", 11, "claims"
		report := streams.StoredEvent{Seq: 2, Type: "weir.parked", TypeVer: 1, Topic: "dead", Partition: 3, Key: "k", Record: binary}
		l.commit(streams.Tx{Events: []streams.StoredEvent{a, report}, Snapshots: []streams.Snapshot{snapshot(cart, 0, 1)}})
		check(p, "outbox", nil, l.outbox(0, 10), []streams.StoredEvent{a, report})
		check(p, "events", nil, l.events(cart, 0), []streams.StoredEvent{a})
	}},
	{"OutboxIsInOrderAndLimited", func(p *place) {
		l := p.fresh()
		var n int64
		for _, size := range []int64{1, 9, 3, 70} {
			var tx streams.Tx
			for range size {
				n++
				id := streams.StreamID{Decider: "cart", Key: fmt.Sprint("c-", 100-n)}
				tx.Events = append(tx.Events, event(id, n, 1))
				tx.Snapshots = append(tx.Snapshots, snapshot(id, 0, 1))
			}
			l.commit(tx)
		}
		for _, c := range []struct{ after, limit, first, last int64 }{
			{0, 1000, 1, 83}, {0, 1, 1, 1}, {5, 10, 6, 15}, {80, 10, 81, 83}, {83, 10, 84, 83}, {0, 0, 1, 0}, {900, 10, 1, 0},
		} {
			want := []int64{}
			for s := c.first; s <= c.last; s++ {
				want = append(want, s)
			}
			check(p, fmt.Sprintf("outbox above %d, limit %d", c.after, c.limit), nil, seqs(l.outbox(c.after, int(c.limit))), want)
		}
	}},
	{"OutboxWithGapsInTheSequence", func(p *place) {
		l := p.fresh()
		l.commit(streams.Tx{Events: []streams.StoredEvent{event(cart, 5, 1), event(cart, 9, 2)}, Snapshots: []streams.Snapshot{snapshot(cart, 0, 2)}})
		check(p, "outbox", nil, seqs(l.outbox(5, 10)), []int64{9})
	}},
	{"ScansEndWithTheCallersError", func(p *place) {
		l := p.fresh()
		tx := streams.Tx{Inputs: &streams.InputRow{Rev: 2}}
		tx.Events = []streams.StoredEvent{event(cart, 1, 1), event(cart, 2, 2)}
		tx.Snapshots = []streams.Snapshot{snapshot(cart, 0, 2)}
		l.commit(tx)
		stop, calls := errors.New("stop"), 0
		f := func(streams.StoredEvent) error { calls++; return stop }
		for what, err := range map[string]error{
			"outbox": l.s.Outbox(ctx, 3, 0, 10, f),
			"events": l.s.Events(ctx, 3, cart, 0, f),
			"inputs": l.s.Inputs(ctx, 3, 0, func(streams.InputRow) error { calls++; return stop }),
		} {
			if !errors.Is(err, stop) {
				p.Errorf("%s: got error %v, want the callback's", what, err)
			}
		}
		check(p, "calls", nil, calls, 3)
	}},
	{"CallbacksMayUseTheStore", func(p *place) {
		l := p.fresh()
		l.commit(step(cart, 1, 1))
		err := l.s.Outbox(ctx, 3, 0, 10, func(e streams.StoredEvent) error {
			if e.Seq == 1 {
				l.commit(step(cart, 2, 2))
			}
			_, err := l.s.Load(ctx, 3, []streams.StreamID{e.Stream})
			return err
		})
		check(p, "outbox", err, len(l.outbox(0, 10)), 2)
	}},
	{"EventsOfOneStream", func(p *place) {
		l := p.fresh()
		other := streams.StreamID{Decider: "cart", Key: "c-2"}
		twin := streams.StreamID{Decider: "shelf", Key: cart.Key}
		l.commit(streams.Tx{
			Events:    []streams.StoredEvent{event(cart, 1, 1), event(other, 2, 1), event(cart, 3, 2), event(twin, 4, 1)},
			Snapshots: []streams.Snapshot{snapshot(cart, 0, 2), snapshot(other, 0, 1), snapshot(twin, 0, 1)},
		})
		l.commit(step(other, 5, 2))
		l.commit(streams.Tx{Snapshots: []streams.Snapshot{snapshot(cart, 2, 2)}})
		l.commit(step(cart, 6, 3))
		for after, want := range [][]int64{{1, 3, 6}, {3, 6}, {6}, {}, {}} {
			check(p, fmt.Sprint("events above ", after), nil, seqs(l.events(cart, int64(after))), want)
		}
		check(p, "events of another key", nil, seqs(l.events(other, 0)), []int64{2, 5})
		check(p, "events of another decider", nil, seqs(l.events(twin, 0)), []int64{4})
		check(p, "events of nobody", nil, seqs(l.events(streams.StreamID{Decider: "cart", Key: "none"}, 0)), []int64{})
	}},
	{"EventsWithoutSnapshots", func(p *place) {
		l := p.fresh()
		l.commit(streams.Tx{Events: []streams.StoredEvent{event(cart, 1, 1), event(cart, 2, 2)}})
		check(p, "events before any snapshot", nil, seqs(l.events(cart, 0)), []int64{1, 2})
		tx := step(cart, 3, 3)
		tx.Snapshots[0].Prev = 0
		l.commit(tx)
		check(p, "events, some of them from before it", nil, seqs(l.events(cart, 0)), []int64{1, 2, 3})
	}},
	{"ALargeTransaction", func(p *place) {
		const n = 20_000
		l := p.fresh()
		tx := streams.Tx{Inputs: &streams.InputRow{Rev: 2, At: noon, Entries: bytes.Repeat(binary, 1<<16)}}
		for i := range int64(n) {
			id := streams.StreamID{Decider: "cart", Key: fmt.Sprint("c-", i%5000)}
			tx.Events = append(tx.Events, event(id, i+1, i/5000+1))
			if i < 5000 {
				tx.Snapshots = append(tx.Snapshots, snapshot(id, 0, n/5000))
			}
		}
		l.commit(tx)
		got := l.outbox(0, n+1)
		check(p, "events", nil, len(got), n)
		for i, e := range got {
			if e.Seq != int64(i+1) {
				p.Fatalf("event %d of the outbox has sequence %d", i, e.Seq)
			}
		}
		check(p, "events of one stream", nil, seqs(l.events(streams.StreamID{Decider: "cart", Key: "c-17"}, 1)), []int64{5018, 10018, 15018})
	}},
	{"LargeRecords", func(p *place) { // more than is read at once
		l := p.fresh()
		var want []int64
		for seq := int64(1); seq <= 9; seq++ {
			tx := step(cart, seq, seq)
			tx.Events[0].Record = bytes.Repeat(binary, 1<<16)
			tx.Inputs = &streams.InputRow{Rev: seq + 1, At: noon, Entries: bytes.Repeat(binary, 1<<16)}
			l.commit(tx)
			want = append(want, seq)
		}
		check(p, "the outbox", nil, seqs(l.outbox(0, 100)), want)
		check(p, "some of the outbox", nil, seqs(l.outbox(1, 7)), want[1:8])
		check(p, "events of the stream", nil, seqs(l.events(cart, 0)), want)
		rows := []int64{}
		err := l.s.Inputs(ctx, l.n, 0, func(r streams.InputRow) error {
			rows = append(rows, r.Rev-1)
			return nil
		})
		check(p, "inputs", err, rows, want)
	}},
}

var timerCases = []testCase{
	{"TimersAreSetAndReplaced", func(p *place) {
		l := p.fresh()
		a := streams.Timer{Stream: cart, Name: "quiet", ID: "t-1", Due: noon, Body: binary, Origin: from}
		b := a
		b.Name = "late"
		l.commit(streams.Tx{Timers: []streams.Timer{a}})
		b.Due = noon.Add(time.Second)
		a.ID, a.Due, a.Body, a.Origin.Causation = "t-2", noon.Add(time.Hour), nil, "input-2"
		l.commit(streams.Tx{Timers: []streams.Timer{a, b}})
		got, err := l.s.Timers(ctx, 3, noon.Add(time.Hour), 10)
		check(p, "timers", err, got, []streams.Timer{b, a})
	}},
	{"TimersAreCancelled", func(p *place) {
		l := p.fresh()
		other := streams.StreamID{Decider: "cart", Key: "c-2"}
		l.commit(streams.Tx{Timers: []streams.Timer{{Stream: cart, Name: "a", ID: "1", Due: noon}, {Stream: cart, Name: "b", ID: "2", Due: noon.Add(1)},
			{Stream: other, Name: "a", ID: "3", Due: noon.Add(2)}}})
		l.commit(streams.Tx{Cancel: []streams.TimerKey{{Stream: cart, Name: "a"}, {Stream: cart, Name: "never set"}}})
		check(p, "timers", nil, l.timers(noon.Add(time.Hour), 10), "2 3")
	}},
	{"CancelComesBeforeTimers", func(p *place) {
		l := p.fresh()
		key := []streams.TimerKey{{Stream: cart, Name: "a"}}
		l.commit(streams.Tx{Timers: []streams.Timer{{Stream: cart, Name: "a", ID: "1", Due: noon}}})
		l.commit(streams.Tx{Cancel: key, Timers: []streams.Timer{{Stream: cart, Name: "a", ID: "2", Due: noon}}})
		check(p, "timers", nil, l.timers(noon, 10), "2")
	}},
	{"TimersAreDueInOrder", func(p *place) {
		l := p.fresh()
		var tx streams.Tx
		for _, i := range []int{7, 2, 9, 1, 5, 3, 8, 0, 6, 4} {
			tx.Timers = append(tx.Timers, streams.Timer{Stream: streams.StreamID{Decider: "cart", Key: fmt.Sprint(9 - i)}, Name: "t", ID: fmt.Sprint(i),
				Due: noon.Add(time.Duration(i))})
		}
		l.commit(tx)
		check(p, "none due", nil, l.timers(noon.Add(-1), 10), "")
		check(p, "due at or before", nil, l.timers(noon.Add(4), 10), "0 1 2 3 4")
		check(p, "due and limited", nil, l.timers(noon.Add(time.Hour), 3), "0 1 2")
	}},
	{"NextTimer", func(p *place) {
		l := p.fresh()
		_, ok, err := l.s.NextTimer(ctx, 3)
		check(p, "next timer of an empty lane", err, ok, false)
		l.commit(streams.Tx{Timers: []streams.Timer{{Stream: cart, Name: "a", Due: noon.Add(time.Hour)}, {Stream: cart, Name: "b", Due: noon}}})
		due, ok, err := l.s.NextTimer(ctx, 3)
		check(p, "next timer", err, ok && due.Equal(noon), true)
		l.commit(streams.Tx{Cancel: []streams.TimerKey{{Stream: cart, Name: "b"}}})
		due, ok, err = l.s.NextTimer(ctx, 3)
		check(p, "next timer after a cancel", err, ok && due.Equal(noon.Add(time.Hour)), true)
	}},
}

// timers lists the ids of the timers that are due.
func (l *lane) timers(due time.Time, limit int) string {
	l.Helper()
	ts, err := l.s.Timers(ctx, l.n, due, limit)
	if err != nil {
		l.Fatal(err)
	}
	ids := []string{}
	for _, t := range ts {
		ids = append(ids, t.ID)
	}
	return strings.Join(ids, " ")
}
