package ruletest

import (
	"cmp"
	"context"
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
)

// errNotFast sends a test to stepByStep.
var errNotFast = errors.New("to be evaluated step by step")

// fast evaluates rule after rule, each for all times with one range query. That
// gives the same samples if no rule reads what a later one writes, or the future.
func (e *evaluation) fast() error {
	if !readsOnlyBackwards(e.groups) {
		return errNotFast
	}
	if err := e.load(e.at(e.steps() - 1)); err != nil {
		return err
	}
	for _, g := range e.groups {
		for _, r := range g.Rules() {
			series, err := e.everyStep(r.Query().String(), g.QueryOffset())
			if err != nil {
				return err
			}
			switch r := r.(type) {
			case *rules.RecordingRule:
				err = e.record(r, series, e.at(e.steps()-1).Add(-g.QueryOffset()))
			case *rules.AlertingRule:
				err = e.alert(g, r, series)
			}
			if err != nil {
				return err
			}
		}
	}
	e.compare()
	return nil
}

// inTemplate finds the function that lets an annotation read any series.
var inTemplate = regexp.MustCompile(`\{\{[^}]*\bquery\b`)

// readsOnlyBackwards says whether every rule reads series with known names, which
// rules before it write or none, at times up to that of its evaluation.
func readsOnlyBackwards(groups []*rules.Group) bool {
	var all []rules.Rule
	for _, g := range groups {
		if g.Limit() > 0 || g.QueryOffset() != groups[0].QueryOffset() {
			return false // a limit counts one evaluation; with two offsets a rule sees what another writes only later
		}
		all = append(all, g.Rules()...)
	}
	writers := map[string][]int{} // of a name
	for i, r := range all {
		a, alerts := r.(*rules.AlertingRule)
		if alerts && inTemplate.MatchString(a.String()) {
			return false
		}
		for _, name := range names(r) {
			writers[name] = append(writers[name], i)
		}
	}
	for i, r := range all {
		backwards := true
		parser.Inspect(r.Query(), func(n parser.Node, _ []parser.Node) error {
			backwards = backwards && readsBefore(n, all, writers, i)
			return nil
		})
		if !backwards {
			return false
		}
	}
	return true
}

// names are those of the series that a rule writes.
func names(r rules.Rule) []string {
	if _, alerts := r.(*rules.AlertingRule); alerts {
		return []string{"ALERTS", "ALERTS_FOR_STATE"}
	}
	return []string{r.Name()}
}

// readsBefore says whether a part of rule i's expression reads what none of the
// rules from i on writes, and not ahead.
func readsBefore(n parser.Node, all []rules.Rule, writers map[string][]int, i int) bool {
	switch n := n.(type) {
	case *parser.SubqueryExpr:
		return n.OriginalOffset >= 0 && n.Timestamp == nil && n.StartOrEnd == 0
	case *parser.VectorSelector:
		name := slices.IndexFunc(n.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual })
		if name < 0 || n.OriginalOffset < 0 || n.Timestamp != nil || n.StartOrEnd != 0 {
			return false
		}
		return !slices.ContainsFunc(writers[n.LabelMatchers[name].Value], func(w int) bool { return w >= i && mayWrite(all[w], n.LabelMatchers) })
	}
	return true
}

// mayWrite is false if a label that the rule itself gives its series rules them out.
func mayWrite(r rules.Rule, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		given := r.Labels().Get(m.Name)
		if given != "" && m.Name != model.MetricNameLabel && !strings.Contains(given, "{{") && !m.Matches(given) {
			return false
		}
	}
	return true
}

// everyStep evaluates an expression at all steps, each so much earlier.
func (e *evaluation) everyStep(expr string, earlier time.Duration) (promql.Matrix, error) {
	q, err := e.engine.NewRangeQuery(e.options.Context, e.db, nil, expr, e.at(0).Add(-earlier), e.at(e.steps()-1).Add(-earlier), e.interval)
	if err != nil {
		return nil, err
	}
	result := q.Exec(e.options.Context)
	if result.Err != nil {
		return nil, result.Err
	}
	return result.Matrix() // q is not closed: that would take its points back
}

// samples are all of a series, floats and histograms, by time.
func samples(s promql.Series) []promql.Sample {
	out := make([]promql.Sample, 0, len(s.Floats)+len(s.Histograms))
	for _, p := range s.Floats {
		out = append(out, promql.Sample{Metric: s.Metric, T: p.T, F: p.F})
	}
	for _, p := range s.Histograms {
		out = append(out, promql.Sample{Metric: s.Metric, T: p.T, H: p.H})
	}
	slices.SortFunc(out, func(a, b promql.Sample) int { return cmp.Compare(a.T, b.T) })
	return out
}

// record stores a rule's series under its name and labels, and marks them stale
// where they pause. Two that become one are an error, in the storage too.
func (e *evaluation) record(r *rules.RecordingRule, series promql.Matrix, end time.Time) error {
	app := e.db.AppenderV2(e.options.Context)
	for _, s := range series {
		b := labels.NewBuilder(s.Metric)
		b.Set(model.MetricNameLabel, r.Name())
		r.Labels().Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
		if err := e.appendSeries(app, b.Labels(), samples(s), end.UnixMilli()); err != nil {
			return errors.Join(err, app.Rollback())
		}
	}
	return app.Commit()
}

func (e *evaluation) appendSeries(app storage.AppenderV2, name labels.Labels, all []promql.Sample, end int64) error {
	step := e.interval.Milliseconds()
	for i, s := range all {
		if _, err := app.Append(0, name, 0, s.T, s.F, nil, s.H, storage.AOptions{RejectOutOfOrder: true}); err != nil {
			return err
		}
		next := s.T + step
		if next > end || i+1 < len(all) && all[i+1].T == next {
			continue
		}
		if _, err := app.Append(0, name, 0, next, math.Float64frombits(value.StaleNaN), nil, nil, storage.AOptions{RejectOutOfOrder: true}); err != nil {
			return err
		}
	}
	return nil
}

// alert lets the rule itself go through the steps: only it knows what becomes of
// an alert. Where nothing is true and nothing was, there is nothing to do.
func (e *evaluation) alert(g *rules.Group, r *rules.AlertingRule, series promql.Matrix) error {
	vectors := make([]promql.Vector, e.steps())
	first := e.at(0).Add(-g.QueryOffset()).UnixMilli()
	for _, s := range series {
		for _, sample := range samples(s) {
			step := (sample.T - first) / e.interval.Milliseconds()
			vectors[step] = append(vectors[step], sample)
		}
	}
	var now int
	options, offset := *e.options, g.QueryOffset()
	options.QueryFunc = func(context.Context, string, time.Time) (promql.Vector, error) { return vectors[now], nil }
	alone := rules.NewGroup(rules.GroupOptions{Name: g.Name(), File: g.File(), Interval: g.Interval(), Rules: []rules.Rule{r}, QueryOffset: &offset, Opts: &options})
	for now = range vectors {
		if err := options.Context.Err(); err != nil {
			return err
		}
		if len(vectors[now]) > 0 || r.ActiveAlertsCount() > 0 {
			if alone.Eval(options.Context, e.at(now)); r.LastError() != nil {
				return r.LastError()
			}
		}
		e.look(now, alone)
	}
	return nil
}
