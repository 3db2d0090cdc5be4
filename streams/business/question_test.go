package business_test

import (
	"strings"
	"testing"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// asking is a theatre with one question, which holds.
func asking() (*business.Business, *business.Question) {
	b := theatre()
	b.Facts = append(b.Facts, streams.NewFact[joined]("ticket.joined", streams.External()))
	desk := &b.Services[0]
	desk.Views[0].History = true
	desk.Questions = []business.Question{{Name: "sales", Title: "Sales", About: "Tickets that were bought.",
		Of: business.Events(bought{}, checked{}).With(desk.Views[0]), Where: []business.Condition{business.Has("tickets.bought_at"), business.Is("ticket", "t-1")},
		By: []business.Dimension{business.By("seat", "tickets.seat"), business.By("state", "tickets.state")},
		Numbers: []business.Number{business.HowMany("bought", bought{}), business.Total("sales", "price", bought{}), business.HowMany("checked", checked{}),
			business.Share("share", "checked", "bought"), business.Distinct("tickets", "ticket")}}}
	return b, &desk.Questions[0]
}

func TestQuestionsOfABusiness(t *testing.T) {
	b, _ := asking()
	if _, err := b.Topology(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, q := range b.Questions() {
		names = append(names, q.Name)
	}
	if got, want := strings.Join(names, " "), "sales visit-funnel visit-steps ticket-story"; got != want {
		t.Errorf("the questions are %s, want %s", got, want)
	}
	if q, ok := b.Question("ticket-story"); !ok || q.Shape != business.Story || q.View.Name != "tickets" {
		t.Errorf("the story of a ticket is %+v", q)
	}
	for what, of := range map[string]func(*business.Question){
		"the seats of extras": func(q *business.Question) {
			*q = business.Question{Name: "extras", Title: "Extras", About: "What is bought beside.", Of: business.EachOf[bought]("extras"), Shape: business.Pairs, Item: "extras"}
		},
		"who comes again": func(q *business.Question) {
			*q = business.Question{Name: "again", Title: "Again", About: "Who comes again.", Of: business.Events(bought{}), Shape: business.Cohorts, Who: "seat"}
		},
		"documents": func(q *business.Question) {
			*q = business.Question{Name: "tickets", Title: "Tickets", About: "How long they wait.", Of: business.Documents(b.Views()[0], "bought_at"),
				Where: []business.Condition{business.Has("checked_at")}, By: []business.Dimension{business.By("ticket", "ticket")},
				Numbers: []business.Number{business.Quantiles("wait", "bought_at", "checked_at"), business.Times("sum", "extras", "price")}}
		},
	} {
		b, q := asking()
		of(q)
		q.Of.View = nil
		if what == "documents" {
			q.Of = business.Documents(b.Views()[0], "bought_at")
		}
		if _, err := b.Topology(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What no table could answer, or nobody is to be told, is refused with its name.
func TestOddQuestionsAreRefused(t *testing.T) {
	type q = business.Question
	number := func(n business.Number) func(*q) { return func(q *q) { q.Numbers = []business.Number{n} } }
	for want, spoil := range map[string]func(*q){
		`question "Sales" of service "desk": its name is of lower case`:                    func(q *q) { q.Name = "Sales" },
		`question "visit-funnel" of service "desk": its name is of lower case`:             func(q *q) { q.Name = "visit-funnel" },
		`question "sales" of service "desk": it needs a title, and what it is about`:       func(q *q) { q.Title = "" },
		`it needs rows: business.Events, business.EachOf`:                                  func(q *q) { q.Of = business.Rows{} },
		`it counts documents of "others", which is no view of a service`:                   func(q *q) { q.Of = business.Documents(&business.View{Name: "others"}, "at") },
		`it counts business_test.buy, which is no registered event`:                        func(q *q) { q.Of = business.Events(buy{}) },
		`it counts ticket.noted, which is private to its service and on no log`:            func(q *q) { q.Of = business.Events(noted{}) },
		`business_test.bought has no list "seat"`:                                          func(q *q) { q.Of = business.EachOf[bought]("seat") },
		`it has no numbers: add one`:                                                       func(q *q) { q.Numbers = nil },
		`its shape "funnel" is none that a service declares`:                               func(q *q) { q.Shape = business.Funnel },
		`its shape cohorts says what its columns are`:                                      func(q *q) { q.Shape, q.Who = business.Cohorts, "ticket" },
		`it asks for "nobody", which ticket.bought has not`:                                func(q *q) { q.Shape, q.Who, q.By, q.Numbers = business.Cohorts, "nobody", nil, nil },
		`it asks for "seat", which ticket.checked has not`:                                 func(q *q) { q.By = []business.Dimension{business.By("seat", "seat")} },
		`it asks for "tickets.price" of view tickets, which has the kind "amount"`:         func(q *q) { q.By = []business.Dimension{business.By("seat", "tickets.price")} },
		`it asks for "tickets.seat" of view tickets, which has the kind "text", and not t`: func(q *q) { q.Where = []business.Condition{business.Has("tickets.seat")} },
		`it asks for "mail" of ticket.joined, which is personal: take it out`: func(q *q) {
			*q = business.Question{Name: "mail", Title: "Mail", About: "Mail.", Of: business.Events(joined{}), By: []business.Dimension{business.By("mail", "mail")},
				Numbers: []business.Number{business.HowMany("n")}}
		},
		`it calls a column "currency": use lower case letters`:                             number(business.HowMany("currency")),
		`it calls a column "month": use lower case letters`:                                number(business.HowMany("month")),
		`it calls a column "seat": use lower case letters`:                                 number(business.HowMany("seat")),
		`it asks for "seat" of ticket.bought, which has the kind "text", and not amount`:   number(business.Total("sum", "seat", bought{})),
		`it asks for "price" of ticket.bought, which has the kind "amount", and not count`: number(business.TotalOf("sum", "price", bought{})),
		`it asks for "price", which ticket.checked has not`:                                number(business.Total("sum", "price")),
		`"sum" is of business_test.printed, which is not among its rows`:                   number(business.HowMany("sum", printed{})),
		`"sum" is of "tickets.price", a field of the document that is joined`:              number(business.Total("sum", "tickets.price")),
		`"share" is a share of "bought", which is no count and no sum among its numbers`:   number(business.Share("share", "bought", "bought")),
		`"wait" is of documents, and it counts events`:                                     number(business.Quantiles("wait", "a", "b")),
	} {
		b, question := asking()
		spoil(question)
		if _, err := b.Topology(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got: %v", want, err)
		}
	}
	for want, spoil := range map[string]func(*business.Business, *q){
		`it joins seats, whose documents are of a seat, to ticket.bought, which is of a ticket`: func(b *business.Business, q *q) { q.Of = q.Of.With(b.Views()[1]) },
		`it counts documents and joins others`: func(b *business.Business, q *q) {
			q.Of = business.Documents(b.Views()[0], "bought_at").With(b.Views()[0])
		},
		`it asks for "seat" of view tickets, which has the kind "text", and not time`: func(b *business.Business, q *q) { q.Of = business.Documents(b.Views()[0], "seat") },
		`question "sales" of service "desk": its name is of lower case letters, digits and dashes, and no other question`: func(b *business.Business, q *q) {
			b.Services[0].Questions = append(b.Services[0].Questions, *q)
		},
		`it sums "price" and "fee" of one row, which may be of two currencies`: func(b *business.Business, q *q) {
			b.Facts = append(b.Facts, streams.NewFact[charged]("ticket.charged", streams.External()))
			q.Of, q.Where, q.By = business.Events(charged{}), nil, nil
			q.Numbers = []business.Number{business.Total("a", "price"), business.Total("b", "fee")}
		},
	} {
		b, question := asking()
		spoil(b, question)
		if _, err := b.Topology(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got: %v", want, err)
		}
	}
}

type charged struct {
	ofTicket
	Price money `json:"price"`
	Fee   money `json:"fee"`
}
