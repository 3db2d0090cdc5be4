package shop_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// walk is a saga's trace beside what the stores and the log hold of it.
type walk struct {
	*traced
	id    event.OrderID
	spans map[string]telemetry.Span // by id
	log   map[place]streams.Envelope
	steps map[string]int // decisions, by decider and input
}

type place struct {
	topic     string
	partition int32
	offset    int64
}

// walkTrace wants one connected trace of an order that is over, with everything
// in it that is stored of the order.
func (s *traced) walkTrace(id event.OrderID) *walk {
	s.t.Helper()
	time.Sleep(time.Minute) // the last decisions are made, and their spans exported
	w := &walk{traced: s, id: id, spans: map[string]telemetry.Span{}, log: s.readLog(), steps: map[string]int{}}
	w.connected()
	w.events()
	w.decisions()
	w.calls()
	w.commits()
	w.sent()
	w.declared()
	return w
}

// connected wants one trace, one root and no parent that is missing.
func (w *walk) connected() {
	w.t.Helper()
	for _, x := range w.recent.List(telemetry.Filter{Text: string(w.id)}, 1000) {
		if x.ID != customersTrace {
			w.t.Errorf("%d spans of the order are in trace %s, from %s on", x.Spans, x.ID, x.Root)
		}
	}
	var roots []string
	for _, s := range w.recent.Trace(customersTrace) {
		if _, twice := w.spans[s.ID]; twice {
			w.t.Errorf("two spans have the id %s", s.ID)
		}
		w.spans[s.ID] = s
	}
	for _, s := range w.spans {
		if s.Parent == customersSpan {
			roots = append(roots, s.Name)
		} else if _, ok := w.spans[s.Parent]; !ok {
			w.t.Errorf("the parent of %q is not in the trace", s.Name)
		}
	}
	if !slices.Equal(roots, []string{"POST /v1/orders"}) {
		w.t.Errorf("roots: %v", roots)
	}
}

// events wants the decision of every event of the order, stored or on the log.
func (w *walk) events() {
	w.t.Helper()
	n := 0
	one := func(e streams.Envelope) {
		if e.Correlation != string(w.id) {
			return
		}
		n++
		w.decided(e, "decided on "+e.Causation)
	}
	for _, st := range w.stores {
		for lane := range w.c.Partitions {
			check(w.t, st.Outbox(w.t.Context(), lane, 0, 1<<30, func(e streams.StoredEvent) error {
				env, err := e.Envelope()
				one(env)
				return err
			}))
		}
	}
	stored := n
	for _, e := range w.log {
		one(e)
	}
	if stored == 0 || n == stored {
		w.t.Errorf("%d events are stored and %d on the log", stored, n-stored)
	}
}

// decided wants the span that an event names as its writer's, and that it is.
func (w *walk) decided(e streams.Envelope, why string) telemetry.Span {
	w.t.Helper()
	by := strings.Split(e.Source, "/") // /service/decider
	s := w.spanOf(e.Traceparent)
	w.attributes(s, e.Type+" "+why, map[string]string{"service.name": by[1], "weir.decider": by[2], "weir.correlation": string(w.id), "weir.result": "decided"})
	if inputOf(s) != e.Causation {
		w.t.Errorf("%s %s: its span is of the input %s, want %s", e.Type, why, inputOf(s), e.Causation)
	}
	return s
}

func (w *walk) spanOf(traceparent string) telemetry.Span {
	if p := strings.Split(traceparent, "-"); len(p) == 4 && p[1] == customersTrace {
		return w.spans[p[2]]
	}
	return telemetry.Span{}
}

func (w *walk) attributes(s telemetry.Span, what string, want map[string]string) {
	w.t.Helper()
	for name, v := range want {
		if s.Attributes[name] != v {
			w.t.Errorf("%s: its span %q has %s %q, want %q", what, s.Name, name, s.Attributes[name], v)
		}
	}
}

// decisions wants a span for every input that a store says was decided upon,
// below the span of what caused the input; and no other.
func (w *walk) decisions() {
	w.t.Helper()
	want := 0
	for _, service := range w.c.Topology.Services {
		for lane := range w.c.Partitions {
			check(w.t, w.stores[service.Name].Inputs(w.t.Context(), lane, 0, func(row streams.InputRow) error {
				entries, err := streams.DecodeInputs(row.Entries)
				for _, e := range entries {
					want += w.input(service, lane, e)
				}
				return err
			}))
		}
	}
	if n := len(w.made()); n != want {
		w.t.Errorf("%d spans of decisions, but %d decisions are stored", n, want)
	}
}

// input checks the decisions about one input, and says how many there were.
func (w *walk) input(service streams.Service, lane int32, e streams.InputEntry) (n int) {
	w.t.Helper()
	if e.Kind != streams.EventInput {
		if e.Origin.Correlation != string(w.id) {
			return 0
		}
		cause := w.spanOf(e.Origin.Traceparent)
		if e.Kind != streams.CommandInput { // of the same decider's own making
			w.attributes(cause, "the cause of "+e.Name, map[string]string{"weir.decider": e.Stream.Decider})
			if inputOf(cause) != e.Origin.Causation {
				w.t.Errorf("the cause of %s is %s, want %s", e.Name, inputOf(cause), e.Origin.Causation)
			}
		}
		w.hop(service, e.Stream.Decider, e.Kind, e.Name, e.ID, cause)
		return 1
	}
	rec, ok := w.log[place{e.Topic, lane, e.Offset}]
	if !ok {
		w.t.Errorf("%s/%d@%d is not on the log", e.Topic, lane, e.Offset)
	}
	if rec.Correlation != string(w.id) {
		return 0
	}
	for _, d := range service.Deciders {
		for _, r := range w.c.Topology.Reactions(d) {
			if r.Kind == streams.EventInput && r.Input == rec.Type {
				w.hop(service, d.Name, e.Kind, rec.Type, rec.ID, w.decided(rec, "as an input of "+d.Name))
				n++
			}
		}
	}
	return n
}

// hop wants just one span of a decision, below its cause.
func (w *walk) hop(service streams.Service, decider string, kind streams.InputKind, name, id string, cause telemetry.Span) {
	w.t.Helper()
	w.steps[decider+" "+name]++
	var found []telemetry.Span
	for _, s := range w.made() {
		if s.Attributes["weir.decider"] == decider && inputOf(s) == id {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		w.t.Errorf("%d spans of %s deciding on %s %s", len(found), decider, kind, name)
		return
	}
	s, want := found[0], map[string]string{"service.name": service.Name, "weir.input": name, "weir.kind": string(kind), "weir.correlation": string(w.id), "weir.result": "decided"}
	w.attributes(s, decider+" "+name, want)
	if s.Parent != cause.ID || cause.ID == "" {
		w.t.Errorf("%s %s is below %q, want %q", decider, name, w.spans[s.Parent].Title(), cause.Title())
	}
}

// inputOf is the id of what a decision's span is about.
func inputOf(s telemetry.Span) string {
	return cmp.Or(s.Attributes["messaging.message.id"], s.Attributes["weir.input.id"])
}

// made are the spans of decisions.
func (w *walk) made() (out []telemetry.Span) {
	for _, s := range w.spans {
		if s.Attributes["weir.decider"] != "" {
			out = append(out, s)
		}
	}
	return out
}

func (w *walk) of(kind string) (out []telemetry.Span) {
	for _, s := range w.spans {
		if s.Kind == kind {
			out = append(out, s)
		}
	}
	return out
}

// calls wants a span for every attempt that reached the door, below the decision
// that asked for it, and a good end for every outcome.
func (w *walk) calls() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tp := range w.asked {
		if s := w.spanOf(tp); s.Kind != "client" {
			w.t.Errorf("a request went out with the traceparent %q, of %q", tp, s.Name)
		}
	}
	mails, answered := 0, map[string]int{}
	for _, s := range w.of("client") {
		cause := w.spans[s.Parent]
		w.attributes(s, s.Name, map[string]string{"service.name": cause.Attributes["service.name"], "weir.correlation": string(w.id)})
		if cause.Attributes["weir.decider"] == "" {
			w.t.Errorf("call %s is below %q", s.Name, cause.Name)
		}
		if s.Attributes["peer.service"] == "mailbox" {
			mails++
		}
		if s.Error == "" {
			answered[s.Attributes["weir.effect"]+" of "+cause.ID]++
		}
	}
	if n := len(w.of("client")); mails != w.mails || n-mails != len(w.asked) {
		w.t.Errorf("%d spans of mails for %d attempts, %d of requests for %d", mails, w.mails, n-mails, len(w.asked))
	}
	for _, s := range w.made() {
		if effect := s.Attributes["weir.input"] + " of " + s.Parent; s.Attributes["weir.kind"] == "outcome" && answered[effect] != 1 {
			w.t.Errorf("%s: %d calls were answered", s.Name, answered[effect])
		}
	}
}

// commits wants every decision in just one commit, whoever else was in it.
func (w *walk) commits() {
	w.t.Helper()
	for _, s := range w.made() {
		if n := len(s.Events); n != 1 || s.Events[0].Name != "commit" {
			w.t.Errorf("%s is in %d commits", s.Title(), n)
		}
	}
}

// sent wants a span for every event of the order on the log, below its decision, and
// nothing to begin before what began it: whoever reads a trace would think that a
// clock is wrong.
func (w *walk) sent() {
	w.t.Helper()
	want, spans := 0, w.of("producer")
	for at, e := range w.log {
		if e.Correlation != string(w.id) {
			continue
		}
		want++
		if !slices.ContainsFunc(spans, func(s telemetry.Span) bool {
			return s.Name == "send "+at.topic && s.Parent == w.spanOf(e.Traceparent).ID && s.Attributes["messaging.message.id"] == e.ID && s.Attributes["messaging.kafka.offset"] == fmt.Sprint(at.offset)
		}) {
			w.t.Errorf("no span of %s on its way to %v", e.Type, at)
		}
	}
	if len(spans) != want {
		w.t.Errorf("%d spans of %d events that were published", len(spans), want)
	}
	for _, s := range w.spans {
		if s.Start.Before(w.spans[s.Parent].Start) {
			w.t.Errorf("%s begins before %s", s.Title(), w.spans[s.Parent].Title())
		}
	}
}

// declared compares the steps that the saga declares with those that were
// taken: whatever has happened was reacted to, as often as it happened.
func (w *walk) declared() {
	w.t.Helper()
	happened := w.story()[w.id].counts
	for _, st := range shop.PlaceOrder.Steps(w.c.Topology) {
		if st.On == "" {
			continue // a command or a timer: the test says which
		}
		if n := w.steps[st.By+" "+st.On]; n != happened[st.On] {
			w.t.Errorf("%s reacted %d times to %d × %s", st.By, n, happened[st.On], st.On)
		}
	}
}

// took wants steps to have been taken once, or as often as is said.
func (w *walk) took(times int, steps ...string) {
	w.t.Helper()
	for _, st := range steps {
		if w.steps[st] != times {
			w.t.Errorf("%s: %d times, want %d; of %v", st, w.steps[st], times, slices.Sorted(maps.Keys(w.steps)))
		}
	}
}
