package dashboards

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/alerts"
)

// limits are the bounds of the objectives and the alerts: a line on a board lies
// where the alert is.
type limits struct{ *alerts.Set }

// limit is a bound, if there is one.
type limit struct {
	value float64
	known bool
}

func (l limits) objective(id string) limit {
	for _, o := range l.SLOs {
		if o.ID() == id {
			return limit{o.SLI.Bound, o.SLI.Bound > 0}
		}
	}
	return limit{}
}

// any is the lowest bound of the objectives of a kind.
func (l limits) any(k alerts.Kind) (out limit) {
	for _, o := range l.SLOs {
		if v := o.SLI.Bound; o.SLI.Kind == k && v > 0 && (!out.known || v < out.value) {
			out = limit{v, true}
		}
	}
	return out
}

func (l limits) alert(name string) limit {
	for _, a := range l.Alerts {
		if a.Name == name {
			v, ok := a.Threshold.Upper()
			return limit{v, ok && v > 0}
		}
	}
	return limit{}
}

// Colours of the factors of alerts, from the lowest to the highest of a severity.
var (
	ticketColors = []string{yellow, orange, "dark-orange"}
	pageColors   = []string{red, "dark-red", "purple"}
)

// burn colours burn rates: 1 uses up the budget just within the period, and each
// factor that alerts has a colour of its own, by its severity.
func (l limits) burn() (out []step) {
	page, ticket := map[float64]bool{}, map[float64]bool{1: true}
	for _, w := range l.Policy.Windows {
		if w.Severity == alerts.Page {
			page[w.Factor] = true
		} else {
			ticket[w.Factor] = true
		}
	}
	maps.DeleteFunc(ticket, func(factor float64, _ bool) bool { return page[factor] })
	for _, of := range []struct {
		factors map[float64]bool
		colors  []string
	}{{ticket, ticketColors}, {page, pageColors}} {
		for i, factor := range slices.Sorted(maps.Keys(of.factors)) {
			out = append(out, step{factor, of.colors[min(i, len(of.colors)-1)]})
		}
	}
	slices.SortFunc(out, func(a, b step) int { return cmp.Compare(a.from, b.from) })
	return out
}

// windows are those over which error ratios are recorded, the shortest first.
func (l limits) windows() (out []time.Duration) {
	for _, w := range l.Policy.Windows {
		out = append(out, w.Short, w.Long)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Budgets are shown from all used to twice that. A young server has seen little: one
// bad hour of it is some thousand per cent, beside which nothing else is seen.
const (
	mostUsed  = 2.0
	leastLeft = 1 - mostUsed
)

// left is what is left of error budgets, from leastLeft to 1.
func left(budgets string) string { return fmt.Sprintf("clamp_min(%s, %v)", budgets, leastLeft) }

// muchLess are the words for leastLeft.
func muchLess() map[string]dashboard.ValueMappingResult {
	return map[string]dashboard.ValueMappingResult{fmt.Sprint(leastLeft): word(fmt.Sprintf("%.0f %% or less", 100*leastLeft), red)}
}

// budget colours what is left of an error budget.
func (p *panel) budget() *panel {
	return p.steps(red, step{0, orange}, step{0.25, green})
}
