package ruletest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
)

func TestFilesThatPass(t *testing.T) {
	files, err := filepath.Glob("testdata/*.test.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v %v", files, err)
	}
	r, err := Run(t.Context(), files...)
	if err != nil || len(r.Failures) > 0 || r.Tests != 5 {
		t.Fatalf("%s %v", r, err)
	}
}

// The fast way must store the very samples that going step by step does.
func TestFastGivesTheSameSamples(t *testing.T) {
	for _, file := range []string{"shop", "delayed"} {
		tests, parsed := read(t, file)
		for i := range tests.Tests {
			slow := stored(t, tests, i, parsed, (*evaluation).stepByStep)
			quick := stored(t, tests, i, parsed, (*evaluation).fast)
			if len(slow) != len(quick) {
				t.Errorf("%s: %d series step by step, %d fast", file, len(slow), len(quick))
				continue
			}
			for i, s := range slow {
				if !reflect.DeepEqual(s, quick[i]) {
					t.Errorf("%s: step by step: %s\nfast: %s", file, s, quick[i])
				}
			}
		}
	}
}

func read(t *testing.T, file string) (*testFile, *ruleSet) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file + ".test.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := parseTests(data)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := readRules("testdata", tests.RuleFiles)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return tests, parsed
}

// Each of these, beside rules that are fast, sends a test the slow way.
func TestWhatIsNotFast(t *testing.T) {
	for _, c := range []struct{ name, group, rule string }{
		{"a later rule's series", "", "{record: a, expr: b}, {record: b, expr: up}"},
		{"its own series", "", "{record: a, expr: a + 1 or up}"},
		{"a later rule's series by its label", "", "{record: a, expr: 'b{of=\"x\"}'}, {record: b, expr: up, labels: {of: x}}"},
		{"a later rule's series by a label that may be anything", "", "{record: a, expr: 'b{of=\"x\"}'}, {record: b, expr: up}"},
		{"alerts that are still to come", "", "{record: a, expr: count(ALERTS)}, {alert: B, expr: up}"},
		{"a name that may be any", "", "{record: a, expr: 'count({__name__=~\"u.*\"})'}"},
		{"no name", "", "{record: a, expr: 'count({job=\"x\"})'}"},
		{"the future", "", "{record: a, expr: up offset -1m}"},
		{"a fixed time", "", "{record: a, expr: up @ 60}"},
		{"the end", "", "{record: a, expr: up @ end()}"},
		{"the future in a subquery", "", "{record: a, expr: 'sum_over_time(up[5m:1m] offset -1m)'}"},
		{"a limit", "limit: 5, ", "{record: a, expr: up}"},
		{"a query in a template", "", "{alert: B, expr: up, annotations: {of: '{{ query \"up\" | first | value }}'}}"},
		{"two offsets", "query_offset: 1m, ", "{record: a, expr: up}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tests, err := parseTests([]byte("tests: [{name: t, input_series: [{series: up, values: '1x3'}]}]"))
			if err != nil {
				t.Fatal(err)
			}
			rules := "groups: [{name: fast, rules: [{record: ok, expr: up}]}, {name: g, " + c.group + "rules: [" + c.rule + "]}]"
			parsed, err := parseRules([]ruleFile{{"rules", []byte(rules)}})
			if err != nil {
				t.Fatal(err)
			}
			if err := open(t, tests, 0, parsed).fast(); err != errNotFast {
				t.Errorf("evaluated fast: %v", err)
			}
		})
	}
}

func open(t *testing.T, f *testFile, i int, parsed *ruleSet) *evaluation {
	t.Helper()
	e, err := f.newEvaluation(&f.Tests[i], parsed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.close() })
	return e
}

// stored is every sample after a test.
func stored(t *testing.T, f *testFile, i int, parsed *ruleSet, way func(*evaluation) error) promql.Matrix {
	t.Helper()
	e := open(t, f, i, parsed)
	if err := way(e); err != nil || len(e.Failures) > 0 {
		t.Fatalf("%v %v", err, e.Failures)
	}
	q, err := e.engine.NewInstantQuery(t.Context(), e.db, nil, fmt.Sprintf(`{__name__=~".+"}[%s]`, span(e.length()+time.Minute)), e.StartTimestamp.Add(e.length()))
	if err != nil {
		t.Fatal(err)
	}
	m, err := q.Exec(t.Context()).Matrix()
	if err != nil || len(m) == 0 && len(f.Tests[i].InputSeries) > 0 {
		t.Fatalf("%d series, %v", len(m), err)
	}
	return m
}

const someRules = `groups:
- name: g
  rules:
  - alert: Down
    expr: up == 0
    for: 2m
    labels: {severity: page}
    annotations: {summary: "{{ $labels.instance }} is down"}
  - record: ups
    expr: sum(up)
`

const someInput = `
  interval: 1m
  input_series: [{series: 'up{instance="a"}', values: '1 0x10'}, {series: 'up{instance="b"}', values: '1x10'}]
`

// Each of these must fail, and say why.
var failing = []struct {
	name, rules, test string
	want              []string
}{
	{"an alert that does not fire", someRules, "alert_rule_test: [{eval_time: 2m, alertname: Down, exp_alerts: [{exp_labels: {severity: page, instance: a}}]}]",
		[]string{`test "t" at 2m, alert Down`, `expected {alertname="Down", instance="a", severity="page"}`, "got      pending, not firing: {"}},
	{"an alert that fires though nothing is expected", someRules, "alert_rule_test: [{eval_time: 5m, alertname: Down}]",
		[]string{"expected nothing", `got      {alertname="Down", instance="a", severity="page"} with the annotations {summary="a is down"}`}},
	{"another label", someRules, `alert_rule_test: [{eval_time: 5m, alertname: Down, exp_alerts: [{exp_labels: {severity: ticket, instance: a}, exp_annotations: {summary: a is down}}]}]`,
		[]string{`severity="ticket"`, `severity="page"`}},
	{"another annotation", someRules, `alert_rule_test: [{eval_time: 5m, alertname: Down, exp_alerts: [{exp_labels: {severity: page, instance: a}, exp_annotations: {summary: b is down}}]}]`,
		[]string{"b is down", "a is down"}},
	{"no annotations given", someRules, `alert_rule_test: [{eval_time: 5m, alertname: Down, exp_alerts: [{exp_labels: {severity: page, instance: a}}]}]`,
		[]string{"a is down"}},
	{"one alert too many expected", someRules, `alert_rule_test: [{eval_time: 5m, alertname: Down, exp_alerts: [{exp_labels: {severity: page, instance: a}, exp_annotations: {summary: a is down}}, {exp_labels: {instance: b}}]}]`,
		[]string{`instance="b"`}},
	{"another value", someRules, "promql_expr_test: [{expr: ups, eval_time: 5m, exp_samples: [{labels: ups, value: 2}]}]",
		[]string{`at 5m, expression ups`, `expected {__name__="ups"} 2`, `got      {__name__="ups"} 1`}},
	{"no samples expected", someRules, "promql_expr_test: [{expr: ups, eval_time: 5m}]", []string{"expected nothing"}},
	{"a float that is nearly the same", someRules, "promql_expr_test: [{expr: 0.1 + 0.2, eval_time: 5m, exp_samples: [{value: 0.3}]}]",
		[]string{"0.30000000000000004"}},
	{"NaN, which equals nothing", someRules, "promql_expr_test: [{expr: 0 / 0, eval_time: 5m, exp_samples: [{value: .nan}]}]", []string{"NaN"}},
	{"an expression that cannot be parsed", someRules, "promql_expr_test: [{expr: 'sum(', eval_time: 5m}]", []string{"expression sum(", "parse error"}},
	{"a label that cannot be parsed", someRules, "promql_expr_test: [{expr: ups, eval_time: 5m, exp_samples: [{labels: '{', value: 2}]}]", []string{"exp_samples: labels"}},
	{"another histogram", someRules, "promql_expr_test: [{expr: ups, eval_time: 5m, exp_samples: [{labels: ups, histogram: '{{schema:0 count:1 sum:1 buckets:[1]}}'}]}]",
		[]string{"{{count:1 sum:1 buckets:[1]}}"}},
	{"a rule that cannot be evaluated", "groups: [{name: g, rules: [{record: both, expr: up * on() up}]}]", "promql_expr_test: [{expr: both, eval_time: 5m}]",
		[]string{"at 0s, rule both", "duplicate series"}},
	{"a limit", "groups: [{name: g, limit: 1, rules: [{record: twice, expr: up * 2}]}]", "promql_expr_test: [{expr: '1', eval_time: 5m, exp_samples: [{value: 1}]}]",
		[]string{"rule twice", "exceeded limit of 1"}},
	{"two rules that write one series", "groups: [{name: g, rules: [{record: one, expr: sum(up)}, {record: one, expr: sum(up) + 1}]}]",
		"promql_expr_test: [{expr: '1', eval_time: 5m, exp_samples: [{value: 1}]}]", []string{"rule one", "duplicate sample"}},
}

func TestFilesThatFail(t *testing.T) {
	for _, c := range failing {
		t.Run(c.name, func(t *testing.T) {
			r, err := RunTest([][]byte{[]byte(c.rules)}, []byte(testOf(c.test)))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Failures) != 1 {
				t.Fatalf("%d failures: %s", len(r.Failures), r)
			}
			for _, want := range c.want {
				if !strings.Contains(r.String(), want) {
					t.Errorf("the result does not say %q: %s", want, r)
				}
			}
		})
	}
}

// What promtool lets pass: a label that is not there renders as nothing.
func TestAnnotationNamesNoLabel(t *testing.T) {
	rules := strings.Replace(someRules, "$labels.instance", "$labels.node", 1)
	for way, more := range map[string]string{"fast": "", "step by step": "  - {record: ahead, expr: up offset -1m}\n"} {
		r, err := RunTest([][]byte{[]byte(rules + more)}, []byte(testOf("promql_expr_test: [{expr: '1', eval_time: 5m, exp_samples: [{value: 1}]}]")))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Failures) != 1 || !strings.Contains(r.String(), `at 3m, alert Down: its summary names the label "node"`) {
			t.Errorf("%s: %s", way, r)
		}
	}
}

func TestResultSaysWhatWasSeen(t *testing.T) {
	tests := testOf("promql_expr_test: [{expr: up == 0, eval_time: 0m}, {expr: up == 0, eval_time: 1m, exp_samples: [{labels: 'up{instance=\"a\"}', value: 0}]}, {expr: up == 2, eval_time: 4m}]")
	r, err := RunTest([][]byte{[]byte(someRules)}, []byte(tests))
	if err != nil || len(r.Failures) > 0 {
		t.Fatalf("%v %v", r, err)
	}
	if !r.Found["up == 0"] || !r.Empty["up == 0"] || r.Found["up == 2"] || !r.Empty["up == 2"] {
		t.Errorf("found %v, empty %v", r.Found, r.Empty)
	}
	if want := map[string]string{"alertname": "Down", "instance": "a", "severity": "page"}; len(r.Fired) != 1 || !maps.Equal(r.Fired[0].Labels, want) {
		t.Errorf("%v fired", r.Fired)
	}
}

// testOf is a file with one test that has these expectations.
func testOf(expectations string) string {
	return "tests:\n- name: t" + someInput + "  " + expectations + "\n"
}

func TestFilesThatMakeNoSense(t *testing.T) {
	for _, c := range []struct{ name, rules, tests, want string }{
		{"YAML", someRules, "tests: [", "yaml"},
		{"a field", someRules, "tests: [{alert_rule_tests: []}]", "alert_rule_tests not found"},
		{"a time", someRules, testOf("alert_rule_test: [{eval_time: soon, alertname: Down}]"), "soon"},
		{"a check without an alert", someRules, testOf("alert_rule_test: [{eval_time: 1m}]"), "no alertname"},
		{"an alert that no rule has", someRules, testOf("alert_rule_test: [{eval_time: 1m, alertname: Donw}]"), "no rule has the alert Donw"},
		{"an input series", someRules, "tests: [{name: t, input_series: [{series: 'up{', values: '1'}]}]", `test "t": input series up{`},
		{"values", someRules, "tests: [{name: t, input_series: [{series: up, values: '1+x'}]}]", "input series up"},
		{"a series twice", someRules, "tests: [{input_series: [{series: up, values: '1'}, {series: up, values: '2'}]}]", "twice"},
		{"an order", someRules, "group_eval_order: [g, g]", "the group g twice"},
		{"a rule", "groups: [{name: slo, rules: [{record: x, expr: 'sum('}]}]", "tests: []", `group "slo", rule 1, "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r, err := RunTest([][]byte{[]byte(c.rules)}, []byte(c.tests)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error does not say %q: %v, %s", c.want, err, r)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "a.test.yml")
	if err := os.WriteFile(missing, []byte("rule_files: [no*.yml]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), missing); err == nil || !strings.Contains(err.Error(), "there is no file") {
		t.Errorf("rule files that are not there: %v", err)
	}
}
