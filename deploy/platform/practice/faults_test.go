package practice

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type book string

func (book) Kind() string     { return "book" }
func (b book) String() string { return string(b) }

type borrow struct {
	Book book `json:"book"`
}

func (b borrow) Key() streams.Key { return b.Book }

// library is one service that reads nothing, and has no saga, endpoint or customer.
func library() *business.Business {
	type state struct{}
	desk := streams.Define("desk", book(""), func(s state, _ streams.Event) state { return s },
		streams.OnCommand("borrow", func(state, borrow, streams.Input) streams.Decision { return streams.Nothing() }))
	return &business.Business{Name: "library", Title: "A library", Owner: "readers",
		Services: []business.Service{{Name: "loans", Deciders: []*streams.Decider{desk},
			Commands: []business.Command{{Name: "borrow", Path: "/v1/books/{book}/borrow", Summary: "Borrow a book"}}}}}
}

// A fault calls by alerts that there are: those of what a business has not are not named.
func TestFaultsNameAlertsThatThereAre(t *testing.T) {
	for _, b := range []*business.Business{shop.Business, library()} {
		names := " " + strings.Join(alerts.Business(b, topologyOf(t, b), alerts.Standard()).Names(), " ") + " "
		all := All(b)
		if i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == "consumer-stuck" }); i < 0 || strings.Contains(all[i].What, "of  hang") {
			t.Errorf("%s: nobody can hang: %v", b.Name, all)
		}
		if len(all) < 4 {
			t.Errorf("%s: %d faults", b.Name, len(all))
		}
		for _, f := range all {
			for _, a := range f.Alerts {
				if !strings.Contains(names, " "+a+" ") {
					t.Errorf("%s: %s calls by %s, which there is not", b.Name, f.Name, a)
				}
			}
		}
	}
	odd := library()
	odd.Services[0].Endpoints = []business.Endpoint{{Name: "post",
		Faults: []business.Fault{{Name: "post-slow", Alerts: []string{"Nonsense"}}}}}
	names := alerts.Business(library(), topologyOf(t, library()), alerts.Standard()).Names()
	if err := (&Faults{Platform: Platform{Business: odd, Alerts: names}}).unknownAlerts(); err == nil || !strings.Contains(err.Error(),
		"fault post-slow of endpoint post names the alert Nonsense") {
		t.Errorf("an alert that there is not is taken: %v", err)
	}
}

func topologyOf(t *testing.T, b *business.Business) *streams.Topology {
	t.Helper()
	top, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return top
}
