package console

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams/telemetry"
)

// Bounds and measures of a trace.
const (
	spansShown   = 150
	tracesShown  = 3
	spanHeight   = 19
	spanName     = 320
	spanIndent   = 9
	deepestShown = 12 // beyond it spans are not indented further
)

// waterfall is a trace: a row for each span, below the one that began it.
type waterfall struct {
	ID      string
	W, H    float64
	Top     float64
	Rows    []spanRow
	Ticks   []tick
	Hidden  int // spans beyond the bound
	Failed  int
	Took    string
	Missing bool // not kept
}

type spanRow struct {
	telemetry.Span
	Service     string
	Label       string
	Y, NameX    float64
	X, W        float64
	Took        string
	TookX       float64
	Anchor      string
	Class, Hint string
	depth       int
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

func drawTrace(id string, spans []telemetry.Span) waterfall {
	w := waterfall{ID: id, W: timelineWidth, Top: axisHeight, Missing: len(spans) == 0}
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
		w.Ticks = append(w.Ticks, tick{round(spanName + (timelineWidth-spanName-70)*float64(i)/4), span(whole * time.Duration(i) / 4)})
	}
	w.Ticks[0].Label = "0"
	rows := family(spans)
	if len(rows) > spansShown {
		w.Hidden, rows = len(rows)-spansShown, rows[:spansShown]
	}
	for i, r := range rows {
		w.Rows = append(w.Rows, drawSpan(r, i, first, whole))
	}
	w.H = w.Top + float64(len(w.Rows))*spanHeight + 6
	return w
}

func drawSpan(r spanRow, i int, first time.Time, whole time.Duration) spanRow {
	const field = timelineWidth - spanName - 70
	took := r.End.Sub(r.Start)
	r.Service = r.Attributes["service.name"]
	r.Y = axisHeight + float64(i)*spanHeight
	r.NameX = 8 + spanIndent*float64(min(r.depth, deepestShown))
	r.Label = cut(mask(r.Name), int((spanName-r.NameX-width(r.Service)-18)/letterWidth))
	r.X = round(spanName + field*float64(r.Start.Sub(first))/float64(whole))
	r.W = round(max(field*float64(took)/float64(whole), 2))
	r.Took, r.TookX, r.Anchor = span(took), r.X+r.W+5, "start"
	r.Class = plainHop
	if r.Kind == "client" {
		r.Class = "call"
	}
	r.Hint = r.Service + ": " + mask(r.Name) + ", " + r.Took + ", began at " + span(r.Start.Sub(first))
	if n := r.Attributes["weir.attempt"]; n != "" && n != "1" {
		r.Hint += ", attempt " + n
	}
	if code := r.Attributes["weir.rejected"]; code != "" {
		r.Hint += ", refused: " + code
	}
	if r.Error != "" {
		r.fail()
	}
	return r
}

// fail writes a span's error beside its bar, on the side where there is room.
func (r *spanRow) fail() {
	why := mask(firstLine(r.Error))
	r.Class = badHop
	r.Hint += ", failed: " + why
	r.Took += " ✕ " + why
	behind, before := timelineWidth-r.TookX, r.X-spanName-8
	if width(r.Took) > behind && before > behind {
		r.TookX, r.Anchor = r.X-5, "end"
		behind = before
	}
	r.Took = cut(r.Took, int(behind/letterWidth))
}

// cut shortens a text to at most n letters.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:max(n-1, 0)]) + "…"
}

// family orders spans so that each stands below its parent, the earlier first.
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
		out = append(out, spanRow{Span: p.span, depth: p.depth})
		push(children[p.span.ID], p.depth+1)
		delete(children, p.span.ID)
	}
	return out
}
