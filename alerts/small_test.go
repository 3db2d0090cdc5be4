package alerts_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/rulefile"
	"github.com/weirstream/weir/alerts/ruletest"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// A library: readers ask for books, and are lent them or not.
type book string

func (book) Kind() string     { return "book" }
func (b book) String() string { return string(b) }

type (
	request struct {
		Book book `json:"book"`
	}
	requested struct{ Book book }
	lent      struct{ Book book }
	declined  struct{ Book book }
)

func (e request) Key() streams.Key   { return e.Book }
func (e requested) Key() streams.Key { return e.Book }
func (e lent) Key() streams.Key      { return e.Book }
func (e declined) Key() streams.Key  { return e.Book }

func nothing[S, E any](S, E, streams.Input) streams.Decision { return streams.Nothing() }

// approvals is an objective of the library's own.
var approvals = business.Objective{Name: "approvals", Alert: "ApprovalsBurn", About: "Books that are lent to those who ask.", Percent: 90,
	Good: []streams.Event{lent{}}, Bad: []streams.Event{declined{}}, AtLeast: 3}

// library is one service: without views, events from outside, sagas, endpoints, customers
// and money. It reads nothing.
func library() *business.Business {
	type state struct{}
	fold := func(s state, _ streams.Event) state { return s }
	desk := streams.Define("desk", book(""), fold,
		streams.OnCommand("ask", nothing[state, request], requested{}, lent{}, declined{}))
	return &business.Business{Name: "library", Title: "A library", Owner: "readers",
		Services: []business.Service{{Name: "loans", Owner: "desk",
			Deciders: []*streams.Decider{desk},
			Facts: []streams.Fact{streams.NewFact[requested]("book.asked"), streams.NewFact[lent]("book.lent"),
				streams.NewFact[declined]("book.declined")},
			Commands:   []business.Command{{Name: "ask", Path: "/v1/books/{book}/ask", Summary: "Ask for a book"}},
			Objectives: []business.Objective{approvals}}}}
}

// shelved has a second decider that reads, and the saga between the two.
func shelved(s streams.Saga) *business.Business {
	type state struct{}
	fold := func(s state, _ streams.Event) state { return s }
	b := library()
	b.Services[0].Deciders = []*streams.Decider{
		streams.Define("desk", book(""), fold, streams.OnCommand("ask", nothing[state, request], requested{})),
		streams.Define("shelf", book(""), fold, streams.On(nothing[state, requested], lent{}, declined{}))}
	s.Name, s.Starts, s.Ends, s.Within = "borrow", requested{}, []streams.Event{lent{}, declined{}}, time.Hour
	b.Sagas = []streams.Saga{s}
	return b
}

func setOf(t *testing.T, b *business.Business) *alerts.Set {
	t.Helper()
	top, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return alerts.Business(b, top, alerts.Standard())
}

func objectivesOf(s *alerts.Set) (out []string) {
	for _, o := range s.SLOs {
		out = append(out, o.ID())
	}
	return out
}

// causesOf are the alerts that are there for what a business has.
func causesOf(s *alerts.Set) (out []string) {
	for _, a := range s.Alerts {
		if slices.Contains([]string{"DuplicateEffect", "SagasLate", "BreakerOpen", "Blind", "ProbesFail", "CustomersGone"},
			a.Name) {
			out = append(out, a.Name)
		}
	}
	slices.Sort(out)
	return out
}

// A business promises what it has, and is watched for what it can suffer: an alert about
// series that there never are would be silent for ever, or never.
func TestABusinessPromisesWhatItHas(t *testing.T) {
	answers := streams.Saga{Answers: []streams.Event{lent{}, declined{}}, AnswerWithin: 5 * time.Second,
		Undo: []streams.Event{declined{}}, Once: []streams.Event{lent{}}}
	posting := library()
	posting.Services[0].Facts = append(posting.Services[0].Facts,
		streams.NewFact[returned]("book.returned", streams.External()))
	posting.Services[0].Commands = nil
	of := []string{"gateway-availability", "gateway-latency", "loans-availability", "loans-latency", "loans-approvals",
		"read-model-freshness"}
	for name, c := range map[string]struct {
		b             *business.Business
		more, without []string
		alerts        []string
	}{
		"one service": {library(), nil, nil, []string{"CustomersGone"}},
		"only events come in": {posting, []string{"gateway-ingestion"}, []string{"gateway-latency"},
			[]string{"CustomersGone"}},
		"a saga": {shelved(streams.Saga{}), []string{"borrow-in-time", "loans-freshness", "loans-completeness"}, nil,
			[]string{"Blind", "CustomersGone", "SagasLate"}},
		"a saga with an answer": {shelved(answers),
			[]string{"borrow-answer", "borrow-in-time", "borrow-compensation", "loans-freshness", "loans-completeness"}, nil,
			[]string{"Blind", "CustomersGone", "DuplicateEffect", "SagasLate"}},
	} {
		s := setOf(t, c.b)
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := slices.DeleteFunc(append(c.more, of...), func(id string) bool { return slices.Contains(c.without, id) })
		got := objectivesOf(s)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s promises %v, want %v", name, got, want)
		}
		if got := causesOf(s); !slices.Equal(got, c.alerts) {
			t.Errorf("%s is watched by %v, want %v", name, got, c.alerts)
		}
		groups, err := s.Groups()
		if err != nil {
			t.Fatal(err)
		}
		rules, err := alerts.File(groups)
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`prober|probes|orders|place-order|order\.|payment|provider`).Find(rules); m != nil {
			t.Errorf("%s: its rules speak of what it has not: %s", name, m)
		}
		for _, g := range groups {
			for _, r := range g.Rules {
				if _, err := rulefile.PromQL.ParseExpr(r.Expr); err != nil {
					t.Errorf("%s: %s%s: %v", name, r.Record, r.Alert, err)
				}
			}
		}
	}
}

type returned struct{ Book book }

func (e returned) Key() streams.Key { return e.Book }

// Every alert of a small business is tested as those of a large one, with series of its own.
func TestEveryAlertOfASmallBusiness(t *testing.T) {
	t.Parallel()
	s := setOf(t, shelved(streams.Saga{}))
	s.SLOs = slices.DeleteFunc(s.SLOs, func(o *alerts.SLO) bool { return o.ID() != "loans-approvals" })
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	_, tests := write(t, files)
	var all ruletest.Result
	for _, file := range tests {
		r, err := ruletest.Run(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Failures {
			t.Error(f)
		}
		all.Add(r)
	}
	if c := s.Coverage(all.Found, all.Empty); c.Tested != c.Alerts || c.Alerts < 20 {
		t.Errorf("%d of %d alerts are tested: %v are not", c.Tested, c.Alerts, c.Missing)
	}
}

// An objective of a service's own counts the events that it names, calls its owner, and
// has a runbook that leads somewhere, though nobody wrote one.
func TestAnObjectiveOfItsOwn(t *testing.T) {
	s := setOf(t, library())
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	rules := string(files["rules/loans-approvals.yml"])
	for _, want := range []string{`weir_events_emitted_total{type=~"book.declined"}`,
		`weir_events_emitted_total{type=~"book.lent"}`, "owner: desk", "runbook_url: /runbooks/ApprovalsBurn",
		"severity: ticket", ">= 3)"} {
		if !strings.Contains(rules, want) {
			t.Errorf("the rules lack %s", want)
		}
	}
	if strings.Contains(rules, "severity: page") {
		t.Error("it pages, and was told not to")
	}
	if !strings.Contains(string(files["openslo/loans-approvals.yml"]), "book.declined") {
		t.Error("it is no OpenSLO document")
	}
	book := string(files["runbooks/ApprovalsBurn.md"])
	for _, want := range []string{"# ApprovalsBurn", "Books that are lent to those who ask. 90 % of them",
		"Owner: desk", "`book.lent`", "`book.declined`", "## Causes", "## Cure", `"Events" on the loans board`} {
		if !strings.Contains(book, want) {
			t.Errorf("its runbook lacks %q", want)
		}
	}
	for name, text := range files {
		if strings.HasPrefix(name, "runbooks/") {
			for _, l := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllSubmatch(text, -1) {
				if files["runbooks/"+string(l[1])] == nil {
					t.Errorf("%s leads to %s, which there is not", name, l[1])
				}
			}
		}
	}
	if _, err := s.Runbook("Nonsense"); err == nil {
		t.Error("there is a runbook of an alert that there is not")
	}
}

// What a business may declare, and what would not do what it says.
func TestUselessBusinesses(t *testing.T) {
	with := func(change func(*business.Objective)) *business.Business {
		b := library()
		b.Services[0].Objectives = []business.Objective{approvals}
		change(&b.Services[0].Objectives[0])
		return b
	}
	for name, c := range map[string]struct {
		b   *business.Business
		say string
	}{
		"an answer that no bucket measures": {shelved(streams.Saga{Answers: []streams.Event{lent{}},
			AnswerWithin: 2 * time.Second}), "no histogram of the catalogue with a bucket up to 2s"},
		"a template": {with(func(o *business.Objective) { o.About = "{{ $labels.x }}" }),
			"evaluate as a template"},
		"the platform's objective": {with(func(o *business.Objective) { o.Name = "latency" }),
			"objective loans-latency is declared twice"},
		"never fires": {with(func(o *business.Objective) { o.Percent, o.Pages = 80, true }),
			"can never fire"},
	} {
		if err := setOf(t, c.b).Check(); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
}
