package telemetry

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Summary is a kept trace in short.
type Summary struct {
	ID           string
	Root         string   // name of the span that began first
	Services     []string // in the order in which it reached them
	Correlations []string // sagas that its spans belong to, in the same order
	Spans        int      // kept
	Failed       int      // of them
	Start, End   time.Time
}

// Took is the time from its first begin to its last end.
func (s Summary) Took() time.Duration { return s.End.Sub(s.Start) }

// Filter chooses traces; its zero value chooses all.
type Filter struct {
	// Text is part of the name of a span, of a service, of a correlation or of
	// the trace's id, in letters of either case.
	Text   string
	Failed bool          // a span of it failed
	Slower time.Duration // took at least so long
}

// List sums up the kept traces that a filter chooses, the newest first, at most
// limit.
func (r *Recent) List(f Filter, limit int) []Summary {
	text := strings.ToLower(f.Text)
	var out []Summary
	for _, t := range r.all() {
		s, w := t.summary, t.words
		if t.packed == nil {
			s, w = Summarise(t.id, t.spans), words(t.id, t.spans)
		}
		if f.takes(s) && strings.Contains(w, text) {
			out = append(out, s)
		}
	}
	return Newest(out, limit)
}

func (f Filter) takes(s Summary) bool { return (!f.Failed || s.Failed > 0) && s.Took() >= f.Slower }

// Newest sorts summaries, the newest first, and keeps at most limit.
func Newest(list []Summary, limit int) []Summary {
	slices.SortFunc(list, func(a, b Summary) int { return cmp.Or(b.Start.Compare(a.Start), strings.Compare(a.ID, b.ID)) })
	return list[:min(limit, len(list))]
}

// Summary sums up a trace; ok is false if none of its spans is kept.
func (r *Recent) Summary(id string) (s Summary, ok bool) {
	spans := r.Trace(id)
	return Summarise(id, spans), len(spans) > 0
}

// all are the traces as they are now. Spans are only ever added behind, so that
// exporters need not wait for whoever reads them.
func (r *Recent) all() []keptTrace {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trim(time.Now())
	out := make([]keptTrace, 0, len(r.byID))
	for _, t := range r.byID {
		x := *t
		x.spans = slices.Clip(x.spans)
		out = append(out, x)
	}
	return out
}

// Summarise sums up a trace of these spans.
func Summarise(id string, spans []Span) Summary {
	spans = slices.SortedStableFunc(slices.Values(spans), func(a, b Span) int { return a.Start.Compare(b.Start) })
	s := Summary{ID: id, Spans: len(spans)}
	for i, x := range spans {
		if i == 0 {
			s.Root, s.Start = x.Title(), x.Start
		}
		if x.End.After(s.End) {
			s.End = x.End
		}
		if x.Error != "" {
			s.Failed++
		}
		s.Services = include(s.Services, x.Attributes["service.name"])
		s.Correlations = include(s.Correlations, x.Attributes["weir.correlation"])
	}
	return s
}

func include(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// words are what a trace is found by, in small letters.
func words(id string, spans []Span) string {
	all := []string{id}
	for _, x := range spans {
		for _, w := range []string{x.Name, x.Title(), x.Attributes["service.name"], x.Attributes["weir.correlation"]} {
			all = include(all, strings.ToLower(w))
		}
	}
	return strings.Join(all, "\n")
}
