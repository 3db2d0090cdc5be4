package telemetry

import (
	"context"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/weirstream/weir/streams"
)

// Queues are where commands travel, if not within the process.
type Queues struct {
	System string                                  // as the conventions call it: rabbitmq
	Name   func(service string, lane int32) string // of a lane's queue
}

// Operations on messages, as spans are named after them.
const (
	sends     = "send"
	processes = "process"
)

// message is what the conventions want to know of one. Its key is left out: it may
// be a person's.
type message struct {
	system      attribute.KeyValue
	destination string
	partition   string
	id          string
}

func (m message) attributes(operation string) []attribute.KeyValue {
	kind := semconv.MessagingOperationTypeSend
	if operation == processes {
		kind = semconv.MessagingOperationTypeProcess
	}
	a := append(make([]attribute.KeyValue, 0, 20), m.system, semconv.MessagingDestinationName(m.destination), semconv.MessagingOperationName(operation), kind)
	if m.partition != "" {
		a = append(a, semconv.MessagingDestinationPartitionID(m.partition))
	}
	if m.id != "" {
		a = append(a, semconv.MessagingMessageID(m.id))
	}
	return a
}

// received is the message that brought a decision's input; ok is false if none did:
// timers, outcomes and what was parked come from the store.
func (t *Telemetry) received(h streams.Hop) (m message, ok bool) {
	switch {
	case h.Topic != "":
		return message{semconv.MessagingSystemKafka, h.Topic, strconv.Itoa(int(h.Partition)), h.ID}, true
	case h.Kind == streams.CommandInput && t.queues.System != "":
		return message{semconv.MessagingSystemKey.String(t.queues.System), t.queues.Name(h.Service, h.Partition), "", h.ID}, true
	}
	return m, false
}

// hopSpan is how a decision's span begins.
func (t *Telemetry) hopSpan(h streams.Hop) (name string, kind trace.SpanStartOption) {
	if m, ok := t.received(h); ok {
		return processes + " " + m.destination, trace.WithSpanKind(trace.SpanKindConsumer)
	}
	return h.Decider + " " + h.Name, trace.WithSpanKind(trace.SpanKindInternal)
}

// hopAttributes never hold a key: it may be a person's.
func (t *Telemetry) hopAttributes(h streams.Hop) []attribute.KeyValue {
	var a []attribute.KeyValue
	m, ok := t.received(h)
	if ok {
		a = m.attributes(processes)
	} else {
		a = []attribute.KeyValue{attribute.String("weir.input.id", h.ID)}
	}
	if h.Topic != "" {
		a = append(a, attribute.String("weir.key.kind", h.Topic[strings.LastIndexByte(h.Topic, '.')+1:]),
			semconv.MessagingKafkaOffset(int(h.Offset)), semconv.MessagingConsumerGroupName(h.Service))
	}
	return append(a, attribute.String("weir.decider", h.Decider), attribute.String("weir.input", h.Name),
		attribute.String("weir.kind", string(h.Kind)), attribute.String("weir.correlation", h.Origin.Correlation))
}

// OnPublish begins the span of a record on its way to the log, beside those of who
// reads it, while the budget has room: it is the first that is done without.
func (t *Telemetry) OnPublish(service string, r *kgo.Record) func(error) {
	h := headers(r)
	if !sampled(h["traceparent"]) || !t.budget.room() {
		return nil
	}
	span, _ := t.start(h["traceparent"], service, sends+" "+r.Topic, false, trace.WithSpanKind(trace.SpanKindProducer))
	return func(err error) {
		m := message{semconv.MessagingSystemKafka, r.Topic, strconv.Itoa(int(r.Partition)), h["ce_id"]}
		a := append(m.attributes(sends), attribute.String("weir.event", h["ce_type"]), attribute.String("weir.correlation", h["ce_correlationid"]))
		if err == nil {
			a = append(a, semconv.MessagingKafkaOffset(int(r.Offset)))
		}
		finish(span, "published", err, a...)
	}
}

// headers are those of a record's that a span tells of.
func headers(r *kgo.Record) map[string]string {
	out := make(map[string]string, 4)
	for _, h := range r.Headers {
		switch h.Key {
		case "traceparent", "ce_id", "ce_type", "ce_correlationid":
			out[h.Key] = string(h.Value)
		}
	}
	return out
}

// Sending has commands that a unit sends begin a span each, below which they are
// decided. Those that stay in the process are no messages, and as they were.
func (t *Telemetry) Sending(unit string, c streams.Commands) streams.Commands {
	if t.queues.System == "" {
		return c
	}
	return sending{c, t, unit}
}

type sending struct {
	streams.Commands
	t    *Telemetry
	unit string
}

func (s sending) Send(ctx context.Context, service string, lane int32, c streams.Command) (streams.CommandReply, error) {
	m := message{semconv.MessagingSystemKey.String(s.t.queues.System), s.t.queues.Name(service, lane), "", c.ID}
	span, tp := s.t.start(c.Traceparent, s.unit, sends+" "+m.destination, false, trace.WithSpanKind(trace.SpanKindProducer))
	c.Traceparent = tp
	r, err := s.Commands.Send(ctx, service, lane, c)
	if span != nil {
		finish(span, "answered", err, append(m.attributes(sends), attribute.String("weir.command", c.Name), attribute.String("weir.correlation", c.Correlation))...)
	}
	return r, err
}
