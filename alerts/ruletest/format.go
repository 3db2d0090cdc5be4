package ruletest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/weirstream/weir/alerts/rulefile"
)

// testFile is a file of tests, as promtool's documentation has it.
type testFile struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	GroupEvalOrder     []string       `yaml:"group_eval_order"`
	FuzzyCompare       bool           `yaml:"fuzzy_compare"`
	Tests              []test         `yaml:"tests"`

	ctx context.Context // in which they run
}

type test struct {
	Name           string         `yaml:"name"`
	Interval       model.Duration `yaml:"interval"`
	StartTimestamp instant        `yaml:"start_timestamp"`
	InputSeries    []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	AlertTests     []alertTest   `yaml:"alert_rule_test"`
	ExprTests      []exprTest    `yaml:"promql_expr_test"`
	ExternalLabels labels.Labels `yaml:"external_labels"`
	ExternalURL    string        `yaml:"external_url"`
}

type alertTest struct {
	EvalTime  model.Duration `yaml:"eval_time"`
	AlertName string         `yaml:"alertname"`
	Expected  []struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	} `yaml:"exp_alerts"`
}

type exprTest struct {
	Expr     string         `yaml:"expr"`
	EvalTime model.Duration `yaml:"eval_time"`
	Expected []struct {
		Labels    string  `yaml:"labels"`
		Value     float64 `yaml:"value"`
		Histogram string  `yaml:"histogram"` // takes the place of the value
	} `yaml:"exp_samples"`
}

// instant is a time in RFC 3339 or in seconds since 1970, which it is without.
type instant struct{ time.Time }

func (i *instant) UnmarshalYAML(n *yaml.Node) error {
	if seconds, err := strconv.ParseFloat(n.Value, 64); err == nil {
		whole, part := math.Modf(seconds)
		i.Time = time.Unix(int64(whole), int64(part*1e9)).UTC()
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, n.Value)
	i.Time = t
	return err
}

func parseTests(data []byte) (*testFile, error) {
	f := &testFile{ctx: context.Background()}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return f, f.complete()
}

// complete sets what a test takes over from its file, and checks what YAML cannot.
func (f *testFile) complete() error {
	f.EvaluationInterval = cmp.Or(f.EvaluationInterval, model.Duration(time.Minute))
	seen := map[string]bool{}
	for _, g := range f.GroupEvalOrder {
		if seen[g] {
			return fmt.Errorf("group_eval_order has the group %s twice", g)
		}
		seen[g] = true
	}
	for i := range f.Tests {
		t := &f.Tests[i]
		t.Name = cmp.Or(t.Name, fmt.Sprintf("unnamed#%d", i))
		t.Interval = cmp.Or(t.Interval, f.EvaluationInterval)
		if t.StartTimestamp.IsZero() {
			t.StartTimestamp.Time = time.Unix(0, 0).UTC()
		}
		for _, a := range t.AlertTests {
			if a.AlertName == "" {
				return fmt.Errorf("test %q: alert_rule_test at %s has no alertname", t.Name, a.EvalTime)
			}
		}
	}
	return nil
}

// length is the time of the last expectation, since the start.
func (t *test) length() time.Duration {
	var last model.Duration
	for _, a := range t.AlertTests {
		last = max(last, a.EvalTime)
	}
	for _, e := range t.ExprTests {
		last = max(last, e.EvalTime)
	}
	return time.Duration(last)
}

// input is a series of samples, those that were not stored yet.
type input struct {
	labels labels.Labels
	points []point
}

type point struct {
	t int64 // milliseconds since 1970
	parser.SequenceValue
}

// inputs expands the notation of the input series.
func (t *test) inputs() ([]input, error) {
	var out []input
	seen := map[string]bool{}
	for _, s := range t.InputSeries {
		metric, values, err := rulefile.PromQL.ParseSeriesDesc(s.Series + " " + s.Values)
		if err != nil {
			return nil, fmt.Errorf("input series %s: %w", s.Series, err)
		}
		if seen[metric.String()] {
			return nil, fmt.Errorf("input series %s is there twice", metric)
		}
		seen[metric.String()] = true
		in := input{labels: metric}
		for i, v := range values {
			if !v.Omitted {
				in.points = append(in.points, point{t.StartTimestamp.UnixMilli() + int64(i)*time.Duration(t.Interval).Milliseconds(), v})
			}
		}
		out = append(out, in)
	}
	return out, nil
}

// span writes a duration as the format does: 1h30m.
func span(d time.Duration) string { return model.Duration(d).String() }
