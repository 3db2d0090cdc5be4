package alerts_test

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/rulefile"
	"github.com/weirstream/weir/alerts/ruletest"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams/telemetry"
)

var update = flag.Bool("update", false, "write the golden files")

func ofShop(t *testing.T) *alerts.Set {
	t.Helper()
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	s := alerts.Business(shop.Business, topology, alerts.Standard())
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// golden compares with a file, or writes it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, got) {
		t.Errorf("%s differs from what the code says (%v): look at it, and run make golden", file, err)
	}
}

func TestGolden(t *testing.T) {
	s := ofShop(t)
	groups, err := s.Groups()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := alerts.File(groups)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "golden/rules.yml", rules)
	routes, err := s.Routes()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "golden/alertmanager.yml", routes)
}

// own are the alerts of the objectives that services have beside the standard ones: what
// their runbooks say is rendered.
func own() (names []string) {
	for _, s := range shop.Business.Services {
		for _, o := range s.Objectives {
			names = append(names, o.Alert)
		}
	}
	return names
}

// Every alert of the platform has a runbook with hand-written causes and cure, every
// runbook an alert, and every link between them leads somewhere.
func TestRunbooks(t *testing.T) {
	s := ofShop(t)
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	for _, name := range s.Names() {
		if slices.Contains(own(), name) {
			continue
		}
		file := filepath.Join("runbooks", name+".md")
		have, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := s.Runbook(name)
		if err != nil || !strings.HasPrefix(string(have), "# "+name+"\n\n<!-- facts -->\n\n## Causes\n") {
			t.Errorf("%s: it has no place for the facts of a business (%v)", file, err)
			continue
		}
		if facts, _, _ := strings.Cut(string(want), "## Causes\n"); !strings.Contains(facts,
			"Owner: ") || strings.Contains(facts, "<!--") {
			t.Errorf("%s: its facts are %s", file, facts)
		}
		_, after, _ := strings.Cut(string(want), "## Causes\n")
		causes, cure, _ := strings.Cut(after, "## Cure\n")
		if len(strings.TrimSpace(causes)) < 20 || len(strings.TrimSpace(cure)) < 20 {
			t.Errorf("%s: write its causes and its cure", file)
		}
		for _, l := range link.FindAllStringSubmatch(string(want), -1) {
			if _, err := os.Stat(filepath.Join("runbooks", l[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, l[1], err)
			}
		}
	}
	files, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(s.Names(), strings.TrimSuffix(filepath.Base(f), ".md")) {
			t.Errorf("%s is of no alert", f)
		}
	}
}

var (
	someMetric = regexp.MustCompile(`\bweir_\w+`)
	someBoard  = regexp.MustCompile(`(?i)\b(?:the )?board of the ([a-z]+)|\b([a-z]+)(?:'s)? board\b`)
	onSome     = regexp.MustCompile(`on the [a-z]+ board`)
	onBoard    = regexp.MustCompile(`(?:"([^"]+)" and )?"([^"]+)" on the ([a-z]+) board`)
)

// boards are the rendered ones of which runbooks speak as of the pipeline's, a
// service's, or that of payment.
func boards(t *testing.T, name string) (text string) {
	t.Helper()
	for _, pattern := range []string{"weir-" + name + "*.json", "weir-service-" + name + ".json"} {
		files, err := filepath.Glob(filepath.Join("..", "dashboards", "golden", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text += string(b)
		}
	}
	return text
}

// Runbooks send nobody to a metric, a board or a panel that is not there.
func TestRunbooksNameWhatThereIs(t *testing.T) {
	seen := 0
	s := ofShop(t)
	for _, name := range s.Names() {
		b, err := s.Runbook(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range someMetric.FindAllString(string(b), -1) {
			seen++
			_, bare := telemetry.Declared(m)
			if _, ok := telemetry.Declared(strings.TrimSuffix(strings.TrimSuffix(m, "_bucket"), "_count")); !ok && !bare {
				t.Errorf("%s: there is no metric %s", name, m)
			}
		}
		for _, m := range someBoard.FindAllStringSubmatch(string(b), -1) {
			seen++
			if board := m[1] + m[2]; board != "own" && boards(t, board) == "" {
				t.Errorf("%s: there is no board of %s", name, board)
			}
		}
		named := onBoard.FindAllStringSubmatch(string(b), -1)
		for _, m := range named {
			for _, panel := range m[1:3] {
				if panel != "" && !strings.Contains(boards(t, m[3]), `"title": "`+panel+`"`) {
					t.Errorf("%s: the %s board has no panel %q", name, m[3], panel)
				}
			}
		}
		if len(named) < len(onSome.FindAllString(string(b), -1)) {
			t.Errorf("%s: put the panel into quotes that is to be seen on a board", name)
		}
	}
	if seen < 30 {
		t.Errorf("only %d names in all runbooks", seen)
	}
}

// What an objective must not be.
func TestUselessObjectives(t *testing.T) {
	good := func() alerts.SLO {
		return alerts.SLO{Service: "s", Name: "n", Alert: "A", Owner: "o", Description: "d", Objective: 99.9,
			SLI: alerts.Within(telemetry.InputAge, time.Second, "", `service="s",decider="s"`)}
	}
	if s := good(); s.Check(alerts.Standard()) != nil {
		t.Fatal(s.Check(alerts.Standard()))
	}
	for name, c := range map[string]struct {
		spoil func(*alerts.SLO)
		say   string
	}{
		"never fires": {func(s *alerts.SLO) { s.Objective = 93 }, "can never fire: promise at least 93.06"},
		"perfect":     {func(s *alerts.SLO) { s.Objective = 100 }, "no objective"},
		"nobody":      {func(s *alerts.SLO) { s.Owner = "" }, "needs an owner"},
		"no bucket":   {func(s *alerts.SLO) { s.SLI = alerts.Within(telemetry.InputAge, 123*time.Millisecond, "", "") }, "no histogram of the catalogue with a bucket"},
		"no metric": {func(s *alerts.SLO) {
			s.SLI = alerts.Ratio(alerts.Availability, []alerts.Events{{Metric: "x"}}, alerts.Events{Metric: telemetry.Inputs})
		}, "not in the catalogue"},
		"no gauge":      {func(s *alerts.SLO) { s.SLI = alerts.Below(alerts.Freshness, telemetry.Inputs, 1, "", "") }, "no gauge"},
		"no indicator":  {func(s *alerts.SLO) { s.SLI = alerts.SLI{} }, "no indicator"},
		"a label twice": {func(s *alerts.SLO) { s.Labels = map[string]string{"owner": "x"} }, `cannot have the label "owner"`},
		"no label":      {func(s *alerts.SLO) { s.Labels = map[string]string{"a/b": "x"} }, `cannot have the label "a/b"`},
		"strange name":  {func(s *alerts.SLO) { s.Name = "A b" }, "lower-case"},
		"weights":       {func(s *alerts.SLO) { o := good(); s.SLI = alerts.Steps(alerts.Part{SLO: &o, Weight: .5}) }, "sum up to 0.5"},
		"no latency unit": {func(s *alerts.SLO) {
			s.SLI = alerts.Within(telemetry.BatchInputs, time.Second, "", "")
			s.Objective = 50
		}, "can never fire"},
	} {
		s := good()
		c.spoil(&s)
		if err := s.Check(alerts.Standard()); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
	s := good()
	s.Objective, s.NoPage = 93, true // a ticket still can
	if err := s.Check(alerts.Standard()); err != nil {
		t.Error(err)
	}
	p := alerts.Standard()
	p.Windows[0].Long = time.Minute
	if err := p.Check(); err == nil {
		t.Error("a long window that is the shorter one")
	}
	set := ofShop(t)
	set.SLOs = append(set.SLOs, set.SLOs[0])
	if err := set.Check(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("twice: %v", err)
	}
}

// A threshold renders as one comparison of what it says: a query that joins others
// would be compared in part.
func TestThresholdsAreOneComparison(t *testing.T) {
	seen := 0
	for _, a := range ofShop(t).Alerts {
		tree, err := rulefile.PromQL.ParseExpr(a.Condition())
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		if a.Threshold == (alerts.Threshold{}) {
			if c, ok := tree.(*parser.BinaryExpr); ok && c.Op.IsComparisonOperator() {
				t.Errorf("%s is one comparison: make it a threshold, %s", a.Name, a.Condition())
			}
			continue
		}
		seen++
		query, err := rulefile.PromQL.ParseExpr(a.Threshold.Query)
		c, ok := tree.(*parser.BinaryExpr)
		if err != nil || !ok {
			t.Errorf("%s: %s is no comparison (%v)", a.Name, a.Condition(), err)
			continue
		}
		value, ok := c.RHS.(*parser.NumberLiteral)
		if !ok || value.Val != a.Threshold.Value || c.Op.String() != string(a.Threshold.Op) || c.LHS.String() != query.String() {
			t.Errorf("%s: %s does not compare %s", a.Name, a.Condition(), a.Threshold.Query)
		}
	}
	if seen < 10 {
		t.Errorf("only %d alerts have a threshold", seen)
	}
}

// What a condition must not be.
func TestUselessConditions(t *testing.T) {
	for name, c := range map[string]struct {
		threshold alerts.Threshold
		expr, say string
	}{
		"none":        {alerts.Threshold{}, "", "a threshold or an expression"},
		"both":        {alerts.Threshold{Query: "x", Op: alerts.Above, Value: 1}, "x > 2", "and not both"},
		"no query":    {alerts.Threshold{Op: alerts.Above, Value: 1}, "", "needs a query"},
		"no operator": {alerts.Threshold{Query: "x", Value: 1}, "", "needs a query, a comparison"},
		"no such one": {alerts.Threshold{Query: "x", Op: "=~", Value: 1}, "", "needs a query, a comparison"},
		"no number":   {alerts.Threshold{Query: "x", Op: alerts.Above, Value: math.NaN()}, "", "and a number"},
		"no bound":    {alerts.Threshold{Query: "x", Op: alerts.Above, Value: math.Inf(1)}, "", "and a number"},
	} {
		a := *ofShop(t).Alerts[0]
		a.Threshold, a.Expr = c.threshold, c.expr
		if err := a.Check(); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
}

// An indicator says the bound that its queries have.
func TestIndicatorsSayTheirBounds(t *testing.T) {
	asked := alerts.Events{Metric: telemetry.SagasStarted}
	for name, c := range map[string]struct {
		sli  alerts.SLI
		want float64
	}{
		"within":   {alerts.Within(telemetry.InputAge, 250*time.Millisecond, "", ""), 0.25},
		"promptly": {alerts.Promptly(asked, telemetry.SagaAnswer, time.Second, ""), 1},
		"below":    {alerts.Below(alerts.Freshness, telemetry.BehindSeconds, 30, "", ""), 30},
		"ratio":    {alerts.Ratio(alerts.Availability, []alerts.Events{asked}, asked), 0},
	} {
		if c.sli.Bound != c.want {
			t.Errorf("%s: bound %v, want %v", name, c.sli.Bound, c.want)
		}
	}
}

// What a retry counts a second time, and what another decider has too much, is not
// taken for what is missing.
func TestMissingEventsAreNotCoveredFor(t *testing.T) {
	s := ofShop(t)
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	const test = `
tests:
- interval: 1m
  input_series:
  - {series: 'weir_events_emitted_total{service="order",type="order.placed"}', values: '0+60x10'}
  - {series: 'weir_inputs_total{decider="claim",kind="event",input="order.placed",result="parked"}', values: '0+%[1]d0x10'}
  - {series: 'weir_inputs_total{decider="claim",kind="event",input="order.placed",result="retried"}', values: '0+%[1]d0x10'}
  - {series: 'weir_inputs_total{decider="claim",kind="event",input="order.placed",result="decided"}', values: '0+%[2]d0x10'}
  - {series: 'weir_events_emitted_total{service="inventory",type="hold.requested"}', values: '0+60x10'}
  - {series: 'weir_inputs_total{decider="shelf",kind="event",input="hold.requested",result="decided"}', values: '0+%[3]d0x10'}
  promql_expr_test:
  - {expr: 'round(60 * sum(slo:sli_bad:rate5m))', eval_time: 10m, exp_samples: [{value: %[4]d}]}
  - {expr: 'round(60 * sum(slo:sli_total:rate5m))', eval_time: 10m, exp_samples: [{value: 120}]}
`
	for name, c := range map[string]struct{ parked, decided, shelf, bad int }{ // ten a minute
		"all are decided":                   {0, 6, 6, 0},
		"parked, which is dealt with":       {6, 0, 6, 0},
		"half are lost, the other retried":  {3, 0, 6, 30},
		"one catches up while another lost": {0, 9, 3, 30},
	} {
		r, err := ruletest.RunTest([][]byte{files["rules/inventory-completeness.yml"]}, fmt.Appendf(nil, test, c.parked, c.decided, c.shelf, c.bad))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Failures {
			t.Errorf("%s: %s", name, f)
		}
	}
}
