package ruletest

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"

	"github.com/weirstream/weir/alerts/rulefile"
)

// alertCheck is an expectation about an alert, and what was there at its time.
type alertCheck struct {
	alertTest
	firing, pending []instance
}

// instance is an alert with its labels.
type instance struct{ labels, annotations labels.Labels }

func (i instance) String() string {
	if i.annotations.IsEmpty() {
		return i.labels.String()
	}
	return i.labels.String() + " with the annotations " + i.annotations.String()
}

func (i instance) compare(o instance) int {
	if d := labels.Compare(i.labels, o.labels); d != 0 {
		return d
	}
	return labels.Compare(i.annotations, o.annotations)
}

// look notes the alerts of these groups that a check after this step is about, and
// how each begins.
func (e *evaluation) look(step int, groups ...*rules.Group) {
	for _, g := range groups {
		for _, r := range g.AlertingRules() {
			for _, c := range e.checks[step] {
				if r.Name() == c.AlertName {
					c.take(r)
				}
			}
			if !e.fired[r] && r.State() == rules.StateFiring {
				e.fired[r] = true
				e.begins(step, r)
			}
		}
	}
}

// namedLabel finds a label in the template of an annotation.
var namedLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// begins notes an alert that fires for the first time. A label that it does not have
// would render as nothing.
func (e *evaluation) begins(step int, r *rules.AlertingRule) {
	for _, a := range r.ActiveAlerts() {
		if a.State != rules.StateFiring {
			continue
		}
		e.Fired = append(e.Fired, Fired{a.Labels.Map(), e.at(step).Sub(e.StartTimestamp.Time)})
		r.Annotations().Range(func(template labels.Label) {
			for _, named := range namedLabel.FindAllStringSubmatch(template.Value, -1) {
				if !a.Labels.Has(named[1]) {
					e.Failures = append(e.Failures, Failure{Test: e.Name, At: e.at(step).Sub(e.StartTimestamp.Time), Subject: "alert " + r.Name(),
						Err: fmt.Errorf("its %s names the label %q, and it has none but %s", template.Name, named[1], a.Labels)})
				}
			}
		})
	}
}

func (c *alertCheck) take(r *rules.AlertingRule) {
	for _, a := range r.ActiveAlerts() {
		i := instance{a.Labels.Copy(), a.Annotations.Copy()}
		if a.State == rules.StateFiring {
			c.firing = append(c.firing, i)
		} else {
			c.pending = append(c.pending, i)
		}
	}
}

// compare holds all expectations against what came.
func (e *evaluation) compare() {
	for step := range e.steps() {
		for _, c := range e.checks[step] {
			if f, failed := c.compare(); failed {
				f.Test = e.Name
				e.Failures = append(e.Failures, f)
			}
		}
	}
	for _, x := range e.ExprTests {
		if f, failed := e.compareExpr(x); failed {
			f.Test, f.At, f.Subject = e.Name, time.Duration(x.EvalTime), "expression "+x.Expr
			e.Failures = append(e.Failures, f)
		}
	}
}

func (c *alertCheck) compare() (Failure, bool) {
	var expected []instance
	for _, x := range c.Expected {
		b := labels.NewBuilder(labels.FromMap(x.Labels))
		b.Set(labels.AlertName, c.AlertName) // which the format leaves out
		expected = append(expected, instance{b.Labels(), labels.FromMap(x.Annotations)})
	}
	slices.SortFunc(expected, instance.compare)
	slices.SortFunc(c.firing, instance.compare)
	if slices.EqualFunc(expected, c.firing, func(a, b instance) bool { return a.compare(b) == 0 }) {
		return Failure{}, false
	}
	f := Failure{At: time.Duration(c.EvalTime), Subject: "alert " + c.AlertName, Expected: texts(expected), Got: texts(c.firing)}
	for _, p := range c.pending {
		f.Got = append(f.Got, "pending, not firing: "+p.String())
	}
	return f, true
}

func texts[T fmt.Stringer](all []T) []string {
	var out []string
	for _, x := range all {
		out = append(out, x.String())
	}
	return out
}

// sample is a value of a series; a histogram is compared by its text.
type sample struct {
	labels    labels.Labels
	value     float64
	histogram string
}

func (s sample) String() string {
	if s.histogram != "" {
		return s.labels.String() + " " + s.histogram
	}
	return s.labels.String() + " " + strconv.FormatFloat(s.value, 'g', -1, 64)
}

// same compares as promtool does: fuzzy is one step of a float64 in either direction.
func (s sample) same(o sample, fuzzy bool) bool {
	near := s.value == o.value || fuzzy && (math.Nextafter(s.value, math.Inf(1)) == o.value || math.Nextafter(s.value, math.Inf(-1)) == o.value)
	return near && s.histogram == o.histogram && labels.Equal(s.labels, o.labels)
}

func (e *evaluation) compareExpr(x exprTest) (Failure, bool) {
	expected, err := x.samples()
	if err != nil {
		return Failure{Err: err}, true
	}
	vector, err := e.options.QueryFunc(e.options.Context, x.Expr, e.StartTimestamp.Add(time.Duration(x.EvalTime)))
	if err != nil {
		return Failure{Err: err}, true
	}
	got := ofVector(vector)
	if len(got) > 0 {
		e.Found[x.Expr] = true
	} else {
		e.Empty[x.Expr] = true
	}
	byLabels := func(a, b sample) int { return labels.Compare(a.labels, b.labels) }
	slices.SortStableFunc(expected, byLabels)
	slices.SortStableFunc(got, byLabels)
	if slices.EqualFunc(expected, got, func(a, b sample) bool { return a.same(b, e.fuzzy) }) {
		return Failure{}, false
	}
	return Failure{Expected: texts(expected), Got: texts(got)}, true
}

func ofVector(v promql.Vector) []sample {
	var out []sample
	for _, s := range v {
		out = append(out, sample{s.Metric, s.F, histogramText(s.H)})
	}
	return out
}

func histogramText(h *histogram.FloatHistogram) string {
	if h == nil {
		return ""
	}
	return h.TestExpression()
}

// samples are those that the expression should give.
func (x *exprTest) samples() ([]sample, error) {
	var out []sample
	for _, s := range x.Expected {
		metric, err := rulefile.PromQL.ParseMetric(s.Labels)
		if err != nil {
			return nil, fmt.Errorf("exp_samples: labels %q: %w", s.Labels, err)
		}
		one := sample{labels: metric, value: s.Value}
		if s.Histogram != "" {
			if one.histogram, err = parseHistogram(s.Histogram); err != nil {
				return nil, fmt.Errorf("exp_samples: labels %q: %w", s.Labels, err)
			}
			one.value = 0
		}
		out = append(out, one)
	}
	return out, nil
}

func parseHistogram(text string) (string, error) {
	_, values, err := rulefile.PromQL.ParseSeriesDesc("{} " + text)
	if err != nil {
		return "", err
	}
	if len(values) != 1 || values[0].Histogram == nil {
		return "", errors.New("the histogram is not one histogram: " + text)
	}
	return histogramText(values[0].Histogram), nil
}
