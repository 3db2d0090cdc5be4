package telemetry

import (
	"context"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Recent is a span exporter that keeps the last traces in memory, for the live
// page. It is bounded by traces and by spans per trace.
type Recent struct {
	Traces int // kept; default 2,000
	Spans  int // per trace; default 5,000

	mu    sync.Mutex
	byID  map[string][]Span
	order []string // oldest first
}

// Span is a finished span.
type Span struct {
	ID, Parent string
	Name       string
	Kind       string // "consumer", "client", "server"
	Start      time.Time
	End        time.Time
	Error      string
	Attributes map[string]string
}

// ExportSpans keeps spans.
func (r *Recent) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = map[string][]Span{}
	}
	for _, s := range spans {
		r.add(s)
	}
	return nil
}

func (r *Recent) add(s sdktrace.ReadOnlySpan) {
	id := s.SpanContext().TraceID().String()
	have, ok := r.byID[id]
	if !ok {
		if r.order = append(r.order, id); len(r.order) > or(r.Traces, 2000) {
			delete(r.byID, r.order[0])
			r.order = r.order[1:]
		}
	}
	if len(have) >= or(r.Spans, 5000) {
		return
	}
	x := Span{ID: s.SpanContext().SpanID().String(), Name: s.Name(), Kind: s.SpanKind().String(), Start: s.StartTime(), End: s.EndTime(),
		Error: s.Status().Description, Attributes: map[string]string{}}
	if s.Parent().HasSpanID() {
		x.Parent = s.Parent().SpanID().String()
	}
	for _, a := range s.Attributes() {
		x.Attributes[string(a.Key)] = a.Value.String()
	}
	r.byID[id] = append(have, x)
}

func or(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// Shutdown forgets nothing: the page may still be looked at.
func (r *Recent) Shutdown(context.Context) error { return nil }

// Trace returns the kept spans of a trace, in the order of their ends.
func (r *Recent) Trace(id string) []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.byID[id]...)
}
