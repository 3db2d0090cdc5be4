package alerts

import (
	"errors"
	"fmt"
	"regexp"
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
	sli, err := d.indicator()
	if err != nil {
		return nil, 0, err
	}
	name, ok := strings.CutPrefix(d.Metadata.Name, d.Spec.Service+"-")
	if !ok {
		name = d.Metadata.Name
	}
	a := d.Metadata.Annotations
	s := &SLO{Service: d.Spec.Service, Name: name, Alert: a[alertAnnotation], Description: d.Spec.Description, Owner: a[ownerAnnotation],
		Objective: round(d.Spec.Objectives[0].Target * 100), SLI: sli, NoPage: a[noPageLabel] == "true", Labels: d.Metadata.Labels}
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
	}
	return s, time.Duration(window), nil
}

// windowInQuery is the variable, with spaces or without.
var windowInQuery = regexp.MustCompile(`\[\{\{ ?\.window ?\}\}\]`)

func (d *openSLO) indicator() (SLI, error) {
	r := d.Spec.Indicator.Spec.RatioMetric
	s := SLI{Kind: Kind(d.Metadata.Annotations[kindAnnotation]), helper: d.Metadata.Annotations[helperLabel]}
	if s.Kind == "" {
		s.Kind = Availability
	}
	if (r.Bad == nil) == (r.Good == nil) {
		return s, errors.New("spec.indicator.spec.ratioMetric needs bad or good, and not both")
	}
	var err error
	if s.total, err = r.Total.query("total"); err != nil {
		return s, err
	}
	if r.Bad != nil {
		s.bad, err = r.Bad.query("bad")
		return s, err
	}
	good, err := r.Good.query("good")
	s.bad = func(w time.Duration) string {
		return fmt.Sprintf("clamp_min(%s - (%s or 0 * %s), 0)", s.total(w), good(w), s.total(w))
	}
	return s, err
}

func (m *openMetric) query(field string) (func(time.Duration) string, error) {
	q := m.MetricSource.Spec.Query
	if m.MetricSource.Type != "Prometheus" || !windowInQuery.MatchString(q) {
		return nil, fmt.Errorf("spec.indicator.spec.ratioMetric.%s.metricSource needs the type Prometheus and a spec.query over [%s]", field, windowVariable)
	}
	if !oneOperand(q) {
		q = "(" + strings.TrimSpace(q) + ")"
	}
	return func(w time.Duration) string { return windowInQuery.ReplaceAllString(q, "["+span(w)+"]") }, nil
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
