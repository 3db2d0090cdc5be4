package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/projection"
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
	w := l.Writer("desk", 0)
	const n = 2*projection.PageSize + 7
	for i := range n {
		w.Emit("c", asked(fmt.Sprintf("o%03d", i), []string{"ada", "bob"}[i%2]))
	}
	w.Emit("c", Withdrawn{Loan: "o000", Reason: "regret"})
	stop := Start(p, s, l.Config())
	await(p, s, w.last)
	seen := map[string]bool{}
	last, page := "o999", ""
	for {
		loans, err := s.Documents(ctx, Loans, nil, page)
		if err != nil {
			p.Fatal(err)
		}
		for _, o := range loans.Items {
			if seen[o.Key] || o.Key >= last {
				p.Fatalf("%s comes after %s", o.Key, last)
			}
			seen[o.Key], last = true, o.Key
		}
		if page = loans.Next; page == "" {
			break
		}
		w.Emit("c", asked(fmt.Sprint("p", len(seen)), "ada")) // newer than any page
		await(p, s, w.last)
	}
	if len(seen) != n {
		p.Errorf("%d loans in all pages, want %d", len(seen), n)
	}
	bobs, err := s.Documents(ctx, Loans, map[string]string{"member": "bob", "state": "asked"}, "")
	if err != nil || len(bobs.Items) != projection.PageSize || bobs.Items[0].Values["member"] != "bob" {
		p.Errorf("bob's loans: %d (%v)", len(bobs.Items), err)
	}
	if c, err := s.Documents(ctx, Loans, map[string]string{"member": "", "state": "withdrawn"}, ""); err != nil || len(c.Items) != 1 || c.Items[0].Values["reason"] != "regret" {
		p.Errorf("withdrawn loans are %+v (%v)", c, err)
	}
	for _, token := range []string{"no-page", "bnVsbA", "e30", "eyJBdCI6MX0"} { // null, {} and {"At":1}
		if _, err := s.Documents(ctx, Loans, nil, token); !errors.Is(err, projection.ErrPage) {
			p.Errorf("the page token %s gives %v", token, err)
		}
	}
	for _, filter := range []map[string]string{nil, {"member": "ada", "state": "asked"}, {"member": "bob"}} {
		if _, err := s.Documents(ctx, Loans, filter, bobs.Next); !errors.Is(err, projection.ErrPage) {
			p.Errorf("a page token of bob's loans, asked for %v, gives %v", filter, err)
		}
	}
	if _, err := s.Sagas(ctx, projection.SagaFilter{Page: bobs.Next}); !errors.Is(err, projection.ErrPage) {
		p.Errorf("a page token of loans, asked for sagas, gives %v", err)
	}
	if more, err := s.Documents(ctx, Loans, map[string]string{"member": "bob", "state": "asked"}, bobs.Next); err != nil || len(more.Items) != 3 {
		p.Errorf("the rest of bob's loans: %d (%v)", len(more.Items), err)
	}
	stats := s.Stats(time.Now().Add(time.Second))
	i := slices.IndexFunc(stats, func(x projection.TopicStats) bool { return x.Topic == "desk.loan" })
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
	w := l.Writer("desk", 0)
	for i := range projection.PageSize {
		w.Emit(fmt.Sprintf("c%03d", i), asked(fmt.Sprintf("o%03d", i), "ada"))
		w.At = noon
	}
	w.Emit("c000", Closed{Loan: "o000"})
	l.CatchUp(p, s, l.Config(Deposit))
	for f, want := range map[projection.SagaFilter]int{{}: 2 * projection.PageSize, {Name: "deposit"}: projection.PageSize,
		{State: projection.Running}: 2*projection.PageSize - 1, {State: projection.Ended, Name: "lend"}: 1, {State: projection.Ended, Name: "deposit"}: 0} {
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
	if _, err := s.Document(ctx, Loans, "nobody"); !errors.Is(err, projection.ErrNotFound) {
		p.Errorf("an unknown loan gives %v", err)
	}
}

func awaitsItsOwn(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	rec := w.Record("c1", asked("o1", "ada"))
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
	if _, err := s.Document(ctx, Loans, "o1"); err != nil {
		p.Errorf("after Await: %v", err)
	}
	for _, bad := range []string{"", "desk.loan", "desk.loan:desk/0/i1", "desk.loan:desk/0/i1:x", "desk.loan:desk/0/i1:0", "::1", ":a:1"} {
		if err := s.Await(ctx, bad); !errors.Is(err, projection.ErrToken) {
			p.Errorf("token %q gives %v", bad, err)
		}
	}
}

func awaitsAnothers(p *place) {
	l, writes, reads := NewLog(p), p.model(), p.model()
	w := l.Writer("desk", 0)
	Start(p, writes, l.Config())
	for range 3 {
		rec := w.Record("c1", Delayed{Loan: "o1"})
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
	w := l.Writer("desk", 0)
	w.Emit("done", asked("o1", "ada"), Closed{Loan: "o1"})
	done := w.last
	w.Emit("open", asked("o2", "ada"))
	between := w.At.Add(time.Microsecond)
	w.Emit("new", asked("o3", "ada"))
	stop := Start(p, s, l.Config())
	await(p, s, w.last)
	if err := s.Prune(ctx, between); err != nil {
		p.Fatal(err)
	}
	await(p, s, done) // a token of old stays good
	w.Emit("new", Approved{Loan: "o3"})
	await(p, s, w.last) // and sequences go on
	if err := stop(); err != nil {
		p.Fatal(err)
	}
	for id, want := range map[string]int{"o1": 0, "o2": 0, "o3": 2} {
		if h, err := s.History(ctx, "loan", id); err != nil || len(h) != want {
			p.Errorf("%s has %d events, want %d (%v)", id, len(h), want, err)
		}
		if _, err := s.Document(ctx, Loans, id); err != nil {
			p.Errorf("a document was pruned: %v", err)
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
	w := l.Writer("desk", 0)
	w.Emit("done", asked("o1", "ada"), Closed{Loan: "o1"})
	cfg := l.Config()
	cfg.Keep = time.Second
	stop := Start(p, s, cfg)
	await(p, s, w.last)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		h, err := s.History(ctx, "loan", "o1")
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
	if _, err := s.Document(ctx, Loans, "o1"); err != nil {
		p.Errorf("the document was removed too: %v", err)
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
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"), Approved{Loan: "o1"}, Closed{Loan: "o1"})
	w.Emit("c2", asked("o2", "ada"), CopyWanted{Title: "A", Loan: "o2", Copies: 1})
	w.Emit("c3", asked("o3", "ada"), Withdrawn{Loan: "o3"})
	w.Emit("other", Delayed{Loan: "o2"})
	readAll(p, s, l.Config(), w.last)

	newest, err := s.List(ctx, projection.ListQuery{View: Loans, Since: noon, Limit: 2})
	if err != nil || len(newest) != 2 || newest[0].State != "withdrawn" || newest[1].State != "asked" {
		p.Errorf("the two newest are %+v (%v)", newest, err)
	}
	if since, err := s.List(ctx, projection.ListQuery{View: Loans, Since: newest[1].Begun, Limit: 10}); err != nil || len(since) != 1 || since[0].Key != "o3" {
		p.Errorf("since then there are %+v (%v)", since, err)
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
	first, err := s.FirstEvents(ctx, "c2", "loan", "o2", 10)
	if err != nil || len(first) != 3 || first[2].Type != "loan.delayed" {
		p.Errorf("of correlation and loan there are %+v (%v)", first, err)
	}
	if first, _ = s.FirstEvents(ctx, "c2", "loan", "", 1); len(first) != 1 || first[0].Type != "loan.asked" {
		p.Errorf("the first is %+v", first)
	}
}
