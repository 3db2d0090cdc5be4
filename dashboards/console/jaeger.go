package console

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weirstream/weir/streams/telemetry"
)

// asked are traces that a Jaeger was asked for.
type asked struct {
	mu   sync.Mutex
	byID map[string]*kept[[]telemetry.Span]
}

const (
	jaegerFresh = 5 * time.Second // a trace that still grows is asked for again
	jaegerTime  = 3 * time.Second // it has for an answer: a page waits for it
	jaegerKept  = 64              // traces
)

func (a *asked) of(id string) *kept[[]telemetry.Span] {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.byID[id]
	if k == nil {
		if a.byID == nil || len(a.byID) >= jaegerKept {
			a.byID = map[string]*kept[[]telemetry.Span]{}
		}
		k = &kept[[]telemetry.Span]{}
		a.byID[id] = k
	}
	return k
}

// spansOf are the spans of a trace, those of this process and those that Jaeger has.
// With an error they are what is known without it.
func (c *Console) spansOf(ctx context.Context, id string) ([]telemetry.Span, error) {
	own := c.Traces.Trace(id)
	if c.Jaeger == nil || id == "" {
		return own, nil
	}
	k := c.jaeger.of(id)
	more, err := k.get(c.Now(), jaegerFresh, func() ([]telemetry.Span, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), jaegerTime)
		defer cancel()
		return c.Jaeger.Trace(ctx, id)
	})
	if err != nil {
		more, _ = k.latest()
	}
	for _, s := range more {
		if !slices.ContainsFunc(own, func(o telemetry.Span) bool { return o.ID == s.ID }) {
			own = append(own, s)
		}
	}
	return own, err
}

// listed are the traces that a filter chooses, here and at Jaeger.
func (c *Console) listed(ctx context.Context, f telemetry.Filter, limit int) ([]telemetry.Summary, error) {
	out := c.Traces.List(f, limit)
	if c.Jaeger == nil {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, jaegerTime)
	defer cancel()
	more, err := c.Jaeger.List(ctx, f, limit)
	for _, s := range more { // it has all processes' spans of a trace
		if i := slices.IndexFunc(out, func(o telemetry.Summary) bool { return o.ID == s.ID }); i < 0 {
			out = append(out, s)
		} else if s.Spans > out[i].Spans {
			out[i] = s
		}
	}
	return telemetry.Newest(out, limit), err
}
