package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
)

// ErrClosed is the answer of a server whose Run has ended.
var ErrClosed = errors.New("prometheus: closed")

// lookback is how old a series' newest sample may be before a query misses it.
const lookback = 5 * time.Minute

// Point is a value at a time.
type Point struct {
	At    time.Time
	Value float64
}

// Sample is one series' value in an answer of Query.
type Sample struct {
	Labels map[string]string
	Point
}

// Series is one series' values in an answer of QueryRange, the oldest first.
type Series struct {
	Labels map[string]string
	Points []Point
}

// enter waits for a free place among the queries. The context that it gives ends
// with the server too; leave must be called.
func (s *Server) enter(ctx context.Context) (inner context.Context, leave func(), err error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-s.ctx.Done():
		return nil, nil, ErrClosed
	}
	if s.ctx.Err() != nil {
		<-s.slots
		return nil, nil, ErrClosed
	}
	inner, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return inner, func() {
		stop()
		cancel()
		<-s.slots
	}, nil
}

// Query gives the expression's samples at a time, in PromQL's order. Results
// that are no numbers (strings, ranges, native histograms) are an error.
func (s *Server) Query(ctx context.Context, expr string, at time.Time) ([]Sample, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	q, err := s.engine.NewInstantQuery(ctx, s.db, nil, expr, at)
	if err != nil {
		return nil, fmt.Errorf("prometheus: query %s: %w", expr, err)
	}
	defer q.Close()
	samples, err := numbers(q.Exec(ctx))
	if err != nil {
		return nil, fmt.Errorf("prometheus: query %s: %w", expr, err)
	}
	return samples, nil
}

func numbers(r *promql.Result) ([]Sample, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	if v, ok := r.Value.(promql.Scalar); ok {
		return []Sample{{map[string]string{}, Point{time.UnixMilli(v.T), v.V}}}, nil
	}
	vector, err := r.Vector()
	if err != nil {
		return nil, err
	}
	out := []Sample{}
	for _, v := range vector {
		if v.H != nil {
			return nil, errHistogram
		}
		out = append(out, Sample{v.Metric.Map(), Point{time.UnixMilli(v.T), v.F}})
	}
	return out, nil
}

var errHistogram = errors.New("the result is a native histogram: ask for its histogram_quantile, histogram_sum or histogram_count")

// QueryRange gives the expression's values from one time to another, a step
// apart, sorted by the labels.
func (s *Server) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	q, err := s.engine.NewRangeQuery(ctx, s.db, nil, expr, from, to, step)
	if err != nil {
		return nil, fmt.Errorf("prometheus: query %s: %w", expr, err)
	}
	defer q.Close()
	matrix, err := q.Exec(ctx).Matrix()
	if err != nil {
		return nil, fmt.Errorf("prometheus: query %s: %w", expr, err)
	}
	out := []Series{}
	for _, m := range matrix {
		if len(m.Histograms) > 0 {
			return nil, fmt.Errorf("prometheus: query %s: %w", expr, errHistogram)
		}
		out = append(out, series(m))
	}
	return out, nil
}

func series(m promql.Series) Series {
	out := Series{m.Metric.Map(), []Point{}}
	for _, f := range m.Floats {
		out.Points = append(out.Points, Point{time.UnixMilli(f.T), f.F})
	}
	return out
}

// Alert is an alert that is pending or firing.
type Alert struct {
	Name        string
	Labels      map[string]string // alertname and those of the rule included
	Annotations map[string]string
	State       string // "pending" or "firing"
	Value       float64
	ActiveAt    time.Time // since when the condition holds
}

// Alerts are those of the last evaluation: what fires first, then by name and
// by age.
func (s *Server) Alerts() []Alert {
	out := []Alert{}
	for _, r := range s.rules.AlertingRules() {
		for _, a := range r.ActiveAlerts() {
			out = append(out, alert(r.Name(), a))
		}
	}
	slices.SortFunc(out, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Name, b.Name), a.ActiveAt.Compare(b.ActiveAt))
	})
	return out
}

func alert(name string, a *rules.Alert) Alert {
	return Alert{Name: name, Labels: a.Labels.Map(), Annotations: a.Annotations.Map(), State: a.State.String(), Value: a.Value, ActiveAt: a.ActiveAt}
}
