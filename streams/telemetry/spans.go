package telemetry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/weirstream/weir/streams"
)

// Telemetry implements the runtime's hooks. Metrics are exact; spans keep to a
// budget whose verdict is made where a trace begins and rides in traceparent,
// except that everything from an error on is kept.
type Telemetry struct {
	metrics    *metrics
	processors []sdktrace.SpanProcessor // one per exporter, for the spans of all services
	sources    sync.Map                 // service → *source
	process    []attribute.KeyValue     // of every resource
	queues     Queues
	budget     budget
}

// Options say where telemetry goes.
type Options struct {
	Registerer     prometheus.Registerer
	Exporters      []sdktrace.SpanExporter // none: spans are made for their ids only
	SpansPerSecond int                     // budget; 0: no spans at all, traces pass through
	Version        string                  // of the program
	Instance       string                  // this process's name among those of its services; empty: one of its own
	Queues         Queues                  // that commands travel by, if any
}

// New registers the metrics and starts the span pipeline.
func New(o Options) (*Telemetry, error) {
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	t := &Telemetry{metrics: m, process: processAttributes(o), queues: o.Queues, budget: budget{perSecond: int64(o.SpansPerSecond)}}
	for _, e := range o.Exporters {
		// The default queue of 2,048 silently loses spans: a commit ends a thousand at once.
		t.processors = append(t.processors, sdktrace.NewBatchSpanProcessor(counting{e, m.exported.WithLabelValues()}, sdktrace.WithMaxQueueSize(65536), sdktrace.WithMaxExportBatchSize(2048), sdktrace.WithBatchTimeout(time.Second)))
	}
	return t, nil
}

// Close exports what is left, until ctx ends.
func (t *Telemetry) Close(ctx context.Context) error {
	var errs []error
	for _, p := range t.processors {
		errs = append(errs, p.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("spans not exported: %w", err)
	}
	return nil
}

type counting struct {
	sdktrace.SpanExporter
	n prometheus.Counter
}

func (c counting) ExportSpans(ctx context.Context, s []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, s)
	if err == nil {
		c.n.Add(float64(len(s)))
	}
	return err
}

// budget counts spans per second; a new trace is kept while there is room.
type budget struct {
	perSecond int64
	second    atomic.Int64
	used      atomic.Int64
}

func (b *budget) room() bool {
	now := time.Now().Unix()
	if s := b.second.Load(); s != now && b.second.CompareAndSwap(s, now) {
		// What a burst took beyond its second is paid from the next ones.
		b.used.Store(max(b.used.Load()-b.perSecond*(now-s), 0))
	}
	return b.used.Load() < b.perSecond
}

// parent reads a traceparent; ok is false if there is none.
func parent(tp string) (sc trace.SpanContext, ok bool) {
	if len(tp) != 55 {
		return sc, false
	}
	var tid trace.TraceID
	var sid trace.SpanID
	if _, err := hex.Decode(tid[:], []byte(tp[3:35])); err != nil {
		return sc, false
	}
	if _, err := hex.Decode(sid[:], []byte(tp[36:52])); err != nil {
		return sc, false
	}
	var flags trace.TraceFlags
	if sampled(tp) {
		flags = trace.FlagsSampled
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: tid, SpanID: sid, TraceFlags: flags, Remote: true}), true
}

// sampled reports whether a traceparent says that its trace is kept.
func sampled(tp string) bool {
	if len(tp) != 55 {
		return false
	}
	flags, err := strconv.ParseUint(tp[53:], 16, 8)
	return err == nil && flags&1 == 1 // beside other bits, as W3C's "random"
}

func traceparent(sc trace.SpanContext) string {
	var b [55]byte
	tid, sid := sc.TraceID(), sc.SpanID()
	copy(b[:], "00-")
	hex.Encode(b[3:], tid[:])
	b[35] = '-'
	hex.Encode(b[36:], sid[:])
	copy(b[52:], "-00")
	if sc.IsSampled() {
		b[54] = '1'
	}
	return string(b[:])
}

// start begins a span under a traceparent. Without a parent, or under a parent
// that is not kept, it begins one only if always is set or the budget has room
// for a new trace; else it returns nil and the traceparent as it was.
func (t *Telemetry) start(tp, service, name string, always bool, opts ...trace.SpanStartOption) (trace.Span, string) {
	sc, ok := parent(tp)
	switch {
	case ok && sc.IsSampled():
	case always:
		sc = sc.WithTraceFlags(trace.FlagsSampled)
	case ok, !t.budget.room():
		return nil, tp
	}
	ctx := context.Background()
	if sc.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, sc)
	}
	t.budget.used.Add(1)
	from := t.source(service)
	from.started.Inc()
	_, span := from.tracer.Start(ctx, name, opts...)
	return span, traceparent(span.SpanContext())
}

// OnDecide begins the span of one decision, which ends with its commit.
func (t *Telemetry) OnDecide(h streams.Hop) (string, func(streams.BatchInfo, error)) {
	name, kind := t.hopSpan(h)
	span, tp := t.start(h.Origin.Traceparent, h.Service, name, false, kind)
	if span == nil {
		return tp, nil
	}
	a := t.hopAttributes(h)
	return tp, func(b streams.BatchInfo, err error) {
		if err == nil || b.Commit > 0 {
			span.AddEvent("commit", trace.WithTimestamp(time.Now().Add(-b.Commit)), trace.WithAttributes(attribute.Int("weir.lane", int(b.Lane)),
				attribute.Int("weir.inputs", len(b.Inputs)), attribute.Int("weir.events", len(b.Events))))
		}
		finish(span, string(streams.InputDecided), err, a...)
	}
}

// OnFail keeps the trace from a failed decision on.
func (t *Telemetry) OnFail(h streams.Hop, err error) string {
	name, kind := t.hopSpan(h)
	span, tp := t.start(h.Origin.Traceparent, h.Service, name, true, kind)
	finish(span, string(streams.InputParked), err, t.hopAttributes(h)...)
	return tp
}

// OnEffect begins the span of one attempt at an outside call.
func (t *Telemetry) OnEffect(a streams.Attempt) (string, func(error) string) {
	began := time.Now()
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("peer.service", a.Endpoint), attribute.String("weir.effect", a.Effect),
			attribute.Int("weir.attempt", a.Number), attribute.String("weir.correlation", a.Origin.Correlation))}
	span, tp := t.start(a.Origin.Traceparent, a.Service, a.Effect, false, opts...)
	return tp, func(err error) string {
		result, after := answered, a.Origin.Traceparent
		if err != nil {
			if result = inDoubt; errors.As(err, new(*streams.UnusableError)) {
				result = unusable
			}
			if span == nil {
				span, after = t.start(after, a.Service, a.Effect, true, append(opts, trace.WithTimestamp(began))...)
			}
		}
		if span != nil {
			finish(span, result, err)
		}
		observe(t.metrics.effect.WithLabelValues(a.Service, a.Effect, a.Endpoint, result), time.Since(began), after)
		return after
	}
}
