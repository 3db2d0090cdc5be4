//go:build real

package alerts_test

import (
	"errors"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/weirstream/weir/alerts/rulefile"
)

// every is the time between scrapes, and between evaluations.
const every = 30 * time.Second

// series are values by the step of their evaluation. A step without one is not
// there, which is another thing than NaN.
type series map[int]float64

// evaluation has Prometheus' storage and engine evaluate rules over a story, each
// for all steps before the next: rules here read only what was written before.
type evaluation struct {
	t      *testing.T
	db     *tsdb.DB
	engine *promql.Engine
	steps  int
	// verdicts are 1 where an alert fires, by its sloth_id and severity.
	verdicts map[string]series
}

func evaluate(t *testing.T, s story, rules []byte) *evaluation {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.WALSegmentSize, o.NoLockfile, o.StripeSize = -1, true, 64
	o.MinBlockDuration = (365 * 24 * time.Hour).Milliseconds() // rules write behind each other
	o.MaxBlockDuration = o.MinBlockDuration
	db, err := tsdb.Open(t.TempDir(), nil, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.DisableCompactions()
	e := &evaluation{t: t, db: db, steps: int(s.lasts / every), verdicts: map[string]series{},
		engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 50e6, Timeout: 2 * time.Minute, Parser: rulefile.PromQL})}
	t.Cleanup(func() {
		if err := errors.Join(e.engine.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	for name, values := range s.inputs() {
		m, err := rulefile.PromQL.ParseMetric(name)
		if err != nil {
			t.Fatal(err)
		}
		e.write(m, values)
	}
	e.run(rules)
	return e
}

func (e *evaluation) run(rules []byte) {
	e.t.Helper()
	parsed, errs := rulefmt.Parse(rules, false, model.UTF8Validation, rulefile.PromQL, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		e.t.Fatal(errs)
	}
	for _, g := range parsed.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				e.verdict(r)
				continue
			}
			for m, values := range e.query(r.Expr) {
				b := labels.NewBuilder(m)
				b.Set(model.MetricNameLabel, r.Record)
				for k, v := range r.Labels {
					b.Set(k, v)
				}
				e.write(b.Labels(), values)
			}
		}
	}
}

// verdict evaluates an alert. None here waits: it fires where its expression is true.
func (e *evaluation) verdict(r rulefmt.Rule) {
	e.t.Helper()
	fires := series{}
	for step := range e.steps {
		fires[step] = 0
	}
	severity := r.Labels["severity"] + r.Labels["sloth_severity"] // ours or Sloth's
	for m, values := range e.query(r.Expr) {
		for step := range values {
			fires[step] = 1
		}
		e.verdicts[m.Get("sloth_id")+" "+severity] = fires
	}
}

// query evaluates an expression at all steps.
func (e *evaluation) query(expr string) map[labels.Labels]series {
	e.t.Helper()
	q, err := e.engine.NewRangeQuery(e.t.Context(), e.db, nil, expr, at(0), at(e.steps-1), every)
	if err != nil {
		e.t.Fatal(err)
	}
	defer q.Close()
	matrix, err := q.Exec(e.t.Context()).Matrix()
	if err != nil {
		e.t.Fatalf("%s: %v", expr, err)
	}
	out := map[labels.Labels]series{}
	for _, s := range matrix {
		values := series{}
		for _, p := range s.Floats {
			values[int(time.Duration(p.T)*time.Millisecond/every)] = p.F
		}
		out[s.Metric] = values
	}
	return out
}

// one is the only series of an expression; none is an empty one.
func (e *evaluation) one(expr string) series {
	e.t.Helper()
	all := e.query(expr)
	if len(all) > 1 {
		e.t.Fatalf("%s has %d series", expr, len(all))
	}
	for _, s := range all {
		return s
	}
	return nil
}

// write stores a series, and marks it stale where it pauses.
func (e *evaluation) write(name labels.Labels, values series) {
	e.t.Helper()
	app := e.db.AppenderV2(e.t.Context())
	for step := range e.steps {
		v, ok := values[step]
		if !ok {
			if _, before := values[step-1]; !before {
				continue
			}
			v = math.Float64frombits(value.StaleNaN)
		}
		if _, err := app.Append(0, name, 0, at(step).UnixMilli(), v, nil, nil, storage.AOptions{RejectOutOfOrder: true}); err != nil {
			e.t.Fatalf("%s: %v", name, errors.Join(err, app.Rollback()))
		}
	}
	if err := app.Commit(); err != nil {
		e.t.Fatal(err)
	}
}

func at(step int) time.Time { return time.UnixMilli(0).Add(time.Duration(step) * every) }
