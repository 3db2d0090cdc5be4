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
	proving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	r := reconciler(p, l, s)
	last := make(chan analytics.Progress, 1)
	r.Proved = func(x analytics.Progress) {
		select {
		case <-last:
		default:
		}
		last <- x
	}
	go func() { ended <- r.Run(proving) }()
	calm := p.heard(last, func(x analytics.Progress) bool { return x.Rows > 0 })
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
	p.heard(last, func(x analytics.Progress) bool {
		return x.Found["events"] == 1 && x.Found[booked] == 1 && x.Found[analytics.SagaTable("cross")] == 1 && x.Found[analytics.ViewTable("travellers")] == 1 && x.Found[analytics.HoursTable] == 1
	})
	stop()
	if err := <-ended; err != nil {
		p.Error(err)
	}
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
