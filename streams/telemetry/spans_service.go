package telemetry

import (
	"errors"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
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
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.namespace", "weir")))}
	for _, p := range t.processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	// Nobody shuts these providers down: all they have to end is the processors.
	s, _ := t.sources.LoadOrStore(service, &source{sdktrace.NewTracerProvider(opts...).Tracer("github.com/weirstream/weir/streams"),
		t.metrics.spans.WithLabelValues(service)})
	return s.(*source)
}

// hopAttributes never hold a key: it may be a person's.
func hopAttributes(h streams.Hop) []attribute.KeyValue {
	a := append(make([]attribute.KeyValue, 0, 13), // what finish adds included
		attribute.String("weir.decider", h.Decider), attribute.String("weir.input", h.Name),
		attribute.String("weir.kind", string(h.Kind)), attribute.String("weir.correlation", h.Origin.Correlation),
		attribute.String("messaging.message.id", h.ID), attribute.String("messaging.operation.type", "process"))
	if h.Topic != "" {
		a = append(a, attribute.String("weir.key.kind", h.Topic[strings.LastIndexByte(h.Topic, '.')+1:]),
			attribute.String("messaging.system", "kafka"), attribute.String("messaging.destination.name", h.Topic),
			attribute.String("messaging.destination.partition.id", strconv.Itoa(int(h.Partition))), attribute.Int64("messaging.kafka.offset", h.Offset))
	}
	return a
}

// finish ends a span with its attributes, all at once as the SDK's slice of
// them grows by copies, and its result: what it is if all went well, or how not.
func finish(span trace.Span, result string, err error, a ...attribute.KeyValue) {
	var rejected *streams.Rejection
	var parked *streams.DecisionError
	switch {
	case err == nil:
	case errors.As(err, &rejected): // no error: so decided the business
		result = "rejected"
		a = append(a, attribute.String("weir.rejected", rejected.Code))
	case errors.As(err, &parked):
		result = "parked"
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
