// Package second runs a business that is not the shop through everything that there is:
// what it takes to have Weir for a business of one's own.
package second

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type (
	// LoanID names a loan of one copy of a book.
	LoanID string
	// BookID names a book, of which there are copies.
	BookID string
)

func (LoanID) Kind() string      { return "loan" }
func (id LoanID) String() string { return string(id) }
func (BookID) Kind() string      { return "book" }
func (id BookID) String() string { return string(id) }

type loanOf struct {
	Loan LoanID `json:"loan"`
}

func (e loanOf) Key() streams.Key { return e.Loan }

type copyOf struct {
	Book BookID `json:"book"`
	Loan LoanID `json:"loan"`
}

func (e copyOf) Key() streams.Key { return e.Book }

// What happens, and what is asked for.
type (
	borrow struct {
		loanOf
		Book   BookID `json:"book" weir:"required,max=64"`
		Member string `json:"member" weir:"required,personal,max=64"`
	}
	bringBack struct {
		loanOf
		Reason string `json:"reason" weir:"max=100"`
	}
	loanAsked borrow
	loanBegun struct {
		loanOf
		Book BookID `json:"book"`
	}
	loanRefused struct{ loanOf }
	loanOver    struct{ loanOf }
	copyWanted  struct{ copyOf }
	copyBack    struct{ copyOf }
	copyLent    struct {
		loanOf
		Book BookID `json:"book"`
	}
	copyMissing   struct{ loanOf }
	bookSent      struct{ loanOf }
	copiesCounted struct {
		Book   BookID `json:"book"`
		Copies int    `json:"copies"`
	}
	copiesBought copiesCounted
	readingBegun struct {
		Book BookID `json:"book"`
	}
)

func (e loanAsked) Key() streams.Key     { return e.Loan }
func (e copiesCounted) Key() streams.Key { return e.Book }
func (e copiesBought) Key() streams.Key  { return e.Book }
func (e readingBegun) Key() streams.Key  { return e.Book }

type loan struct {
	Asked, Begun, Over bool
	Book               BookID
}

func (l loan) evolve(e streams.Event) loan {
	switch e := e.(type) {
	case loanAsked:
		l.Asked, l.Book = true, e.Book
	case loanBegun:
		l.Begun = true
	case loanRefused, loanOver:
		l.Over = true
	}
	return l
}

var lending = business.Service{Name: "lending",
	Deciders: []*streams.Decider{streams.Define("loan", LoanID(""), loan.evolve,
		streams.OnCommand("borrow", func(l loan, c borrow, _ streams.Input) streams.Decision {
			if l.Asked {
				return streams.Reject(streams.Conflict, "loan-exists", "loan %s was asked for already", c.Loan)
			}
			return streams.Emit(loanAsked(c), copyWanted{copyOf{c.Book, c.Loan}}).Reply(c.loanOf)
		}, loanAsked{}, copyWanted{}),
		streams.OnCommand("bring-back", func(l loan, c bringBack, _ streams.Input) streams.Decision {
			switch {
			case !l.Asked:
				return streams.Reject(streams.Missing, "unknown-loan", "there is no loan %s", c.Loan)
			case !l.Begun || l.Over:
				return streams.Nothing().Reply(c.loanOf)
			}
			return streams.Emit(loanOver{c.loanOf}, copyBack{copyOf{l.Book, c.Loan}}).Cancel("due").Reply(c.loanOf)
		}, loanOver{}, copyBack{}),
		streams.On(func(l loan, e copyLent, _ streams.Input) streams.Decision {
			return streams.Emit(loanBegun(e)).After("due", 2*time.Minute, e.Loan)
		}, loanBegun{}),
		streams.On(func(l loan, e copyMissing, _ streams.Input) streams.Decision {
			return streams.Emit(loanRefused(e))
		}, loanRefused{}),
		streams.OnTimer("due", func(l loan, id LoanID, _ streams.Input) streams.Decision {
			if l.Over {
				return streams.Nothing()
			}
			return streams.Emit(loanOver{loanOf{id}}, copyBack{copyOf{l.Book, id}})
		}, loanOver{}, copyBack{}))},
	Commands: []business.Command{
		{Name: "borrow", Path: "/v1/loans", Success: 201, Summary: "Borrow a book", Reply: loanOf{}, MakesKey: "l-", Example: borrow{loanOf{"l-1"}, "moby-dick", "ismael"}},
		{Name: "bring-back", Path: "/v1/loans/{loan}/return", Summary: "Bring a book back", Reply: loanOf{}}},
	Views: []*business.View{{Name: "loans", One: "loan", Key: LoanID(""), Path: "/v1/loans", Title: "Loan", About: "What became of a loan.", History: true,
		Begins: []streams.Event{loanAsked{}}, States: []string{"asked", "begun", "refused", "over"},
		Fields: []business.Field{{Name: "state", Kind: business.State, Filter: true}, {Name: "book", Kind: business.Text, Filter: true}, {Name: "member", Kind: business.Text, Personal: true}},
		From: []business.Source{business.Takes[loanAsked]("asked_at", "book", "member"), business.Takes[loanBegun]("begun_at"),
			business.Takes[loanRefused]("refused_at"), business.Takes[loanOver]("over_at")}}},
	Objectives: []business.Objective{{Name: "served", Alert: "LoansServedBurn", About: "Loans for which there is a copy.", Percent: 90,
		Good: []streams.Event{copyLent{}}, Bad: []streams.Event{copyMissing{}}}}}

type book struct {
	Copies int
	Lent   map[LoanID]bool
}

func (b book) evolve(e streams.Event) book {
	if b.Lent == nil {
		b.Lent = map[LoanID]bool{}
	}
	switch e := e.(type) {
	case copiesCounted:
		b.Copies += e.Copies
	case lent:
		b.Lent[e.Loan] = true
	case returned:
		delete(b.Lent, e.Loan)
	}
	return b
}

// What a book notes for itself.
type (
	lent     struct{ copyOf }
	returned struct{ copyOf }
)

var catalogue = business.Service{Name: "catalogue",
	Facts: []streams.Fact{streams.NewFact[lent]("copy.gone", streams.Private()), streams.NewFact[returned]("copy.here", streams.Private())},
	Deciders: []*streams.Decider{streams.Define("book", BookID(""), book.evolve,
		streams.On(func(_ book, e copiesBought, _ streams.Input) streams.Decision {
			if e.Copies < 1 {
				return streams.Reject(streams.Invalid, "no-copies", "%d copies of %s cannot be bought", e.Copies, e.Book)
			}
			return streams.Emit(copiesCounted(e))
		}, copiesCounted{}),
		streams.On(func(b book, e copyWanted, _ streams.Input) streams.Decision {
			switch {
			case b.Lent[e.Loan]:
				return streams.Nothing()
			case len(b.Lent) >= b.Copies:
				return streams.Emit(copyMissing{loanOf{e.Loan}})
			}
			return streams.Emit(lent(e), copyLent{loanOf{e.Loan}, e.Book})
		}, lent{}, copyLent{}, copyMissing{}),
		streams.On(func(b book, e copyBack, _ streams.Input) streams.Decision {
			if !b.Lent[e.Loan] {
				return streams.Nothing()
			}
			return streams.Emit(returned(e))
		}, returned{}))},
	Views: []*business.View{{Name: "books", One: "book", Key: BookID(""), Path: "/v1/books", Title: "Book", About: "How much a book is read.", Sort: "loans",
		Begins: []streams.Event{copiesCounted{}},
		Fields: []business.Field{{Name: "loans", Kind: business.Count}, {Name: "copies", Kind: business.Count}, {Name: "loans_per_copy", Kind: business.Mean, Of: "loans", Per: "copies"}},
		From: []business.Source{
			business.On(func(e copiesCounted, _ business.Moment) business.Set {
				return business.Set{"copies": business.Plus(e.Copies)}
			}),
			business.OnOther(func(e loanBegun, m business.Moment) (BookID, business.Set) {
				return e.Book, business.Set{"loans": business.Plus(1), "last_lent_at": m.At}
			})}}}}

var send = streams.HTTPCall("send", "courier", time.Second, func(e loanBegun) string { return string(e.Loan) + "/send" },
	func(e loanBegun) streams.HTTPRequest {
		return streams.HTTPRequest{Method: "POST", Path: "/v1/rides", Body: e}
	},
	func(_ loanBegun, res streams.HTTPResponse) (bool, error) {
		if res.Status != 201 {
			return false, fmt.Errorf("the courier answered %d", res.Status)
		}
		return true, nil
	})

var rides = business.Service{Name: "rides",
	Deciders: []*streams.Decider{streams.Define("ride", LoanID(""), func(s struct{ Asked bool }, e streams.Event) struct{ Asked bool } {
		s.Asked = true
		return s
	},
		streams.On(func(_ struct{ Asked bool }, e loanBegun, _ streams.Input) streams.Decision {
			return streams.Nothing().Do(send.With(e))
		}).Asks(send),
		streams.OnOutcome(send, func(_ struct{ Asked bool }, _ bool, in streams.Input) streams.Decision {
			return streams.Emit(bookSent{loanOf{LoanID(in.Key)}})
		}, bookSent{}))},
	Endpoints: []business.Endpoint{{Name: "courier", What: "courier", Protocol: business.HTTP, Simulate: func() business.Counterpart { return garage{} },
		Faults: []business.Fault{{Name: "courier-down", What: "The courier cuts every connection.", Effect: "Books wait to be sent.",
			Alerts: []string{"OutsideCallsBurn", "BreakerOpen"}, Trouble: business.Trouble{Down: true}}}}}}

// garage is the courier's.
type garage map[string]int

func (garage) Paths() []string                                   { return []string{"/v1/rides"} }
func (garage) Decide(c business.Call) (int, any)                 { return 201, map[string]string{"ride": c.ID()} }
func (g garage) Settle(c business.Call, _ json.RawMessage) error { g[c.Key]++; return nil }
func (g garage) Ledger() any                                     { return g }

var lendABook = streams.Saga{Name: "lend-a-book", Starts: loanAsked{}, Ends: []streams.Event{loanOver{}, loanRefused{}}, Within: 5 * time.Minute,
	Once: []streams.Event{loanAsked{}, copyLent{}, loanBegun{}, loanOver{}, copyMissing{}, loanRefused{}}, Undo: []streams.Event{copyMissing{}, loanRefused{}},
	Answers: []streams.Event{loanBegun{}, loanRefused{}}, AnswerWithin: time.Second}

func borrows(name string, book int) []business.Act {
	id := LoanID(name)
	return []business.Act{{Command: "borrow", Body: borrow{loanOf{id}, BookID(fmt.Sprint("book-", book)), "m-" + name}},
		{Command: "bring-back", Body: bringBack{loanOf: loanOf{id}}, After: 20 * time.Millisecond}}
}

// library is the business.
var library = &business.Business{Name: "library", Title: "The library", About: "Books are borrowed and brought back.", Owner: "desk",
	Facts: []streams.Fact{streams.NewFact[loanAsked]("loan.asked"), streams.NewFact[loanBegun]("loan.begun"), streams.NewFact[loanRefused]("loan.refused"),
		streams.NewFact[loanOver]("loan.over"), streams.NewFact[copyWanted]("copy.wanted"), streams.NewFact[copyBack]("copy.back"), streams.NewFact[copyLent]("copy.lent"),
		streams.NewFact[copyMissing]("copy.missing"), streams.NewFact[bookSent]("book.sent"), streams.NewFact[copiesCounted]("copies.counted"),
		streams.NewFact[readingBegun]("reading.begun"), streams.NewFact[copiesBought]("copies.bought", streams.External())},
	Pipelines: []streams.Pipeline{{Name: "readings", On: []streams.Event{loanBegun{}}, Emits: []streams.Event{readingBegun{}}, Step: func(e streams.Event) ([]streams.Event, error) {
		return []streams.Event{readingBegun{e.(loanBegun).Book}}, nil
	}}},
	Services: []business.Service{lending, catalogue, rides}, Sagas: []streams.Saga{lendABook},
	Customer: &business.Customer{Begins: "lend-a-book",
		Visit:  func(name string, chance business.Chance) []business.Act { return borrows(name, chance.IntN(20)) },
		BadDay: func(name string, chance business.Chance) []business.Act { return borrows(name, chance.IntN(3)) },
		Probe:  func(name string) business.Act { return borrows(name, 0)[0] },
		Deliveries: func(chance business.Chance) (out []streams.Event) {
			for n := range 3 {
				out = append(out, copiesBought{Book: BookID(fmt.Sprint("book-", n)), Copies: 1 + chance.IntN(5)})
			}
			return out
		},
		Delivery: func(name string) streams.Event { return copiesBought{Book: BookID(name), Copies: 1} }},
}
