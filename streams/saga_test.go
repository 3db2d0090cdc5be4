package streams_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

type tripID string

func (tripID) Kind() string      { return "trip" }
func (id tripID) String() string { return string(id) }

type (
	wished       struct{ Trip tripID }
	booked       struct{ Trip tripID }
	flown        struct{ Trip tripID }
	looked       struct{ Trip tripID }
	called       struct{ Trip tripID }
	answeredCall struct{ Trip tripID }
	sunk         struct{ Trip tripID }
)

func (e wished) Key() streams.Key       { return e.Trip }
func (e booked) Key() streams.Key       { return e.Trip }
func (e flown) Key() streams.Key        { return e.Trip }
func (e looked) Key() streams.Key       { return e.Trip }
func (e called) Key() streams.Key       { return e.Trip }
func (e answeredCall) Key() streams.Key { return e.Trip }
func (e sunk) Key() streams.Key         { return e.Trip }

func idle[E any](none, E, streams.Input) streams.Decision { return streams.Nothing() }

// Steps follow from the deciders: those between the start and an end, with the outcomes of
// the calls that they ask for. Who only watches, and what comes after the end, is no part.
func TestStepsFollowFromTheDeciders(t *testing.T) {
	ring := streams.NewEffect("ring", "phone", time.Second, func(e booked) string { return "k" }, func(context.Context, streams.Transports, string, booked) (string, error) { return "", nil })
	agent := streams.Define("agent", tripID(""), quiet, streams.OnCommand("wish", idle[wished], wished{}), streams.On(idle[wished], booked{}),
		streams.On(idle[answeredCall], flown{}), streams.OnTimer("late", idle[int], sunk{}))
	phone := streams.Define("phone-desk", tripID(""), quiet, streams.On(idle[booked], called{}).Asks(ring), streams.OnOutcome(ring, idle[string], answeredCall{}))
	watcher := streams.Define("watcher", tripID(""), quiet, streams.On(idle[booked], looked{}))
	after := streams.Define("after", tripID(""), quiet, streams.On(idle[flown], sunkToo{}))
	v, err := streams.NewVocabulary(streams.NewFact[wished]("wished"), streams.NewFact[booked]("booked"), streams.NewFact[called]("called", streams.Private()), streams.NewFact[answeredCall]("answered"),
		streams.NewFact[flown]("flown"), streams.NewFact[sunk]("sunk"), streams.NewFact[looked]("watched"), streams.NewFact[sunkToo]("sunk-too"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{{Name: "every", Deciders: []*streams.Decider{agent, phone, watcher, after}}})
	if err != nil {
		t.Fatal(err)
	}
	saga := streams.Saga{Name: "trip", Starts: wished{}, Ends: []streams.Event{flown{}, sunk{}}, Within: time.Minute, Once: []streams.Event{wished{}, booked{}, flown{}, sunk{}}, Undo: []streams.Event{sunk{}}}
	if err := saga.Check(top); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range saga.Steps(top) {
		undo := ""
		if s.Undo {
			undo = " undo"
		}
		got = append(got, fmt.Sprintf("%s on %s%s: %s%s", s.By, s.On, s.After, strings.Join(s.Emits, ","), undo))
	}
	want := []string{"agent on wished: booked", "phone-desk on booked: called,answered", "agent on answered: flown", "agent on wish: wished", "agent on late: sunk undo"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the steps are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for what, spoil := range map[string]func(*streams.Saga){
		"may have once sunk-too, which no": func(s *streams.Saga) { s.Once = []streams.Event{sunkToo{}} },
		"is no registered event":           func(s *streams.Saga) { s.Undo = []streams.Event{notTold{}} },
		"needs a start, an end":            func(s *streams.Saga) { s.Ends = nil },
		`a saga is called "S <x>/?"`:       func(s *streams.Saga) { s.Name = "S <x>/?" },
		"names no answers":                 func(s *streams.Saga) { s.AnswerWithin = time.Second },
	} {
		bad := saga
		spoil(&bad)
		if err := bad.Check(top); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
}

type (
	sunkToo struct{ Trip tripID }
	notTold struct{ Trip tripID }
)

func (e sunkToo) Key() streams.Key { return e.Trip }
func (e notTold) Key() streams.Key { return e.Trip }

// An effect that a reaction does not declare is not asked for: no step would tell of it.
func TestAnEffectHasToBeDeclared(t *testing.T) {
	ring := streams.NewEffect("ring", "phone", time.Second, func(e booked) string { return "k" }, func(context.Context, streams.Transports, string, booked) (string, error) { return "", nil })
	asks := func(_ none, e booked, _ streams.Input) streams.Decision { return streams.Nothing().Do(ring.With(e)) }
	outcome := streams.OnOutcome(ring, idle[string], called{})
	streamtest.Given(t, streams.Define("d", tripID(""), quiet, streams.On(asks).Asks(ring), outcome)).When(booked{"t"}).Asks("ring", "k", booked{"t"})
	streamtest.Given(t, streams.Define("d", tripID(""), quiet, streams.On(asks), outcome)).When(booked{"t"}).Fails()
}
