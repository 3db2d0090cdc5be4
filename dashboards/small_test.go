package dashboards

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type book string

func (book) Kind() string     { return "book" }
func (b book) String() string { return string(b) }

type (
	request struct {
		Book book `json:"book"`
	}
	requested struct{ Book book }
	lent      struct{ Book book }
)

func (e request) Key() streams.Key   { return e.Book }
func (e requested) Key() streams.Key { return e.Book }
func (e lent) Key() streams.Key      { return e.Book }

type price struct {
	minor    int64
	currency string
}

func (p price) Amount() (int64, string) { return p.minor, p.currency }

// library is one service that reads nothing: without sagas, endpoints, customers, money.
func library() *business.Business {
	type state struct{}
	fold := func(s state, _ streams.Event) state { return s }
	return &business.Business{Name: "library", Title: "A library", Owner: "readers",
		Services: []business.Service{{Name: "loans",
			Deciders: []*streams.Decider{streams.Define("desk", book(""), fold,
				streams.OnCommand("ask", func(state, request, streams.Input) streams.Decision { return streams.Nothing() },
					requested{}))},
			Facts:    []streams.Fact{streams.NewFact[requested]("book.asked"), streams.NewFact[lent]("book.lent")},
			Commands: []business.Command{{Name: "ask", Path: "/v1/books/{book}/ask", Summary: "Ask for a book"}}}}}
}

// charging has a saga of which nothing is taken back, and money that only comes in.
func charging() *business.Business {
	type state struct{}
	fold := func(s state, _ streams.Event) state { return s }
	b := library()
	b.Services[0].Deciders = append(b.Services[0].Deciders, streams.Define("shelf", book(""), fold,
		streams.On(func(state, requested, streams.Input) streams.Decision { return streams.Nothing() }, lent{})))
	b.Sagas = []streams.Saga{{Name: "borrow", Starts: requested{}, Ends: []streams.Event{lent{}}, Within: time.Hour}}
	b.Money = []business.Money{{Name: "fees", Title: "Fees", About: "Fees of loans.",
		Into: []business.MoneyFrom{business.From(func(lent) business.Sum { return price{1, "GBP"} })}}}
	return b
}

func boardsOf(t *testing.T, b *business.Business) ([]Board, []alerts.Group) {
	t.Helper()
	top, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	shown := Business{Business: b, Topology: top, Alerts: alerts.Business(b, top, alerts.Standard()),
		Live: "http://127.0.0.1:8080"}
	all, err := Boards(shown)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := shown.Alerts.Groups()
	if err != nil {
		t.Fatal(err)
	}
	db := promqltest.LoadedStorage(t, everySeries(shown, groups))
	for _, board := range all {
		for _, q := range Queries(board) {
			if v := instantly(t, db, strings.ReplaceAll(q.Filled(nil), " offset 1w", "")); len(v) == 0 {
				t.Errorf("%s, %s %s finds nothing: %s", q.Board, q.Panel, q.Ref, q.Expr)
			}
		}
	}
	return all, groups
}

// A small business has boards as a large one, of what it has and of nothing else: a panel
// whose series there never are would say for ever that nothing is known.
func TestBoardsOfSmallBusinesses(t *testing.T) {
	absent := []string{"Visits", "Outside calls", "Circuit breakers", "Compensations", "Kept and taken back",
		"What is taken back", "Time to take back"}
	for name, c := range map[string]struct {
		b      *business.Business
		boards []string
		has    []string
		hasNot []string
	}{
		"one service": {library(), []string{OverviewUID, ObjectivesUID, PipelineUID, IngestionUID, ServiceUID("loans"), BusinessUID},
			[]string{"Time to answer"},
			append(absent, "Sagas an hour", "Effects twice", "Begun an hour", "Money")},
		"a saga": {charging(), []string{OverviewUID, ObjectivesUID, PipelineUID, IngestionUID, ServiceUID("loans"),
			SagaUID("borrow"), BusinessUID},
			[]string{"Sagas an hour", "Fees an hour", "How far they come"}, absent},
	} {
		all, groups := boardsOf(t, c.b)
		for _, err := range LintAll(all, Known(groups)) {
			t.Errorf("%s: %v", name, err)
		}
		var ids, titles []string
		for _, b := range all {
			ids = append(ids, b.ID())
			raw, err := b.JSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, title := range append(c.hasNot[:len(c.hasNot):len(c.hasNot)], c.has...) {
				if strings.Contains(string(raw), `"title": "`+title+`"`) {
					titles = append(titles, title)
				}
			}
			if strings.Contains(string(raw), "orders") {
				t.Errorf("%s: board %s speaks of orders", name, b.ID())
			}
		}
		if !slices.Equal(ids, c.boards) {
			t.Errorf("%s: boards %v, want %v", name, ids, c.boards)
		}
		for _, title := range c.has {
			if !slices.Contains(titles, title) {
				t.Errorf("%s: no board has %q", name, title)
			}
		}
		for _, title := range c.hasNot {
			if slices.Contains(titles, title) {
				t.Errorf("%s: a board has %q", name, title)
			}
		}
	}
}
