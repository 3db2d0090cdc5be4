package console_test

import (
	"fmt"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// Every exemplar that a scrape holds leads to a trace that is still there, and its
// page opens, also when most traces have had to go.
func TestExemplarsLeadToTraces(t *testing.T) {
	recent, registry := &telemetry.Recent{Bytes: 40_000}, prometheus.NewRegistry()
	tel, err := telemetry.New(telemetry.Options{Registerer: registry, Exporters: []sdktrace.SpanExporter{recent}, SpansPerSecond: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(c *console.Config) { c.Traces = recent })
	for i := range 300 { // each age's bucket is hit by some that are gone
		tp, done := tel.OnDecide(streams.Hop{Service: "order", Decider: "order", Name: "x", Origin: streams.Origin{Traceparent: fmt.Sprintf("00-%032x-00f067aa0ba902b7-01", i+1)}})
		b := streams.BatchInfo{Service: "order", Inputs: []streams.InputInfo{{Decider: "order", Kind: streams.EventInput, Name: "x", Result: "decided", Age: time.Duration(i) * 100 * time.Millisecond, Origin: streams.Origin{Traceparent: tp}}}}
		done(b, nil)
		tel.OnBatch(b)
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	linked := regexp.MustCompile(`trace_id="([0-9a-f]{32})"`)
	scrape := func(g prometheus.Gatherer) (ids []string) {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		w := httptest.NewRecorder()
		promhttp.HandlerFor(g, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
		for _, m := range linked.FindAllStringSubmatch(w.Body.String(), -1) {
			ids = append(ids, m[1])
		}
		return ids
	}
	all, there := scrape(registry), scrape(telemetry.Linked(registry, recent.Has))
	if len(there) == 0 || len(there) >= len(all) {
		t.Fatalf("%d of %d exemplars are left", len(there), len(all))
	}
	for _, id := range there {
		h.get("/traces/"+id, 200, "order x", id)
	}
}
