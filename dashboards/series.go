package dashboards

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/rulefile"
	"github.com/weirstream/weir/streams/telemetry"
)

// Series are the series that a query can ask for, by the name of the metric.
type Series map[string]family

type family struct {
	counts bool     // only grows: it has a rate
	labels []string // nil: any
}

// scraped are the labels that Prometheus adds to what it reads.
var scraped = []string{"job", "instance"}

// Known are the series of the catalogue, of the rules, and Prometheus' own.
func Known(groups []alerts.Group) Series {
	s := Series{"up": {labels: scraped}, "ALERTS": {}, "ALERTS_FOR_STATE": {}}
	s[cpuSeconds], s[memory] = family{true, scraped}, family{labels: scraped}
	for _, m := range telemetry.Catalogue {
		own := slices.Concat(m.Labels, scraped)
		switch m.Kind {
		case telemetry.Histogram:
			s[m.Name+"_bucket"] = family{true, append(slices.Clone(own), "le")}
			s[m.Name+"_count"], s[m.Name+"_sum"] = family{true, own}, family{true, own}
		default:
			s[m.Name] = family{m.Kind == telemetry.Counter, own}
		}
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Record == "" {
				continue
			}
			f := family{labels: []string{}}
			for l := range r.Labels {
				f.labels = append(f.labels, l)
			}
			s[r.Record] = f
		}
	}
	return s
}

func (f family) has(label string) bool { return f.labels == nil || slices.Contains(f.labels, label) }

// check says what is wrong with a PromQL expression without variables:
// its grammar, metrics and labels that there are not, quantiles without buckets
// and rates of what goes up and down.
func (s Series) check(expr string) (errs []error) {
	tree, err := rulefile.PromQL.ParseExpr(expr)
	if err != nil {
		return []error{err}
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			errs = append(errs, s.checkSelector(n)...)
		case *parser.AggregateExpr:
			errs = append(errs, s.checkGrouping(n)...)
		case *parser.Call:
			errs = append(errs, s.checkCall(n)...)
		}
		return nil
	})
	return errs
}

func (s Series) checkSelector(v *parser.VectorSelector) (errs []error) {
	f, ok := s[v.Name]
	if !ok {
		return []error{fmt.Errorf("%s is neither in the catalogue nor recorded by a rule", v.Name)}
	}
	for _, m := range v.LabelMatchers {
		if m.Name != model.MetricNameLabel && !f.has(m.Name) {
			errs = append(errs, fmt.Errorf("%s has no label %s: it has %v", v.Name, m.Name, f.labels))
		}
	}
	return errs
}

// checkGrouping finds labels to group by that nothing below has.
func (s Series) checkGrouping(a *parser.AggregateExpr) (errs []error) {
	below := selectors(a.Expr)
	for _, label := range a.Grouping {
		if a.Without || slices.ContainsFunc(below, func(v *parser.VectorSelector) bool { f, ok := s[v.Name]; return !ok || f.has(label) }) {
			continue
		}
		errs = append(errs, fmt.Errorf("grouped by %s, which none of %v has", label, names(below)))
	}
	return errs
}

var rates = []string{"rate", "irate", "increase"}

func (s Series) checkCall(c *parser.Call) (errs []error) {
	if slices.Contains(rates, c.Func.Name) {
		for _, v := range selectors(c) {
			if f, ok := s[v.Name]; ok && !f.counts {
				errs = append(errs, fmt.Errorf("%s of %s, which is a gauge: use its value, or delta", c.Func.Name, v.Name))
			}
		}
	}
	if c.Func.Name == "histogram_quantile" {
		errs = append(errs, checkQuantile(c)...)
	}
	return errs
}

// checkQuantile wants the bounds of the buckets to reach histogram_quantile.
func checkQuantile(c *parser.Call) (errs []error) {
	for _, v := range selectors(c) {
		if !strings.HasSuffix(v.Name, "_bucket") {
			errs = append(errs, fmt.Errorf("histogram_quantile of %s, which are no buckets", v.Name))
		}
	}
	parser.Inspect(c, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok && slices.Contains(a.Grouping, "le") == a.Without {
			errs = append(errs, fmt.Errorf("histogram_quantile of a sum without le: add it to the labels of %s", a))
		}
		return nil
	})
	return errs
}

func selectors(n parser.Node) (out []*parser.VectorSelector) {
	parser.Inspect(n, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			out = append(out, v)
		}
		return nil
	})
	return out
}

func names(in []*parser.VectorSelector) (out []string) {
	for _, v := range in {
		out = append(out, v.Name)
	}
	return out
}
