package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
)

var queryCases = []testCase{
	{"PagesAreStable", pagesAreStable},
	{"PagesOfSagas", pagesOfSagas},
	{"Await", awaitsItsOwn},
	{"AwaitWhatAnotherProcessWrites", awaitsAnothers},
	{"Prune", prune},
	{"EventsAreKeptForAWhile", keepAWhile},
	{"WhatIsRecentAndInFlight", whatIsRecentAndInFlight},
}

func pagesAreStable(p *place) {
	l, s := NewLog(p), p.model()
	w := l.writer("order", 0)
	const n = 2*projection.PageSize + 7
	for i := range n {
		w.emit("c", placed(fmt.Sprintf("o%03d", i), []string{"ada", "bob"}[i%2]))
	}
	w.emit("c", event.OrderCancelled{Order: "o000", Reason: "regret"})
	stop := Start(p, s, l.Config())
	await(p, s, w.last)
	seen := map[string]bool{}
	last, page := "o999", ""
	for {
		orders, err := s.Orders(ctx, "", "", page)
		if err != nil {
			p.Fatal(err)
		}
		for _, o := range orders.Items {
			if seen[o.ID] || o.ID >= last {
				p.Fatalf("%s comes after %s", o.ID, last)
			}
			seen[o.ID], last = true, o.ID
		}
		if page = orders.Next; page == "" {
			break
		}
		w.emit("c", placed(fmt.Sprint("p", len(seen)), "ada")) // newer than any page
		await(p, s, w.last)
	}
	if len(seen) != n {
		p.Errorf("%d orders in all pages, want %d", len(seen), n)
	}
	bobs, err := s.Orders(ctx, "bob", "placed", "")
	if err != nil || len(bobs.Items) != projection.PageSize || bobs.Items[0].Customer != "bob" {
		p.Errorf("bob's orders: %d (%v)", len(bobs.Items), err)
	}
	if c, err := s.Orders(ctx, "", "cancelled", ""); err != nil || len(c.Items) != 1 || c.Items[0].Reason != "regret" {
		p.Errorf("cancelled orders are %+v (%v)", c, err)
	}
	if _, err := s.Orders(ctx, "", "", "no-page"); !errors.Is(err, projection.ErrPage) {
		p.Errorf("a damaged page token gives %v", err)
	}
	stats := s.Stats(time.Now().Add(time.Second))
	i := slices.IndexFunc(stats, func(x projection.TopicStats) bool { return x.Topic == "order.order" })
	if i < 0 || stats[i].Records < n || stats[i].PerSecond <= 0 {
		p.Errorf("stats are %+v", stats)
	}
	if err := stop(); err != nil {
		p.Fatal(err)
	}
}

// Sagas of one moment are told apart by their names and correlations.
func pagesOfSagas(p *place) {
	l, s := NewLog(p), p.model()
	w := l.writer("order", 0)
	for i := range projection.PageSize {
		w.emit(fmt.Sprintf("c%03d", i), placed(fmt.Sprintf("o%03d", i), "ada"))
		w.at = noon
	}
	w.emit("c000", event.OrderClosed{Order: "o000"})
	l.CatchUp(p, s, l.Config(Payment))
	for f, want := range map[projection.SagaFilter]int{{}: 2 * projection.PageSize, {Name: "pay"}: projection.PageSize,
		{State: projection.Running}: 2*projection.PageSize - 1, {State: projection.Ended, Name: "place-order"}: 1, {State: projection.Ended, Name: "pay"}: 0} {
		seen := map[string]bool{}
		for more := true; more; more = f.Page != "" {
			page, err := s.Sagas(ctx, f)
			if err != nil {
				p.Fatal(err)
			}
			for _, x := range page.Items {
				seen[x.Name+" "+x.Correlation] = true
			}
			f.Page = page.Next
		}
		if len(seen) != want {
			p.Errorf("%+v finds %d sagas, want %d", f, len(seen), want)
		}
	}
	if _, err := s.Sagas(ctx, projection.SagaFilter{Page: "e30x"}); !errors.Is(err, projection.ErrPage) {
		p.Errorf("a damaged page token gives %v", err)
	}
	if _, err := s.Saga(ctx, "nobody"); !errors.Is(err, projection.ErrNotFound) {
		p.Errorf("an unknown saga gives %v", err)
	}
	if _, err := s.Order(ctx, "nobody"); !errors.Is(err, projection.ErrNotFound) {
		p.Errorf("an unknown order gives %v", err)
	}
}

func awaitsItsOwn(p *place) {
	l, s := NewLog(p), p.model()
	w := l.writer("order", 0)
	rec := w.record("c1", placed("o1", "ada"))
	Start(p, s, l.Config())
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := s.Await(short, w.last.String()); !errors.Is(err, context.DeadlineExceeded) {
		p.Errorf("before the event: %v", err)
	}
	go func() {
		time.Sleep(20 * time.Millisecond)
		l.Produce(rec)
	}()
	await(p, s, w.last)
	if _, err := s.Order(ctx, "o1"); err != nil {
		p.Errorf("after Await: %v", err)
	}
	for _, bad := range []string{"", "order.order", "order.order:order/0/i1", "order.order:order/0/i1:x", "order.order:order/0/i1:0", "::1", ":a:1"} {
		if err := s.Await(ctx, bad); !errors.Is(err, projection.ErrToken) {
			p.Errorf("token %q gives %v", bad, err)
		}
	}
}

func awaitsAnothers(p *place) {
	l, writes, reads := NewLog(p), p.model(), p.model()
	w := l.writer("order", 0)
	Start(p, writes, l.Config())
	for range 3 {
		rec := w.record("c1", event.OrderDelayed{Order: "o1"})
		go func() {
			time.Sleep(100 * time.Millisecond)
			l.cl.Produce(ctx, rec, nil)
		}()
		await(p, reads, w.last)
	}
	if h, err := reads.Events(ctx, "c1"); err != nil || len(h) != 3 {
		p.Errorf("the reader has %d events, want 3 (%v)", len(h), err)
	}
}

func prune(p *place) {
	l, s := NewLog(p), p.model()
	w := l.writer("order", 0)
	w.emit("done", placed("o1", "ada"), event.OrderClosed{Order: "o1"})
	done := w.last
	w.emit("open", placed("o2", "ada"))
	between := w.at.Add(time.Microsecond)
	w.emit("new", placed("o3", "ada"))
	stop := Start(p, s, l.Config())
	await(p, s, w.last)
	if err := s.Prune(ctx, between); err != nil {
		p.Fatal(err)
	}
	await(p, s, done) // a token of old stays good
	w.emit("new", event.OrderConfirmed{Order: "o3"})
	await(p, s, w.last) // and sequences go on
	if err := stop(); err != nil {
		p.Fatal(err)
	}
	for id, want := range map[string]int{"o1": 0, "o2": 0, "o3": 2} {
		if h, err := s.History(ctx, id); err != nil || len(h) != want {
			p.Errorf("%s has %d events, want %d (%v)", id, len(h), want, err)
		}
		if _, err := s.Order(ctx, id); err != nil {
			p.Errorf("an order was pruned: %v", err)
		}
	}
	if _, err := s.Saga(ctx, "done"); !errors.Is(err, projection.ErrNotFound) {
		p.Errorf("an ended saga stays: %v", err)
	}
	if x, err := s.Saga(ctx, "open"); err != nil || x[0].Events != 1 {
		p.Errorf("a running saga went: %+v, %v", x, err)
	}
}

// keepAWhile runs a writer that keeps events for a second only.
func keepAWhile(p *place) {
	l, s := NewLog(p), p.model()
	w := l.writer("order", 0)
	w.emit("done", placed("o1", "ada"), event.OrderClosed{Order: "o1"})
	cfg := l.Config()
	cfg.Keep = time.Second
	stop := Start(p, s, cfg)
	await(p, s, w.last)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		h, err := s.History(ctx, "o1")
		if err != nil {
			p.Fatal(err)
		}
		if len(h) == 0 {
			break
		}
		if time.Now().After(end) {
			p.Fatalf("%d events are kept after ten seconds", len(h))
		}
	}
	if _, err := s.Order(ctx, "o1"); err != nil {
		p.Errorf("the order was removed too: %v", err)
	}
	if err := stop(); err != nil {
		p.Fatal(err)
	}
}

func whatIsRecentAndInFlight(p *place) {
	l, s := NewLog(p), p.model()
	if f, err := s.InFlight(ctx, noon, 10); err != nil || f.Sagas != 0 || !f.Oldest.IsZero() {
		p.Errorf("an empty read model has %+v in flight (%v)", f, err)
	}
	w := l.writer("order", 0)
	w.emit("c1", placed("o1", "ada"), event.OrderConfirmed{Order: "o1"}, event.OrderClosed{Order: "o1"})
	w.emit("c2", placed("o2", "ada"), event.HoldRequested{SKU: "A", Order: "o2", Quantity: 1})
	w.emit("c3", placed("o3", "ada"), event.OrderCancelled{Order: "o3"})
	w.emit("other", event.OrderDelayed{Order: "o2"})
	readAll(p, s, l.Config(), w.last)

	passed, err := s.Passages(ctx, noon, 2)
	if err != nil || len(passed) != 2 || passed[0].State != "cancelled" || passed[0].Cancelled.IsZero() || passed[1].State != "placed" {
		p.Errorf("the two newest are %+v (%v)", passed, err)
	}
	if passed, _ = s.Passages(ctx, time.Time{}, 10); len(passed) != 3 || !passed[2].Closed || passed[2].Confirmed.Sub(passed[2].Placed) != time.Millisecond {
		p.Errorf("all are %+v", passed)
	}
	if f, err := s.InFlight(ctx, noon.Add(2*time.Hour), 10); err != nil || f.Sagas != 2 || f.Late != 2 || f.Oldest != noon.Add(4*time.Millisecond) {
		p.Errorf("in flight is %+v (%v)", f, err)
	}
	if f, _ := s.InFlight(ctx, noon, 1); f.Sagas != 1 || f.Late != 0 {
		p.Errorf("of one that is looked at, %+v is in flight", f)
	}
	if late, err := s.Late(ctx, noon.Add(2*time.Hour), 10); err != nil || len(late) != 2 || late[0].Correlation != "c2" {
		p.Errorf("late are %+v (%v)", late, err)
	}
	if late, _ := s.Late(ctx, noon, 10); len(late) != 0 {
		p.Errorf("in time, %+v are late", late)
	}
	first, err := s.FirstEvents(ctx, "c2", "o2", 10)
	if err != nil || len(first) != 3 || first[2].Type != "order.delayed" {
		p.Errorf("of correlation and order there are %+v (%v)", first, err)
	}
	if first, _ = s.FirstEvents(ctx, "c2", "", 1); len(first) != 1 || first[0].Type != "order.placed" {
		p.Errorf("the first is %+v", first)
	}
}
