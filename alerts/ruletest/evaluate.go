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

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// ruleFile is a file of rule groups.
type ruleFile struct {
	name string
	data []byte
}

// loader gives the rules' manager its files from memory.
type loader struct {
	files  []string
	groups map[string]*rulefmt.RuleGroups // by file
}

// Load finds a file by its name.
func (l *loader) Load(name string, _ bool, _ model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return l.groups[name], nil
}

// Parse parses an expression.
func (l *loader) Parse(expr string) (parser.Expr, error) { return promQL.ParseExpr(expr) }

func parseRules(files []ruleFile) (*loader, error) {
	l := &loader{groups: map[string]*rulefmt.RuleGroups{}}
	for _, f := range files {
		groups, errs := rulefmt.Parse(f.data, false, model.UTF8Validation, promQL, slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			return nil, fmt.Errorf("%s: %w", f.name, errors.Join(errs...))
		}
		l.files, l.groups[f.name] = append(l.files, f.name), groups
	}
	return l, nil
}

func (f *testFile) run(files []ruleFile) (Result, error) {
	parsed, err := parseRules(files)
	if err != nil {
		return Result{}, err
	}
	out := Result{Tests: len(f.Tests)}
	for i := range f.Tests {
		failures, err := f.runTest(&f.Tests[i], parsed)
		if err != nil {
			return out, fmt.Errorf("test %q: %w", f.Tests[i].Name, err)
		}
		out.Failures = append(out.Failures, failures...)
	}
	return out, nil
}

// runTest tries the fast way first. What cannot be done so, or ends in an error,
// is done again step by step, as promtool does everything.
func (f *testFile) runTest(t *test, parsed *loader) ([]Failure, error) {
	if failures, err := f.evaluate(t, parsed, (*evaluation).fast); err == nil {
		return failures, nil
	}
	return f.evaluate(t, parsed, (*evaluation).stepByStep)
}

func (f *testFile) evaluate(t *test, parsed *loader, way func(*evaluation) error) ([]Failure, error) {
	e, err := f.newEvaluation(t, parsed)
	if err != nil {
		return nil, err
	}
	err = way(e)
	return e.failures, errors.Join(err, e.close())
}

// evaluation is one way through a test: its samples, its rules, what came of it.
type evaluation struct {
	*test
	fuzzy    bool
	interval time.Duration // between evaluations
	inputs   []input
	dir      string // of the samples
	db       *tsdb.DB
	engine   *promql.Engine
	options  *rules.ManagerOptions
	groups   []*rules.Group
	checks   map[int][]*alertCheck // of alerts, by the step after which they are made
	failures []Failure
}

func (f *testFile) newEvaluation(t *test, parsed *loader) (*evaluation, error) {
	e := &evaluation{test: t, fuzzy: f.FuzzyCompare, interval: time.Duration(f.EvaluationInterval), checks: map[int][]*alertCheck{}}
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
		Parser: promQL, NoStepSubqueryIntervalFn: func(int64) int64 { return e.interval.Milliseconds() }})
	return nil
}

func (e *evaluation) close() error {
	return errors.Join(e.engine.Close(), e.db.Close(), os.RemoveAll(e.dir))
}

// loadRules makes the groups, in the order of their evaluation: that of
// group_eval_order, in which a group that is not named counts as the first, and
// then that of the files.
func (e *evaluation) loadRules(f *testFile, parsed *loader) error {
	e.options = &rules.ManagerOptions{Context: context.Background(), QueryFunc: rules.EngineQueryFunc(e.engine, e.db), AppendableV2: e.db,
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, GroupLoader: parsed, Parser: promQL}
	groups, errs := rules.NewManager(e.options).LoadGroups(time.Duration(e.Interval), e.ExternalLabels, e.ExternalURL, nil, false, parsed.files...)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for _, file := range parsed.files {
		for _, g := range parsed.groups[file].Groups {
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
func (e *evaluation) broken(step int) bool {
	for _, g := range e.groups {
		for _, r := range g.Rules() {
			if err := r.LastError(); err != nil {
				e.failures = append(e.failures, Failure{Test: e.Name, At: e.at(step).Sub(e.StartTimestamp.Time), Subject: "rule " + r.Name(), Err: err})
			}
		}
	}
	return len(e.failures) > 0
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
