package telemetry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

func exporters(r *telemetry.Recent) []sdktrace.SpanExporter { return []sdktrace.SpanExporter{r} }

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	rootID  = "b7ad6b7169203331"
)

// byName finds the spans of a trace by what they do; the names must be unique
// unless several are wanted.
func byName(t *testing.T, spans []telemetry.Span) map[string][]telemetry.Span {
	t.Helper()
	out := map[string][]telemetry.Span{}
	for _, s := range spans {
		out[s.Title()] = append(out[s.Title()], s)
	}
	return out
}

// under wants a span of that name, once, below one of its parents.
func under(t *testing.T, spans map[string][]telemetry.Span, parent, name string) telemetry.Span {
	t.Helper()
	i := slices.IndexFunc(spans[name], func(s telemetry.Span) bool { return s.Parent == parent })
	if i < 0 {
		for _, ss := range spans {
			for _, s := range ss {
				t.Log(describe(s))
			}
		}
		t.Fatalf("no span %q under %s", name, parent)
	}
	return spans[name][i]
}

// oneTree wants every span but the root below another one, and none to begin before
// the one that began it.
func oneTree(t *testing.T, all []telemetry.Span, root telemetry.Span) {
	t.Helper()
	known := map[string]telemetry.Span{}
	for _, s := range all {
		known[s.ID] = s
	}
	for _, s := range all {
		p, ok := known[s.Parent]
		if ok != (s.ID != root.ID) || ok && s.Start.Before(p.Start) {
			t.Errorf("%s: its parent %s is there: %v", describe(s), describe(p), ok)
		}
	}
}

func wantAttributes(t *testing.T, s telemetry.Span, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if s.Attributes[k] != v {
			t.Errorf("%s has %s %q, want %q", describe(s), k, s.Attributes[k], v)
		}
	}
}

func spanOf(e streams.Envelope) string { return e.Traceparent[36:52] }

// One connected trace from the client's own span to the last event: over a
// command, events into another service, a call asked twice, a timer, and an
// input that was parked and retried.
func TestOneTraceToTheLastEvent(t *testing.T) {
	inErrands(t, 1000, func(e *errands) {
		e.jammed.Store(true)
		e.noAnswers.Store(1)
		e.request("r-1", "00-"+traceID+"-"+rootID+"-01", runErrand{Customer: "c-1"})
		time.Sleep(10 * time.Second)
		e.jammed.Store(false)
		e.retry("c-1")
		time.Sleep(90 * time.Second)
		e.c.Close()
		e.shut()
		all := e.recent.Trace(traceID)
		spans := byName(t, all)
		request := under(t, spans, rootID, "POST /errands/{customer}")
		command := under(t, spans, request.ID, "desk run-errand")
		for _, s := range spans["ring"] {
			if s.Parent != command.ID || s.Kind != "client" {
				t.Errorf("%s: want it under %s", describe(s), command.ID)
			}
		}
		if n := len(spans["ring"]); n != 2 || spans["ring"][0].Error == "" || spans["ring"][1].Error != "" {
			t.Errorf("%d calls: %+v", n, spans["ring"])
		}
		under(t, spans, command.ID, "desk ring")
		remind := under(t, spans, command.ID, "desk remind")
		failed := under(t, spans, command.ID, "floor errand.asked")
		if !strings.Contains(failed.Error, "jammed") {
			t.Errorf("%s", describe(failed))
		}
		retried := under(t, spans, failed.ID, "floor errand.asked")
		last := under(t, spans, remind.ID, "floor errand.reminded")
		for _, decided := range []telemetry.Span{command, spans["desk ring"][0], remind, failed, retried, last} {
			commits := slices.DeleteFunc(slices.Clone(decided.Events), func(e telemetry.SpanEvent) bool { return e.Name != "commit" })
			if (len(commits) == 1) != (decided.ID != failed.ID) {
				t.Errorf("%s has the commits %v", describe(decided), commits)
			}
		}
		for event, by := range map[string]telemetry.Span{"errand.asked": command, "errand.reminded": remind, "floor.loaded": retried, "floor.closed": last} {
			sent := under(t, spans, by.ID, "publish "+event)
			topic := by.Attributes["service.name"] + ".customer"
			wantAttributes(t, sent, map[string]string{"messaging.system": "kafka", "messaging.operation.name": "send", "messaging.operation.type": "send",
				"messaging.destination.name": topic, "weir.correlation": "c-1"})
			if sent.Name != "send "+topic || sent.Kind != "producer" || sent.Attributes["messaging.kafka.offset"] == "" || sent.Attributes["messaging.message.id"] == "" {
				t.Errorf("%s %v", describe(sent), sent.Attributes)
			}
		}
		oneTree(t, all, request)
		got := e.stored("c-1")
		for name, want := range map[string]string{"errand.asked": command.ID, "floor.loaded": retried.ID, "errand.reminded": remind.ID, "floor.closed": last.ID} {
			if tp := got[name].Traceparent; tp != "00-"+traceID+"-"+want+"-01" {
				t.Errorf("%s carries %s, want span %s", name, tp, want)
			}
		}
		wantAttributes(t, failed, map[string]string{"messaging.system": "kafka", "messaging.operation.name": "process", "messaging.operation.type": "process",
			"messaging.consumer.group.name": "floor", "messaging.destination.name": "desk.customer", "messaging.kafka.offset": "0", "messaging.message.id": got["errand.asked"].ID})
		if failed.Name != "process desk.customer" || failed.Kind != "consumer" || remind.Kind != "internal" || failed.Attributes["weir.correlation"] != "c-1" || failed.Attributes["service.name"] != "floor" {
			t.Errorf("attributes %v", failed.Attributes)
		}
	})
}

// What is not sampled passes through, until something fails: from there on all
// of it is kept.
func TestUnsampledTraceIsKeptFromAnErrorOn(t *testing.T) {
	const unsampled = "00-" + traceID + "-" + rootID + "-00"
	t.Run("nothing fails", func(t *testing.T) {
		inErrands(t, 1000, func(e *errands) {
			e.request("r-1", unsampled, runErrand{Customer: "c-1"})
			time.Sleep(90 * time.Second)
			for name, env := range e.stored("c-1") {
				if env.Traceparent != unsampled {
					t.Errorf("%s carries %s", name, env.Traceparent)
				}
			}
			e.c.Close()
			e.shut()
			if n := len(e.recent.Trace(traceID)); n != 0 {
				t.Errorf("%d spans", n)
			}
		})
	})
	t.Run("a decision fails", func(t *testing.T) {
		inErrands(t, 1000, func(e *errands) {
			e.jammed.Store(true)
			e.request("r-1", unsampled, runErrand{Customer: "c-1"})
			time.Sleep(10 * time.Second)
			e.jammed.Store(false)
			e.retry("c-1")
			time.Sleep(10 * time.Second)
			got := e.stored("c-1")
			e.c.Close()
			e.shut()
			spans := byName(t, e.recent.Trace(traceID))
			failed := under(t, spans, rootID, "floor errand.asked")
			retried := under(t, spans, failed.ID, "floor errand.asked")
			if env := got["floor.loaded"]; spanOf(env) != retried.ID || !strings.HasSuffix(env.Traceparent, "-01") {
				t.Errorf("what follows carries %s, want span %s", env.Traceparent, retried.ID)
			}
			if env := got["weir.parked"]; env.Traceparent != "" && spanOf(env) != failed.ID {
				t.Errorf("the dead letter carries %s, want span %s", env.Traceparent, failed.ID)
			}
			under(t, spans, retried.ID, "publish floor.loaded")
			if len(spans) != 3 {
				t.Errorf("%v", spans)
			}
		})
	})
	t.Run("a call fails", func(t *testing.T) {
		inErrands(t, 1000, func(e *errands) {
			e.noAnswers.Store(1)
			e.request("r-1", unsampled, runErrand{Customer: "c-1"})
			time.Sleep(10 * time.Second)
			got := e.stored("c-1")
			e.c.Close()
			e.shut()
			spans := byName(t, e.recent.Trace(traceID))
			failed := under(t, spans, rootID, "ring")
			if failed.Error == "" || failed.Attributes["weir.effect"] != "ring" {
				t.Errorf("%s %v", describe(failed), failed.Attributes)
			}
			under(t, spans, failed.ID, "ring") // asked again
			outcome := under(t, spans, failed.ID, "desk ring")
			if env := got["errand.answered"]; spanOf(env) != outcome.ID || !strings.HasSuffix(env.Traceparent, "-01") {
				t.Errorf("what follows carries %s, want span %s", env.Traceparent, outcome.ID)
			}
		})
	})
}

// A refusal is no error: it marks its span and keeps no trace by itself.
func TestRefusalIsNoError(t *testing.T) {
	inErrands(t, 1000, func(e *errands) {
		if r := e.request("r-1", "00-"+traceID+"-"+rootID+"-01", runErrand{Customer: "c-1", Weight: 99}); r.Status != streams.ReplyRejected {
			t.Errorf("%+v", r)
		}
		e.request("r-2", "00-"+strings.Repeat("1", 32)+"-"+rootID+"-00", runErrand{Customer: "c-1", Weight: 99})
		time.Sleep(time.Second)
		e.c.Close()
		e.shut()
		spans := byName(t, e.recent.Trace(traceID))
		if s := spans["desk run-errand"]; len(s) != 1 || s[0].Error != "" || s[0].Attributes["weir.rejected"] != "too-heavy" {
			t.Errorf("%+v", s)
		}
		if n := len(e.recent.Trace(strings.Repeat("1", 32))); n != 0 {
			t.Errorf("%d spans of an unsampled refusal", n)
		}
	})
}

// The budget bounds the traces that begin, and what a kept trace takes beyond
// it is paid from the seconds after.
func TestSpanBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), SpansPerSecond: 10})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := tel.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		begin := func(n int, tp string) (kept int) {
			for range n {
				got, done := tel.OnDecide(streams.Hop{Service: "s", Decider: "d", Name: "x", Origin: streams.Origin{Traceparent: tp}})
				if done != nil {
					kept++
					done(streams.BatchInfo{}, nil)
				} else if got != tp {
					t.Errorf("what is not kept carries %q, not %q", got, tp)
				}
			}
			return kept
		}
		want := func(what string, got, want int) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d spans, want %d", what, got, want)
			}
		}
		sampled, unsampled := "00-"+traceID+"-"+rootID+"-01", "00-"+traceID+"-"+rootID+"-00"
		want("new traces", begin(1000, ""), 10)
		time.Sleep(time.Second)
		want("a second later", begin(1000, ""), 10)
		time.Sleep(time.Second)
		want("under a kept parent", begin(35, sampled), 35)
		want("under a parent with another flag beside", begin(1, sampled[:53]+"03"), 1)
		want("under a parent that is not kept", begin(100, unsampled), 0)
		want("with nothing left", begin(100, ""), 0)
		for range 3 {
			time.Sleep(time.Second)
			begin(100, "")
		}
		time.Sleep(time.Second)
		want("once the burst is paid", begin(1000, ""), 10)
		want("garbage is no parent", begin(5, "nonsense"), 0)
		if tp := tel.OnFail(streams.Hop{Service: "s", Decider: "d", Name: "x", Origin: streams.Origin{Traceparent: unsampled}}, errors.New("no")); !strings.HasPrefix(tp, "00-"+traceID) || !strings.HasSuffix(tp, "-01") {
			t.Errorf("an error carries %s", tp)
		}
	})
}

// Without a budget nothing is begun, and what comes kept from outside is kept.
func TestNoBudget(t *testing.T) {
	inErrands(t, 0, func(e *errands) {
		e.request("r-1", "", runErrand{Customer: "c-1"})
		e.request("r-2", "00-"+traceID+"-"+rootID+"-01", runErrand{Customer: "c-2"})
		time.Sleep(10 * time.Second)
		if env := e.stored("c-1")["floor.loaded"]; env.Traceparent != "" {
			t.Errorf("a trace began: %s", env.Traceparent)
		}
		if env := e.stored("c-2")["floor.loaded"]; !strings.HasPrefix(env.Traceparent, "00-"+traceID) {
			t.Errorf("a trace was lost: %q", env.Traceparent)
		}
	})
}
