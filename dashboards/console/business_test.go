//go:build real

package console_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// newBusiness is a house on a day with trouble: orders that went well, that were
// declined, that wait for a provider which is slow, and one that nobody can
// decide.
func newBusiness(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.background(h.page.Run)
	h.promises()
	h.breakables()
	h.faults[0].On, h.faults[0].Since = true, time.Now().Add(-8*time.Minute)
	for _, service := range h.top.Services { // most of what is promised is kept
		for i, name := range []string{"availability", "latency", "freshness", "completeness"} {
			h.slos = append(h.slos, console.SLO{ID: service.Name + "-" + name, Service: service.Name, Name: name, Owner: "platform", Description: "What " + service.Name + " promises.", Objective: 99.9, Window: month,
				Budget: 0.99 - 0.03*float64(i*len(service.Name)%9), Burn: 0.1 * float64(i), Bad: float64(i), Total: 120_000, History: h.slos[0].History, Alerts: h.slos[0].Alerts})
		}
	}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(h.traces)).Tracer("")
	for i := range 22 {
		h.at = time.Now().Add(time.Duration(i-24) * 9 * time.Second)
		h.order(tracer, fmt.Sprint("o-", 581561+i), fmt.Sprint(17850-31*(i%7)), i)
	}
	h.why = []string{"lane shipping/1 is halted: shipping.order/1: the record at offset 88214 says that 88190 came before it, and that one was never read"}
	h.letters = []console.Letter{
		{Service: "shipping", Decider: "shipment", Key: "o-581563", Kind: "event", Name: "order.released", From: "order.order/1@88213", Reason: "the carrier knows no postcode 0X1 4ZZ",
			Stack: "services/shipping/shipment.go:61\nstreams/apply.go:88\nstreams/batch.go:140", At: time.Now().Add(-4 * time.Minute), Correlation: "o-581563"},
		{Service: "shipping", Decider: "shipment", Key: "o-581563", Kind: "event", Name: "order.cancelled", From: "order.order/1@88420", At: time.Now().Add(-time.Minute), Correlation: "o-581563"},
		{Service: "notification", Decider: "message", Key: "o-581570", Kind: "outcome", Name: "send", From: "message/0@31", Reason: "the mailbox is no address", At: time.Now().Add(-30 * time.Second), Correlation: "o-581570"},
	}
	h.tel.OnBreaker("payment", "provider", "open")
	h.background(h.flow)
	time.Sleep(9 * time.Second) // until the curves have a shape
	return h
}

// order emits one order's life, and its trace.
func (h *house) order(tracer oteltrace.Tracer, order, customer string, i int) {
	h.t.Helper()
	id, total := event.OrderID(order), event.Money{Minor: int64(1999 + 377*i), Currency: "GBP"}
	begin, at := event.OrderPlaced{Order: id, Customer: customer, Email: "ada@example.org", Card: "tok_1", ShipTo: event.Address{Street: "1 Mill Lane"},
		Lines: []event.Line{{SKU: "85123A", Quantity: 2, Unit: event.Money{Minor: 255, Currency: "GBP"}}, {SKU: "71053", Quantity: 1, Unit: total}}, Total: total}, h.at
	ctx, root := tracer.Start(context.Background(), "POST /v1/orders", oteltrace.WithTimestamp(at), oteltrace.WithSpanKind(oteltrace.SpanKindServer), oteltrace.WithAttributes(attribute.String("service.name", "gateway"), attribute.String("http.route", "/v1/orders"), attribute.Int("http.response.status_code", 201)))
	tp := "00-" + root.SpanContext().TraceID().String() + "-" + root.SpanContext().SpanID().String() + "-01"
	h.span(tracer, ctx, "order", "order place-order", order, at.Add(time.Millisecond), 2*time.Millisecond, "")
	h.emit(order, tp, begin, event.HoldRequested{SKU: "85123A", Order: id, Quantity: 2}, event.HoldRequested{SKU: "71053", Order: id, Quantity: 1})
	next := h.span(tracer, ctx, "inventory", "claim order.placed", order, at.Add(7*time.Millisecond), 5*time.Millisecond, "")
	h.span(tracer, next, "inventory", "shelf hold.requested", order, at.Add(14*time.Millisecond), 4*time.Millisecond, "")
	h.span(tracer, next, "inventory", "shelf hold.requested", order, at.Add(15*time.Millisecond), 6*time.Millisecond, "")
	if i%7 == 4 {
		h.emit(order, tp, event.StockRejected{Order: id, SKU: "71053"}, event.OrderCancelled{Order: id, Reason: "out of stock: 71053"}, event.HoldReleased{SKU: "85123A", Order: id}, event.StockReleased{Order: id}, event.PaymentVoided{Order: id}, event.MailSent{Order: id}, event.OrderClosed{Order: id, Outcome: event.Cancelled})
		root.End(oteltrace.WithTimestamp(h.at))
		return
	}
	h.emit(order, tp, event.StockHeld{Order: id, SKU: "85123A"}, event.StockHeld{Order: id, SKU: "71053"}, event.StockReserved{Order: id})
	pay := h.span(tracer, ctx, "payment", "payment stock.reserved", order, h.at.Add(2*time.Millisecond), 3*time.Millisecond, "")
	h.call(tracer, pay, "payment", "authorise", "provider", order, h.at.Add(9*time.Millisecond), 84*time.Millisecond, "")
	if i > 18 {
		h.call(tracer, pay, "payment", "authorise", "provider", order, h.at.Add(200*time.Millisecond), 3*time.Second, "authorise: no answer after 3 s: context deadline exceeded")
		root.End(oteltrace.WithTimestamp(at.Add(6 * time.Millisecond)))
		return
	}
	h.at = h.at.Add(96 * time.Millisecond)
	h.emit(order, tp, event.PaymentAuthorised{Order: id, Amount: total}, event.OrderConfirmed{Order: id, Total: total})
	h.span(tracer, pay, "order", "order payment.authorised", order, h.at.Add(-6*time.Millisecond), 2*time.Millisecond, "")
	root.End(oteltrace.WithTimestamp(h.at))
	h.emit(order, tp, event.PaymentCaptured{Order: id, Amount: total}, event.OrderReleased{Order: id})
	if i == 2 {
		return // parked
	}
	h.call(tracer, pay, "shipping", "label", "carrier", order, h.at, 140*time.Millisecond, "")
	h.at = h.at.Add(160 * time.Millisecond)
	h.emit(order, tp, event.ShipmentDispatched{Order: id, Carrier: "weir-post", Tracking: "WP" + order}, event.OrderShipped{Order: id, Carrier: "weir-post", Tracking: "WP" + order}, event.StockShipped{Order: id}, event.MailSent{Order: id}, event.OrderClosed{Order: id, Outcome: event.Fulfilled})
}

// span leaves a decision's span.
func (h *house) span(tracer oteltrace.Tracer, ctx context.Context, service, name, correlation string, at time.Time, took time.Duration, failed string, more ...attribute.KeyValue) context.Context {
	kind := oteltrace.SpanKindConsumer
	if len(more) > 0 {
		kind = oteltrace.SpanKindClient
	}
	ctx, s := tracer.Start(ctx, name, oteltrace.WithTimestamp(at), oteltrace.WithSpanKind(kind), oteltrace.WithAttributes(append(more, attribute.String("service.name", service), attribute.String("weir.correlation", correlation))...))
	if failed != "" {
		s.SetStatus(codes.Error, failed)
	}
	s.End(oteltrace.WithTimestamp(at.Add(took)))
	return ctx
}

// call leaves the span of an outside call.
func (h *house) call(tracer oteltrace.Tracer, ctx context.Context, service, effect, endpoint, correlation string, at time.Time, took time.Duration, failed string) {
	h.span(tracer, ctx, service, effect, correlation, at, took, failed, attribute.String("peer.service", endpoint), attribute.String("weir.effect", effect))
}

// flow has the deciders at work until ctx ends.
func (h *house) flow(ctx context.Context) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		h.work(n)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// work is a quarter of a second's work.
func (h *house) work(n int) {
	for _, s := range h.top.Services {
		for _, d := range s.Deciders {
			var inputs []streams.InputInfo
			var events []string
			for i, r := range h.top.Reactions(d) {
				for range 3 + n%4 - min(i, 2) {
					inputs = append(inputs, streams.InputInfo{Decider: d.Name, Kind: r.Kind, Name: r.Input, Age: 11 * time.Millisecond, Result: "decided"})
					events = append(events, r.Emits...)
				}
			}
			h.tel.OnBatch(streams.BatchInfo{Service: s.Name, Inputs: inputs, Events: events, Decide: time.Millisecond, Commit: 2 * time.Millisecond})
		}
	}
	h.tel.OnLane(streams.LaneEvent{Service: "payment", What: streams.LaneMeasured, Lag: map[string]int64{"claim.order": 318}, LagAge: 4200 * time.Millisecond})
	unsampled := streams.Origin{Traceparent: "00-" + traceA + "-00f067aa0ba902b7-00"}
	for _, a := range []streams.Attempt{{Service: "payment", Effect: "authorise", Endpoint: "provider"}, {Service: "shipping", Effect: "label", Endpoint: "carrier"}, {Service: "notification", Effect: "send", Endpoint: "mailbox"}} {
		a.Origin = unsampled
		_, done := h.tel.OnEffect(a)
		done(nil)
	}
}
