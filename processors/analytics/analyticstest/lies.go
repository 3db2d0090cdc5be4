package analyticstest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

var proofCases = []testCase{
	{"NothingDiffers", nothingDiffers},
	{"LiesAreFoundWhileItRuns", liesAreFoundWhileItRuns},
	{"WhatTheLogHasNoMore", whatTheLogHasNoMore},
	{"ALieInTheLastBlock", aLieInTheLastBlock},
	{"TheLastBlockIsHalfWritten", theLastBlockIsHalfWritten},
}

// reconciler is one that looks often.
func reconciler(p *place, l *projectiontest.Log, s analytics.Store) *analytics.Reconciler {
	return &analytics.Reconciler{Store: s, Schema: schemaOf(p, ferry()), Client: l.Config().Client, Every: 50 * time.Millisecond, Again: 200 * time.Millisecond, Settled: time.Millisecond}
}

// all is what differs now.
func (p *place) all(l *projectiontest.Log, s analytics.Store) (out []string) {
	p.Helper()
	found, err := reconciler(p, l, s).All(ctx, nil)
	if err != nil {
		p.Fatal(err)
	}
	for _, d := range found {
		out = append(out, d.Kind+" "+d.Table)
	}
	slices.Sort(out)
	return out
}

// nothingDiffers after repeats, events from outside, blocks of all sizes, and a Run that
// ended in the middle.
func nothingDiffers(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := sail(l, 60)
	for i, batch := range []int{1, 7, 40, 100_000} {
		from, to := i*len(recs)/4, (i+1)*len(recs)/4
		l.Produce(recs[from:to]...)
		l.Produce(recs[:to/2]...) // again
		cfg := settings(l)
		cfg.Batch = batch
		if err := p.read(l, s, s, cfg); err != nil {
			p.Fatal(err)
		}
	}
	if found := p.all(l, s); len(found) > 0 {
		p.Errorf("differences: %v", found)
	}
}

// liesAreFoundWhileItRuns plants lies of all kinds under a writer and its reconciler, and
// wants each noted with the place of its event.
func liesAreFoundWhileItRuns(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := sail(l, 60)
	l.Produce(recs[:len(recs)/2]...)
	p.catchUp(l, s)
	stopWriting := projectiontest.Start(p, projection.NewWriter(s), settings(l))
	l.CaughtUp(p, s)
	rounds, stop := p.proving(l, s)
	calm := p.heard(rounds, func(x analytics.Progress) bool { return x.Rows > 0 })
	for table, n := range calm.Found {
		if n > 0 {
			p.Errorf("%d differences in %s before there is any", n, table)
		}
	}
	booked := analytics.EventTable("crossing.booked")
	fare := analytics.Column{Name: "fare", Kind: analytics.Amount}
	p.Drop(p, s, "events")
	p.Alter(p, s, booked, fare)
	p.Double(p, s, analytics.SagaTable("cross"))
	p.Drop(p, s, analytics.ViewTable("travellers"))
	l.Produce(recs[len(recs)/2:]...)
	l.CaughtUp(p, s)
	p.heard(rounds, func(x analytics.Progress) bool {
		return x.Found["events"] == 1 && x.Found[booked] == 1 && x.Found[analytics.SagaTable("cross")] == 1 && x.Found[analytics.ViewTable("travellers")] == 1 && x.Found[analytics.HoursTable] == 1
	})
	stop()
	if err := stopWriting(); err != nil {
		p.Error(err)
	}
	noted, err := s.Differences(ctx, 100)
	if err != nil {
		p.Fatal(err)
	}
	var kinds []string
	for _, d := range noted {
		kinds = append(kinds, d.Kind+" "+d.Table)
		if d.Kind != analytics.Rollup && (d.Topic == "" || d.ID == "" || d.Block == 0 || d.Found.IsZero()) {
			p.Errorf("it does not say which event it is of: %+v", d)
		}
	}
	slices.Sort(kinds)
	want := []string{"altered " + booked, "doubled saga_cross", "missing events", "missing view_travellers", "rollup hours"}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		p.Errorf("noted are %v, want %v", kinds, want)
	}
}

// proving has a reconciler run until it is stopped, each of whose rounds is waited for.
func (p *place) proving(l *projectiontest.Log, s analytics.Store) (rounds <-chan analytics.Progress, stop func()) {
	proving, cancel := context.WithCancel(ctx)
	p.Cleanup(cancel) // of a test that fails within
	told := make(chan analytics.Progress)
	r := reconciler(p, l, s)
	r.Proved = func(x analytics.Progress) {
		select {
		case told <- x:
		case <-proving.Done():
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(proving) }()
	return told, func() {
		cancel()
		if err := <-ended; err != nil {
			p.Error(err)
		}
	}
}

// heard waits for a round of the proof.
func (p *place) heard(rounds <-chan analytics.Progress, ok func(analytics.Progress) bool) (x analytics.Progress) {
	p.Helper()
	for end := time.After(patience); ; {
		select {
		case x = <-rounds:
			if ok(x) {
				return x
			}
		case <-end:
			p.Fatalf("the last round has found %v", x.Found)
		}
	}
}

// whatTheLogHasNoMore is compared with what was written.
func whatTheLogHasNoMore(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	l.Produce(sail(l, 30)...)
	p.catchUp(l, s)
	l.Trim(0.5)
	if found := p.all(l, s); len(found) > 0 {
		p.Errorf("differences: %v", found)
	}
	p.Drop(p, s, "events")
	if found := p.all(l, s); len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), " events") {
		p.Errorf("differences: %v", found)
	}
}

// aLieInTheLastBlock is found though no other block follows.
func aLieInTheLastBlock(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	l.Produce(sail(l, 8)...)
	if err := p.read(l, s, s, large(l)); err != nil {
		p.Fatal(err)
	}
	booked := analytics.EventTable("crossing.booked")
	p.Drop(p, s, "events")
	p.Alter(p, s, booked, analytics.Column{Name: "fare", Kind: analytics.Amount})
	p.Double(p, s, analytics.SagaTable("cross"))
	want := []string{"altered " + booked, "doubled saga_cross", "missing events", "rollup hours"}
	if found := p.all(l, s); fmt.Sprint(found) != fmt.Sprint(want) {
		p.Errorf("differences: %v, want %v", found, want)
	}
}

// theLastBlockIsHalfWritten is not proved, and a difference if it stays so.
func theLastBlockIsHalfWritten(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	l.Produce(sail(l, 1)...)
	if err := p.read(l, s, s, large(l)); err != nil {
		p.Fatal(err)
	}
	newest, err := s.Newest(ctx)
	if err != nil {
		p.Fatal(err)
	}
	blocks, err := s.Blocks(ctx, newest-1, 1)
	if err != nil || len(blocks) != 1 {
		p.Fatal(blocks, err)
	}
	p.Drop(p, s, analytics.EventTable("crossing.booked")) // its only row
	rounds, stop := p.proving(l, s)
	for range 3 {
		if x := <-rounds; x.Until.After(blocks[0].At) {
			p.Errorf("all is proved until %v, and the block of %v has rows that are missing", x.Until, blocks[0].At)
		}
	}
	stop()
	r := reconciler(p, l, s)
	r.Now = func() time.Time { return time.Now().Add(time.Minute) }
	found, err := r.All(ctx, nil)
	if err != nil || len(found) != 1 || found[0].Kind != analytics.Missing {
		p.Errorf("a minute later %v is found (%v)", found, err)
	}
}
