package console

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

const (
	latestShown = 8
	slosShown   = 12
	rateWindow  = 10 * time.Second
)

// tile is a number with its curve.
type tile struct {
	Now, Peak  string
	Line, Area string
}

func tileOf(points []point, now float64, of func(point) float64) tile {
	values := make([]float64, len(points))
	for i, p := range points {
		values[i] = of(p)
	}
	values = thin(values, 90)
	top := now
	for _, v := range values {
		top = max(top, v)
	}
	t := tile{Now: perSecond(now), Peak: perSecond(top)}
	t.Line, t.Area = curve(values, 0, 180, 30)
	return t
}

// overviewBody is the first page.
type overviewBody struct {
	Saga                       *declared // that the tiles speak of; of no name: there is none
	Choices                    []choice  // of sagas, if there are several
	Pulse                      pulse
	Flight                     projection.InFlight
	FlightFull                 bool
	Events, Begun, Lag, Flying tile
	Unread                     int
	Behind                     string // how old the oldest unread record is, empty if none is
	LagKnown                   bool
	ReadModel                  string // how far the read model is behind
	ReadModelLate              bool
	Watched                    string // how far the curves go back
	Stream                     streamView
	Calls                      []callView
	Concerns                   []concern
	Alerts                     []alertView
	AlertCounts                []pair
	AlertsOld, SLOsOld         string    // how old they are, if they cannot be read
	Old                        string    // how old what the read model says is, if that is worth a word
	Stale                      string    // how old the rates are, if they are not of now
	SLOs, MoreSLOs             []sloView // the second are in less need of a look
	Latest                     sagaTable
	Customers, Views           bool // there are simulated ones, and documents
}

func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("saga")
	i := slices.IndexFunc(c.sagas, func(d declared) bool { return d.Name == name })
	if name != "" && i < 0 {
		c.problem(w, r, http.StatusNotFound, "No saga is called so.")
		return
	}
	b, err := c.overviewBody(r.Context(), c.shown(i))
	if err != nil {
		c.broken(w, r, err)
		return
	}
	c.show(w, r, http.StatusOK, "overview", frame{Title: "Overview", At: "overview", Live: true, Body: b})
}

// shown is the saga of this place; the first that promises an answer, or the first, if none
// was asked for.
func (c *Console) shown(i int) *declared {
	if i < 0 {
		i = max(slices.IndexFunc(c.sagas, func(d declared) bool { return len(d.answers) > 0 }), 0)
	}
	if i < len(c.sagas) {
		return &c.sagas[i]
	}
	return &declared{}
}

func (c *Console) overviewBody(ctx context.Context, d *declared) (b overviewBody, err error) {
	b.Saga, b.Customers, b.Views = d, c.Business.Customer != nil, len(c.Business.Views()) > 0
	for i := range c.sagas {
		b.Choices = append(b.Choices, choice{c.sagas[i].Name, "/?" + url.Values{"saga": {c.sagas[i].Name}}.Encode(), &c.sagas[i] == d})
	}
	if err := c.readOf(ctx, &b); err != nil {
		return b, err
	}
	c.measured(&b)
	c.promised(ctx, &b)
	return b, nil
}

// readOf fills in what the read model says; the error if it never said anything.
func (c *Console) readOf(ctx context.Context, b *overviewBody) (err error) {
	b.ReadModel, b.ReadModelLate = c.readModel()
	if b.Pulse, b.Old, err = c.pulseOf(ctx, b.Saga); b.Old == notKnown {
		return err
	}
	if b.Flight, err = c.inFlight(ctx); err != nil {
		var at time.Time
		if b.Flight, at = c.flight.latest(); at.IsZero() {
			return err
		}
		b.Old = asOf(&c.flight, c.Now(), err)
	}
	b.FlightFull = b.Flight.Sagas == flyingCounted
	if b.Latest, err = c.latest(ctx); err != nil && b.Old == "" {
		return err
	}
	if b.ReadModelLate && b.Old == "" {
		b.Old = "read model " + b.ReadModel
		if b.ReadModel == notKnown {
			b.Old = "age not known"
		}
	}
	return nil
}

// measured fills in what the metrics say.
func (c *Console) measured(b *overviewBody) {
	points, last, before := c.samples.now(rateWindow)
	_, _, minuteAgo := c.samples.now(time.Minute)
	var oldest float64
	unreadRecords, oldest, known := last.unread()
	b.Unread, b.LagKnown = int(unreadRecords), known
	if unreadRecords > 0 {
		b.Behind = span(seconds(oldest))
	}
	b.Events = tileOf(points, rate(before, last, func(r reading) float64 { return r.events }), func(p point) float64 { return p.events })
	if i := slices.IndexFunc(c.sagas, func(d declared) bool { return d.Name == b.Saga.Name }); i >= 0 {
		begun := rate(before, last, func(r reading) float64 { return at(r.begun, i) })
		b.Begun = tileOf(points, begun, func(p point) float64 { return at(p.begun, i) })
	}
	b.Lag = tileOf(points, unreadRecords, func(p point) float64 { return p.lag })
	b.Flying = tileOf(points, float64(b.Flight.Sagas), func(p point) float64 { return p.flying })
	b.Stale = c.stale(last)
	if len(points) > 0 {
		b.Watched = coarse(last.at.Sub(points[0].at) + sampleEvery)
	}
	b.Stream, b.Calls = c.streamView(before, last), callViews(minuteAgo, last)
}

// at is a value of those by saga; a reading that was never taken has none.
func at(values []float64, i int) float64 {
	if i < len(values) {
		return values[i]
	}
	return 0
}

// promised fills in what needs a look, and the objectives.
func (c *Console) promised(ctx context.Context, b *overviewBody) {
	var err error
	b.Concerns = c.concerns(ctx)
	b.Alerts, err = c.alertViews(ctx)
	b.AlertCounts, b.AlertsOld = counted(b.Alerts), asOf(&c.alerts, c.Now(), err)
	b.SLOs, err = c.objectives(ctx)
	b.SLOsOld = asOf(&c.slos, c.Now(), err)
	if len(b.SLOs) > slosShown {
		b.SLOs, b.MoreSLOs = b.SLOs[:slosShown], b.SLOs[slosShown:]
	}
}

func (c *Console) latest(ctx context.Context) (sagaTable, error) {
	page, err := c.Reads.Sagas(ctx, projection.SagaFilter{})
	if err != nil {
		return sagaTable{}, err
	}
	rows, err := c.rows(ctx, page.Items[:min(latestShown, len(page.Items))])
	return sagaTable{c.columns(""), rows}, err
}

// rate is how fast a counter grew between two readings; a counter that began
// anew did not shrink.
func rate(before, last reading, of func(reading) float64) float64 {
	s := last.at.Sub(before.at).Seconds()
	if s <= 0 {
		return 0
	}
	return max(of(last)-of(before), 0) / s
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// streamView is the drawing with what flows now.
type streamView struct {
	drawing
	Deciders []deciderView
	Flows    []flowView
	Width    int
	Label    string
}

type deciderView struct {
	box
	Service string // if it is called otherwise
	Narrow  bool   // the box has no room for both names
	Rate    float64
	Unread  int
	Behind  string
	Class   string
	Sub     string
}

type flowView struct {
	route
	Rate  float64
	Width float64
	Title string
}

// slow is when lag is worth a colour.
const slow = 2 * time.Second

func (c *Console) streamView(before, last reading) streamView {
	v := streamView{drawing: c.stream, Width: int(c.stream.W)}
	top := 0.0
	for _, f := range c.stream.Routes {
		r := rate(before, last, func(r reading) float64 { return c.flowed(r, f) })
		top = max(top, r)
		v.Flows = append(v.Flows, flowView{route: f, Rate: r})
	}
	for i := range v.Flows {
		f := &v.Flows[i]
		f.Width = 1
		if top > 0 {
			f.Width = round(1 + 5*math.Sqrt(f.Rate/top))
		}
		f.Title = f.From + " → " + f.To + ", " + perSecond(f.Rate) + "/s: " + join(f.Events)
	}
	for _, b := range c.stream.Boxes {
		v.Deciders = append(v.Deciders, c.deciderView(b, v.Flows, before, last))
	}
	return v
}

// flowed is how many inputs came by a flow.
func (c *Console) flowed(r reading, f route) (n float64) {
	decider, kind := f.To, string(streams.EventInput)
	if _, _, ok := c.Topology.Decider(f.To); !ok {
		decider, kind = f.From, string(streams.OutcomeInput)
	} else if _, _, ok := c.Topology.CommandTarget(f.Events[0]); ok {
		kind = string(streams.CommandInput)
	}
	for _, e := range f.Events {
		n += r.inputs[intake{decider, kind, e}]
	}
	return n
}

func (c *Console) deciderView(b box, flows []flowView, before, last reading) deciderView {
	v := deciderView{box: b}
	service, d, ok := c.Topology.Decider(b.Name)
	if !ok {
		for _, f := range flows {
			if f.From == b.Name || f.To == b.Name {
				v.Rate += f.Rate
			}
		}
		v.Sub = perSecond(v.Rate) + "/s"
		return v
	}
	if service.Name != b.Name {
		v.Service = service.Name
		v.Narrow = nameWide(b.Name)+width(" "+service.Name) > b.W
	}
	v.Rate = rate(before, last, func(r reading) (n float64) {
		for k, x := range r.inputs {
			if k.decider == b.Name {
				n += x
			}
		}
		return n
	})
	unreadRecords := 0.0
	for _, topic := range c.topicsOf(d) {
		unreadRecords += last.lag[unread{service.Name, topic}]
	}
	v.Unread = int(unreadRecords)
	v.Sub = perSecond(v.Rate) + "/s · no lag"
	if v.Unread > 0 {
		age := seconds(last.age[service.Name])
		v.Behind = span(age)
		v.Sub = perSecond(v.Rate) + "/s · lag " + v.Behind
		if age >= slow {
			v.Class = "hot"
		}
	}
	return v
}

// topicsOf are the topics that a decider reads.
func (c *Console) topicsOf(d *streams.Decider) (out []string) {
	for _, r := range c.Topology.Reactions(d) {
		if r.Kind != streams.EventInput {
			continue
		}
		if t, ok := c.Topology.Topic(r.Input); ok && !slices.Contains(out, t.Name) {
			out = append(out, t.Name)
		}
	}
	return out
}
