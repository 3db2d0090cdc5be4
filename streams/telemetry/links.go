package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/weirstream/weir/streams"
)

// maxLinks bounds the decisions that a commit links to. The SDK keeps no more.
const maxLinks = 128

// OnCommit begins the span of a batch, which began with its decisions. It links
// to those that are kept, and lies in the trace of the first of them: in one of
// its own nobody would come across it. If none is kept, or the budget is used
// up, there is no span.
func (t *Telemetry) OnCommit(b streams.BatchInfo) func(error) {
	links := kept(b.Inputs)
	if len(links) == 0 || !t.budget.room() {
		return nil
	}
	span, _ := t.start(traceparent(links[0].SpanContext), b.Service, "commit", false, trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithLinks(links...), trace.WithTimestamp(time.Now().Add(-b.Decide)),
		trace.WithAttributes(attribute.Int("weir.lane", int(b.Lane)), attribute.Int("weir.inputs", len(b.Inputs)), attribute.Int("weir.events", len(b.Events))))
	return func(err error) { finish(span, "committed", err) }
}

// kept are links to the first decisions whose spans are kept.
func kept(inputs []streams.InputInfo) (links []trace.Link) {
	for i := range inputs {
		if len(links) == maxLinks {
			break
		}
		tp := inputs[i].Origin.Traceparent
		if !sampled(tp) { // most are not, and to read them whole takes a while
			continue
		}
		if sc, ok := parent(tp); ok {
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	return links
}
