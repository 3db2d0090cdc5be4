package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/weirstream/weir/streams/telemetry"
)

// tracing keeps spans as they end.
func tracing(r *telemetry.Recent) trace.Tracer {
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(r)).Tracer("")
}

func TestTracesAreListedAndChosen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &telemetry.Recent{}
		tracer := tracing(r)
		ids := map[string]string{}
		for i, name := range []string{"POST /v1/orders", "desk remind", "floor errand.asked"} {
			ctx, root := tracer.Start(context.Background(), name, trace.WithAttributes(attribute.String("service.name", "gateway")))
			ids[root.SpanContext().TraceID().String()] = name
			time.Sleep(time.Millisecond)
			_, child := tracer.Start(ctx, fmt.Sprint("payment step-", i), trace.WithAttributes(attribute.String("service.name", "Payment"), attribute.String("weir.correlation", fmt.Sprint("C-", i))))
			if i == 1 {
				child.SetStatus(codes.Error, "")
			}
			time.Sleep(time.Duration(i) * time.Second)
			child.End()
			root.End()
		}
		for _, c := range []struct {
			f     telemetry.Filter
			limit int
			want  string
		}{
			{telemetry.Filter{}, 9, "floor errand.asked|desk remind|POST /v1/orders"},
			{telemetry.Filter{}, 1, "floor errand.asked"},
			{telemetry.Filter{Failed: true}, 9, "desk remind"},
			{telemetry.Filter{Slower: time.Second}, 9, "floor errand.asked|desk remind"},
			{telemetry.Filter{Text: "STEP-2"}, 9, "floor errand.asked"},
			{telemetry.Filter{Text: "c-0"}, 9, "POST /v1/orders"},
			{telemetry.Filter{Text: "payment"}, 9, "floor errand.asked|desk remind|POST /v1/orders"},
			{telemetry.Filter{Text: "payment", Failed: true, Slower: time.Minute}, 9, ""},
			{telemetry.Filter{Text: "nobody"}, 9, ""},
		} {
			var got []string
			for _, s := range r.List(c.f, c.limit) {
				got = append(got, s.Root)
				if ids[s.ID] != s.Root || s.Spans != 2 || fmt.Sprint(s.Services) != "[gateway Payment]" || len(s.Correlations) != 1 {
					t.Errorf("%+v", s)
				}
			}
			if g := strings.Join(got, "|"); g != c.want {
				t.Errorf("%+v chooses %s, want %s", c.f, g, c.want)
			}
		}
		newest := r.List(telemetry.Filter{}, 1)[0]
		if newest.Took() != 2*time.Second+time.Millisecond || len(r.List(telemetry.Filter{Text: newest.ID}, 9)) != 1 {
			t.Errorf("the newest is %+v", newest)
		}
		if s, ok := r.Summary(newest.ID); !ok || fmt.Sprint(s) != fmt.Sprint(newest) {
			t.Errorf("by its id it is %+v", s)
		}
		if s, ok := r.Summary("0"); ok {
			t.Errorf("a trace of no id is %+v", s)
		}
	})
}

func TestEventsAndLinksOfSpansAreKept(t *testing.T) {
	r := &telemetry.Recent{}
	tracer := tracing(r)
	_, other := tracer.Start(context.Background(), "other")
	_, s := tracer.Start(context.Background(), "batch", trace.WithLinks(trace.Link{SpanContext: other.SpanContext(), Attributes: []attribute.KeyValue{attribute.Int("n", 3)}}))
	s.RecordError(errors.New("no route"))
	s.SetStatus(codes.Error, "")
	s.End()
	got := r.Trace(s.SpanContext().TraceID().String())
	if len(got) != 1 || got[0].Error != "failed" {
		t.Fatalf("%+v", got)
	}
	if l := got[0].Links; len(l) != 1 || l[0].Trace != other.SpanContext().TraceID().String() || l[0].Span != other.SpanContext().SpanID().String() || l[0].Attributes["n"] != "3" {
		t.Errorf("links %+v", l)
	}
	if e := got[0].Events; len(e) != 1 || e[0].Name != "exception" || e[0].Attributes["exception.message"] != "no route" || e[0].At.IsZero() {
		t.Errorf("events %+v", e)
	}
}

// trail leaves a trace of so many spans beside its root, which takes so long.
func trail(tracer trace.Tracer, spans int, took time.Duration, failed bool) (id string) {
	ctx, root := tracer.Start(context.Background(), "root")
	for range spans {
		_, s := tracer.Start(ctx, "child", trace.WithAttributes(attribute.String("weir.correlation", strings.Repeat("c", 1000))))
		s.End()
	}
	time.Sleep(took)
	if failed {
		root.SetStatus(codes.Error, "no")
	}
	root.End()
	return root.SpanContext().TraceID().String()
}

// However much there is, the latest traces are kept, as far as the budget goes, and
// each of them whole; those that failed or were slow are kept longer.
func TestRecentKeepsWholeTracesInItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &telemetry.Recent{Bytes: 800_000}
		tracer := tracing(r)
		failed, slow := trail(tracer, 9, 0, true), trail(tracer, 9, 2*time.Second, false)
		var plain []string
		for range 700 {
			plain = append(plain, trail(tracer, 9, time.Millisecond, false))
		}
		whole := func(ids ...string) (n int) {
			for _, id := range ids {
				switch len(r.Trace(id)) {
				case 10:
					n++
				case 0:
				default:
					t.Errorf("%d of the 10 spans of %s are kept", len(r.Trace(id)), id)
				}
			}
			return n
		}
		if whole(failed, slow) != 2 || whole(plain[len(plain)-10:]...) != 10 {
			t.Errorf("kept are %d notable ones and %d of the last ten", whole(failed, slow), whole(plain[len(plain)-10:]...))
		}
		if n := whole(plain...); n == 700 || r.Has(plain[0]) {
			t.Errorf("%d are kept beyond the budget", n)
		}
		for range 1000 { // slow enough to be packed
			plain = append(plain, trail(tracer, 9, 100*time.Millisecond, false))
		}
		if n := whole(plain...); n < 150 || n > 900 {
			t.Errorf("%d are kept packed", n)
		}
		for range 700 { // trouble without end takes half of the budget at most
			trail(tracer, 9, time.Millisecond, true)
		}
		if whole(plain[len(plain)-10:]...) != 10 || r.Has(failed) {
			t.Error("what failed leaves no room for others, or is kept for ever")
		}
	})
}

// What comes of a trace that had to go is not kept: half a trace would be taken for
// a whole one. And what one trace takes is bounded.
func TestNoHalfTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &telemetry.Recent{Bytes: 100_000, Keep: time.Minute, Longer: time.Hour}
		tracer := tracing(r)
		ctx, first := tracer.Start(context.Background(), "first")
		first.End()
		bad := trail(tracer, 1, 0, true)
		id := first.SpanContext().TraceID().String()
		if !r.Has(id) {
			t.Fatal("it is not there")
		}
		time.Sleep(2 * time.Minute)
		if r.Has(id) || !r.Has(bad) {
			t.Errorf("after two minutes the plain one is kept: %v, the failed one: %v", r.Has(id), r.Has(bad))
		}
		_, late := tracer.Start(ctx, "late")
		late.End()
		if n := len(r.Trace(id)); n != 0 {
			t.Errorf("%d spans of half a trace are shown", n)
		}
		if huge := trail(tracer, 1000, 0, false); r.Has(huge) {
			t.Error("one trace has more than its share")
		}
		time.Sleep(2 * time.Hour)
		if r.Has(bad) {
			t.Error("what failed is kept for ever")
		}
	})
}
