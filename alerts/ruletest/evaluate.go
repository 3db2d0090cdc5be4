package ruletest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/weirstream/weir/alerts/rulefile"
)

// ruleFile is a file of rule groups.
type ruleFile struct {
	name string
	data []byte
}

// ruleSet are the rules of a test's files, in the order of these.
type ruleSet struct {
	rulefile.Loader
	files []string
}

func parseRules(files []ruleFile) (*ruleSet, error) {
	s, data := &ruleSet{}, map[string][]byte{}
	for _, f := range files {
		s.files, data[f.name] = append(s.files, f.name), f.data
	}
	var err error
	s.Loader, err = rulefile.Parse(data, slog.New(slog.DiscardHandler))
	return s, err
}

func (f *testFile) run(files []ruleFile) (Result, error) {
	parsed, err := parseRules(files)
	if err != nil {
		return Result{}, err
	}
	var out Result
	for i := range f.Tests {
		r, err := f.runTest(&f.Tests[i], parsed)
		if err != nil {
			return out, fmt.Errorf("test %q: %w", f.Tests[i].Name, err)
		}
		out.Add(r)
	}
	return out, nil
}

// runTest tries the fast way first. What cannot be done so, or ends in an error,
// is done again step by step, as promtool does everything.
func (f *testFile) runTest(t *test, parsed *ruleSet) (Result, error) {
	if r, err := f.evaluate(t, parsed, (*evaluation).fast); err == nil || f.ctx.Err() != nil {
		return r, err
	}
	return f.evaluate(t, parsed, (*evaluation).stepByStep)
}

func (f *testFile) evaluate(t *test, parsed *ruleSet, way func(*evaluation) error) (Result, error) {
	e, err := f.newEvaluation(t, parsed)
	if err != nil {
		return Result{}, err
	}
	if err = way(e); f.ctx.Err() != nil {
		err = f.ctx.Err()
	}
	return e.Result, errors.Join(err, e.close())
}

// evaluation is one way through a test: its samples, its rules, what came of it.
type evaluation struct {
	*test
	Result
	fuzzy    bool
	interval time.Duration // between evaluations
	inputs   []input
	dir      string // of the samples
	db       *tsdb.DB
	engine   *promql.Engine
	options  *rules.ManagerOptions
	groups   []*rules.Group
	checks   map[int][]*alertCheck // of alerts, by the step after which they are made
	fired    map[*rules.AlertingRule]bool
}

func (f *testFile) newEvaluation(t *test, parsed *ruleSet) (*evaluation, error) {
	e := &evaluation{test: t, fuzzy: f.FuzzyCompare, interval: time.Duration(f.EvaluationInterval), checks: map[int][]*alertCheck{},
		fired: map[*rules.AlertingRule]bool{}, Result: Result{Tests: 1, Found: map[string]bool{}, Empty: map[string]bool{}}}
	var err error
	if e.inputs, err = t.inputs(); err != nil {
		return nil, err
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	if err := e.loadRules(f, parsed); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// open makes the storage. Its blocks are longer than any test: what is recorded
// first by one rule and then by the next is out of order for a normal one.
func (e *evaluation) open() (err error) {
	if e.dir, err = os.MkdirTemp("", "ruletest"); err != nil {
		return err
	}
	o := tsdb.DefaultOptions()
	o.WALSegmentSize, o.NoLockfile, o.StripeSize = -1, true, 64
	o.MinBlockDuration = (10 * 365 * 24 * time.Hour).Milliseconds()
	o.MaxBlockDuration = o.MinBlockDuration
	if e.db, err = tsdb.Open(e.dir, nil, nil, o, nil); err != nil {
		return errors.Join(err, os.RemoveAll(e.dir))
	}
	e.db.DisableCompactions()
	e.engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 50e6, Timeout: 100 * time.Second, EnableAtModifier: true, EnableNegativeOffset: true,
		Parser: rulefile.PromQL, NoStepSubqueryIntervalFn: func(int64) int64 { return e.interval.Milliseconds() }})
	return nil
}

func (e *evaluation) close() error {
	return errors.Join(e.engine.Close(), e.db.Close(), os.RemoveAll(e.dir))
}

// loadRules makes the groups, in the order of their evaluation: that of
// group_eval_order, in which a group that is not named counts as the first, and
// then that of the files.
func (e *evaluation) loadRules(f *testFile, parsed *ruleSet) error {
	e.options = &rules.ManagerOptions{Context: f.ctx, QueryFunc: rules.EngineQueryFunc(e.engine, e.db), AppendableV2: e.db,
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, GroupLoader: parsed, Parser: rulefile.PromQL}
	groups, errs := rules.NewManager(e.options).LoadGroups(time.Duration(e.Interval), e.ExternalLabels, e.ExternalURL, nil, false, parsed.files...)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for _, file := range parsed.files {
		for _, g := range parsed.Loader[file].Groups {
			e.groups = append(e.groups, groups[rules.GroupKey(file, g.Name)])
		}
	}
	slices.SortStableFunc(e.groups, func(a, b *rules.Group) int {
		return cmp.Compare(max(0, slices.Index(f.GroupEvalOrder, a.Name())), max(0, slices.Index(f.GroupEvalOrder, b.Name())))
	})
	return e.planChecks()
}

// planChecks says after which step each alert is looked at: the last one that is
// not after its time. A name that no rule has would be found silent for ever.
func (e *evaluation) planChecks() error {
	known := map[string]bool{}
	for _, g := range e.groups {
		for _, a := range g.AlertingRules() {
			a.SetRestored(true) // or it would write no ALERTS
			known[a.Name()] = true
		}
	}
	for _, a := range e.AlertTests {
		if !known[a.AlertName] {
			return fmt.Errorf("alert_rule_test: no rule has the alert %s", a.AlertName)
		}
		step := int(time.Duration(a.EvalTime) / e.interval)
		e.checks[step] = append(e.checks[step], &alertCheck{alertTest: a})
	}
	return nil
}

// steps is how many evaluations there are.
func (e *evaluation) steps() int { return int(e.length()/e.interval) + 1 }

func (e *evaluation) at(step int) time.Time {
	return e.StartTimestamp.Add(time.Duration(step) * e.interval)
}

// stepByStep evaluates all rules at each time before it goes on to the next. The
// first error ends it.
func (e *evaluation) stepByStep() error {
	for step := range e.steps() {
		if err := e.load(e.at(step)); err != nil {
			return err
		}
		if err := e.options.Context.Err(); err != nil {
			return err
		}
		for _, g := range e.groups {
			g.Eval(e.options.Context, e.at(step))
		}
		if e.broken(step) {
			return nil
		}
		e.look(step, e.groups...)
	}
	e.compare()
	return nil
}

// broken notes the rules that had an error.
func (e *evaluation) broken(step int) (any bool) {
	for _, g := range e.groups {
		for _, r := range g.Rules() {
			if err := r.LastError(); err != nil {
				any = true
				e.Failures = append(e.Failures, Failure{Test: e.Name, At: e.at(step).Sub(e.StartTimestamp.Time), Subject: "rule " + r.Name(), Err: err})
			}
		}
	}
	return any
}

// load stores the input up to a time.
func (e *evaluation) load(until time.Time) error {
	app := e.db.AppenderV2(e.options.Context)
	for i := range e.inputs {
		in := &e.inputs[i]
		for len(in.points) > 0 && in.points[0].t <= until.UnixMilli() {
			p := in.points[0]
			in.points = in.points[1:]
			if _, err := app.Append(0, in.labels, 0, p.t, p.Value, nil, p.Histogram, storage.AOptions{}); err != nil {
				return errors.Join(fmt.Errorf("input series %s: %w", in.labels, err), app.Rollback())
			}
		}
	}
	return app.Commit()
}
