package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/weirstream/weir/streams"
)

var identityCases = []testCase{
	{"InfoRecordsPartitionsOnce", func(p *place) {
		s := p.store()
		info, err := s.Info(ctx, 0)
		check(p, "partitions before they are recorded", err, info.Partitions, 0)
		info, err = s.Info(ctx, 12)
		check(p, "partitions", err, info.Partitions, 12)
		if _, err := s.Info(ctx, 16); err == nil || !strings.Contains(err.Error(), "12") || !strings.Contains(err.Error(), "16") {
			p.Errorf("another partition count: got error %v, want one that names 12 and 16", err)
		}
		again, err := p.reopen(s).Info(ctx, 12)
		check(p, "info after it was reopened", err, again, info)
	}},
	{"IncarnationIsTheStores", func(p *place) {
		one := p.store()
		a, err := one.Info(ctx, 4)
		if err != nil || a.Incarnation == "" {
			p.Fatalf("info: %+v, %v; want an incarnation", a, err)
		}
		b, err := p.store().Info(ctx, 4)
		check(p, "incarnation of another opener", err, b.Incarnation, a.Incarnation)
		c, err := p.another().Info(ctx, 4)
		if err != nil || c.Incarnation == a.Incarnation {
			p.Errorf("another store has incarnation %q too, %v", c.Incarnation, err)
		}
		check(p, "incarnation in a cursor", nil, p.claim(one, 0).c.Incarnation, a.Incarnation)
	}},
	{"CloseRefuses", func(p *place) {
		l := p.fresh()
		l.s.Close()
		if err := l.try(step(cart, 1, 1)); err == nil {
			p.Error("a commit after Close succeeded")
		}
		if _, err := l.s.Load(ctx, 3, []streams.StreamID{cart}); err == nil {
			p.Error("a read after Close succeeded")
		}
		if _, err := l.s.Claim(ctx, 3); err == nil {
			p.Error("a claim after Close succeeded")
		}
	}},
	{"EndedContextRefuses", func(p *place) {
		l := p.fresh()
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := l.s.Load(ended, 3, []streams.StreamID{cart}); !errors.Is(err, context.Canceled) {
			p.Errorf("load: got error %v, want context.Canceled", err)
		}
		if _, err := l.s.Claim(ended, 3); !errors.Is(err, context.Canceled) {
			p.Errorf("claim: got error %v, want context.Canceled", err)
		}
	}},
}

var cursorCases = []testCase{
	{"ClaimRaisesEpochAndRev", func(p *place) {
		l := p.fresh()
		was := l.c
		if was.Lane != 3 || was.Epoch < 1 || was.LastSeq != 0 || was.Published != 0 || !was.Clock.IsZero() {
			p.Errorf("a new lane's cursor: %+v", was)
		}
		now := p.claim(l.s, 3).c
		if now.Epoch <= was.Epoch || now.Rev <= was.Rev {
			p.Errorf("second claim: epoch %d and rev %d, after %d and %d", now.Epoch, now.Rev, was.Epoch, was.Rev)
		}
	}},
	{"CursorChangesNothing", func(p *place) {
		l := p.fresh()
		for range 2 {
			c, err := stored(l.s.Cursor(ctx, 3))
			check(p, "cursor", err, c, l.c)
		}
		l.commit(streams.Tx{})
		c, err := l.s.Cursor(ctx, 9)
		check(p, "epoch of a lane never claimed", err, c.Epoch, 0)
	}},
	{"CursorSurvives", func(p *place) {
		l := p.fresh()
		l.c.LastSeq, l.c.Published, l.c.Clock = 42, 40, noon
		l.c.Inputs["orders"] = streams.Position{TopicID: [16]byte{1, 0, 255}, Offset: 1 << 40}
		l.c.Seen[streams.Source{Topic: "orders", Lane: "order/3/abc"}] = 9
		l.c.Sent[streams.Target{Topic: "carts", Partition: 3}] = 41
		l.commit(streams.Tx{})
		c, err := stored(p.reopen(l.s).Cursor(ctx, 3))
		check(p, "cursor", err, c, l.c)
		if !reflect.DeepEqual(c, l.c) {
			p.Errorf("cursor: %+v, want %+v", c, l.c)
		}
	}},
	{"CommitLeavesTheCallersCursor", func(p *place) {
		l := p.fresh()
		c := l.c.Clone()
		if err := l.s.Commit(ctx, 3, &streams.Tx{Cursor: c}); err != nil {
			p.Fatal(err)
		}
		check(p, "rev of the cursor handed over", nil, c.Rev, l.c.Rev)
	}},
	{"CommitComparesRev", func(p *place) {
		l := p.fresh()
		l.commit(step(cart, 1, 1))
		for _, by := range []int64{-1, 1} {
			l.c.Rev += by
			l.fenced(step(cart, 2, 2), fmt.Sprintf("rev off by %d", by))
			l.c.Rev -= by
		}
		l.commit(step(cart, 2, 2))
	}},
	{"CommitComparesEpoch", func(p *place) {
		l := p.fresh()
		for _, by := range []int64{-1, 1} {
			l.c.Epoch += by
			l.fenced(step(cart, 1, 1), fmt.Sprintf("epoch off by %d", by))
			l.c.Epoch -= by
		}
		l.commit(step(cart, 1, 1))
	}},
	{"EpochFencesEvenAtTheSameRev", func(p *place) {
		old := p.fresh()
		now := p.claim(old.s, 3)
		old.c.Rev = now.c.Rev
		old.fenced(step(cart, 1, 1), "an older owner that guesses the rev")
	}},
	{"CommitOfALaneNeverClaimed", func(p *place) {
		l := p.fresh()
		l.n = 8
		l.fenced(step(cart, 1, 1), "a lane never claimed")
	}},
	{"ClaimersFenceOneAnother", func(p *place) {
		a := p.claim(p.store(), 3)
		a.commit(step(cart, 1, 1))
		b := p.claim(p.store(), 3)
		a.fenced(step(cart, 2, 2), "the older of two owners")
		b.commit(step(cart, 2, 2))
		c := p.claim(a.s, 3)
		b.fenced(step(cart, 3, 3), "an owner after the first claimed again")
		c.commit(step(cart, 3, 3))
		check(p, "events", nil, seqs(c.outbox(0, 10)), []int64{1, 2, 3})
	}},
	{"ClaimsAtOnceGetEpochsOfTheirOwn", func(p *place) {
		stores := []streams.Store{p.store(), p.store()}
		var mu sync.Mutex
		var wg sync.WaitGroup
		epochs := map[int64]bool{}
		for i := range 20 {
			wg.Go(func() {
				c, err := stores[i%2].Claim(ctx, 3)
				if err != nil {
					p.Errorf("claim: %v", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if epochs[c.Epoch] {
					p.Errorf("two claims got epoch %d", c.Epoch)
				}
				epochs[c.Epoch] = true
			})
		}
		wg.Wait()
	}},
	{"OneOfTwoCommitsAtOnceWins", func(p *place) {
		a, b := p.fresh(), &lane{}
		*b = *a
		b.s = p.store()
		for i := range int64(10) {
			errs := make(chan error, 2)
			for _, l := range []*lane{a, b} {
				go func() { errs <- l.try(step(cart, i+1, i+1)) }()
			}
			x, y := <-errs, <-errs
			if (x == nil) == (y == nil) || !errors.Is(errors.Join(x, y), streams.ErrFenced) {
				p.Fatalf("two commits on one rev: %v, %v; want one fenced", x, y)
			}
			c, err := a.s.Cursor(ctx, 3)
			if err != nil {
				p.Fatal(err)
			}
			a.c, b.c = c, c
		}
		check(p, "events", nil, seqs(a.outbox(0, 20)), []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	}},
	{"LanesDoNotDisturbOneAnother", lanesAtOnce},
}

// lanesAtOnce commits on many lanes of two openers while one of them always
// fails.
func lanesAtOnce(p *place) {
	const lanes, commits = 8, 25
	stores := []streams.Store{p.store(), p.store()}
	var wg sync.WaitGroup
	for n := range int32(lanes) {
		l := p.claim(stores[n%2], n)
		wg.Go(func() {
			id := streams.StreamID{Decider: "cart", Key: fmt.Sprint("k", n)}
			for i := range int64(commits) {
				if n == 0 {
					bad := step(id, i+1, i+1)
					bad.Snapshots[0].Prev = 99
					if err := l.try(bad); !errors.Is(err, streams.ErrFenced) {
						p.Errorf("bad commit: %v", err)
					}
				} else if err := l.try(step(id, i+1, i+1)); err != nil {
					p.Errorf("lane %d beside a lane that fails: %v", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for n := range int32(lanes) {
		c, err := stores[0].Cursor(ctx, n)
		l := &lane{place: p, s: stores[0], n: n, c: c}
		want := commits
		if n == 0 {
			want = 0
		}
		check(p, fmt.Sprint("events of lane ", n), err, len(l.outbox(0, 1000)), want)
		check(p, fmt.Sprint("last seq of lane ", n), nil, c.LastSeq, int64(want))
	}
}

// everything is a transaction that leaves a trace in every method.
func everything(id streams.StreamID, seq, n int64) streams.Tx {
	tx := step(id, seq, n)
	tx.Timers = []streams.Timer{{Stream: id, Name: "quiet", ID: "t-1", Due: noon, Body: binary, Origin: from}}
	tx.Effects = []streams.PendingEffect{{Seq: n, Stream: id, ID: "e-1", Effect: "charge", Key: "k-1", Body: binary, Origin: from}}
	tx.Parked = []streams.ParkedInput{{Seq: n, Stream: id, Kind: streams.EventInput, ID: "p-1", Name: "order.placed", TypeVer: 2, Body: binary,
		Origin: from, From: "orders/3@17", At: noon, Reason: "no such order", Stack: "main.go:1"}}
	tx.Replies = []streams.Reply{{ID: "r-1", Digest: "d", Status: streams.ReplyDone, Body: binary, Token: "tok", At: noon}}
	tx.Externals = []streams.ExternalID{{Source: "shop", ID: "x-1", At: noon}}
	tx.Inputs = &streams.InputRow{Rev: n, At: noon, Entries: binary}
	return tx
}

// contents reads everything that a lane holds, through every method.
func (l *lane) contents() string {
	l.Helper()
	var out []any
	add := func(v any, err error) {
		l.Helper()
		if err != nil {
			l.Fatal(err)
		}
		out = append(out, v)
	}
	add(stored(l.s.Cursor(ctx, l.n)))
	add(l.s.Load(ctx, l.n, []streams.StreamID{cart}))
	add(l.s.Timers(ctx, l.n, noon.Add(time.Hour), 100))
	add(l.s.Effects(ctx, l.n, 0, 100))
	add(l.s.Parked(ctx, l.n, streams.StreamID{}, 0, 100))
	add(l.s.Replies(ctx, l.n, []string{"r-1"}))
	add(l.s.Externals(ctx, l.n, []streams.ExternalID{{Source: "shop", ID: "x-1"}}))
	add(l.outbox(0, 100), nil)
	add(l.events(cart, 0), nil)
	err := l.s.Inputs(ctx, l.n, 0, func(r streams.InputRow) error { add(r, nil); return nil })
	add("next timer", err)
	due, ok, err := l.s.NextTimer(ctx, l.n)
	add(fmt.Sprint(due, ok), err)
	for i, v := range out {
		if c, ok := v.(*streams.Cursor); ok {
			out[i] = *c
		}
	}
	return fmt.Sprintf("%+v", out)
}

// stored is a cursor without its store's clock, which is no part of what is kept.
func stored(c *streams.Cursor, err error) (*streams.Cursor, error) {
	if c != nil {
		c.Now = time.Time{}
	}
	return c, err
}
