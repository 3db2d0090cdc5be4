package alerts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"
)

// openSLO is a document of OpenSLO v1, kind SLO
// (github.com/OpenSLO/OpenSLO/blob/main/README.md).
type openSLO struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name        string            `yaml:"name"`
		DisplayName string            `yaml:"displayName,omitempty"`
		Labels      map[string]string `yaml:"labels,omitempty"`
		Annotations map[string]string `yaml:"annotations,omitempty"`
	} `yaml:"metadata"`
	Spec struct {
		Description     string             `yaml:"description,omitempty"`
		Service         string             `yaml:"service"`
		BudgetingMethod string             `yaml:"budgetingMethod"`
		TimeWindow      []openWindow       `yaml:"timeWindow"`
		Indicator       openIndicator      `yaml:"indicator"`
		Objectives      []openSLOObjective `yaml:"objectives"`
	} `yaml:"spec"`
}

type openWindow struct {
	Duration  string `yaml:"duration"`
	IsRolling bool   `yaml:"isRolling"`
}

type openSLOObjective struct {
	DisplayName string  `yaml:"displayName,omitempty"`
	Target      float64 `yaml:"target"`
}

type openIndicator struct {
	Metadata struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		RatioMetric struct {
			Counter bool        `yaml:"counter"`
			Bad     *openMetric `yaml:"bad,omitempty"`
			Good    *openMetric `yaml:"good,omitempty"` // in place of bad
			Total   openMetric  `yaml:"total"`
		} `yaml:"ratioMetric"`
	} `yaml:"spec"`
}

type openMetric struct {
	MetricSource struct {
		Type string `yaml:"type"`
		Spec struct {
			Query string `yaml:"query"`
		} `yaml:"spec"`
	} `yaml:"metricSource"`
}

// windowVariable stands for a window in the queries of a document.
const windowVariable = "{{.window}}"

// anyWindow is a window that no policy has: in a query it becomes the variable.
const anyWindow = 1234567 * time.Millisecond

// Annotations under which a document keeps what OpenSLO has no field for.
const (
	alertAnnotation = "weir/alert"
	ownerAnnotation = "weir/owner"
	kindAnnotation  = "weir/kind"
	minBadLabel     = "weir/min-bad-events"
	noPageLabel     = "weir/tickets-only"
	helperLabel     = "weir/recorded-first"
)

// OpenSLO exports the objective as an OpenSLO v1 document. A journey has none.
func (s *SLO) OpenSLO(p Policy) ([]byte, error) {
	if s.SLI.weigh != nil {
		return nil, fmt.Errorf("objective %s is a mean of others, for which OpenSLO has no word", s.ID())
	}
	if err := s.Check(p); err != nil {
		return nil, err
	}
	var d openSLO
	d.APIVersion, d.Kind = "openslo/v1", "SLO"
	d.Metadata.Name = s.ID()
	d.Metadata.DisplayName, d.Metadata.Labels = s.Service+" "+s.Name, s.Labels
	d.Metadata.Annotations = map[string]string{alertAnnotation: s.Alert, ownerAnnotation: s.Owner, kindAnnotation: string(s.SLI.Kind),
		minBadLabel: fmt.Sprint(s.MinBad), noPageLabel: fmt.Sprint(s.NoPage)}
	if s.SLI.helper != "" {
		d.Metadata.Annotations[helperLabel] = s.SLI.helper
	}
	d.Spec.Description, d.Spec.Service, d.Spec.BudgetingMethod = s.Description, s.Service, "Occurrences"
	d.Spec.TimeWindow = []openWindow{{span(p.Period), true}}
	d.Spec.Objectives = []openSLOObjective{{Target: round(s.Objective / 100)}}
	d.Spec.Indicator.Metadata.Name = s.ID()
	r := &d.Spec.Indicator.Spec.RatioMetric
	r.Counter = s.SLI.helper == ""
	metric := func(q func(time.Duration) string) (m openMetric) {
		m.MetricSource.Type = "Prometheus"
		m.MetricSource.Spec.Query = replaceWindow(q(anyWindow))
		return m
	}
	bad := metric(s.SLI.bad)
	r.Bad, r.Total = &bad, metric(s.SLI.total)
	b, err := encode(d)
	if err != nil {
		return nil, fmt.Errorf("objective %s not exported: %w", s.ID(), err)
	}
	return b, nil
}

func replaceWindow(q string) string {
	return string(bytes.ReplaceAll([]byte(q), []byte("["+span(anyWindow)+"]"), []byte("["+windowVariable+"]")))
}

// goType is what the decoder tells of this package's types.
var goType = regexp.MustCompile(`(?m) (in type|into) .*$`)

// ReadOpenSLO imports objectives from OpenSLO v1 documents of kind SLO, with
// queries of bad or good, and of total events of Prometheus, and the window as
// {{.window}}. Others are refused, as is what would be lost. Whether the queries make
// sense is for their own parser: see SLO.Queries. Nothing says which series they
// read, so an imported objective has no tests.
func ReadOpenSLO(r io.Reader) (out []*SLO, period time.Duration, err error) {
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	for {
		var doc openSLO
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return out, period, nil
		} else if err != nil {
			return nil, 0, fmt.Errorf("OpenSLO document %d: %s", len(out)+1, goType.ReplaceAllString(err.Error(), ""))
		}
		s, window, err := doc.slo()
		if err != nil {
			return nil, 0, fmt.Errorf("OpenSLO document %q: %w", doc.Metadata.Name, err)
		}
		if period != 0 && period != window {
			return nil, 0, fmt.Errorf("OpenSLO document %q counts over %s, others over %s: one policy has one period", doc.Metadata.Name, span(window), span(period))
		}
		period = window
		out = append(out, s)
	}
}
