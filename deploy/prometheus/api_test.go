package prometheus

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// The requests of Grafana's data source, and what its panels read from the answers.
func TestTheAPIAsGrafanaAsks(t *testing.T) {
	a := newApp(t)
	a.load.Set(12)
	a.latency.(prometheus.ExemplarObserver).ObserveWithExemplar(0.4, prometheus.Labels{"trace_id": traceID})
	s, _ := run(t, testConfig(t, a))
	web := httptest.NewServer(s)
	defer web.Close()
	eventually(t, "the alert fires", func() bool { return len(active(t, s)) == 1 && active(t, s)[0].State == "firing" })

	now := time.Now()
	form := func(pairs ...string) string {
		v := url.Values{"start": {fmt.Sprint(now.Add(-time.Minute).Unix())}, "end": {fmt.Sprint(now.Unix() + 1)}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v.Encode()
	}
	for _, c := range []struct{ method, path, form, want string }{
		{http.MethodPost, "query", url.Values{"query": {"1+1"}, "time": {fmt.Sprint(now.Unix())}}.Encode(), `"resultType":"scalar"`},
		{http.MethodGet, "query", form("query", "app_load"), `"job":"app"`},
		{http.MethodPost, "query_range", form("query", "app_load", "step", "1"), `"resultType":"matrix"`},
		{http.MethodGet, "query_range", form("query", "job:app_load:sum", "step", "1"), `,"12"]`},
		{http.MethodGet, "query", form("query", `app_latency_seconds_bucket{le="1.0"}`), `"1"]`},   // classic buckets
		{http.MethodGet, "query", form("query", `histogram_count(app_latency_seconds)`), `"1"]`},   // native beside them
		{http.MethodPost, "query_exemplars", form("query", "app_latency_seconds_bucket"), traceID}, // for heat maps
		{http.MethodGet, "query_exemplars", form("query", "histogram_count(app_latency_seconds)"), traceID},
		{http.MethodPost, "series", form("match[]", "app_load"), `"instance":"127.0.0.1:`},
		{http.MethodGet, "series", form("match[]", "app_load"), `"__name__":"app_load"`},
		{http.MethodPost, "labels", form(), `"instance"`},
		{http.MethodGet, "labels", form(), `"instance"`},
		{http.MethodGet, "label/__name__/values", form(), `"job:app_load:sum"`},
		{http.MethodGet, "label/job/values", form("match[]", "app_load"), `["app"]`},
		{http.MethodGet, "metadata", "", `"app_load":[{"type":"gauge","unit":"","help":"What it carries."}]`},
		{http.MethodGet, "rules", "", `"name":"AppOverloaded"`},
		{http.MethodGet, "rules", "type=record", `"name":"job:app_load:sum"`},
		{http.MethodGet, "alerts", "", `"state":"firing"`},
		{http.MethodGet, "targets", "", `"health":"up"`},
		{http.MethodGet, "status/buildinfo", "", `"version":"` + Version + `"`},
		{http.MethodGet, "status/runtimeinfo", "", `"storageRetention":"6h"`},
		{http.MethodGet, "status/config", "", "always_scrape_classic_histograms: true"},
		{http.MethodGet, "status/tsdb", "", `"numSeries"`},
		{http.MethodGet, "status/flags", "", `"success"`},
		{http.MethodGet, "alertmanagers", "", `"activeAlertmanagers":[]`},
		{http.MethodGet, "format_query", url.Values{"query": {"up+1"}}.Encode(), `up + 1`},
	} {
		addr, body := web.URL+Path+"api/v1/"+c.path, c.form
		if c.method == http.MethodGet {
			addr, body = addr+"?"+c.form, ""
		}
		if got := ask(t, c.method, addr, body); !strings.Contains(got, c.want) || !strings.Contains(got, `"status":"success"`) {
			t.Errorf("%s %s?%s does not say %s: %s", c.method, c.path, c.form, c.want, got)
		}
	}
}

// Whoever reaches the page may read and nothing else.
func TestTheAPIOnlyReads(t *testing.T) {
	a := newApp(t)
	s, _ := run(t, testConfig(t, a))
	becomes(t, s, "up", 1)
	for _, path := range []string{"admin/tsdb/delete_series?match[]=up", "admin/tsdb/snapshot", "write", "otlp/v1/metrics"} {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, Path+"api/v1/"+path, nil))
		if rec.Code < 400 {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	becomes(t, s, "up", 1)
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, Path+"graph", nil))
	if rec.Code != http.StatusNotFound || !strings.Contains(rec.Body.String(), "api/v1") {
		t.Errorf("a page: %d %s", rec.Code, rec.Body)
	}
}
