package alerts

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// slo reads a document.
func (d *openSLO) slo() (*SLO, time.Duration, error) {
	if d.APIVersion != "openslo/v1" || d.Kind != "SLO" {
		return nil, 0, fmt.Errorf("it is %s %s: only openslo/v1 SLO is taken", d.APIVersion, d.Kind)
	}
	if d.Spec.BudgetingMethod != "Occurrences" {
		return nil, 0, fmt.Errorf("budgeting by %q is not supported: objectives count events (Occurrences)", d.Spec.BudgetingMethod)
	}
	if len(d.Spec.Objectives) != 1 || len(d.Spec.TimeWindow) != 1 || !d.Spec.TimeWindow[0].IsRolling {
		return nil, 0, errors.New("it needs one objective and one rolling time window")
	}
	window, err := model.ParseDuration(d.Spec.TimeWindow[0].Duration)
	if err != nil {
		return nil, 0, fmt.Errorf("time window: %w", err)
	}
	if err := d.refuseTemplates(); err != nil {
		return nil, 0, err
	}
	sli, queries, err := d.indicator()
	if err != nil {
		return nil, 0, err
	}
	name, ok := strings.CutPrefix(d.Metadata.Name, d.Spec.Service+"-")
	if !ok {
		name = d.Metadata.Name
	}
	a := d.Metadata.Annotations
	s := &SLO{Service: d.Spec.Service, Name: name, Alert: a[alertAnnotation], Description: d.Spec.Description, Owner: a[ownerAnnotation],
		Objective: round(d.Spec.Objectives[0].Target * 100), SLI: sli, NoPage: a[noPageLabel] == "true", Labels: d.Metadata.Labels, Queries: queries}
	if s.Alert == "" {
		s.Alert = camel(d.Metadata.Name) + "Burn"
	}
	if s.Owner == "" {
		s.Owner = d.Spec.Service
	}
	if v := a[minBadLabel]; v != "" {
		if s.MinBad, err = strconv.ParseFloat(v, 64); err != nil {
			return nil, 0, fmt.Errorf("%s is %q, and no number", minBadLabel, v)
		}
		if !(s.MinBad >= 0 && s.MinBad < math.MaxInt32) {
			return nil, 0, fmt.Errorf("%s is %q: it is a number of events, 0 and up", minBadLabel, v)
		}
	}
	return s, time.Duration(window), nil
}

// windowInQuery is the variable, with spaces or without.
var windowInQuery = regexp.MustCompile(`\[\{\{ ?\.window ?\}\}\]`)

// Query is a query of a document, as it stands there.
type Query struct {
	Field string
	Over  func(window time.Duration) string
	// Windowed ones read the window; what is recorded first does not.
	Windowed bool
}

// refuseTemplates finds texts that Prometheus would evaluate: they become labels and
// annotations of alerts, which are templates.
func (d *openSLO) refuseTemplates() error {
	texts := map[string]string{"metadata.name": d.Metadata.Name, "metadata.displayName": d.Metadata.DisplayName, "spec.description": d.Spec.Description, "spec.service": d.Spec.Service}
	for name, text := range d.Metadata.Labels {
		texts["metadata.labels."+name] = name + text
	}
	for name, text := range d.Metadata.Annotations {
		texts["metadata.annotations."+name] = text
	}
	for _, field := range slices.Sorted(maps.Keys(texts)) {
		if strings.Contains(texts[field], "{{") {
			return fmt.Errorf("%s holds {{, which Prometheus would evaluate as a template in the alerts", field)
		}
	}
	return nil
}

func (d *openSLO) indicator() (SLI, []Query, error) {
	r := d.Spec.Indicator.Spec.RatioMetric
	s := SLI{Kind: Kind(d.Metadata.Annotations[kindAnnotation]), helper: d.Metadata.Annotations[helperLabel]}
	if s.Kind == "" {
		s.Kind = Availability
	}
	if (r.Bad == nil) == (r.Good == nil) {
		return s, nil, errors.New("spec.indicator.spec.ratioMetric needs bad or good, and not both")
	}
	var queries []Query
	if s.helper != "" {
		queries = append(queries, Query{"metadata.annotations." + helperLabel, func(time.Duration) string { return s.helper }, false})
	}
	read := func(m *openMetric, field string) (func(time.Duration) string, error) {
		raw, err := m.query(field)
		if err != nil {
			return nil, err
		}
		if strings.Contains(raw, helperSeries) != (s.helper != "") {
			return nil, fmt.Errorf("%s reads %s if the annotation %s says what that is, and only then", metricField(field), helperSeries, helperLabel)
		}
		queries = append(queries, Query{metricField(field), func(w time.Duration) string { return windowInQuery.ReplaceAllString(raw, "["+span(w)+"]") }, true})
		whole := raw
		if !oneOperand(raw) {
			whole = "(" + strings.TrimSpace(raw) + ")"
		}
		return func(w time.Duration) string { return windowInQuery.ReplaceAllString(whole, "["+span(w)+"]") }, nil
	}
	var err error
	if s.total, err = read(&r.Total, "total"); err != nil {
		return s, nil, err
	}
	if r.Bad != nil {
		s.bad, err = read(r.Bad, "bad")
		return s, queries, err
	}
	good, err := read(r.Good, "good")
	s.bad = func(w time.Duration) string {
		return fmt.Sprintf("clamp_min(%s - (%s or 0 * %s), 0)", s.total(w), good(w), s.total(w))
	}
	return s, queries, err
}

func metricField(field string) string { return "spec.indicator.spec.ratioMetric." + field }

// query is what a metric asks Prometheus.
func (m *openMetric) query(field string) (string, error) {
	q := m.MetricSource.Spec.Query
	if m.MetricSource.Type != "Prometheus" || !windowInQuery.MatchString(q) {
		return "", fmt.Errorf("%s.metricSource needs the type Prometheus and a spec.query over [%s]", metricField(field), windowVariable)
	}
	return q, nil
}

// oneOperand tells whether a query is one call or in parentheses as a whole, so that
// an operator before it takes all of it.
func oneOperand(q string) bool {
	depth := 0
	q = inQuotes.ReplaceAllString(strings.TrimSpace(q), "")
	for i, c := range q {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				return i == len(q)-1
			}
		case ' ', '\n', '+', '-', '*', '/', '%', '^':
			if depth == 0 {
				return false
			}
		}
	}
	return true
}

var inQuotes = regexp.MustCompile("\"(\\\\.|[^\"\\\\])*\"|'(\\\\.|[^'\\\\])*'|`[^`]*`")

// camel makes Some-name of some-name.
func camel(name string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}
