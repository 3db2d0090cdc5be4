package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/streams/telemetry"
)

// jaeger answers as a Jaeger does that has one trace of two services.
func jaeger(t *testing.T) (*httptest.Server, *atomic.Bool) {
	t.Helper()
	var down atomic.Bool
	at := time.Now().Add(-3 * time.Minute).UnixMicro()
	one := fmt.Sprintf(`{"traceID":%q,"spans":[
		{"traceID":%q,"spanID":"a1","operationName":"send order.order","references":[],"startTime":%d,"duration":2500000,"tags":[{"key":"span.kind","type":"string","value":"producer"},{"key":"weir.correlation","value":"c-9"}],"logs":[],"processID":"p1"},
		{"traceID":%q,"spanID":"b2","operationName":"process order.order","references":[{"refType":"CHILD_OF","traceID":%q,"spanID":"a1"}],"startTime":%d,"duration":1000,
		 "tags":[{"key":"error","type":"bool","value":true},{"key":"otel.status_description","value":"no route to ada@example.org"},{"key":"weir.decider","value":"payment"},{"key":"weir.input","value":"order.placed"},{"key":"messaging.kafka.offset","type":"int64","value":7}],
		 "logs":[{"timestamp":%d,"fields":[{"key":"event","value":"commit"},{"key":"weir.lane","value":1}]}],"processID":"p2"}],
		"processes":{"p1":{"serviceName":"order"},"p2":{"serviceName":"payment"}}}`, traceB, traceB, at, traceB, traceB, at+10, at+500)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var tags map[string]string
		_ = json.Unmarshal([]byte(r.FormValue("tags")), &tags)
		switch of := r.FormValue("service"); {
		case down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/ui/api/traces/"+traceB, r.URL.Path == "/ui/api/traces" && (of == "order" || of == "payment") && (tags["weir.correlation"] == "" || tags["weir.correlation"] == "c-9"):
			_, _ = io.WriteString(w, `{"data":[`+one+`]}`)
		case r.URL.Path == "/ui/api/traces":
			_, _ = io.WriteString(w, `{"data":[]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(srv.Close)
	return srv, &down
}

// Traces that other processes made, or that are days old, are Jaeger's; and while it
// does not answer, the page says what it cannot show.
func TestTracesOfJaeger(t *testing.T) {
	srv, down := jaeger(t)
	now := time.Now()
	h := newHouse(t, func(c *console.Config) {
		c.Jaeger = &telemetry.Jaeger{URL: srv.URL + "/ui", Services: []string{"gateway", "order", "payment"}}
		c.Now = func() time.Time { return now }
	})
	h.emit("c-9", under(traceB), placed("o-9", "ada"))
	h.decide(under(traceA), "c1", "claim", "order.placed", nil)
	h.decide(under(traceB), "c-9", "shipment", "order.placed", nil)
	h.export()
	h.get("/traces", 200, "/traces/"+traceA, "/traces/"+traceB, "order, payment", "1 failure")
	for q, want := range map[string]bool{"q=c-9": true, "q=payment": true, "q=nobody": false, "slower=1s": true, "slower=1m": false, "failed=1": true} {
		if strings.Contains(h.get("/traces?"+q, 200), "/traces/"+traceB) != want {
			t.Errorf("%s: want the trace to be listed: %v", q, want)
		}
	}
	for _, path := range []string{"/traces/" + traceB, "/sagas/c-9"} {
		body := h.get(path, 200, "payment order.placed", "shipment order.placed", "3 spans", "messaging.kafka.offset", "commit", "✕ no route to")
		if strings.Contains(body, "ada@") {
			t.Errorf("%s shows a mail address", path)
		}
	}
	h.get("/sagas?q="+traceB, 303, "/traces/"+traceB)
	h.get("/traces/"+strings.Repeat("0", 31)+"7", 404, "No trace of this id is kept")
	down.Store(true)
	now = now.Add(time.Minute)
	h.get("/traces", 200, "/traces/"+traceA, "Only what this process keeps is shown: jaeger answers 502")
	h.get("/traces/"+traceB, 200, "payment order.placed", "Spans of other processes may be missing: jaeger answers 502")
	h.get("/sagas/c-9", 200, "Spans of other processes may be missing")
	h.get("/traces/"+strings.Repeat("1", 32), 503, "whether Jaeger has it is not known: jaeger answers 502")
}
