package streams_test

import (
	"strings"
	"testing"

	"github.com/weirstream/weir/streams"
)

type unheard struct{ Account account }

func (u unheard) Key() streams.Key { return u.Account }

type oddKind string

func (oddKind) Kind() string     { return "Odd Kind" }
func (o oddKind) String() string { return string(o) }

type odd struct{ K oddKind }

func (o odd) Key() streams.Key { return o.K }

type lanesKind string

func (lanesKind) Kind() string     { return "lanes" }
func (o lanesKind) String() string { return string(o) }

type oddLane struct{ K lanesKind }

func (o oddLane) Key() streams.Key { return o.K }

type none struct{}

func quiet(s none, _ streams.Event) none { return s }

// on is a reaction that decides nothing.
func on[E streams.Event](emits ...streams.Event) streams.Part[none] {
	return streams.On(func(none, E, streams.Input) streams.Decision { return streams.Nothing() }, emits...)
}

func onCommand[E streams.Event](name string, emits ...streams.Event) streams.Part[none] {
	return streams.OnCommand(name, func(none, E, streams.Input) streams.Decision { return streams.Nothing() }, emits...)
}

func onTimer(name string) streams.Part[none] {
	return streams.OnTimer(name, func(none, string, streams.Input) streams.Decision { return streams.Nothing() })
}

func service(name string, d ...*streams.Decider) streams.Service {
	return streams.Service{Name: name, Deciders: d}
}

func define(name string, parts ...streams.Part[none]) *streams.Decider {
	return streams.Define(name, account(""), quiet, parts...)
}

// Rule 2, and every other way to declare what cannot work: each error names
// the culprit and the cure.
func TestTopologyErrors(t *testing.T) {
	const cure = "add streams.NewFact["
	pipe := func(name string, on, emits []streams.Event) []streams.Pipeline {
		return []streams.Pipeline{{Name: name, On: on, Emits: emits, Step: watch}}
	}
	for name, x := range map[string]struct {
		facts     []streams.Fact // beside the fleet's
		services  []streams.Service
		pipelines []streams.Pipeline
		want      []string
	}{
		"unknown input":  {services: []streams.Service{service("s", define("d", on[unheard]()))}, want: []string{"decider d of service s", "unheard", cure}},
		"unknown output": {services: []streams.Service{service("s", define("d", on[bonus](unheard{})))}, want: []string{"decider d of service s", "may emit", "unheard", cure}},
		"input nobody produces": {facts: []streams.Fact{streams.NewFact[unheard]("unheard")}, services: []streams.Service{service("s", define("d", on[unheard]()))},
			want: []string{"decider d of service s", "unheard, which nobody produces", "streams.External"}},
		"event of another kind of key":   {services: []streams.Service{front, service("s", define("d", on[taken]()))}, want: []string{"decider d of service s is keyed by account", "teller.taken", "keyed by branch", "let an event keyed by account tell it"}},
		"command of another kind of key": {services: []streams.Service{service("s", define("d", onCommand[taken]("take")))}, want: []string{"decider d of service s", `command "take"`, "(account)"}},
		"two owners of one event type":   {services: []streams.Service{front, service("s", define("d", on[bonus](deposited{})))}, want: []string{"decider d of service s and teller both emit teller.deposited", "a type of its own"}},
		"decider and pipeline own one type": {services: []streams.Service{front}, pipelines: pipe("p", []streams.Event{taken{}}, []streams.Event{deposited{}}),
			want: []string{"pipeline p and teller both emit teller.deposited"}},
		"two deciders of one name":          {services: []streams.Service{service("a", define("d")), service("b", define("d"))}, want: []string{"decider d of service a and decider d of service b", `called "d"`, "rename one"}},
		"two services of one name":          {services: []streams.Service{service("a"), service("a")}, want: []string{`service name "a" is used twice`}},
		"pipeline named as a decider":       {services: []streams.Service{front}, pipelines: pipe("teller", []streams.Event{taken{}}, nil), want: []string{"decider teller of service front and pipeline teller", "rename one"}},
		"pipeline named as a service":       {services: []streams.Service{front}, pipelines: pipe("front", []streams.Event{taken{}}, nil), want: []string{"service front and pipeline front", "rename one"}},
		"two pipelines of one name":         {services: []streams.Service{front}, pipelines: append(pipe("p", []streams.Event{taken{}}, nil), pipe("p", []streams.Event{taken{}}, nil)...), want: []string{`called "p"`, "rename one"}},
		"decider named as ingestion":        {services: []streams.Service{service("s", define("external"))}, want: []string{"ingestion", `"external"`, "rename one"}},
		"two deciders take one command":     {services: []streams.Service{service("s", define("a", onCommand[bonus]("do")), define("b", onCommand[bonus]("do")))}, want: []string{"decider a of service s and decider b of service s", `command "do"`, "rename one"}},
		"two services take one command":     {services: []streams.Service{service("s", define("a", onCommand[bonus]("do"))), service("u", define("b", onCommand[bonus]("do")))}, want: []string{"decider a of service s and decider b of service u", `command "do"`, "rename one"}},
		"decided about twice":               {services: []streams.Service{service("s", define("d", on[bonus](), on[bonus]()))}, want: []string{"decider d of service s decides twice about event bonus", "merge"}},
		"external event emitted":            {services: []streams.Service{service("s", define("d", onCommand[bonus]("do", bonus{})))}, want: []string{"decider d of service s may emit bonus", "external", "another type"}},
		"external event from a pipeline":    {services: []streams.Service{front}, pipelines: pipe("p", []streams.Event{deposited{}}, []streams.Event{bonus{}}), want: []string{"pipeline p may emit bonus", "external"}},
		"bad name of a decider":             {services: []streams.Service{service("s", define("Big D"))}, want: []string{`"Big D"`, "lower case"}},
		"bad name of a service":             {services: []streams.Service{service("")}, want: []string{`service name ""`, "lower case"}},
		"bad name of a pipeline":            {services: []streams.Service{front}, pipelines: pipe("a.b", []streams.Event{taken{}}, nil), want: []string{`"a.b"`, "lower case"}},
		"bad name of a command":             {services: []streams.Service{service("s", define("d", onCommand[bonus]("Do It")))}, want: []string{"decider d of service s", `"Do It"`, "lower case"}},
		"bad name of a timer":               {services: []streams.Service{service("s", define("d", onTimer("by/noon")))}, want: []string{"decider d of service s", `"by/noon"`, "lower case"}},
		"bad kind of key":                   {facts: []streams.Fact{streams.NewFact[odd]("odd")}, want: []string{"key of odd", `"Odd Kind"`, "lower case"}},
		"kind of key that topics end with":  {facts: []streams.Fact{streams.NewFact[oddLane]("odd")}, want: []string{"key of odd", `"lanes"`}},
		"pipeline reads what is unknown":    {pipelines: pipe("p", []streams.Event{unheard{}}, nil), want: []string{"pipeline p reads", "unheard", cure}},
		"pipeline emits what is unknown":    {services: []streams.Service{front}, pipelines: pipe("p", []streams.Event{taken{}}, []streams.Event{unheard{}}), want: []string{"pipeline p may emit", "unheard", cure}},
		"pipeline reads what nobody writes": {pipelines: pipe("p", []streams.Event{taken{}}, nil), want: []string{"pipeline p", "teller.taken, which nobody produces"}},
		"private event of another decider": {facts: []streams.Fact{streams.NewFact[unheard]("unheard", streams.Private())},
			services: []streams.Service{service("s", define("a", on[bonus](unheard{})), define("b", on[unheard]()))}, want: []string{"decider b of service s", "unheard, which is private to a", "emit an event that is not"}},
		"private and external":                       {facts: []streams.Fact{streams.NewFact[unheard]("unheard", streams.Private(), streams.External())}, want: []string{"unheard", "cannot be both"}},
		"pipeline reads private":                     {facts: []streams.Fact{streams.NewFact[unheard]("unheard", streams.Private())}, services: []streams.Service{service("s", define("a", on[bonus](unheard{})))}, pipelines: pipe("p", []streams.Event{unheard{}}, nil), want: []string{"pipeline p reads unheard, which is private"}},
		"pipeline emits private":                     {facts: []streams.Fact{streams.NewFact[unheard]("unheard", streams.Private())}, services: []streams.Service{front}, pipelines: pipe("p", []streams.Event{taken{}}, []streams.Event{unheard{}}), want: []string{"pipeline p may emit unheard, which is private"}},
		"service named as a file of the platform":    {services: []streams.Service{service("reads")}, want: []string{`service "reads" is called like a part of the platform, the read model's file: rename it`}},
		"service named as a unit":                    {services: []streams.Service{service("projection")}, want: []string{`service "projection" is called like a part of the platform, the writer of the read model: rename it`}},
		"pipeline named as a unit":                   {services: []streams.Service{front}, pipelines: pipe("gateway", []streams.Event{taken{}}, nil), want: []string{`pipeline "gateway" is called like a part of the platform, the HTTP interface: rename it`}},
		"decider named as the topics of the runtime": {services: []streams.Service{service("s", define("weir"))}, want: []string{`the platform and decider weir of service s are both called "weir": rename one`}},
		"a decider that is nil":                      {services: []streams.Service{service("s", define("d"), nil)}, want: []string{`decider 2 of service "s" is nil: make it with streams.Define`}},
		"all of it at once":                          {services: []streams.Service{service("s", define("Big D", on[unheard]())), service("s")}, want: []string{`"Big D"`, "unheard", `"s" is used twice`}},
		"nothing is declared bad":                    {services: []streams.Service{front, back}},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := streams.NewVocabulary(append(fleetFacts[:len(fleetFacts):len(fleetFacts)], x.facts...)...)
			if err != nil {
				t.Fatal(err)
			}
			_, err = streams.NewTopology(v, x.services, x.pipelines...)
			if (err == nil) != (len(x.want) == 0) {
				t.Fatalf("got %v, want %q", err, x.want)
			}
			for _, w := range x.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %v\nwant %q in it", err, w)
				}
			}
		})
	}
}
