package shop_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// What the customer's own program says of itself.
const (
	customersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	customersSpan  = "00f067aa0ba902b7"
)

// traced is a shop whose spans are all kept, and whose calls are all noted.
type traced struct {
	*house
	tel    *telemetry.Telemetry
	recent *telemetry.Recent

	mu    sync.Mutex
	asked []string // the spans that HTTP requests named as theirs
	mails int      // attempts
}

func inTracedShop(t *testing.T, f func(s *traced)) {
	t.Helper()
	inShop(t, 2, func(plain *house) {
		s := &traced{house: plain, recent: &telemetry.Recent{}}
		var err error
		s.tel, err = telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), Exporters: []sdktrace.SpanExporter{s.recent}, SpansPerSecond: 1e6})
		check(t, err)
		s.tel.Route("/v1/orders", http.MethodPost)
		s.close = append(s.close, func() { check(t, s.tel.Close(context.Background())) })
		for name := range s.nodes {
			s.stop(name)
		}
		s.c.Hooks = []streams.Hook{s.tel}
		s.noteCalls()
		for name := range s.nodes {
			s.start(name)
		}
		f(s)
	})
}

// noteCalls listens at the door to the outside.
func (s *traced) noteCalls() {
	client := s.c.Transports.HTTP.Client
	s.c.Transports.HTTP.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Header.Get("traceparent"))
		s.mu.Unlock()
		return client.Transport.RoundTrip(r)
	})}
	dial := s.c.Transports.SMTP.Dial
	s.c.Transports.SMTP.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		s.mu.Lock()
		s.mails++
		s.mu.Unlock()
		return dial(ctx, network, address)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// request places an order as the gateway does for a customer who traces.
func (s *traced) request(c order.PlaceOrder) {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://shop/v1/orders", nil)
	check(s.t, err)
	r.Header.Set("traceparent", "00-"+customersTrace+"-"+customersSpan+"-01")
	tp, done := s.tel.OnRequest(r, "/v1/orders")
	cmd, err := streams.NewCommand("request-1", "place-order", c)
	check(s.t, err)
	cmd.Traceparent = tp
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	answer, err := s.c.Send(ctx, cmd)
	check(s.t, err)
	done(http.StatusCreated, 0)
	var body order.Reply
	check(s.t, json.Unmarshal(answer.Body, &body))
	s.placed[c.Order] = body.Total
}

// readLog reads every topic of events to its end.
func (s *traced) readLog() map[place]streams.Envelope {
	s.t.Helper()
	var topics []string
	for _, t := range s.c.Topology.Topics() {
		topics = append(topics, t.Name)
	}
	cl, err := kgo.NewClient(append(s.c.Client(), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	check(s.t, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	out := map[place]streams.Envelope{}
	for ctx.Err() == nil {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			s.t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) {
			e, err := streams.ReadEnvelope(r)
			check(s.t, err)
			out[place{r.Topic, r.Partition, r.Offset}] = e
		})
	}
	return out
}

func TestTraceOfFulfilledOrder(t *testing.T) {
	inTracedShop(t, func(s *traced) {
		s.deliver("tin", 9)
		s.request(placing("o-1", line("tin", 2), line("rug", 1)))
		s.closed("o-1")
		w := s.walkTrace("o-1")
		w.took(1, "order place-order", "payment authorise", "payment capture", "order payment.captured", "order shipment.dispatched", "order mail.sent")
		w.took(0, "order confirm-by", "order capture-by", "order order.cancelled")
		sum, _ := s.recent.Summary(customersTrace)
		for _, service := range []string{"gateway", "inventory", "notification", "order", "payment", "shipping"} { // and whoever watches
			if !slices.Contains(sum.Services, service) {
				t.Errorf("services %v lack %s", sum.Services, service)
			}
		}
	})
}

// The provider takes the money and does not say so, until the deadline has given
// the order up: all of it is undone, ten minutes later in the same trace.
func TestTraceOfOrderThatATimerCancelled(t *testing.T) {
	inTracedShop(t, func(s *traced) {
		check(t, s.provider.SetFaults(sim.Faults{LatencyMS: 1500}))
		s.deliver("tin", 9)
		s.request(placing("o-1", line("tin", 2), line("rug", 1)))
		time.Sleep(time.Second)
		s.stop("order")
		s.until(time.Minute, "authorisation", func() bool { return s.story()["o-1"].counts["payment.authorised"] == 1 })
		s.stop("payment")
		check(t, s.provider.SetFaults(sim.Faults{Lost: 1}))
		s.start("order")
		s.start("payment")
		s.phase("o-1", "cancelled")
		s.because("o-1", "not captured in time")
		check(t, s.provider.SetFaults(sim.Faults{}))
		s.closed("o-1")
		s.money("o-1", 750, 750, 0, 750)
		w := s.walkTrace("o-1")
		w.took(1, "order place-order", "payment authorise", "payment capture", "order capture-by")
		w.took(1, "claim order.cancelled", "payment order.cancelled", "payment refund", "message order.cancelled", "order stock.released", "order payment.refunded", "order mail.sent")
		w.took(2, "shelf hold.released")
		w.took(0, "order confirm-by", "order order.released")
		if n := len(w.asked); n < 20 {
			t.Errorf("only %d attempts in ten minutes", n)
		}
	})
}
