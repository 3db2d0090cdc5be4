package streamtest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirstream/weir/streams"
)

// Diary keeps what a run's instances logged and what went wrong with them, each
// line with its virtual time since the beginning.
type Diary struct {
	began time.Time

	mu    sync.Mutex
	lines []entry
}

type entry struct {
	at   time.Time
	text string
}

func (d *Diary) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, entry{time.Now(), text})
}

// page is a log handler that writes into a diary, each line with the attributes
// that its logger has. It keeps no groups: the lines are for reading.
type page struct {
	d     *Diary
	attrs string
}

func (p *page) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (p *page) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s", p.attrs, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	p.d.note(b.String())
	return nil
}

func (p *page) WithAttrs(attrs []slog.Attr) slog.Handler {
	s := p.attrs
	for _, a := range attrs {
		s += fmt.Sprintf("%s=%v ", a.Key, a.Value)
	}
	return &page{p.d, s}
}

func (p *page) WithGroup(string) slog.Handler { return p }

// OnLane writes down what becomes of lanes.
func (d *Diary) OnLane(e streams.LaneEvent) {
	if e.What == streams.LaneMeasured {
		return
	}
	text := fmt.Sprintf("lane %s/%d is %s", e.Service, e.Lane, e.What)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	d.note(text)
}

func (d *Diary) entries() []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// String is the whole diary.
func (d *Diary) String() string { return d.write(d.entries()) }

func (d *Diary) write(es []entry) string {
	slices.SortStableFunc(es, func(a, b entry) int { return a.at.Compare(b.at) })
	var b strings.Builder
	for _, e := range es {
		fmt.Fprintf(&b, "%10s  %s\n", e.at.Sub(d.began).Round(time.Millisecond), e.text)
	}
	return b.String()
}
