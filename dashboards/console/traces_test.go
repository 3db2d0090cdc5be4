package console_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/weirstream/weir/streams"
)

const (
	traceA = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceB = "0af7651916cd43dd8448eb211c80319c"
)

func under(trace string) string { return "00-" + trace + "-00f067aa0ba902b7-01" }

// decide leaves the span of one decision.
func (h *house) decide(traceparent, correlation, decider, input string, err error) {
	_, done := h.tel.OnDecide(streams.Hop{Service: decider, Decider: decider, Name: input, Origin: streams.Origin{Traceparent: traceparent, Correlation: correlation}})
	done(streams.BatchInfo{}, err)
}

// export has all ended spans kept.
func (h *house) export() {
	h.t.Helper()
	if err := h.tel.Close(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func TestTraces(t *testing.T) {
	h := newHouse(t)
	h.get("/traces", 200, "No trace is kept yet")
	h.emit("c1", under(traceA), placed("o-1", "ada"))
	h.decide(under(traceA), "c1", "order", "place-order", nil)
	h.decide(under(traceA), "c1", "payment", "stock.reserved", errors.New("the disk of ada@example.org is full"))
	h.decide(under(traceB), "c2", "claim", "order.placed", &streams.Rejection{Code: "out-of-stock"})
	h.export()

	h.get("/traces", 200, traceA, traceB, "order place-order", "claim order.placed", "1 failure", `href="/sagas/c1"`, "order, payment")
	for path, want := range map[string]string{"q=PAYMENT": traceA, "q=c2": traceB, "q=" + traceB[:9]: traceB, "failed=1": traceA, "q=claim&failed=1": "", "slower=1m": "", "slower=1ns": traceA + traceB} {
		body := h.get("/traces?"+path, 200)
		for _, id := range []string{traceA, traceB} {
			if strings.Contains(body, `href="/traces/`+id) != strings.Contains(want, id) {
				t.Errorf("%s lists %s: %v", path, id, !strings.Contains(want, id))
			}
		}
	}
	h.get("/traces?slower=soon", 400, "A length is written like", traceA)
	body := h.get("/traces/"+strings.ToUpper(traceA), 200, `href="/sagas/c1"`, "✕ the disk of", "2 spans", "1 failure", "weir.decider", "stock.reserved")
	if strings.Contains(body, "ada@") {
		t.Error("a mail address is shown")
	}
	h.get("/traces/"+traceB, 200, "refused: out-of-stock")
	h.get("/traces/"+strings.Repeat("0", 32), 404, "No trace of this id is kept")
	h.get("/sagas/c1", 200, "/traces/"+traceA+`"`, "/traces/"+traceA+"#span-00f067aa0ba902b7", "1 span failed")
	h.get("/sagas?q="+traceB, 303, "/traces/"+traceB)
}

// A span that was begun by others tells whom to follow.
func TestLinksOfSpansAreFollowed(t *testing.T) {
	h := newHouse(t)
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(h.traces)).Tracer("")
	_, cause := tracer.Start(context.Background(), "cause")
	_, s := tracer.Start(context.Background(), "batch", oteltrace.WithLinks(oteltrace.LinkFromContext(oteltrace.ContextWithSpan(context.Background(), cause))))
	s.AddEvent("flushed", oteltrace.WithTimestamp(time.Now()))
	cause.End()
	s.End()
	h.get("/traces/"+s.SpanContext().TraceID().String(), 200, `href="/traces/`+cause.SpanContext().TraceID().String()+"#span-"+cause.SpanContext().SpanID().String(), "flushed")
}
