package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weirstream/weir/streams/telemetry"
)

// tracesListed bounds the list.
const tracesListed = 100

// slownesses are the choices of the list's filter, as Go durations.
var slownesses = []struct{ Value, Name string }{{"", "of any length"}, {"10ms", "of 10 ms and more"}, {"100ms", "of 100 ms and more"}, {"1s", "of 1 s and more"}, {"10s", "of 10 s and more"}, {"1m", "of 1 min and more"}}

// tracesBody is the list.
type tracesBody struct {
	Query, Slower string
	Failed        bool
	Choices       []struct{ Value, Name string }
	Rows          []telemetry.Summary
	More          bool // there are others beyond the bound
	Trouble       string
}

func (b *tracesBody) Filtered() bool { return b.Query != "" || b.Slower != "" || b.Failed }

func (c *Console) traceList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	b := tracesBody{Query: strings.TrimSpace(q.Get("q")), Slower: q.Get("slower"), Failed: q.Get("failed") != "", Choices: slownesses}
	filter := telemetry.Filter{Text: b.Query, Failed: b.Failed}
	status := http.StatusOK
	if b.Slower != "" {
		var err error
		if filter.Slower, err = time.ParseDuration(b.Slower); err != nil {
			status, b.Trouble = http.StatusBadRequest, "A length is written like 100ms or 2s. Traces of any length are shown."
		}
	}
	var err error
	if b.Rows, err = c.listed(r.Context(), filter, tracesListed+1); err != nil {
		b.Trouble += " Only what this process keeps is shown: " + mask(firstLine(err.Error())) + "."
	}
	if b.More = len(b.Rows) > tracesListed; b.More {
		b.Rows = b.Rows[:tracesListed]
	}
	c.show(w, r, status, "traces", frame{Title: "Traces", At: "traces", Live: true, Body: &b})
}

// traceBody is the page of one trace.
type traceBody struct {
	telemetry.Summary
	Fall    waterfall
	Trouble string // that some spans may be missing
}

// missingSome says that spans of other processes may be missing.
func missingSome(err error) string {
	if err == nil {
		return ""
	}
	return "Spans of other processes may be missing: " + mask(firstLine(err.Error())) + "."
}

func (c *Console) tracePage(w http.ResponseWriter, r *http.Request) {
	id := strings.ToLower(r.PathValue("trace"))
	spans, err := c.spansOf(r.Context(), id)
	switch {
	case len(spans) == 0 && err != nil:
		c.problem(w, r, http.StatusServiceUnavailable, "This process does not keep this trace, and whether Jaeger has it is not known: "+mask(firstLine(err.Error()))+".")
		return
	case len(spans) == 0:
		c.problem(w, r, http.StatusNotFound, "No trace of this id is kept: the budget of spans was used up, newer ones have taken its place, or another process has it.")
		return
	}
	s := telemetry.Summarise(id, spans)
	live := c.Now().Sub(s.End) < 10*time.Second // its last spans are still coming in
	c.show(w, r, http.StatusOK, "trace", frame{Title: s.Root, At: "traces", Live: live, Body: traceBody{s, drawTrace(id, spans, spansShown), missingSome(err)}})
}

// tracePath is the page of a trace, at one of its spans if that is named.
func tracePath(id, span string) string {
	if span != "" {
		span = "#span-" + span
	}
	return fmt.Sprint("/traces/", url.PathEscape(id), span)
}

// spanPath is the page of the span that a traceparent names.
func spanPath(traceparent string) string {
	if id := traceID(traceparent); id != "" {
		return tracePath(id, strings.Split(traceparent, "-")[2])
	}
	return "/traces"
}
