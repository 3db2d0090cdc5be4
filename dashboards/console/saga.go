package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// eventsShown bounds the events of one page.
const eventsShown = 1000

// sagaBody is the page of one saga.
type sagaBody struct {
	Row           sagaRow
	Subject       string // what it is about
	Story         story
	Running       bool
	Hops          []hop
	More          bool // there are events beyond the bound
	Timeline      timeline
	Traces        []waterfall
	TracesTrouble string // that some spans may be missing
	First         time.Time
	Others        []string    // correlations of events of other sagas about the same subject
	Why           []hindrance // what holds it up, and what is parked
}

func (c *Console) documentPage(w http.ResponseWriter, r *http.Request, v *business.View) {
	o, err := c.find(r.Context(), v, r.PathValue("key"))
	if err == nil && o == nil {
		err = projection.ErrNotFound
	}
	if err != nil {
		c.missing(w, r, err, "No "+v.One+" of this name has begun. If it began just now, look again.")
		return
	}
	c.saga(w, r, o.Correlation, o)
}

func (c *Console) sagaPage(w http.ResponseWriter, r *http.Request) {
	c.saga(w, r, r.PathValue("correlation"), nil)
}

func (c *Console) missing(w http.ResponseWriter, r *http.Request, err error, what string) {
	if errors.Is(err, projection.ErrNotFound) {
		c.problem(w, r, http.StatusNotFound, what)
		return
	}
	c.broken(w, r, err)
}

func (c *Console) saga(w http.ResponseWriter, r *http.Request, correlation string, o *subject) {
	b, err := c.sagaBody(r.Context(), correlation, o)
	if err != nil {
		c.missing(w, r, err, "No event carries this correlation. If it began just now, look again; if it is old, its history was pruned.")
		return
	}
	live := b.Running || c.Now().Sub(b.Row.LastAt) < 10*time.Second // its last spans are still coming in
	c.show(w, r, http.StatusOK, "saga", frame{Title: b.Subject, At: "sagas", Live: live, Body: b})
}

func (c *Console) sagaBody(ctx context.Context, correlation string, o *subject) (b sagaBody, err error) {
	sagas, err := c.Reads.Saga(ctx, correlation)
	if err != nil && !errors.Is(err, projection.ErrNotFound) {
		return b, err
	}
	s := projection.Saga{Correlation: correlation, State: projection.Ended}
	if len(sagas) > 0 {
		s = sagas[0]
	}
	if o == nil {
		if o, err = c.subjectOf(ctx, s); err != nil {
			return b, err
		}
	}
	events, err := c.firstEvents(ctx, correlation, o, eventsShown)
	if err != nil {
		return b, err
	}
	if len(events) == 0 && o == nil && len(sagas) == 0 {
		return b, projection.ErrNotFound
	}
	if b.More = len(events) >= eventsShown; b.More {
		events = events[:eventsShown]
	}
	c.fill(ctx, &b, s, o, events)
	return b, nil
}

func (c *Console) fill(ctx context.Context, b *sagaBody, s projection.Saga, o *subject, events []projection.Entry) {
	now := c.Now()
	b.Running = s.State == projection.Running
	b.Hops = c.shape.hops(events)
	b.Subject = s.Correlation
	if len(events) > 0 {
		b.First = events[0].Time
		if s.Started.IsZero() { // an input from outside that began no saga
			s.Started, s.Ended, s.Events = b.First, events[len(events)-1].Time, int64(len(events))
			s.Last, s.LastAt = events[len(events)-1].Type, s.Ended
		}
	}
	b.Row = c.row(s, o)
	if o != nil {
		b.Subject = o.Key
	}
	b.Story = c.story(s.Name, o, b.Hops)
	letters, _, _ := c.lettersNow(ctx) // the list of concerns says if they cannot be read
	b.Why = c.why(letters, s.Correlation, o, b.Story.Now(), b.Hops)
	for _, h := range b.Hops {
		if h.Correlation != s.Correlation && !slices.Contains(b.Others, h.Correlation) && len(b.Others) < tracesShown {
			b.Others = append(b.Others, h.Correlation)
		}
	}
	traces := c.traces(b.Hops)
	b.TracesTrouble = c.withJaegers(ctx, traces)
	var spans []telemetry.Span
	for _, t := range traces {
		spans = append(spans, t.spans...)
		b.Traces = append(b.Traces, drawTrace(t.id, t.spans, spansBeside))
	}
	b.Timeline = c.shape.drawTimeline(b.Hops, spans, b.Story.Left, b.Running, s.Due, now)
}
