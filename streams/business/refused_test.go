package business_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type (
	box string
	tag string
)

func (box) Kind() string     { return "box" }
func (b box) String() string { return string(b) }
func (tag) Kind() string     { return "tag" }
func (t tag) String() string { return string(t) }

type (
	put struct {
		Box box `json:"box"`
		Tag tag `json:"tag"`
	}
	take struct {
		Box box `json:"box"`
	}
	moved struct {
		From box `json:"from"`
		To   box `json:"to"`
	}
	merge struct{ A, B box }
	was   put
	gone  struct{ Box box }
)

func (e put) Key() streams.Key   { return e.Box }
func (e take) Key() streams.Key  { return e.Box }
func (e moved) Key() streams.Key { return e.To }
func (e merge) Key() streams.Key { return e.A + "+" + e.B }
func (e was) Key() streams.Key   { return e.Box }
func (e gone) Key() streams.Key  { return e.Box }

// boxes are put and taken; of two views one is of another kind of key.
func boxes() *business.Business {
	d := streams.Define("box", box(""), quiet, streams.OnCommand("put", nothing[put], was{}), streams.OnCommand("take", nothing[take], gone{}),
		streams.OnCommand("move", nothing[moved]), streams.OnCommand("merge", nothing[merge]))
	return &business.Business{Name: "store-room", Title: "A store room", Owner: "keepers",
		Services: []business.Service{{Name: "boxes", Deciders: []*streams.Decider{d},
			Facts: []streams.Fact{streams.NewFact[was]("box.was"), streams.NewFact[gone]("box.gone")},
			Commands: []business.Command{{Name: "put", Path: "/v1/boxes/{box}/put", Summary: "Put"},
				{Name: "take", Path: "/v1/boxes/{box}/take", Summary: "Take"}},
			Views: []*business.View{
				{Name: "boxes", One: "box", Path: "/v1/boxes", Key: box(""), Title: "Box", History: true, Begins: []streams.Event{was{}},
					From: []business.Source{business.Takes[was]("was_at"), business.Takes[gone]("gone_at")}},
				{Name: "tags", One: "tag", Path: "/v1/tags", Key: tag(""), Title: "Tag", Begins: []streams.Event{was{}},
					From: []business.Source{business.OnOther(func(e was, _ business.Moment) (tag, business.Set) {
						return e.Tag, business.Set{"uses": business.Plus(1)}
					})}}}}}}
}

// Names and addresses that the platform, another declaration, or nobody can have.
func TestOddBusinessesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*business.Business, *business.Service)
		want  string
	}{
		"no services":   {func(b *business.Business, _ *business.Service) { b.Services = nil }, "it has no services: add one, with a decider"},
		"a nil view":    {func(_ *business.Business, s *business.Service) { s.Views[1] = nil }, `view 2 of service "boxes" is nil: leave it out`},
		"a nil decider": {func(_ *business.Business, s *business.Service) { s.Deciders[0] = nil }, `decider 1 of service "boxes" is nil`},
		"a service named like a file of the platform": {func(_ *business.Business, s *business.Service) { s.Name = "reads" },
			`service "reads" is called like a part of the platform, the read model's file: rename it`},
		"an empty source": {func(_ *business.Business, s *business.Service) { s.Views[0].From[1] = business.Source{} },
			`view "boxes" of service "boxes": source 2 is empty: make it with business.On`},
		"a source that panics": {func(_ *business.Business, s *business.Service) {
			s.Views[0].From[1] = business.On(func(e gone, _ business.Moment) business.Set { panic("no box") })
		}, `source 2, of business_test.gone: its function panics on the zero event, which tells what it sets: no box`},
		"a name that is a format": {func(_ *business.Business, s *business.Service) { s.Views[0].Name = "100%d" },
			`view "100%d" of service "boxes": its name and that of one document, "box", are words`},
		"a command that is a format": {func(_ *business.Business, s *business.Service) { s.Commands[0].Name = "100%d" },
			`command "100%d" of service "boxes": none of its deciders`},
		"fields called otherwise": {func(_ *business.Business, s *business.Service) {
			s.Commands[0].Method, s.Commands[0].Path = "PUT", "/v1/boxes/{tag}"
		}, `command "put" (PUT /v1/boxes/{tag}) and view "boxes" (GET /v1/boxes/{box}) fit the same addresses: call what stands in braces alike`},
		"a field twice": {func(_ *business.Business, s *business.Service) { s.Commands[0].Path = "/v1/boxes/{box}/{box}" },
			`command "put" (POST /v1/boxes/{box}/{box}) has a path that cannot be served`},
		"two commands": {func(_ *business.Business, s *business.Service) {
			s.Commands[0].Path, s.Commands[1].Path = "/v1/a/{box}/b", "/v1/a/b/{box}"
		}, `command "put" (POST /v1/a/{box}/b) and command "take" (POST /v1/a/b/{box}) fit the same addresses: take another path for one of them`},
		"a view below a history": {func(_ *business.Business, s *business.Service) { s.Views[1].Path = "/v1/boxes/w" },
			`view "boxes" (GET /v1/boxes/{box}/history) and view "tags" (GET /v1/boxes/w/{tag}) fit the same addresses`},
		"a view called history": {func(_ *business.Business, s *business.Service) { s.Views[1].Path = "/v1/boxes/history" },
			`view "tags" (GET /v1/boxes/history/{tag}) fit the same addresses`},
		"a path of the platform": {func(_ *business.Business, s *business.Service) { s.Views[0].Path = "/v1/sagas" },
			`view "boxes" of service "boxes": its path "/v1/sagas" is the platform's: below /v1, take none of analytics, dead-letters, events,`},
		"a command below the platform": {func(_ *business.Business, s *business.Service) { s.Commands[0].Path = "/v1/faults/{box}/put" },
			`command "put" of service "boxes": its path "/v1/faults/{box}/put" is the platform's`},
		"a page of the platform": {func(_ *business.Business, s *business.Service) { s.Views[0].Name = "runbooks" },
			`view "runbooks" of service "boxes": a page of the platform is called so: call it otherwise`},
		"one of history's fields": {func(_ *business.Business, s *business.Service) { s.Views[0].One = "events" },
			`one document is called "events", which has a meaning of its own in an answer`},
		"one of all documents' fields": {func(_ *business.Business, s *business.Service) { s.Views[1].One = "page" },
			`one document is called "page", which has a meaning of its own`},
		"keys that no path holds": {func(_ *business.Business, s *business.Service) { s.Commands[0].MakesKey = "-<x>/ " },
			`command "put" of service "boxes": keys that begin with "-<x>/ " cannot stand in a path: let MakesKey begin with a letter`},
		"keys that are too long": {func(_ *business.Business, s *business.Service) { s.Commands[0].MakesKey = strings.Repeat("k", 110) },
			`keys that begin with "kkk`},
		"a key of two fields": {func(_ *business.Business, s *business.Service) {
			s.Commands = append(s.Commands, business.Command{Name: "merge", Path: "/v1/merges", Summary: "Merge"})
		}, `business_test.merge has 2 fields of the type of its key, and its Key returns none of them as it is: let it return one`},
		"a saga in words": {func(b *business.Business, _ *business.Service) {
			b.Sagas = []streams.Saga{{Name: "S <x>/?", Starts: was{}, Ends: []streams.Event{gone{}}, Within: time.Minute}}
		}, `a saga is called "S <x>/?": use lower case letters, digits and dashes`},
		"an alert of the platform":    {objective("kept", "UnitMissing"), `objective boxes-kept has the alert "UnitMissing", which is one of the platform's`},
		"an alert that is a template": {objective("kept", "{{"), "objective boxes-kept needs a name of its own, an alert in CamelCase"},
		"an objective in words":       {objective("x<y", "KeptBurn"), `an objective of service "boxes" is called "x<y"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := boxes()
			c.spoil(b, &b.Services[0])
			if _, err := b.Topology(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got: %v", c.want, err)
			}
		})
	}
}

func objective(name, alert string) func(*business.Business, *business.Service) {
	return func(_ *business.Business, s *business.Service) {
		s.Objectives = []business.Objective{{Name: name, Alert: alert, About: "Boxes that are kept.", Percent: 99, Good: []streams.Event{was{}}, Bad: []streams.Event{gone{}}}}
	}
}

// What only looks like something that is refused is not.
func TestOddBusinessesHold(t *testing.T) {
	for name, use := range map[string]func(*business.Service){
		"as it is": func(*business.Service) {},
		"a command at a document": func(s *business.Service) {
			s.Commands[0].Method, s.Commands[0].Path = "PUT", "/v1/boxes/{box}"
		},
		"a command at a history":   func(s *business.Service) { s.Commands[0].Path = "/v1/boxes/{box}/history" },
		"events without a history": func(s *business.Service) { s.Views[1].One = "events" },
		"two titles alike":         func(s *business.Service) { s.Views[1].Title = "Box" },
		"the key of two boxes": func(s *business.Service) {
			s.Commands = append(s.Commands, business.Command{Name: "move", Path: "/v1/moves", Summary: "Move", MakesKey: "mv-"})
		},
	} {
		b := boxes()
		use(&b.Services[0])
		top, err := b.Topology()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, _ := top.CommandBody("move")
		if f, err := business.KeyField(body); err != nil || f.Name != "To" {
			t.Errorf("%s: the key of a move is %s, %v", name, f.Name, err)
		}
	}
}
