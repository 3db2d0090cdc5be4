package alerts

import (
	"errors"
	"fmt"
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
		Objective: round(d.Spec.Objectives[0].Target * 100), SLI: sli, NoPage: a[noPageLabel] == "true"}
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

func (d *openSLO) indicator() (SLI, error) {
	r := d.Spec.Indicator.Spec.RatioMetric
	query := func(m openMetric, what string) (func(time.Duration) string, error) {
		q := m.MetricSource.Spec.Query
		if m.MetricSource.Type != "Prometheus" || !strings.Contains(q, "["+windowVariable+"]") && !strings.Contains(q, "[{{ .window }}]") {
			return nil, fmt.Errorf("its %s events need a query of Prometheus over [%s]", what, windowVariable)
		}
		q = strings.ReplaceAll(q, "[{{ .window }}]", "["+windowVariable+"]")
		return func(w time.Duration) string { return strings.ReplaceAll(q, windowVariable, span(w)) }, nil
	}
	s := SLI{Kind: Kind(d.Metadata.Annotations[kindAnnotation]), helper: d.Metadata.Annotations[helperLabel]}
	if s.Kind == "" {
		s.Kind = Availability
	}
	var err error
	if s.bad, err = query(r.Bad, "bad"); err != nil {
		return s, err
	}
	s.total, err = query(r.Total, "total")
	return s, err
}

// camel makes Some-name of some-name.
func camel(name string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}
