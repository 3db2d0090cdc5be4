package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a command line.
func run(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := tested.Main(args, &out, &errs); code != want {
		t.Fatalf("weir %s: exit code %d, want %d: %s%s", strings.Join(args, " "), code, want, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

func contains(t *testing.T, s string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(s, w) {
			t.Errorf("%q is missing in\n%s", w, s)
		}
	}
}

// What is rendered differs from nothing, until a file is changed, missing or old.
func TestAlertsRenderAndDiff(t *testing.T) {
	dir := t.TempDir()
	contains(t, run(t, 2, "alerts", "render"), "--out is missing")
	contains(t, run(t, 1, "alerts", "render", "--out", dir, "--runbooks", "{{ query }}"), "evaluate as a template")
	contains(t, run(t, 0, "alerts", "render", "--out", dir, "--runbooks", "https://wiki.example.org/"), "files in "+dir)
	b, err := os.ReadFile(filepath.Join(dir, "rules", "gateway-availability.yml"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(b), "runbook_url: https://wiki.example.org/GatewayAvailabilityBurn")
	run(t, 0, "alerts", "diff", dir, "--runbooks", "https://wiki.example.org/")
	contains(t, run(t, 1, "alerts", "diff", dir), "differs   rules/gateway-availability.yml", "with the same --runbooks")
	for file, change := range map[string]func(string) error{
		"rules/alerts.yml":     func(f string) error { return os.WriteFile(f, []byte("groups: []"), 0o644) },
		"tests/LaneHalted.yml": os.Remove,
		"rules/other.yml":      func(f string) error { return os.WriteFile(f, nil, 0o644) }, // another team's
	} {
		if err := change(filepath.Join(dir, filepath.FromSlash(file))); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, run(t, 1, "alerts", "diff", dir, "--runbooks", "https://wiki.example.org/"),
		"differs   rules/alerts.yml", "missing   tests/LaneHalted.yml", "2 files")
	run(t, 0, "alerts", "render", "--out", dir)
	run(t, 0, "alerts", "diff", dir)
}

// A test file of one's own can be run, and a failure is told.
func TestAlertsTestFiles(t *testing.T) {
	dir := t.TempDir()
	run(t, 0, "alerts", "render", "--out", dir)
	file := filepath.Join(dir, "tests", "LaneHalted.yml")
	contains(t, run(t, 0, "alerts", "test", file), "2 tests passed")
	rules := filepath.Join(dir, "rules", "alerts.yml")
	b, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rules, bytes.ReplaceAll(b, []byte("weir_lanes_halted) > 0"), []byte("weir_lanes_halted) > 1")), 0o644); err != nil {
		t.Fatal(err)
	}
	contains(t, run(t, 1, "alerts", "test", file), "LaneHalted", "alerts do not behave as they should")
}

func TestAlertsImport(t *testing.T) {
	dir := t.TempDir()
	run(t, 0, "alerts", "render", "--out", dir)
	contains(t, run(t, 0, "alerts", "import", filepath.Join(dir, "openslo", "gateway-latency.yml")), "alert: GatewayLatencyBurn", "slo:sli_error:ratio_rate30d")
	contains(t, run(t, 1, "alerts", "import", filepath.Join(dir, "alertmanager.yml")), "alertmanager.yml", "OpenSLO document")
}

// The gate opens and shuts by what Prometheus says of the budgets.
func TestSLOGate(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		vector := ""
		if strings.HasPrefix(r.FormValue("query"), "slo:period_error_budget_remaining") {
			vector = `{"metric":{"sloth_id":"gateway-availability"},"value":[1,"0.25"]},{"metric":{"sloth_id":"gateway-latency"},"value":[1,"-0.5"]},{"metric":{"sloth_id":"place-order-answer"},"value":[1,"0"]}`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[` + vector + `]}}`))
	}))
	defer srv.Close()
	gate := func(want int, args ...string) string {
		return run(t, want, append([]string{"slo", "gate", "--prometheus", srv.URL}, args...)...)
	}
	contains(t, gate(0, "gateway-availability", "--at-least", "25"), "1 of 1 objectives have at least 25 %")
	contains(t, gate(0, "gateway-availability"), "1 of 1 objectives have more than 0 %")
	contains(t, gate(1, "gateway-availability", "--at-least", "26"), "too little of the error budget is left: gateway-availability has 25 %, and needs at least 26 %")
	contains(t, gate(1, "gateway-latency"), "gateway-latency has -50 %, and needs more than 0 %")
	contains(t, gate(1, "place-order-answer"), "place-order-answer has 0 %, and needs more than 0 %")
	contains(t, gate(3, "gateway-availability", "journey-place-order"), "journey-place-order is not known")
	contains(t, gate(1, "gateway-latency", "journey-place-order"), "gateway-latency has",
		"journey-place-order is not known")
	contains(t, gate(0, "gateway-availability", "journey-place-order", "--unknown"), "1 of 2 objectives have",
		"nothing is known of the others")
	contains(t, gate(0, "journey-place-order", "--unknown"), "nothing is known of 1 objectives")
	contains(t, gate(2, "nothing"), "there is no objective")
	for _, outside := range []string{"-1", "101", "NaN"} {
		contains(t, gate(2, "gateway-availability", "--at-least", outside), "from 0 to 100")
	}
	contains(t, run(t, 0, "slo", "status", "--prometheus", srv.URL), "gateway-latency", "-50.0 %", "no data")
	srv.Close()
	contains(t, gate(3), "Is weir dev running")
}

func TestMetricsCommand(t *testing.T) {
	contains(t, run(t, 0, "metrics"), "| `weir_inputs_total` | counter | inputs | service, decider, kind, input, result |")
	contains(t, run(t, 0, "metrics", "-o", "json"), `"name": "weir_inputs_total"`, `"buckets"`)
}
