package console

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/projection"
)

// Bounds of the read model's queries, and how old an answer may be.
const (
	flyingCounted = 10_000 // running sagas that are looked at
	sagasJudged   = 2_000  // of the newest
	sagasWindow   = 5 * time.Minute
	pulseFresh    = 2 * time.Second
	newFor        = time.Second // a saga may be without an answer so long before it counts as waiting
)

// pulse is what the read model says about a saga's last minutes.
type pulse struct {
	Judged   int
	Full     bool
	To       string // what is timed from its begin: "answered", or "ended" if it promises no answer
	P50, P99 time.Duration
	Done     int
	Waiting  int // neither answered nor new any more
	Patience time.Duration
	Back     int     // taken back
	Share    float64 // of those
	States   []share
	Bars     []bar // how the times lie
}

// share is a part of the sagas.
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

// run is a saga as the pulse judges it.
type run struct {
	began, done time.Time
	state       string
	back        bool
}

// inFlight are the running sagas of all names, asked for everybody who looks.
func (c *Console) inFlight(ctx context.Context) (projection.InFlight, error) {
	return c.flight.get(c.Now(), pulseFresh, func() (projection.InFlight, error) {
		return c.Reads.InFlight(context.WithoutCancel(ctx), c.Now(), flyingCounted)
	})
}

// pulseOf is the pulse of a saga; what it knew last and how old that is, if it cannot be
// read now.
func (c *Console) pulseOf(ctx context.Context, d *declared) (p pulse, old string, err error) {
	k := c.pulses[d.Name]
	p, err = k.get(c.Now(), pulseFresh, func() (pulse, error) { return c.readPulse(context.WithoutCancel(ctx), d) })
	if err != nil {
		p, _ = k.latest()
	}
	return p, asOf(k, c.Now(), err), err
}

// readPulse asks the documents of a saga's subjects if they say when it was answered, and
// else the sagas themselves when they ended.
func (c *Console) readPulse(ctx context.Context, d *declared) (p pulse, err error) {
	p.To, p.Patience = "ended", d.Within
	if d.Name == "" {
		return p, nil
	}
	now := c.Now()
	var runs []run
	if d.told {
		p.To, p.Patience = "answered", max(d.AnswerWithin, newFor)
		runs, err = c.runsOfDocuments(ctx, d, now.Add(-sagasWindow))
	} else {
		runs, err = c.runsOfSagas(ctx, d, now.Add(-sagasWindow))
	}
	if err == nil {
		p.judge(d, runs, now)
	}
	return p, err
}

func (c *Console) runsOfDocuments(ctx context.Context, d *declared, since time.Time) (out []run, err error) {
	docs, err := c.Reads.List(ctx, projection.ListQuery{View: d.view, Since: since, Limit: sagasJudged})
	for _, doc := range docs {
		o := &subject{d.view, doc, c.Now()}
		out = append(out, run{o.Begun, d.answeredAt(o), o.State, d.turnedBack(projection.Saga{Started: o.Begun}, o)})
	}
	return out, err
}

func (c *Console) runsOfSagas(ctx context.Context, d *declared, since time.Time) (out []run, err error) {
	sagas, err := c.Reads.ListSagas(ctx, projection.SagaQuery{Name: d.Name, Limit: sagasJudged})
	for _, s := range sagas {
		if s.Started.After(since) {
			out = append(out, run{s.Started, s.Ended, s.State, d.turnedBack(s, nil)})
		}
	}
	return out, err
}

func (p *pulse) judge(d *declared, runs []run, now time.Time) {
	p.Judged, p.Full = len(runs), len(runs) == sagasJudged
	states := map[string]int{}
	var took []time.Duration
	for _, r := range runs {
		states[r.state]++
		if r.back {
			p.Back++
		}
		switch {
		case !r.done.IsZero():
			took = append(took, r.done.Sub(r.began))
		case now.Sub(r.began) > p.Patience:
			p.Waiting++
		}
	}
	p.Share = float64(p.Back) / float64(max(p.Judged, 1))
	slices.Sort(took)
	p.Done = len(took)
	p.P50, p.P99 = quantile(took, 0.5), quantile(took, 0.99)
	p.Bars = distribution(took)
	p.States = shares(d, states, len(runs))
}

// shares are the states as parts of one bar, the furthest first.
func shares(d *declared, n map[string]int, all int) (out []share) {
	states := []string{projection.Running, projection.Ended}
	if d.told {
		states = append([]string{""}, d.view.States...)
	}
	slices.Reverse(states)
	slices.SortStableFunc(states, func(a, b string) int { return d.backwards(a) - d.backwards(b) })
	x, class := 0.0, "far"
	for _, s := range states {
		if d.backwards(s) > 0 {
			class = "back"
		}
		if n[s] > 0 {
			w := 100 * float64(n[s]) / float64(all)
			out = append(out, share{s, n[s], round(x), round(w), class})
			x += w
		}
		class = "on"
	}
	return out
}

// backwards is 1 for a state to which events of Undo lead.
func (d *declared) backwards(state string) int {
	if slices.Contains(d.undone, state) {
		return 1
	}
	return 0
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
		out = append(out, bar{round(float64(i) * 100 / columns), round(30 - h), round(100.0/columns - 0.8), round(h),
			plural(n, "saga") + ", " + span(from) + " to " + span(to)})
	}
	return out
}
