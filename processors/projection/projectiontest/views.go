package projectiontest

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
)

var viewCases = []testCase{
	{"AViewOfOtherKeys", aViewOfOtherKeys},
	{"ADocumentThatHasNotBegun", aDocumentThatHasNotBegun},
	{"TheEarliestBegins", theEarliestBegins},
	{"SumsStayAtTheirEnds", sumsStayAtTheirEnds},
	{"WhatAViewCannotTake", whatAViewCannotTake},
	{"AHistoryOfEachKind", aHistoryOfEachKind},
	{"PagesOfWhatIsSorted", pagesOfWhatIsSorted},
	{"ChangedTellsTheDocuments", changedTellsTheDocuments},
	{"AViewThatTheStoreDoesNotKnow", aViewThatTheStoreDoesNotKnow},
}

// A document that events of many keys make counts each of them once, whatever is read
// again, and by whom.
func aViewOfOtherKeys(p *place) {
	l, s := NewLog(p), p.model()
	w, till := l.Writer("desk", 0), l.Writer("till", 0)
	two := asked("o2", "ada")
	two.Titles = []TitleID{"A", "B"}
	first, second := w.Record("c1", asked("o1", "ada")), w.Record("c2", two)
	l.Produce(first, first, second, first, second)
	till.At = noon.Add(time.Hour)
	till.Emit("c1", DepositPaid{Loan: "o1", Member: "ada", Minor: 300})
	till.At = noon
	till.Emit("c2", DepositPaid{Loan: "o2", Member: "ada", Minor: 7}, DepositPaid{Loan: "o9",
		Minor: 1}) // that one names nobody
	for range 2 { // and a restart counts nothing again
		l.CatchUp(p, s, l.Config())
		l.Produce(first, second)
	}
	d, err := s.Document(ctx, Members, "ada")
	if err != nil || d.Values["loans"] != int64(2) || d.Values["titles"] != int64(3) ||
		d.Values["paid"] != int64(307) || d.Correlation != "c1" ||
		d.Values["paid_at"] != noon.Add(time.Hour+time.Millisecond) ||
		d.Values["asked_at"] != noon.Add(2*time.Millisecond) || d.State != "" {
		p.Errorf("the member is %+v (%v)", d, err)
	}
	const want = `{"member":"ada","loans":2,"titles_each":1.5,"asked_at":"2026-01-02T12:00:00.002Z","titles":3,"paid_at":"2026-01-02T13:00:00.001Z"}`
	if got := string(projection.JSON(Members, d)); got != want {
		p.Errorf("for all it is %s, want %s", got, want)
	}
	if n, err := s.Counts(ctx, Members); err != nil || len(n) != 1 || n[""] != 1 {
		p.Errorf("members are %v (%v)", n, err)
	}
}

// What is read before a document begins is in it once it does; until then there is none.
func aDocumentThatHasNotBegun(p *place) {
	l, s := NewLog(p), p.model()
	w, till := l.Writer("desk", 0), l.Writer("till", 0)
	rec := w.Record("c1", asked("o1", "ada"))
	w.At = noon.Add(time.Second)
	l.Produce(till.Record("c1", DepositPaid{Loan: "o1", Member: "ada", Minor: 5}))
	l.CatchUp(p, s, l.Config())
	if d, err := s.Document(ctx, Members, "ada"); !errors.Is(err, projection.ErrNotFound) {
		p.Errorf("before it began it is %+v (%v)", d, err)
	}
	if page, err := s.Documents(ctx, Members, nil, ""); err != nil || len(page.Items) != 0 {
		p.Errorf("before it began the list is %+v (%v)", page, err)
	}
	if n, err := s.Counts(ctx, Members); err != nil || len(n) != 0 {
		p.Errorf("before it began there are %v (%v)", n, err)
	}
	w.Emit("", Approved{Loan: "o7"}, CopyWanted{Title: "A"}) // the other one names no loan, and no saga
	l.Produce(rec)
	l.CatchUp(p, s, l.Config())
	if h, err := s.History(ctx, "loan", "o7"); err != nil || len(h) != 1 {
		p.Errorf("a loan that has not begun has %d events, want its own (%v)", len(h), err)
	}
	if d, err := s.Document(ctx, Members, "ada"); err != nil || d.Values["paid"] != int64(5) ||
		!d.Begun.Equal(noon.Add(time.Millisecond)) {
		p.Errorf("begun it is %+v (%v)", d, err)
	}
}

// Of two events with which a document begins, on two topics, the earlier counts.
func theEarliestBegins(p *place) {
	for _, outsideFirst := range []bool{true, false} {
		l, s := NewLog(p), p.another()
		w := l.Writer("desk", 0)
		w.At = noon.Add(-time.Hour)
		wanted, donated := w.Record("c1", CopyWanted{Title: "A", Loan: "o1", Copies: 2}), outside("dock", "d1", "A")
		for _, later := range []bool{false, true} {
			if outsideFirst != later {
				l.Produce(donated)
			} else {
				l.Produce(wanted)
			}
			l.CatchUp(p, s, l.Config())
		}
		d, err := s.Document(ctx, Titles, "A")
		if err != nil || d.Correlation != "c1" || !d.Begun.Equal(w.At) || d.Values["copies"] != int64(1) ||
			d.Values["wanted"] != int64(2) {
			p.Errorf("outside first %t: the title is %+v (%v)", outsideFirst, d, err)
		}
	}
}

// A sum that 64 bits cannot hold stays at its end: whoever sends such numbers stops
// nobody.
func sumsStayAtTheirEnds(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	for title, copies := range map[TitleID]int64{"high": math.MaxInt64, "low": math.MinInt64} {
		w.Emit("c1", CopyWanted{Title: title, Copies: copies}, CopyWanted{Title: title, Copies: copies},
			CopyWanted{Title: title, Copies: copies / math.MaxInt64})
	}
	l.CatchUp(p, s, l.Config())
	for title, want := range map[string]int64{"high": math.MaxInt64, "low": math.MinInt64} {
		if d, err := s.Document(ctx, Titles, title); err != nil || d.Values["wanted"] != want {
			p.Errorf("%s is wanted %v times, want %d (%v)", title, d.Values["wanted"], want, err)
		}
	}
	if skips, err := s.Skips(ctx); err != nil || len(skips) != 0 {
		p.Errorf("set aside are %+v (%v)", skips, err)
	}
}

// What a view's function does with data that nobody thought of costs that record, and
// nothing else. A key that a person wrote is kept as texts are.
func whatAViewCannotTake(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "!"), asked("o2", "a\x00b"), asked("o3", strings.Repeat("é", 20_000)), asked("o4", ""),
		asked("o5", "ada"))
	l.CatchUp(p, s, l.Config())
	skips, err := s.Skips(ctx)
	if err != nil || len(skips) != 1 || !strings.Contains(skips[0].Reason,
		"view loans cannot take loan.asked: panic: nobody is called so") {
		p.Errorf("set aside are %+v (%v)", skips, err)
	}
	for _, id := range []string{"o2", "o3", "o4", "o5"} {
		if _, err := s.Document(ctx, Loans, id); err != nil {
			p.Error(err)
		}
	}
	page, err := s.Documents(ctx, Members, nil, "")
	if err != nil || len(page.Items) != 3 || page.Items[2].Key != "a\ufffdb" || page.Items[0].Key != "ada" {
		p.Errorf("members are %d (%v)", len(page.Items), err)
	}
}

// An event is about its own key, and about those that its fields name.
func aHistoryOfEachKind(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"), CopyWanted{Title: "A", Loan: "o1", Copies: 1})
	w.Emit("c2", CopyWanted{Title: "A", Loan: "o2", Copies: 1}, CopyWanted{Title: "B", Loan: "o2", Copies: 1},
		Approved{Loan: "o2"})
	w.Emit("c3", Approved{Loan: "A"}) // of that name, and another kind
	l.Produce(outside("dock", "d1", "A"), outside("dock", "d2", "A"))
	l.CatchUp(p, s, l.Config())
	for _, x := range []struct {
		kind, key string
		want      int
	}{{"loan", "o1", 2}, {"loan", "o2", 3}, {"loan", "A", 1}, {"title", "A", 4}, {"member", "ada", 0}, {"loan", "",
		0}, {"nothing", "A", 0}} {
		if h, err := s.History(ctx, x.kind, x.key); err != nil || len(h) != x.want {
			p.Errorf("%s %q has %d events, want %d (%v)", x.kind, x.key, len(h), x.want, err)
		}
	}
	// Its document began with the saga of c2, of which one event names no title.
	h, err := s.History(ctx, "title", "B")
	if err != nil || len(h) != 2 || h[0].Type != "copy.wanted" || h[1].Type != "loan.approved" {
		p.Errorf("title B has %+v (%v)", h, err)
	}
}

// Documents that are sorted by a count come in its order, those of one count by their
// keys, and in pages.
func pagesOfWhatIsSorted(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	const n = 2*projection.PageSize + 3
	for i := range n {
		w.Emit("c", CopyWanted{Title: TitleID("t" + string(rune('a'+i%26)) + string(rune('a'+i/26))),
			Copies: int64(i/2%9 - 4)})
	}
	l.Produce(outside("dock", "d1", "never")) // nobody has wanted it: a count of 0
	l.CatchUp(p, s, l.Config())
	seen, last := map[string]bool{}, projection.Mark{At: 99}
	for page, first := "", true; first || page != ""; first = false {
		docs, err := s.Documents(ctx, Titles, nil, page)
		if err != nil {
			p.Fatal(err)
		}
		for _, d := range docs.Items {
			at := d.Values["wanted"].(int64)
			if seen[d.Key] || at > last.At || at == last.At && d.Key >= last.Key {
				p.Fatalf("%s, of %d, comes after %+v", d.Key, at, last)
			}
			seen[d.Key], last = true, projection.Mark{At: at, Key: d.Key}
		}
		page = docs.Next
	}
	if len(seen) != n+1 {
		p.Errorf("%d titles in all pages, want %d", len(seen), n+1)
	}
	if _, err := s.Documents(ctx, Titles, map[string]string{"wanted": "1"}, ""); err == nil {
		p.Error("a field that is no filter is taken for one")
	}
}

// Whoever keeps copies hears of every document that has changed, each once for a write.
func changedTellsTheDocuments(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	told := map[string]int{}
	var heard atomic.Int64
	cfg := l.Config()
	cfg.Written = func(events []projection.Event) { heard.Add(int64(len(events))) } // after Changed
	cfg.Now = func() time.Time { return noon.Add(-time.Hour) }                      // all that comes is news
	cfg.Changed = func(v *business.View, keys []string) {
		for _, k := range keys {
			told[v.Name+"/"+k]++
		}
	}
	for range 2 {
		w.Emit("c1", asked("o1", "ada"), Approved{Loan: "o1"}, CopyWanted{Title: "A", Loan: "o1"})
	}
	l.catchUpWith(p, s, cfg, func() bool { return heard.Load() == 6 })
	for _, want := range []string{"loans/o1", "members/ada", "titles/A"} {
		if told[want] == 0 || told[want] > 4 { // of six events in the batches that there were
			p.Errorf("%s was told %d times", want, told[want])
		}
	}
	if len(told) != 3 {
		p.Errorf("told were %v", told)
	}
}

func aViewThatTheStoreDoesNotKnow(p *place) {
	s := p.model()
	v := &business.View{Name: "shelves", One: "shelf", Key: TitleID(""), Begins: Titles.Begins, From: Titles.From}
	_, err := s.Document(ctx, v, "A")
	_, lerr := s.List(ctx, projection.ListQuery{View: v, Limit: 1})
	_, cerr := s.Counts(ctx, v)
	for _, err := range []error{err, lerr, cerr} {
		if err == nil || !strings.Contains(err.Error(), "opened without view shelves") {
			p.Errorf("got error %v", err)
		}
	}
}
