package telemetry

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Other is the label of all that has no series of its own: what comes from
// outside must not make new ones at will.
const Other = "other"

// Callers of the interface: the platform's own prober, and everybody else.
const (
	Client = "client"
	Prober = "prober"
)

// ProberAgent is the User-Agent of the prober. Who borrows it keeps the own requests
// out of the objectives, and harms nobody else.
const ProberAgent = "weir-prober"

// ClientGone is the status of a request whose client went away before the answer.
const ClientGone = 499

// Statuses are those that the entrances answer with.
var Statuses = []int{200, 201, 202, 207, 400, 403, 404, 405, 409, 412, 413, 415, 421, 422, 429, ClientGone, 500, 502, 503}

// Route has the series of a route's methods begin at 0. What is asked of
// other routes or by other methods counts as Other.
func (t *Telemetry) Route(pattern string, methods ...string) {
	m := t.metrics
	m.mu.Lock()
	m.routes[pattern] = append(m.routes[pattern], methods...)
	m.mu.Unlock()
	m.spans.WithLabelValues("gateway")
	for _, method := range append(methods, Other) {
		m.route(pattern, method)
	}
	m.route(Other, Other)
}

func (m *metrics) route(pattern, method string) {
	m.seconds.WithLabelValues(pattern, method, Client)
	m.inARow.WithLabelValues(pattern, method)
	for _, status := range Statuses {
		m.requests.WithLabelValues(pattern, method, strconv.Itoa(status), Client)
	}
}

// asked is a request's route and method as labels.
func (m *metrics) asked(route, method string) (string, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	methods, ok := m.routes[route]
	if !ok {
		return Other, Other
	}
	if method == http.MethodHead && !slices.Contains(methods, method) {
		method = http.MethodGet // which answers it
	}
	if !slices.Contains(methods, method) {
		method = Other
	}
	return route, method
}

// OnRequest begins the span of an HTTP request, the root of most traces. route
// is the pattern, not the path, which may hold an id. The end is told the status
// and for how long the request waited for its client, which is not our time.
func (t *Telemetry) OnRequest(r *http.Request, route string) (string, func(status int, waited time.Duration)) {
	began, caller := time.Now(), Client
	if r.UserAgent() == ProberAgent {
		caller = Prober
	}
	route, method := t.metrics.asked(route, r.Method)
	span, tp := t.start(r.Header.Get("traceparent"), "gateway", method+" "+route, false, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route)))
	return tp, func(status int, waited time.Duration) {
		if span != nil {
			span.SetAttributes(attribute.Int("http.response.status_code", status))
			if status >= 500 {
				span.SetStatus(codes.Error, http.StatusText(status))
			}
			span.End()
		}
		code := Other
		if slices.Contains(Statuses, status) {
			code = strconv.Itoa(status)
		}
		if caller == Client {
			t.metrics.row(route, method, status)
		}
		t.metrics.requests.WithLabelValues(route, method, code, caller).Inc()
		if status == http.StatusMisdirectedRequest { // it was not let in: that took no time, and nobody came
			return
		}
		observe(t.metrics.seconds.WithLabelValues(route, method, caller), max(time.Since(began)-waited, 0), tp)
	}
}

// row counts the failures since the last success. What the client did wrong is neither,
// but that something is not there could only be told by looking.
func (m *metrics) row(route, method string, status int) {
	switch g := m.inARow.WithLabelValues(route, method); {
	case status >= 500:
		g.Inc()
	case status < 400, status == http.StatusNotFound:
		g.Set(0)
	}
}

// OnIngest counts an event that was posted from outside. client is a digest or
// "anonymous", eventType empty if it is none that may be posted; age is what the
// sender says, negative for nothing.
func (t *Telemetry) OnIngest(client, eventType, result string, age time.Duration) {
	if eventType == "" {
		eventType = Other
	}
	t.metrics.ingested.WithLabelValues(eventType, result).Inc()
	t.metrics.posted.WithLabelValues(t.metrics.client(client), result).Inc()
	if age >= 0 {
		t.metrics.senderAge.WithLabelValues(eventType).Observe(age.Seconds())
	}
}

// OnRefused counts a request that was refused for its client's quota.
func (t *Telemetry) OnRefused(client string) {
	t.metrics.refused.WithLabelValues(t.metrics.client(client)).Inc()
}
