package console

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams/telemetry"
)

// Bounds and measures of a trace.
const (
	tracesShown  = 3   // of a saga
	spansBeside  = 150 // of each of them
	spansShown   = 500 // on the trace's own page
	barWidth     = 1000
	deepestShown = 12 // beyond it spans are not indented further
)

// waterfall is a trace: a row for each span, below the one that began it.
type waterfall struct {
	ID      string
	Rows    []spanRow
	Ticks   []string
	Spans   int // kept, shown or not
	Hidden  int // of them, those beyond the bound
	Failed  int
	Took    string
	Missing bool // not kept
}

// spanRow is a span, its bar from X for W of barWidth.
type spanRow struct {
	telemetry.Span
	Service    string
	Depth      int
	X, W       float64
	Took       string
	After      string // when it began, from the begin of the trace
	Why        string // it failed, or was refused
	Class      string
	Attributes []pair
	Events     []spanEvent
}

// pair is an attribute as it is shown.
type pair struct{ Name, Value string }

type spanEvent struct {
	Name, After string
	Attributes  []pair
}

// traceID is the trace of a traceparent, or empty.
func traceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}

// trace is what is kept of one.
type trace struct {
	id    string
	spans []telemetry.Span
}

// traces are those that the hops belong to, in the order of their begin.
func (c *Console) traces(hops []hop) (out []trace) {
	for _, h := range hops {
		id := traceID(h.Traceparent)
		if id == "" || len(out) == tracesShown || slices.ContainsFunc(out, func(t trace) bool { return t.id == id }) {
			continue
		}
		out = append(out, trace{id, c.Traces.Trace(id)})
	}
	return out
}

// withJaegers adds what Jaeger has of the traces.
func (c *Console) withJaegers(ctx context.Context, list []trace) (trouble string) {
	for i := range list {
		var err error
		if list[i].spans, err = c.spansOf(ctx, list[i].id); err != nil {
			trouble = missingSome(err)
		}
	}
	return trouble
}

// drawTrace lays out the first spans of a trace, at most limit.
func drawTrace(id string, spans []telemetry.Span, limit int) waterfall {
	w := waterfall{ID: id, Spans: len(spans), Missing: len(spans) == 0}
	if w.Missing {
		return w
	}
	first, last := spans[0].Start, spans[0].End
	for _, s := range spans {
		if s.Start.Before(first) {
			first = s.Start
		}
		if s.End.After(last) {
			last = s.End
		}
		if s.Error != "" {
			w.Failed++
		}
	}
	whole := max(last.Sub(first), time.Microsecond)
	w.Took = span(whole)
	for i := range 5 {
		w.Ticks = append(w.Ticks, span(whole*time.Duration(i)/4))
	}
	w.Ticks[0] = "0"
	w.Rows = family(spans)
	if n := len(w.Rows); n > limit {
		w.Hidden, w.Rows = n-limit, w.Rows[:limit]
	}
	for i := range w.Rows {
		w.Rows[i].draw(first, whole)
	}
	return w
}

func (r *spanRow) draw(first time.Time, whole time.Duration) {
	took := r.End.Sub(r.Start)
	r.Service = r.Span.Attributes["service.name"]
	r.W = round(min(max(barWidth*float64(took)/float64(whole), 3), barWidth))
	r.X = min(round(barWidth*float64(r.Start.Sub(first))/float64(whole)), barWidth-r.W)
	r.Took, r.After = span(took), span(r.Start.Sub(first))
	r.Class = plainHop
	if r.Kind == "client" {
		r.Class = "call"
	}
	if code := r.Span.Attributes["weir.rejected"]; code != "" {
		r.Why = "refused: " + mask(code)
	}
	if r.Error != "" {
		r.Class, r.Why = badHop, mask(firstLine(r.Error))
	}
	r.Attributes = pairs(r.Span.Attributes)
	for _, e := range r.Span.Events {
		r.Events = append(r.Events, spanEvent{mask(e.Name), span(e.At.Sub(first)), pairs(e.Attributes)})
	}
}

// pairs are attributes by name.
func pairs(attributes map[string]string) (out []pair) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if v := attributes[name]; v != "" {
			out = append(out, pair{name, mask(v)})
		}
	}
	return out
}

// family arranges spans so that each stands below its parent, the earlier first.
func family(spans []telemetry.Span) []spanRow {
	known, children := map[string]bool{}, map[string][]telemetry.Span{}
	for _, s := range spans {
		known[s.ID] = true
	}
	for _, s := range spans {
		if !known[s.Parent] || s.Parent == s.ID {
			s.Parent = "" // its parent was not kept, or is of another system
		}
		children[s.Parent] = append(children[s.Parent], s)
	}
	for _, list := range children {
		slices.SortStableFunc(list, func(a, b telemetry.Span) int {
			return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.ID, b.ID))
		})
	}
	type place struct {
		span  telemetry.Span
		depth int
	}
	var stack []place
	push := func(list []telemetry.Span, depth int) {
		for _, s := range slices.Backward(list) {
			stack = append(stack, place{s, depth})
		}
	}
	push(children[""], 0)
	delete(children, "")
	var out []spanRow
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		out = append(out, spanRow{Span: p.span, Depth: min(p.depth, deepestShown)})
		push(children[p.span.ID], p.depth+1)
		delete(children, p.span.ID)
	}
	return out
}
