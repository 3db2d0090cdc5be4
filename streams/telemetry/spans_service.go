package telemetry

import (
	"cmp"
	"crypto/rand"
	"errors"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/weirstream/weir/streams"
)

// source is where a service's spans come from. The service is in their
// resource, as there Jaeger and Grafana look for it: with one for the process
// all services of it would be one.
type source struct {
	tracer  trace.Tracer
	started prometheus.Counter
}

// source is made on first use. Services are declared, so there are few.
func (t *Telemetry) source(service string) *source {
	if s, ok := t.sources.Load(service); ok {
		return s.(*source)
	}
	opts := []sdktrace.TracerProviderOption{sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithResource(resource.NewWithAttributes(semconv.SchemaURL, append([]attribute.KeyValue{semconv.ServiceName(service)}, t.process...)...))}
	for _, p := range t.processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	// Nobody shuts these providers down: all they have to end is the processors.
	s, _ := t.sources.LoadOrStore(service, &source{sdktrace.NewTracerProvider(opts...).Tracer("github.com/weirstream/weir/streams"),
		t.metrics.spans.WithLabelValues(service)})
	return s.(*source)
}

// processAttributes are what all services of the process have in common. Its host
// is named as Jaeger knows one again, "ip": spans of hosts that it cannot tell
// apart it takes for skewed, and moves.
func processAttributes(o Options) []attribute.KeyValue {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return []attribute.KeyValue{semconv.ServiceNamespace("weir"), semconv.ServiceVersion(cmp.Or(o.Version, "unknown")),
		semconv.ServiceInstanceID(cmp.Or(o.Instance, rand.Text())), semconv.HostName(host), attribute.String("ip", host)}
}

// finish ends a span with its attributes, all at once as the SDK's slice of
// them grows by copies, and its result: what it is if all went well, or how not.
func finish(span trace.Span, result string, err error, a ...attribute.KeyValue) {
	var rejected *streams.Rejection
	var parked *streams.DecisionError
	switch {
	case err == nil:
	case errors.As(err, &rejected): // no error: so decided the business
		result = string(streams.InputRejected)
		a = append(a, attribute.String("weir.rejected", rejected.Code))
	case errors.As(err, &parked):
		result = string(streams.InputParked)
	case result != inDoubt && result != unusable:
		result = "uncommitted" // and decided again
	}
	span.SetAttributes(append(a, attribute.String("weir.result", result))...)
	if err != nil && rejected == nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// Results of calls that got no definite answer.
const (
	answered = "answered"
	inDoubt  = "in-doubt" // nobody knows how it ended
	unusable = "unusable" // the answer, or the call itself, is of no use
)
