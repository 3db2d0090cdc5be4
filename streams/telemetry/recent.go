package telemetry

import (
	"cmp"
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
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
	Kind       string // "consumer", "client", "server", "internal"
	Start      time.Time
	End        time.Time
	Error      string // empty unless it failed
	Attributes map[string]string
	Events     []SpanEvent
	Links      []SpanLink
}

// SpanEvent is a moment within a span.
type SpanEvent struct {
	Name       string
	At         time.Time
	Attributes map[string]string
}

// SpanLink names a span, of this trace or another, that belongs to the cause of
// the one that holds it.
type SpanLink struct {
	Trace, Span string
	Attributes  map[string]string
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
	r.byID[id] = append(have, spanOf(s))
}

func spanOf(s sdktrace.ReadOnlySpan) Span {
	x := Span{ID: s.SpanContext().SpanID().String(), Name: s.Name(), Kind: s.SpanKind().String(), Start: s.StartTime(), End: s.EndTime(),
		Attributes: attributes(s.Attributes())}
	// The service is in the resource, as collectors want it; the page asks the span.
	if v, ok := s.Resource().Set().Value("service.name"); ok && x.Attributes["service.name"] == "" {
		x.Attributes["service.name"] = v.AsString()
	}
	if s.Status().Code == codes.Error {
		x.Error = cmp.Or(s.Status().Description, "failed")
	}
	if s.Parent().HasSpanID() {
		x.Parent = s.Parent().SpanID().String()
	}
	for _, e := range s.Events() {
		x.Events = append(x.Events, SpanEvent{e.Name, e.Time, attributes(e.Attributes)})
	}
	for _, l := range s.Links() {
		x.Links = append(x.Links, SpanLink{l.SpanContext.TraceID().String(), l.SpanContext.SpanID().String(), attributes(l.Attributes)})
	}
	return x
}

func attributes(list []attribute.KeyValue) map[string]string {
	out := make(map[string]string, len(list))
	for _, a := range list {
		out[string(a.Key)] = a.Value.String()
	}
	return out
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
