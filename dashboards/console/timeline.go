package console

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weirstream/weir/streams/telemetry"
)

// Measures of the timeline, in its own units.
const (
	timelineWidth = 1180
	nameWidth     = 160 // at least
	nameMargin    = 14
	nameLetter    = 7.4
	markSize      = 12
	lineHeight    = 20
	rowPadding    = 12
	axisHeight    = 24
	letterWidth   = 6.3 // of the widest font that a browser may choose
	tickApart     = 84
)

// timeline is a saga as a picture: a row for each decider, time to the right.
// Long waits are shortened: a gap's width grows with the logarithm of its time.
type timeline struct {
	W, H   float64
	Top    float64 // where the rows begin
	Left   float64 // where time does
	Ticks  []tick
	Rows   []timelineRow
	DueX   float64
	Due    string // empty: no deadline runs
	NowX   float64
	Shrunk bool // time is not to scale
}

type tick struct {
	X     float64
	Label string
}

type timelineRow struct {
	Name  string
	Y, H  float64
	Empty bool
	Marks []mark
	Waits []wait
}

// mark is a hop, several of one type, or a step that is left.
type mark struct {
	X, Y, LabelX, LabelY float64
	Class                string
	Label, Title         string
	N                    int // of the hop in the table, 0 for none
	count                int
	at                   time.Time
}

// wait is the time that an outside call took.
type wait struct {
	X, W, LabelX, LabelY float64
	Label                string
	from, to             time.Time
}

// drawTimeline lays a saga out. now is its end so far if it runs.
func (s *shape) drawTimeline(hops []hop, spans []telemetry.Span, left []step, running bool, due, now time.Time) timeline {
	t := timeline{W: timelineWidth, Top: axisHeight, Left: nameWidth}
	if len(hops) == 0 {
		return t
	}
	rows := s.rowsOf(hops)
	for _, l := range rows {
		r := timelineRow{Name: l.Name()}
		r.Marks = marksOf(l, hops)
		r.Waits = s.waitsOf(l, hops, spans, left, now)
		t.Rows = append(t.Rows, r)
		t.Left = max(t.Left, nameWide(r.Name))
	}
	moments := momentsOf(t.Rows)
	right := 190.0
	if running {
		right = 330
		moments = append(moments, now)
	}
	at := newScale(moments, t.Left, timelineWidth-right)
	t.Shrunk = at.shrunk()
	t.Ticks = at.ticks()
	if running {
		t.NowX = at.x(now)
		t.Due, t.DueX = "deadline in "+span(due.Sub(now)), timelineWidth-8
		if now.After(due) {
			t.Due = "deadline " + span(now.Sub(due)) + " ago"
		}
	}
	y := t.Top
	for i := range t.Rows {
		r := &t.Rows[i]
		for _, l := range left {
			if l.By == rows[i].Decider {
				m := mark{Class: "todo", Label: l.What, Title: l.By + " " + l.What, at: now}
				if !l.Now {
					m.Class, m.Title = "todo later", m.Title+", after "+strings.Join(l.on, ", ")
				}
				r.Marks = append(r.Marks, m)
			}
		}
		r.place(at, y)
		y += r.H
	}
	t.H = y + 4
	return t
}

// marksOf are a decider's hops, runs of one type together.
func marksOf(by lineage, hops []hop) (marks []mark) {
	for i := range hops {
		h := &hops[i]
		if h.By != by {
			continue
		}
		if n := len(marks); n > 0 && marks[n-1].Label == h.Type && marks[n-1].Class == h.Class {
			marks[n-1].count++
			continue
		}
		marks = append(marks, mark{Class: h.Class, Label: h.Type, N: h.N, count: 1, at: h.Time})
	}
	for i := range marks {
		m := &marks[i]
		m.Title = fmt.Sprintf("%s, %s after the begin", m.Label, span(m.at.Sub(hops[0].Time)))
		if m.count > 1 {
			m.Label = fmt.Sprintf("%s ×%d", m.Label, m.count)
		}
	}
	return marks
}

// waitsOf are a decider's outside calls, those that are not answered among
// them. The trace knows when a call was made. Without it the call lies
// somewhere between the event that led to it and its outcome.
func (s *shape) waitsOf(by lineage, hops []hop, spans []telemetry.Span, left []step, now time.Time) (waits []wait) {
	endpoint := s.endpoint[by.Decider]
	for _, h := range hops {
		if h.By == by && h.Called != nil {
			w := wait{Label: endpoint + " ≤ " + span(h.Time.Sub(h.Called.Time)), from: h.Called.Time, to: h.Time}
			if from, to, n := attempts(spans, by, endpoint, h.Called.Time, h.Time); n > 0 {
				w = wait{Label: endpoint + tries(n) + " " + span(to.Sub(from)), from: from, to: to}
			}
			waits = append(waits, w)
		}
	}
	for _, l := range left {
		if l.By == by.Decider && endpoint != "" && !l.Since.IsZero() {
			_, _, n := attempts(spans, by, endpoint, l.Since, now)
			waits = append(waits, wait{Label: endpoint + strings.TrimSuffix(tries(n), ",") + ", " + span(now.Sub(l.Since)) + " so far", from: l.Since, to: now})
		}
	}
	return waits
}

func tries(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(", %d tries,", n)
}

// attempts are a decider's calls of an endpoint within a time.
func attempts(spans []telemetry.Span, by lineage, endpoint string, after, before time.Time) (from, to time.Time, n int) {
	for _, s := range spans {
		if s.Kind != "client" || s.Attributes["service.name"] != by.Service || s.Attributes["peer.service"] != endpoint || s.Start.Before(after) || s.End.After(before) {
			continue
		}
		if n++; n == 1 || s.Start.Before(from) {
			from = s.Start
		}
		if s.End.After(to) {
			to = s.End
		}
	}
	return from, to, n
}

func momentsOf(rows []timelineRow) (out []time.Time) {
	for _, r := range rows {
		for _, m := range r.Marks {
			out = append(out, m.at)
		}
		for _, w := range r.Waits {
			out = append(out, w.from, w.to)
		}
	}
	return out
}

// place gives everything in a row its place, on as many lines as it takes for
// no two texts to lie on each other.
func (r *timelineRow) place(at scale, y float64) {
	r.Y, r.Empty = y, len(r.Marks) == 0
	type text struct {
		x, w float64
		set  func(line float64)
	}
	var texts []text
	for i := range r.Marks {
		m := &r.Marks[i]
		m.X = round(at.x(m.at))
		if strings.HasPrefix(m.Class, "todo") {
			m.X = round(m.X + 10)
		}
		texts = append(texts, text{m.X, markSize + 5 + width(m.Label), func(line float64) {
			m.Y, m.LabelX, m.LabelY = line+4, m.X+markSize+5, line+14
		}})
	}
	for i := range r.Waits {
		w := &r.Waits[i]
		w.X = round(at.x(w.from))
		w.W = round(max(at.x(w.to)-w.X, 1))
		texts = append(texts, text{w.X, 4 + width(w.Label), func(line float64) { w.LabelX, w.LabelY = w.X+4, line+14 }})
	}
	slices.SortStableFunc(texts, func(a, b text) int { return int(math.Round(a.x - b.x)) })
	ends := []float64{0}
	for _, t := range texts {
		line := slices.IndexFunc(ends, func(end float64) bool { return end+6 <= t.x })
		if line < 0 {
			line = len(ends)
			ends = append(ends, 0)
		}
		ends[line] = t.x + t.w
		t.set(y + rowPadding/2 + float64(line)*lineHeight)
	}
	r.H = float64(len(ends))*lineHeight + rowPadding
}

// nameWide is the room that a decider's name takes with what is left of it.
func nameWide(s string) float64 { return nameMargin + nameLetter*float64(utf8.RuneCountInString(s)) }

func width(s string) float64 { return letterWidth * float64(utf8.RuneCountInString(s)) }

// scale maps moments to places.
type scale struct {
	times  []time.Time
	places []float64
}

// newScale spreads the distinct ones of these moments between two places.
func newScale(moments []time.Time, from, to float64) scale {
	slices.SortFunc(moments, time.Time.Compare)
	s := scale{}
	for _, m := range moments {
		if n := len(s.times); n == 0 || m.After(s.times[n-1]) {
			s.times = append(s.times, m)
		}
	}
	sum := 0.0
	gaps := make([]float64, len(s.times))
	for i := 1; i < len(s.times); i++ {
		ms := float64(s.times[i].Sub(s.times[i-1])) / float64(time.Millisecond)
		gaps[i] = 0.6 + math.Log2(1+ms)
		sum += gaps[i]
	}
	stretch := min((to-from)/max(sum, 1), 160) // two moments do not fill the picture
	x := from
	for _, g := range gaps {
		x += g * stretch
		s.places = append(s.places, x)
	}
	return s
}

// x is the place of one of the moments.
func (s scale) x(t time.Time) float64 {
	i, ok := slices.BinarySearchFunc(s.times, t, time.Time.Compare)
	if ok || i == 0 {
		return s.places[min(i, len(s.places)-1)]
	}
	return s.places[i-1]
}

// shrunk reports whether some gap is much longer than others of its width.
func (s scale) shrunk() bool {
	n := len(s.times)
	return n > 2 && s.times[n-1].Sub(s.times[0]) > 0
}

// ticks label moments that lie far enough from each other: with the time since
// the begin, or, where that reads like the one before, since that one.
func (s scale) ticks() (out []tick) {
	last, before, written := math.Inf(-1), time.Time{}, ""
	for i, x := range s.places {
		if x-last < tickApart {
			continue
		}
		label := "0"
		if i > 0 {
			label = span(s.times[i].Sub(s.times[0]))
		}
		out = append(out, tick{round(x), label})
		if label == written {
			out[len(out)-1].Label = "+ " + span(s.times[i].Sub(before))
		}
		last, before, written = x, s.times[i], label
	}
	return out
}
