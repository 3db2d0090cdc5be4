package prometheus

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
)

const tick = 100 * time.Millisecond

// app is a process with metrics that tests turn.
type app struct {
	*httptest.Server
	load    prometheus.Gauge
	failed  *prometheus.CounterVec
	latency prometheus.Histogram
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{
		load:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "app_load", Help: "What it carries."}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "app_failures_total", Help: "What went wrong."}, []string{"why"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "app_latency_seconds", Help: "How long it takes.",
			Buckets: []float64{0.1, 1}, NativeHistogramBucketFactor: 1.1}),
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(a.load, a.failed, a.latency)
	a.Server = httptest.NewServer(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	t.Cleanup(a.Close)
	return a
}

func (a *app) target() Target {
	return Target{Name: "app", Address: strings.TrimPrefix(a.URL, "http://")}
}

const appRules = `groups:
- name: app
  rules:
  - record: job:app_load:sum
    expr: sum by (job) (app_load)
  - alert: AppOverloaded
    expr: job:app_load:sum > 10
    for: 200ms
    labels: {severity: page}
    annotations: {summary: "{{ $labels.job }} carries {{ $value }}"}
`

func testConfig(t *testing.T, a *app) Config {
	return Config{Targets: []Target{a.target()}, Rules: map[string][]byte{"app.yml": []byte(appRules)},
		ScrapeInterval: tick, EvaluationInterval: tick, Dir: t.TempDir(), ExternalURL: "http://localhost:8080/prometheus"}
}

// run opens and runs a server; stop ends it and wants a clean end.
func run(t *testing.T, c Config) (s *Server, stop func()) {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var stopped bool
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Run does not end")
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// eventually waits for what a scrape or an evaluation brings.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// direct lets the library's client ask a server without a network.
type direct struct{ *Server }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

func client(t *testing.T, s *Server) v1.API {
	t.Helper()
	c, err := api.NewClient(api.Config{Address: "http://weir" + Path, RoundTripper: direct{s}})
	if err != nil {
		t.Fatal(err)
	}
	return v1.NewAPI(c)
}

// value is the single value of an expression at a time, or NaN.
func value(t *testing.T, s *Server, expr string, at time.Time) float64 {
	t.Helper()
	got, _, _, err := client(t, s).Query(t.Context(), expr, at)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := got.(model.Vector); ok && len(v) == 1 {
		return float64(v[0].Value)
	}
	return math.NaN()
}

func becomes(t *testing.T, s *Server, expr string, want float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %v", expr, want), func() bool { return value(t, s, expr, time.Now()) == want })
}

func active(t *testing.T, s *Server) []v1.Alert {
	t.Helper()
	got, err := client(t, s).Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got.Alerts
}

func TestAnAlertFiresAndResolves(t *testing.T) {
	a := newApp(t)
	s, _ := run(t, testConfig(t, a))
	a.load.Set(3)
	becomes(t, s, "job:app_load:sum", 3)
	if alerts := active(t, s); len(alerts) != 0 {
		t.Fatalf("alerts with a load of 3: %+v", alerts)
	}
	a.load.Set(11)
	pending := false
	eventually(t, "the alert fires", func() bool {
		alerts := active(t, s)
		pending = pending || len(alerts) == 1 && alerts[0].State == "pending"
		return len(alerts) == 1 && alerts[0].State == "firing"
	})
	if !pending {
		t.Error("the alert fired without being pending for 200 ms")
	}
	got := active(t, s)[0]
	if got.Labels["alertname"] != "AppOverloaded" || got.Value != "1.1e+01" || got.Labels["severity"] != "page" || got.Labels["job"] != "app" ||
		got.Annotations["summary"] != "app carries 11" || time.Since(got.ActiveAt) > time.Minute {
		t.Errorf("the alert is %+v", got)
	}
	a.load.Set(1)
	eventually(t, "the alert resolves", func() bool { return len(active(t, s)) == 0 })
}

// A counter that is first seen at 600 has grown by so many since it was made: who
// takes a backlog before the first scrape, or fails in a burst, is seen to.
func TestACounterGrowsFromItsBeginning(t *testing.T) {
	a := newApp(t)
	s, _ := run(t, testConfig(t, a))
	becomes(t, s, "count(app_load)", 1)
	a.failed.WithLabelValues("burst").Add(600)
	eventually(t, "600 failures are seen", func() bool {
		v := value(t, s, `increase(app_failures_total{why="burst"}[1m])`, time.Now())
		return v > 590
	})
}

func TestBadRulesAreRefused(t *testing.T) {
	for _, c := range []struct{ name, rules, want string }{
		{"an expression", "groups: [{name: slo, rules: [{alert: Burning, expr: 'rate(x[5m]'}]}]", `group "slo", rule 1, "Burning": could not parse expression`},
		{"a template", "groups: [{name: slo, rules: [{alert: Burning, expr: up, annotations: {a: '{{ $nothing }}'}}]}]", `group "slo", rule 1, "Burning": annotation "a"`},
		{"a field", "groups:\n- name: slo\n  rules:\n  - {alert: Burning, expr: up, fro: 5m}", "line 4: field fro not found"},
		{"a group twice", "groups: [{name: slo, rules: []}, {name: slo, rules: []}]", `"slo" is repeated`},
		{"YAML", "groups: [", "yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(Config{Dir: t.TempDir(), Rules: map[string][]byte{"slo.yml": []byte(c.rules)}})
			if err == nil {
				s.end()
				_ = s.db.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "rules slo.yml:") {
				t.Errorf("the error does not say %q: %v", c.want, err)
			}
		})
	}
}

func TestARestartKeepsTheSamples(t *testing.T) {
	a := newApp(t)
	c := testConfig(t, a)
	s, stop := run(t, c)
	a.load.Set(7)
	becomes(t, s, "app_load", 7)
	written := time.Now()
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "another weir") {
		t.Errorf("two servers on one directory: %v", err)
	}
	stop()
	a.load.Set(8)
	s, _ = run(t, c)
	if got := value(t, s, "app_load", written); got != 7 {
		t.Errorf("after a restart, the value of before is %v", got)
	}
	becomes(t, s, "app_load", 8)
}

// A query that still reads when the files are closed would end the process.
func TestQueriesEndBeforeTheFiles(t *testing.T) {
	a := newApp(t)
	s, stop := run(t, testConfig(t, a))
	becomes(t, s, "up", 1)
	const slow = "sum_over_time(sum_over_time(vector(1)[12h:1s])[12h:1s])" // adds two billion times
	asked := make(chan error, 1)
	go func() {
		_, _, _, err := client(t, s).Query(context.Background(), slow, time.Now())
		asked <- err
	}()
	eventually(t, "the query runs", func() bool { return len(s.slots) == 1 })
	var left atomic.Bool
	inner, leave, err := s.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { // one that takes its time to hear of the end
		<-inner.Done()
		time.Sleep(200 * time.Millisecond)
		left.Store(true)
		leave()
	}()
	stop()
	if !left.Load() {
		t.Error("Run returned while a query ran")
	}
	if err := <-asked; err == nil {
		t.Error("the query came to its end: it is not slow enough to test this")
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, Path+"api/v1/query?query=1", nil))
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("a request after the end: %d %s", rec.Code, rec.Body)
	}
}

func TestNothingRunsOn(t *testing.T) {
	a := newApp(t)
	before := goroutines()
	s, stop := run(t, testConfig(t, a))
	becomes(t, s, "up", 1)
	stop()
	once, err := Open(testConfig(t, a))
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := once.Run(ended); err != nil {
		t.Errorf("Run with a context that has ended: %v", err)
	}
	var after string
	eventually(t, "all goroutines have ended", func() bool {
		after = goroutines()
		return strings.Count(after, "prometheus") <= strings.Count(before, "prometheus")
	})
}

// goroutines are the stacks of all that run, less the one that asks.
func goroutines() string {
	buf := make([]byte, 1<<20)
	_, others, _ := strings.Cut(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	return others
}

func TestVersionIsTheModules(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var major, minor, patch int
	if _, err := fmt.Sscanf(Version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("github.com/prometheus/prometheus v0.%d%02d.%d\n", major, minor, patch); !strings.Contains(string(mod), want) {
		t.Errorf("go.mod has no %q", want)
	}
}

// ask makes a request as Grafana does, and gives the body of the answer.
func ask(t *testing.T, method, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", method, url, resp.Status, b, err)
	}
	return string(b)
}
