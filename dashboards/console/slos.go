package console

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SLO is an objective and how it stands.
type SLO struct {
	ID, Name, Service, Owner, Description string
	Objective                             float64       // percent of the events that are good
	Window                                time.Duration // over which the budget counts
	Known                                 time.Duration // for which of it there are data
	Budget                                float64       // left of it: 1 is all, below 0 it is overdrawn
	Burn                                  float64       // rate now: 1 uses the budget up exactly within the window
	Bad, Total                            float64       // events within the window
	NoData                                bool          // nothing was measured: the figures mean nothing
	Alerts                                []BurnWindow
	History                               []Point // the earliest first
}

// BurnWindow is a pair of windows that an objective's alert watches: it fires
// while the budget burns faster than Factor in both.
type BurnWindow struct {
	Severity            string // page or ticket
	Short, Long         time.Duration
	Factor              float64 // a burn rate
	ShortBurn, LongBurn float64 // now; NaN if not known
}

// Burns reports whether both windows burn faster than the factor.
func (w BurnWindow) Burns() bool { return w.ShortBurn > w.Factor && w.LongBurn > w.Factor }

// Point is how an objective stood at a time.
type Point struct {
	At     time.Time
	Budget float64 // left, as a ratio
	Errors float64 // bad events of all, as a ratio
}

// askTime bounds a question about objectives and alerts, which every page waits
// for.
const askTime = 2 * time.Second

// ask asks for everybody who looks: it is not given up with the first of them.
func ask[T any](ctx context.Context, f func(context.Context) (T, error)) func() (T, error) {
	return func() (T, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
		defer cancel()
		return f(ctx)
	}
}

// sloView is an objective as it is drawn.
type sloView struct {
	SLO
	Title        string
	Level        string
	Left, Rate   string
	Bar          float64 // of 100
	Curve, Error tile
	Worst        string // the highest error ratio of the curve
	Firing       []Alert
}

// objectives are those that are watched, in most need of a look first.
func (c *Console) objectives(ctx context.Context) ([]sloView, error) {
	if c.SLOs == nil {
		return nil, nil
	}
	list, err := c.slos.get(c.Now(), pulseFresh, ask(ctx, c.SLOs))
	if err != nil {
		list, _ = c.slos.latest() // of when they could be read
	}
	alerts, _ := c.alertsNow(ctx) // the list of concerns says if they cannot be read
	out := make([]sloView, len(list))
	for i, s := range list {
		out[i] = viewSLO(s, alerts)
	}
	slices.SortStableFunc(out, func(a, b sloView) int {
		return cmp.Or(cmp.Compare(a.order(), b.order()), cmp.Compare(a.Budget, b.Budget), cmp.Compare(b.Burn, a.Burn), strings.Compare(a.ID, b.ID))
	})
	return out, err
}

func (v *sloView) order() int {
	if v.NoData {
		return 3
	}
	return slices.Index([]string{severe, warning, calm}, v.Level)
}

// tight is the share of a budget below which it is shown as a worry.
const tight = 0.25

func viewSLO(s SLO, alerts []Alert) sloView {
	v := sloView{SLO: s, Title: s.Name, Left: leftOf(s.Budget), Rate: burn(s.Burn), Bar: round(100 * min(math.Abs(finite(s.Budget)), 1))}
	if s.Service != "" {
		v.Title = s.Service + " · " + s.Name
	}
	for _, a := range alerts {
		if a.SLO == s.ID && a.State == firing {
			v.Firing = append(v.Firing, a)
		}
	}
	switch {
	case s.NoData:
	case s.Budget <= 0, len(v.Firing) > 0 && v.Firing[0].Severity == page:
		v.Level = severe
	case s.Budget < tight, len(v.Firing) > 0:
		v.Level = warning
	}
	budget, errors := make([]float64, len(s.History)), make([]float64, len(s.History))
	top := 0.0
	for i, p := range s.History {
		budget[i], errors[i] = max(finite(p.Budget), 0), max(finite(p.Errors), 0)
		top = max(top, errors[i])
	}
	v.Curve.Line, v.Curve.Area = curve(thin(budget, 90), 1, 180, 30)
	v.Error.Line, v.Error.Area = curve(thin(errors, 90), 0, 180, 30)
	v.Worst = percent(top) + " %"
	return v
}

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// Young reports that a budget is judged by a small part of its time.
func (s SLO) Young() bool { return s.Known < s.Window/10 }

// leftOf writes the share of a budget: 71 %, 0.4 %, −20 %. Below −100 % nobody reads
// the number.
func leftOf(share float64) string {
	switch p := 100 * share; {
	case p < -100:
		return "below −100 %"
	case math.IsNaN(p) || math.IsInf(p, 0):
		return "–"
	case math.Abs(p) < 9.95 && p != 0:
		return strings.Replace(strconv.FormatFloat(p, 'f', 1, 64), "-", "−", 1) + " %"
	default:
		return strings.Replace(count(int64(math.Round(p))), "-", "−", 1) + " %"
	}
}

// burn writes a burn rate: 0×, 0.4×, 14.4×, 120×.
func burn(rate float64) string {
	switch {
	case math.IsNaN(rate) || math.IsInf(rate, 0):
		return "–"
	case rate < 0.05:
		return "0×"
	case rate < 99.95:
		return strings.TrimSuffix(strconv.FormatFloat(rate, 'f', 1, 64), ".0") + "×"
	}
	return count(int64(math.Round(rate))) + "×"
}

// objective writes a percentage with the digits that it has: 99.95 %.
func objective(percent float64) string { return strconv.FormatFloat(percent, 'f', -1, 64) + " %" }

// slosBody is the page of all objectives.
type slosBody struct {
	SLOs    []sloView
	Alerts  []alertView
	Watched bool   // alerts are known
	Old     string // how old they are, if they cannot be read
}

func (c *Console) sloPage(w http.ResponseWriter, r *http.Request) {
	b := slosBody{Watched: c.Alerts != nil}
	var slosErr, alertsErr error
	b.SLOs, slosErr = c.objectives(r.Context())
	b.Alerts, alertsErr = c.alertViews(r.Context())
	if err := cmp.Or(slosErr, alertsErr); err != nil {
		if b.Old = asOf(&c.slos, c.Now(), slosErr); b.Old == "" {
			b.Old = asOf(&c.alerts, c.Now(), alertsErr)
		}
		if len(b.SLOs) == 0 {
			c.broken(w, r, err)
			return
		}
	}
	c.show(w, r, http.StatusOK, "slos", frame{Title: "Objectives", At: "slos", Live: true, Body: b})
}
