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

func TestRecentIsBounded(t *testing.T) {
	r := &telemetry.Recent{Traces: 2, Spans: 3}
	tracer := tracing(r)
	for i := range 4 {
		ctx, root := tracer.Start(context.Background(), fmt.Sprint("t", i))
		for range 5 {
			_, s := tracer.Start(ctx, "child")
			s.End()
		}
		root.End()
	}
	list := r.List(telemetry.Filter{}, 9)
	if len(list) != 2 || list[0].Spans != 3 || list[1].Spans != 3 {
		t.Errorf("%+v", list)
	}
}
