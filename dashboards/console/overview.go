package console

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Bounds of a view's queries, and how old an answer may be.
const (
	flyingCounted = 10_000 // running sagas that are looked at
	ordersJudged  = 2_000  // of the newest orders
	ordersWindow  = 5 * time.Minute
	pulseFresh    = 2 * time.Second
	newFor        = time.Second // an order may be unconfirmed so long before it counts as waiting
	latestShown   = 8
	slosShown     = 12
	rateWindow    = 10 * time.Second
)

// pulse is what the read model says about the last minutes.
type pulse struct {
	Judged     int // orders
	Full       bool
	P50, P99   time.Duration // from placed to confirmed
	Confirmed  int
	Waiting    int // neither confirmed nor cancelled, and not new any more
	Cancelled  int
	Share      float64 // of the cancelled ones
	States     []share
	Flight     projection.InFlight
	FlightFull bool
	Bars       []bar // how the times to confirmation lie
}

// share is a part of the orders.
type share struct {
	Name  string
	N     int
	X, W  float64 // of 100
	Class string
}

// bar is one column of a distribution.
type bar struct {
	X, Y, W, H float64
	Title      string
}

func (c *Console) readPulse(ctx context.Context) (p pulse, err error) {
	now := c.Now()
	if p.Flight, err = c.Reads.InFlight(ctx, now, flyingCounted); err != nil {
		return p, err
	}
	p.FlightFull = p.Flight.Sagas == flyingCounted
	views := c.subjectViews()
	if len(views) == 0 {
		return p, nil
	}
	docs, err := c.Reads.List(ctx, projection.ListQuery{View: views[0], Since: now.Add(-ordersWindow), Limit: ordersJudged})
	if err != nil {
		return p, err
	}
	p.judge(views[0], docs, now)
	return p, nil
}

func (p *pulse) judge(v *business.View, docs []projection.Document, now time.Time) {
	p.Judged, p.Full = len(docs), len(docs) == ordersJudged
	states := map[string]int{}
	var took []time.Duration
	for _, d := range docs {
		o := subject{v, d}
		confirmed, cancelled := o.at("confirmed_at"), o.at("cancelled_at")
		states[o.State]++
		if !cancelled.IsZero() {
			p.Cancelled++
		}
		switch {
		case !confirmed.IsZero():
			took = append(took, confirmed.Sub(o.Begun))
		case cancelled.IsZero() && now.Sub(o.Begun) > newFor:
			p.Waiting++
		}
	}
	p.Share = float64(p.Cancelled) / float64(max(p.Judged, 1))
	slices.Sort(took)
	p.Confirmed = len(took)
	p.P50, p.P99 = quantile(took, 0.5), quantile(took, 0.99)
	p.Bars = distribution(took)
	x := 0.0
	for _, s := range []string{"shipped", "released", "confirmed", "placed", "cancelled"} {
		if n := states[s]; n > 0 {
			w := 100 * float64(n) / float64(len(docs))
			p.States = append(p.States, share{s, n, round(x), round(w), "state-" + s})
			x += w
		}
	}
}

// quantile of sorted values, the nearest rank.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)]
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// distribution draws times in columns of a doubling scale, in 100 × 30.
func distribution(took []time.Duration) []bar {
	if len(took) == 0 {
		return nil
	}
	const columns = 24
	scale := func(d time.Duration) float64 { return math.Log2(float64(max(d, 1))) }
	low, high := scale(took[0]), scale(took[len(took)-1])
	width := max((high-low)/columns, 0.05)
	n := make([]int, columns)
	top := 0
	for _, d := range took {
		i := min(int((scale(d)-low)/width), columns-1)
		n[i]++
		top = max(top, n[i])
	}
	var out []bar
	for i, n := range n {
		if n == 0 {
			continue
		}
		h := max(28*float64(n)/float64(top), 1)
		from, to := time.Duration(math.Exp2(low+float64(i)*width)), time.Duration(math.Exp2(low+float64(i+1)*width))
		out = append(out, bar{round(float64(i) * 100 / columns), round(30 - h), round(100.0/columns - 0.8), round(h), plural(n, "order") + ", " + span(from) + " to " + span(to)})
	}
	return out
}

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
	Pulse                       pulse
	Events, Orders, Lag, Flying tile
	Unread                      int
	Behind                      string // how old the oldest unread record is, empty if none is
	LagKnown                    bool
	ReadModel                   string // how far the read model is behind
	ReadModelLate               bool
	Watched                     string // how far the curves go back
	Stream                      streamView
	Calls                       []callView
	Concerns                    []concern
	Alerts                      []alertView
	AlertCounts                 []pair
	AlertsOld, SLOsOld          string    // how old they are, if they cannot be read
	Old                         string    // how old what the read model says is, if that is worth a word
	Stale                       string    // how old the rates are, if they are not of now
	SLOs, MoreSLOs              []sloView // the second are in less need of a look
	Latest                      []sagaRow
}

func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	b, err := c.overviewBody(r.Context())
	if err != nil {
		c.broken(w, r, err)
		return
	}
	c.show(w, r, http.StatusOK, "overview", frame{Title: "Overview", At: "overview", Live: true, Body: b})
}

func (c *Console) overviewBody(ctx context.Context) (b overviewBody, err error) {
	// The answer is for everybody who looks: it is not given up with the first.
	var at time.Time
	if b.Pulse, err = c.pulse.get(c.Now(), pulseFresh, func() (pulse, error) { return c.readPulse(context.WithoutCancel(ctx)) }); err != nil {
		if b.Pulse, at = c.pulse.latest(); at.IsZero() {
			return b, err
		}
		b.Old = asOf(&c.pulse, c.Now(), err)
	}
	points, last, before := c.samples.now(rateWindow)
	_, _, minuteAgo := c.samples.now(time.Minute)
	events, orders := rate(before, last, func(r reading) float64 { return r.events }), rate(before, last, func(r reading) float64 { return r.orders })
	var unreadRecords, oldest float64
	unreadRecords, oldest, b.LagKnown = last.unread()
	b.Unread = int(unreadRecords)
	if unreadRecords > 0 {
		b.Behind = span(seconds(oldest))
	}
	b.Events = tileOf(points, events, func(p point) float64 { return p.events })
	b.Orders = tileOf(points, orders, func(p point) float64 { return p.orders })
	b.Lag = tileOf(points, unreadRecords, func(p point) float64 { return p.lag })
	b.Flying = tileOf(points, float64(b.Pulse.Flight.Sagas), func(p point) float64 { return p.flying })
	b.ReadModel, b.ReadModelLate = c.readModel()
	if b.ReadModelLate && b.Old == "" {
		b.Old = "read model " + b.ReadModel
		if b.ReadModel == "not known" {
			b.Old = "age not known"
		}
	}
	b.Stale = c.stale(last)
	if len(points) > 0 {
		b.Watched = coarse(last.at.Sub(points[0].at) + sampleEvery)
	}
	b.Stream, b.Calls = c.streamView(before, last), callViews(minuteAgo, last)
	b.Concerns = c.concerns(ctx)
	b.Alerts, err = c.alertViews(ctx)
	b.AlertCounts, b.AlertsOld = counted(b.Alerts), asOf(&c.alerts, c.Now(), err)
	b.SLOs, err = c.objectives(ctx)
	b.SLOsOld = asOf(&c.slos, c.Now(), err)
	if len(b.SLOs) > slosShown {
		b.SLOs, b.MoreSLOs = b.SLOs[:slosShown], b.SLOs[slosShown:]
	}
	if b.Latest, err = c.latest(ctx); err != nil && at.IsZero() {
		return b, err
	}
	return b, nil
}

func (c *Console) latest(ctx context.Context) ([]sagaRow, error) {
	page, err := c.Reads.Sagas(ctx, projection.SagaFilter{})
	if err != nil {
		return nil, err
	}
	return c.rows(ctx, page.Items[:min(latestShown, len(page.Items))])
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
