package dashboards

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/rulefile"
)

// limits are the bounds that the rules compare with, read from the rules: a line
// on a board lies where the alert is.
type limits struct {
	objectives, alerts map[string]float64 // by an objective's id, by an alert's name
	policy             alerts.Policy
}

// limit is a bound, if there is one.
type limit struct {
	value float64
	known bool
}

func readLimits(s *alerts.Set) (limits, error) {
	l := limits{map[string]float64{}, map[string]float64{}, s.Policy}
	for _, o := range s.SLOs {
		groups, err := o.Rules(s.Policy, s.Runbooks)
		if err != nil {
			return l, err
		}
		// What an objective counts is in what it records, and first there.
		if err := note(l.objectives, o.ID(), groups[0].Rules[0].Expr); err != nil {
			return l, err
		}
	}
	for _, a := range s.Alerts {
		if err := note(l.alerts, a.Name, a.Expr); err != nil {
			return l, err
		}
	}
	return l, nil
}

// note keeps the first bound that an expression compares something with.
func note(in map[string]float64, name, expr string) error {
	tree, err := rulefile.PromQL.ParseExpr(expr)
	if err != nil {
		return fmt.Errorf("rule of %s: %w", name, err)
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if _, done := in[name]; done {
			return nil
		}
		if v, ok := bound(n); ok {
			in[name] = v
		}
		return nil
	})
	return nil
}

// bound is the number of "… > number", or a bucket's.
func bound(n parser.Node) (float64, bool) {
	switch n := n.(type) {
	case *parser.BinaryExpr:
		if v, ok := n.RHS.(*parser.NumberLiteral); ok && n.Op == parser.GTR && v.Val > 0 {
			return v.Val, true
		}
	case *parser.VectorSelector:
		for _, m := range n.LabelMatchers {
			if m.Name == "le" {
				first, _, _ := strings.Cut(m.Value, "|") // le=~"1|1[.]0"
				v, err := strconv.ParseFloat(first, 64)
				return v, err == nil
			}
		}
	}
	return 0, false
}

func (l limits) objective(id string) limit {
	v, ok := l.objectives[id]
	return limit{v, ok}
}

// any is the lowest bound of the objectives whose ids end so.
func (l limits) any(end string) (out limit) {
	for id, v := range l.objectives {
		if strings.HasSuffix(id, end) && (!out.known || v < out.value) {
			out = limit{v, true}
		}
	}
	return out
}

func (l limits) alert(name string) limit {
	v, ok := l.alerts[name]
	return limit{v, ok}
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
	for _, w := range l.policy.Windows {
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
	for _, w := range l.policy.Windows {
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
