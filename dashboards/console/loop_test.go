package console

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

type member string

func (member) Kind() string     { return "member" }
func (m member) String() string { return string(m) }

type (
	joined  struct{ Member member }
	due     struct{ Member member }
	charged struct{ Member member }
	refused struct{ Member member }
	left    struct{ Member member }
)

func (e joined) Key() streams.Key  { return e.Member }
func (e due) Key() streams.Key     { return e.Member }
func (e charged) Key() streams.Key { return e.Member }
func (e refused) Key() streams.Key { return e.Member }
func (e left) Key() streams.Key    { return e.Member }

// club is a saga that goes round: every month the fee is due and charged, until that
// is declined.
func club(t *testing.T) (*streams.Topology, streams.Saga) {
	t.Helper()
	type state struct{}
	fold := func(s state, _ streams.Event) state { return s }
	charge := streams.NewEffect("charge", "psp", time.Second, func(m member) string { return string(m) },
		func(context.Context, streams.Transports, string, member) (bool, error) { return true, nil })
	desk := streams.Define("desk", member(""), fold,
		streams.OnCommand("join", func(state, joined, streams.Input) streams.Decision { return streams.Nothing() }, joined{}),
		streams.On(func(state, joined, streams.Input) streams.Decision { return streams.Nothing() }, due{}),
		streams.On(func(state, charged, streams.Input) streams.Decision { return streams.Nothing() }, due{}),
		streams.On(func(state, refused, streams.Input) streams.Decision { return streams.Nothing() }, left{}))
	billing := streams.Define("billing", member(""), fold,
		streams.On(func(_ state, d due, _ streams.Input) streams.Decision {
			return streams.Nothing().Do(charge.With(d.Member))
		}).Asks(charge),
		streams.OnOutcome(charge, func(state, bool, streams.Input) streams.Decision { return streams.Nothing() }, charged{}, refused{}))
	v, err := streams.NewVocabulary(streams.NewFact[joined]("joined"), streams.NewFact[due]("due"), streams.NewFact[charged]("charged"), streams.NewFact[refused]("declined"), streams.NewFact[left]("left"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{{Name: "desk", Deciders: []*streams.Decider{desk}}, {Name: "billing", Deciders: []*streams.Decider{billing}}})
	if err != nil {
		t.Fatal(err)
	}
	return top, streams.Saga{Name: "membership", Starts: joined{}, Ends: []streams.Event{left{}}, Within: time.Hour}
}

// Who has answered is not accused of having not, however often the saga goes round;
// who has not, is.
func TestAnsweredCallsOfALoopAccuseNobody(t *testing.T) {
	top, saga := club(t)
	s := shapeOf(top, []streams.Saga{saga})
	now := noon.Add(time.Hour)
	c := &Console{Config: Config{Topology: top, Now: func() time.Time { return now }, Traces: nil}, shape: s}
	for _, x := range []struct {
		events string
		since  int // the event that the provider has not answered; -1: none
	}{
		{"joined due", 1}, {"joined due charged", -1}, {"joined due charged due", 3}, {"joined due charged due charged due charged", -1}, {"joined due charged due charged due charged due", 7},
	} {
		var events []projection.Entry
		for i, name := range strings.Fields(x.events) {
			by := map[string]string{"charged": "/billing/billing", "declined": "/billing/billing"}[name]
			if by == "" {
				by = "/desk/desk"
			}
			events = append(events, projection.Entry{ID: fmt.Sprint("e", i), Type: name, Version: 1, Source: by, Key: "ada", Time: noon.Add(time.Duration(i) * time.Minute), Data: []byte("{}")})
		}
		hops := s.hops(events)
		var since time.Time
		blamed := 0
		for _, l := range c.story(projection.Saga{Name: "membership"}, hops).Left {
			if l.By != "billing" {
				continue
			}
			if since = l.Since; l.Now {
				blamed++
			}
		}
		want := time.Time{}
		if x.since >= 0 {
			want = events[x.since].Time
		}
		if !since.Equal(want) || (blamed == 1) != (x.since >= 0) {
			t.Errorf("%s: the provider has not answered since %v (%d steps), want %v", x.events, since, blamed, want)
		}
	}
}
