package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/telemetry"
)

// The errand is a business of two services that uses all that a trace has to
// live through: a command, an event, an outside call, a timer, a failure.

type customer string

func (customer) Kind() string     { return "customer" }
func (c customer) String() string { return string(c) }

type runErrand struct {
	Customer customer
	Mail     string
	Weight   int
}

func (e runErrand) Key() streams.Key { return e.Customer }

type asked struct {
	Customer customer
	Mail     string
	Weight   int
}

func (e asked) Key() streams.Key { return e.Customer }

type answered struct{ Customer customer }

func (e answered) Key() streams.Key { return e.Customer }

type reminded struct{ Customer customer }

func (e reminded) Key() streams.Key { return e.Customer }

type loaded struct{ Customer customer }

func (e loaded) Key() streams.Key { return e.Customer }

type closed struct{ Customer customer }

func (e closed) Key() streams.Key { return e.Customer }

type nothing struct{}

func keep(s nothing, _ streams.Event) nothing { return s }

// errands holds what is broken in the world of the errand.
type errands struct {
	t         *testing.T
	c         *streamtest.Cluster
	tel       *telemetry.Telemetry
	reg       *prometheus.Registry
	recent    *telemetry.Recent
	lines     bytes.Buffer // of the log
	floor     *streamtest.Node
	jammed    atomic.Bool  // the floor fails
	noAnswers atomic.Int64 // so many calls get none
}

func inErrands(t *testing.T, spansPerSecond int, f func(e *errands)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &errands{t: t, reg: prometheus.NewRegistry(), recent: &telemetry.Recent{}}
		var err error
		if e.tel, err = telemetry.New(telemetry.Options{Registerer: e.reg, Exporters: exporters(e.recent), SpansPerSecond: spansPerSecond}); err != nil {
			t.Fatal(err)
		}
		e.c = streamtest.NewCluster(t, e.topology(), 4)
		e.tel.Declare(e.c.Topology, []string{"desk", "floor"})
		e.tel.Route("/errands/{customer}", http.MethodPost)
		e.c.Hooks = []streams.Hook{e.tel}
		e.c.Log = slog.New(slog.NewTextHandler(&e.lines, nil))
		e.c.Start("desk")
		e.floor = e.c.Start("floor")
		f(e)
		e.c.Close()
		e.shut()
	})
}

// shut exports what is left.
func (e *errands) shut() {
	if err := e.tel.Close(context.Background()); err != nil {
		e.t.Error(err)
	}
}

func (e *errands) topology() *streams.Topology {
	ring := streams.NewEffect("ring", "phone", time.Second, func(c customer) string { return string(c) + "/ring" },
		func(context.Context, streams.Transports, string, customer) (string, error) {
			if e.noAnswers.Add(-1) >= 0 {
				return "", errors.New("nobody picks up")
			}
			return "yes", nil
		})
	desk := streams.Define("desk", customer(""), keep,
		streams.OnCommand("run-errand", func(_ nothing, r runErrand, _ streams.Input) streams.Decision {
			if r.Weight > 50 {
				return streams.Reject(streams.Invalid, "too-heavy", "%d kg", r.Weight)
			}
			return streams.Emit(asked(r)).After("remind", time.Minute, r.Customer).Do(ring.With(r.Customer))
		}, asked{}).Asks(ring),
		streams.OnOutcome(ring, func(_ nothing, _ string, in streams.Input) streams.Decision {
			return streams.Emit(answered{customer(in.Key)})
		}, answered{}),
		streams.OnTimer("remind", func(_ nothing, c customer, _ streams.Input) streams.Decision {
			return streams.Emit(reminded{c})
		}, reminded{}))
	floor := streams.Define("floor", customer(""), keep,
		streams.On(func(_ nothing, a asked, _ streams.Input) streams.Decision {
			if e.jammed.Load() {
				return streams.Fail(errors.New("the belt is jammed"))
			}
			return streams.Emit(loaded{a.Customer})
		}, loaded{}),
		streams.On(func(_ nothing, r reminded, _ streams.Input) streams.Decision { return streams.Emit(closed(r)) }, closed{}))
	v, err := streams.NewVocabulary(streams.NewFact[asked]("errand.asked"), streams.NewFact[answered]("errand.answered"), streams.NewFact[reminded]("errand.reminded"),
		streams.NewFact[loaded]("floor.loaded"), streams.NewFact[closed]("floor.closed"))
	if err != nil {
		e.t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{{Name: "desk", Deciders: []*streams.Decider{desk}}, {Name: "floor", Deciders: []*streams.Decider{floor}}})
	if err != nil {
		e.t.Fatal(err)
	}
	return top
}

// request is what a gateway does with a request of this traceparent.
func (e *errands) request(id, traceparent string, r runErrand) streams.CommandReply {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://shop/errands/"+string(r.Customer), nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("traceparent", traceparent)
	tp, done := e.tel.OnRequest(req, "/errands/{customer}")
	cmd, err := streams.NewCommand(id, "run-errand", r)
	if err != nil {
		e.t.Fatal(err)
	}
	cmd.Traceparent = tp
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reply, err := e.c.Send(ctx, cmd)
	if err != nil {
		e.t.Fatalf("%v; %+v", err, e.c.Lanes())
	}
	done(http.StatusOK, 0)
	return reply
}

// retry decides a parked customer's inputs again.
func (e *errands) retry(c customer) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if left, err := e.floor.RetryParked(ctx, streams.StreamID{Decider: "floor", Key: string(c)}); err != nil || left != 0 {
		e.t.Errorf("retry: %d left, %v", left, err)
	}
}

// stored reads the envelopes of a customer's events, by type.
func (e *errands) stored(c customer) map[string]streams.Envelope {
	e.t.Helper()
	out := map[string]streams.Envelope{}
	for _, svc := range []string{"desk", "floor"} {
		s := e.c.OpenStore(svc)
		err := s.Outbox(context.Background(), streams.Partition(string(c), 4), 0, 1000, func(ev streams.StoredEvent) error {
			env, err := ev.Envelope()
			if env.Key == string(c) {
				out[env.Type] = env
			}
			return err
		})
		if err := errors.Join(err, s.Close()); err != nil {
			e.t.Fatal(err)
		}
	}
	return out
}

// describe shows a span for a failure message.
func describe(s telemetry.Span) string {
	return fmt.Sprintf("%s (%s) %s under %s %q", s.Name, s.Kind, s.ID, s.Parent, s.Error)
}
