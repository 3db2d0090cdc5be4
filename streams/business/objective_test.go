package business_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type book string

func (book) Kind() string     { return "book" }
func (b book) String() string { return string(b) }

type (
	asked  struct{ Book book }
	lent   struct{ Book book }
	marked struct{ Book book }
	broken struct{ Book book }
)

func (e asked) Key() streams.Key  { return e.Book }
func (e lent) Key() streams.Key   { return e.Book }
func (e marked) Key() streams.Key { return e.Book }
func (e broken) Key() streams.Key { return e.Book }

type pounds int64

func (p pounds) Amount() (int64, string) { return int64(p), "GBP" }

// library lends what is asked for, and notes what nobody else sees.
func library() *business.Business {
	type state struct{}
	fold := func(s state, _ streams.Event) state { return s }
	desk := streams.Define("desk", book(""), fold,
		streams.OnCommand("ask", func(state, asked, streams.Input) streams.Decision { return streams.Nothing() }, asked{}))
	shelf := streams.Define("shelf", book(""), fold,
		streams.On(func(state, asked, streams.Input) streams.Decision { return streams.Nothing() }, lent{}, marked{},
			broken{}))
	return &business.Business{Name: "library", Title: "A library", Owner: "readers",
		Services: []business.Service{{Name: "loans", Deciders: []*streams.Decider{desk, shelf},
			Facts: []streams.Fact{streams.NewFact[asked]("book.asked"),
				streams.NewFact[lent]("book.lent"), streams.NewFact[marked]("book.marked", streams.Private()),
				streams.NewFact[broken]("book.broken")},
			Objectives: []business.Objective{{Name: "lent", Alert: "LentBurn", About: "Books that are lent.", Percent: 90,
				Good: []streams.Event{lent{}}, Bad: []streams.Event{broken{}}}}}},
		Sagas: []streams.Saga{{Name: "borrow", Starts: asked{}, Ends: []streams.Event{lent{}}, Within: time.Hour}},
		Money: []business.Money{{Name: "fees", Title: "Fees",
			Into: []business.MoneyFrom{business.From(func(lent) business.Sum { return pounds(1) })}}}}
}

// What a business declares to be measured, and nobody could ever measure, is refused.
func TestWhatCannotBeMeasured(t *testing.T) {
	if _, err := library().Topology(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*business.Business)
		say   string
	}{
		"nobody is called":     {func(b *business.Business) { b.Owner = "" }, "it has no owner"},
		"good and bad at once": {func(b *business.Business) { b.Services[0].Objectives[0].Bad = []streams.Event{lent{}} }, "calls business_test.lent good and bad"},
		"money of a private fact": {func(b *business.Business) { b.Money[0].Out = []streams.Event{marked{}} },
			"moved by book.marked, which no saga emits for others to see"},
		"money beside all sagas": {func(b *business.Business) { b.Sagas = nil }, "moved by book.lent, which no saga emits"},
		"an account twice": {func(b *business.Business) { b.Money = append(b.Money, b.Money[0]) },
			`money "fees" is declared twice`},
	} {
		b := library()
		c.spoil(b)
		if _, err := b.Topology(); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
}
