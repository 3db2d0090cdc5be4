package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodQuery = `sum(rate(http_requests_total{code=~"5.."}[{{.window}}]))`

// document is an objective with a query of bad events, changed in some places.
func document(t *testing.T, bad string, changes ...string) string {
	t.Helper()
	text := fmt.Sprintf(`apiVersion: openslo/v1
kind: SLO
metadata: {name: web-avail, labels: {team: x}, annotations: {weir/owner: web}}
spec:
  budgetingMethod: Occurrences
  description: D
  indicator:
    metadata: {name: web-avail}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: %q}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'sum(rate(http_requests_total[{{.window}}]))'}}}
  objectives: [{target: 0.999}]
  service: web
  timeWindow: [{duration: 30d, isRolling: true}]
`, bad)
	text = strings.NewReplacer(changes...).Replace(text)
	path := filepath.Join(t.TempDir(), "slo.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What Prometheus would not load, or could never see a bad event, is no rule.
func TestAnImportThatCannotWorkIsRefused(t *testing.T) {
	for say, file := range map[string]string{
		"has a comment":              document(t, `sum(rate(x[{{.window}}])) # 5xx`),
		"it is a range vector":       document(t, `x[{{.window}}]`),
		"it is a string":             document(t, `"a[{{.window}}]"`),
		"it is a scalar":             document(t, `scalar(rate(x[{{.window}}]))`),
		"unexpected right paren":     document(t, `0) or vector(1) or (sum(rate(x[{{.window}}]))`),
		"unclosed left paren":        document(t, `sum(rate(x[{{.window}}])`),
		"reads no series":            document(t, `vector(1) or label_replace(vector(0), "x", "[{{.window}}]", "", "")`),
		"no series can match":        document(t, `sum(rate(x{a="1",a="2"}[{{.window}}]))`),
		"unknown function":           document(t, `sum(rat(x[{{.window}}]))`),
		"metadata.labels.team holds": document(t, goodQuery, "team: x", `team: '{{ $value }}'`),
		"spec.description holds":     document(t, goodQuery, "description: D", `description: '{{ query "up" }}'`),
		"annotations.weir/owner":     document(t, goodQuery, "weir/owner: web", `weir/owner: '{{ 1 }}'`),
		`the label "__name__"`:       document(t, goodQuery, "team: x", "__name__: x"),
		`the label "a-b"`:            document(t, goodQuery, "team: x", "a-b: x"),
		"reads HELPER if":            document(t, goodQuery, "weir/owner: web", "weir/recorded-first: vector(1)"),
		"parse error":                document(t, `sum(sum_over_time(HELPER[{{.window}}]))`, "weir/owner: web", "weir/recorded-first: vector(1) ; drop", "rate(http_requests_total[", "count_over_time(HELPER["),
		"a number of events":         document(t, goodQuery, "weir/owner: web", "weir/min-bad-events: NaN"),
		"holds no OpenSLO":           document(t, "", "apiVersion", "# "),
	} {
		if strings.HasPrefix(say, "holds no") {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if said := run(t, 1, "alerts", "import", file); !strings.Contains(said, say) || strings.Contains(said, "groups:") {
			t.Errorf("want %q, got %s", say, said)
		}
	}
}

// What loads and is probably not meant is told, and printed all the same.
func TestAnImportThatIsDoubtfulIsTold(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{`sum(rate(h_count[{{.window}}])) - sum(rate(h_bucket{le="1"}[{{.window}}]))`, `Prometheus 3 writes le="1.0"`},
		{`sum(rate(h_bucket{le=~"1|2"}[{{.window}}]))`, `Prometheus 3 writes le="2.0"`},
		{`sum(rate(http_reqeusts_total[{{.window}}]))`, "http_reqeusts_total is no metric of weir (did you mean http_requests_total?)"},
		{`sum(rate(weir_input_total[{{.window}}]))`, "did you mean weir_inputs_total?"},
	} {
		contains(t, run(t, 0, "alerts", "import", document(t, c.query)), "warning: web-avail: ", c.want, "groups:")
	}
	for _, query := range []string{`sum(rate(weir_inputs_total[{{.window}}]))`, `sum(rate(weir_decision_seconds_bucket{le=~"1|1[.]0"}[{{.window}}]))`, `sum(rate(x_bucket{le="0.5"}[{{.window}}]))`} {
		if said := run(t, 0, "alerts", "import", document(t, query)); strings.Contains(said, "le=") && strings.Contains(said, "Prometheus 3") || strings.Contains(said, "weir_inputs_total is no") {
			t.Errorf("%s is doubted: %s", query, said)
		}
	}
}

// A server knows which metrics there are.
func TestAnImportAsksPrometheus(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"status":"success","data":["http_requests_total"]}`)
	}))
	defer srv.Close()
	if said := run(t, 0, "alerts", "import", document(t, goodQuery), "--prometheus", srv.URL); strings.Contains(said, "warning") {
		t.Error(said)
	}
	contains(t, run(t, 0, "alerts", "import", document(t, `sum(rate(http_reqeusts_total[{{.window}}]))`), "--prometheus", srv.URL), "has no metric http_reqeusts_total (did you mean http_requests_total?)")
	contains(t, run(t, 3, "alerts", "import", document(t, goodQuery), "--prometheus", "http://127.0.0.1:1"), "no list of metrics")
}
