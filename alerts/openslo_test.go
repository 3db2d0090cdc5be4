package alerts_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/ruletest"
)

// goTypes are no word for who writes a document.
var goTypes = regexp.MustCompile(`alerts\.|struct|string`)

// ordinary is a document that knows nothing of us.
const ordinary = `
apiVersion: openslo/v1
kind: SLO
metadata: {name: shop-api, displayName: Shop, labels: {team: shop}}
spec:
  description: Requests that do not fail.
  service: shop
  budgetingMethod: Occurrences
  timeWindow: [{duration: 28d, isRolling: true}]
  indicator:
    metadata: {name: shop-api}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: 'sum(rate(a_total{code!="500"}[{{.window}}])) + sum(rate(b_total{code!="500"}[{{ .window }}]))'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'sum(rate(a_total[{{.window}}])) + sum(rate(b_total[{{.window}}]))'}}}
  objectives: [{target: 0.99}]
`

func imported(t *testing.T) *alerts.Set {
	t.Helper()
	slos, period, err := alerts.ReadOpenSLO(strings.NewReader(ordinary))
	if err != nil {
		t.Fatal(err)
	}
	p := alerts.Standard()
	p.Period = period
	return &alerts.Set{Policy: p, SLOs: slos, Runbooks: alerts.DefaultRunbooks}
}

// Bad is what is not good, also while no series tells of anything good.
func TestOpenSLOOfGoodEvents(t *testing.T) {
	files, err := imported(t).Files()
	if err != nil {
		t.Fatal(err)
	}
	const test = `
tests:
- interval: 1m
  input_series:
  - {series: 'a_total{code="500"}', values: '0+6x10'}
  - {series: 'a_total{code="200"}', values: '%s'}
  - {series: 'b_total{code="500"}', values: '0+0x10'}
  - {series: 'b_total{code="200"}', values: '%s'}
  promql_expr_test:
  - {expr: 'round(1000 * slo:sli_error:ratio_rate5m{sloth_window="5m"})', eval_time: 10m, exp_samples: [{labels: '{sloth_id="shop-api",sloth_service="shop",sloth_slo="api",sloth_window="5m"}', value: %d}]}
`
	for _, c := range []struct {
		a, b string
		bad  int
	}{{"0+54x10", "0+60x10", 50}, {"_x10", "_x10", 1000}} {
		r, err := ruletest.RunTest([][]byte{files["rules/shop-api.yml"]}, fmt.Appendf(nil, test, c.a, c.b, c.bad))
		if err != nil || len(r.Failures) > 0 {
			t.Errorf("%v %v", r, err)
		}
	}
}

// Of an imported objective there are no series to test it with, and no runbook.
func TestImportedObjectivesRender(t *testing.T) {
	s := imported(t)
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	if fmt.Sprint(names) != "[alertmanager.yml openslo/shop-api.yml rules/shop-api.yml]" {
		t.Errorf("the files are %v", names)
	}
	if rules := string(files["rules/shop-api.yml"]); strings.Contains(rules, "runbook_url") || !strings.Contains(rules, "team: shop") {
		t.Errorf("the rules name a runbook, or no team:\n%s", rules)
	}
	if c := s.Coverage(nil, nil); c.Alerts != 2 || c.Tested != 0 || fmt.Sprint(c.Missing) != "[shop-api page shop-api ticket]" {
		t.Errorf("%+v", c)
	}
	journey := alerts.SLO{Service: "s", Name: "n", SLI: alerts.Steps(alerts.Part{SLO: s.SLOs[0], Weight: 1})}
	if tests := journey.Tests(s.Policy); len(tests) > 0 {
		t.Errorf("a journey through it has the tests %v", tests)
	}
}

// OpenSLO documents say the same as the values: imported, they render the same
// rules.
func TestOpenSLOThereAndBack(t *testing.T) {
	s := ofShop(t)
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, o := range s.SLOs {
		doc, ok := files["openslo/"+o.ID()+".yml"]
		if !ok {
			continue
		}
		seen++
		back, period, err := alerts.ReadOpenSLO(bytes.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		p := alerts.Standard()
		p.Period = period
		want, err := o.Rules(p, "/runbooks/")
		if err != nil {
			t.Fatal(err)
		}
		got, err := back[0].Rules(p, "/runbooks/")
		if slices.Contains(own(), o.Alert) { // who imports a document has no runbook that weir rendered
			for _, r := range want[1].Rules {
				delete(r.Annotations, "runbook_url")
			}
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s comes back as other rules (%v):\n%v\n%v", o.ID(), err, got, want)
		}
	}
	if seen != len(s.SLOs)-1 { // the journey has none
		t.Errorf("%d documents of %d objectives", seen, len(s.SLOs))
	}
	for say, doc := range map[string]string{
		"only openslo/v1 SLO is taken":        "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: x}\n",
		"count events (Occurrences)":          "apiVersion: openslo/v1\nkind: SLO\nspec: {budgetingMethod: Timeslices}\n",
		"field nonsense not found":            "apiVersion: openslo/v1\nkind: SLO\nnonsense: 1\n",
		"field sum not found":                 "apiVersion: openslo/v1\nspec: {indicator: {spec: {ratioMetric: {sum: 1}}}}\n",
		"line 2: cannot unmarshal !!seq":      "apiVersion: openslo/v1\nmetadata: {labels: {a: [b]}}\n",
		"ratioMetric needs bad or good":       strings.Replace(ordinary, "good:", "# good:", 1),
		"ratioMetric.good.metricSource needs": strings.Replace(ordinary, "type: Prometheus", "type: Datadog", 1),
		"one objective and one rolling":       "apiVersion: openslo/v1\nkind: SLO\nspec: {budgetingMethod: Occurrences}\n",
	} {
		if _, _, err := alerts.ReadOpenSLO(strings.NewReader(doc)); err == nil || !strings.Contains(err.Error(), say) || goTypes.MatchString(err.Error()) {
			t.Errorf("%q: %v, want %q", doc, err, say)
		}
	}
}
