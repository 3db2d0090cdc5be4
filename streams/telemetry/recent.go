package telemetry

import (
	"bytes"
	"cmp"
	"compress/flate"
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Recent is a span exporter that keeps traces in memory, for the live page: for a
// time, as far as a budget of bytes goes. What failed or was slow is kept longer, in
// up to half of the budget. A trace is there as a whole, as far as it was exported
// here, or not at all: what comes of one that had to go is not kept.
type Recent struct {
	Keep   time.Duration // since its last span; default an hour
	Longer time.Duration // a trace with a span that failed or was slow; default a day
	Slow   time.Duration // a span that takes so long is slow; default a second
	Bytes  int           // of all traces; default 64 MiB, of one at most an eighth

	mu      sync.Mutex
	byID    map[string]*keptTrace
	plain   list.List // of *keptTrace, the one that has been quiet for longest first
	notable list.List // those that failed or were slow
	bytes   [2]int    // of plain and notable ones
	open    map[*keptTrace]bool
	gone    map[string]bool
	going   []string // the ids in gone, the oldest first
}

// keptTrace is a trace: its spans, or, once it is quiet, the same packed.
type keptTrace struct {
	id      string
	spans   []Span
	packed  []byte
	summary Summary // of a packed one
	words   string  // that it is found by
	bytes   int
	last    time.Time
	notable bool
	place   *list.Element
}

const (
	quietFor  = 2 * time.Second // until a trace is packed
	goneKnown = 1 << 15         // ids of traces that had to go
	ofOne     = 8               // the share of the budget that one trace may have is one in so many
)

// Span is a finished span.
type Span struct {
	ID, Parent string
	Name       string
	Kind       string // "consumer", "producer", "client", "server", "internal"
	Start      time.Time
	End        time.Time
	Error      string // empty unless it failed
	Attributes map[string]string
	Events     []SpanEvent
	Links      []SpanLink
}

// Title is what a span does as a person says it: the decision, if it is one, and
// else its name, which the conventions make of where a message came from.
func (s Span) Title() string {
	if d, in := s.Attributes["weir.decider"], s.Attributes["weir.input"]; d != "" && in != "" {
		return d + " " + in
	}
	if e := s.Attributes["weir.event"]; e != "" && s.Kind == "producer" {
		return "publish " + e
	}
	if c := s.Attributes["weir.command"]; c != "" && s.Kind == "producer" {
		return "send " + c
	}
	return s.Name
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
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID, r.open, r.gone = map[string]*keptTrace{}, map[*keptTrace]bool{}, map[string]bool{}
	}
	for _, s := range spans {
		if id := s.SpanContext().TraceID().String(); !r.gone[id] {
			r.add(id, spanOf(s), now)
		}
	}
	for t := range r.open {
		if now.Sub(t.last) >= quietFor {
			r.bytes[t.kind()] -= t.bytes
			t.pack()
			r.bytes[t.kind()] += t.bytes
			delete(r.open, t)
		}
	}
	r.trim(now)
	return nil
}

func (r *Recent) add(id string, s Span, now time.Time) {
	t := r.byID[id]
	if t == nil {
		t = &keptTrace{id: id}
		r.byID[id] = t
	} else {
		r.take(t)
	}
	t.unpack()
	t.spans = append(t.spans, s)
	t.bytes += s.size()
	t.last = now
	t.notable = t.notable || s.Error != "" || s.End.Sub(s.Start) >= cmp.Or(r.Slow, time.Second)
	if t.bytes > cmp.Or(r.Bytes, 64<<20)/ofOne {
		r.forget(t)
		return
	}
	r.open[t] = true
	r.bytes[t.kind()] += t.bytes
	if t.notable {
		t.place = r.notable.PushBack(t)
	} else {
		t.place = r.plain.PushBack(t)
	}
}

func (t *keptTrace) kind() int {
	if t.notable {
		return 1
	}
	return 0
}

// take removes a trace from its queue.
func (r *Recent) take(t *keptTrace) {
	r.bytes[t.kind()] -= t.bytes
	if t.notable {
		r.notable.Remove(t.place)
	} else {
		r.plain.Remove(t.place)
	}
}

// forget removes a trace that is in no queue for good.
func (r *Recent) forget(t *keptTrace) {
	delete(r.byID, t.id)
	delete(r.open, t)
	r.gone[t.id] = true
	if r.going = append(r.going, t.id); len(r.going) > goneKnown {
		delete(r.gone, r.going[0])
		r.going = r.going[1:]
	}
}

// trim lets go what is beyond its time or the budget.
func (r *Recent) trim(now time.Time) {
	drop := func(l *list.List) {
		t := l.Front().Value.(*keptTrace)
		r.take(t)
		r.forget(t)
	}
	expire := func(l *list.List, after time.Duration) {
		for l.Len() > 0 && now.Sub(l.Front().Value.(*keptTrace).last) > after {
			drop(l)
		}
	}
	expire(&r.plain, cmp.Or(r.Keep, time.Hour))
	expire(&r.notable, cmp.Or(r.Longer, 24*time.Hour))
	budget := cmp.Or(r.Bytes, 64<<20)
	for r.bytes[0]+r.bytes[1] > budget {
		if r.bytes[1] > budget/2 || r.plain.Len() == 0 {
			drop(&r.notable)
		} else {
			drop(&r.plain)
		}
	}
}

// overhead is about what a trace, a span and an attribute take beside their texts.
const overhead = 256

func (s *Span) size() int {
	n := overhead + len(s.ID) + len(s.Parent) + len(s.Name) + len(s.Error)
	count := func(attributes map[string]string) {
		for k, v := range attributes {
			n += 64 + len(k) + len(v)
		}
	}
	count(s.Attributes)
	for _, e := range s.Events {
		n += overhead + len(e.Name)
		count(e.Attributes)
	}
	for _, l := range s.Links {
		n += overhead
		count(l.Attributes)
	}
	return n
}

// pack makes a tenth of a trace that nothing is heard of any more.
func (t *keptTrace) pack() {
	t.summary, t.words = Summarise(t.id, t.spans), words(t.id, t.spans)
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err == nil {
		err = errors.Join(json.NewEncoder(w).Encode(t.spans), w.Close())
	}
	if err != nil {
		return // it stays as it is
	}
	t.packed, t.spans = bytes.Clone(b.Bytes()), nil
	t.bytes = len(t.packed) + 2*len(t.words) + 2*overhead
}

// unpack is ready for more spans.
func (t *keptTrace) unpack() {
	if t.packed == nil {
		return
	}
	t.spans, t.packed, t.bytes = t.read(), nil, overhead
	for i := range t.spans {
		t.bytes += t.spans[i].size()
	}
}

// read is the trace's spans.
func (t *keptTrace) read() (spans []Span) {
	if t.packed == nil {
		return slices.Clone(t.spans)
	}
	if err := json.NewDecoder(flate.NewReader(bytes.NewReader(t.packed))).Decode(&spans); err != nil {
		return nil // what pack wrote can be read
	}
	return spans
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

// Shutdown forgets nothing: the page may still be looked at.
func (r *Recent) Shutdown(context.Context) error { return nil }

// Trace returns the kept spans of a trace, in the order of their ends.
func (r *Recent) Trace(id string) []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trim(time.Now())
	if t := r.byID[id]; t != nil {
		return t.read()
	}
	return nil
}

// Has reports whether a trace is kept.
func (r *Recent) Has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trim(time.Now())
	return r.byID[id] != nil
}
