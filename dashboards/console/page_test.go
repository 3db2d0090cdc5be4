package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlite"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

const partitions = 2

var gbp = event.Money{Minor: 4820, Currency: "GBP"}

// house is the page over a real read model, which reads a real log.
type house struct {
	t       *testing.T
	top     *streams.Topology
	reads   *projection.Model
	tel     *telemetry.Telemetry
	traces  *telemetry.Recent
	cl      *kgo.Client
	page    *console.Console
	at      time.Time
	n       int
	letters []console.Letter
	mu      sync.Mutex // of what is switched and asked
	slos    []console.SLO
	alerts  []console.Alert
	faults  []console.Fault
	books   map[string]string
	why     []string
	asked   []string // what was done to parked keys
	left    int
	fails   error
}

func newHouse(t *testing.T, change ...func(*console.Config)) *house {
	t.Helper()
	h := &house{t: t, at: time.Now().Add(-3 * time.Minute)}
	var err error
	if h.top, err = shop.Business.Topology(); err != nil {
		t.Fatal(err)
	}
	var topics []string
	for _, topic := range h.top.Topics() {
		topics = append(topics, topic.Name)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	brokers := kgo.SeedBrokers(cluster.ListenAddrs()...)
	if h.cl, err = kgo.NewClient(brokers, kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.cl.Close)
	rows, err := sqlite.Open(filepath.Join(t.TempDir(), "reads.db"), shop.Business.Views())
	if err != nil {
		t.Fatal(err)
	}
	h.reads = projection.New(rows)
	t.Cleanup(func() { h.reads.Close() })
	h.background(func(ctx context.Context) error {
		return h.reads.Run(ctx, projection.Config{Client: []kgo.Opt{brokers}, Business: shop.Business, Topology: h.top, Partitions: partitions})
	})
	registry := prometheus.NewRegistry()
	h.traces = &telemetry.Recent{}
	if h.tel, err = telemetry.New(telemetry.Options{Registerer: registry, Exporters: []sdktrace.SpanExporter{h.traces}, SpansPerSecond: 1000}); err != nil {
		t.Fatal(err)
	}
	act := func(what string) func(context.Context, string, streams.StreamID) (int, error) {
		return func(_ context.Context, service string, key streams.StreamID) (int, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.asked = append(h.asked, fmt.Sprint(what, " ", service, " ", key.Decider, " ", key.Key))
			return h.left, h.fails
		}
	}
	cfg := console.Config{Reads: h.reads, Metrics: registry, Topology: h.top, Business: shop.Business, Traces: h.traces,
		NotReady: func() []string { return h.why }, Letters: func(context.Context) ([]console.Letter, error) { return h.letters, nil },
		Retry: act("retry"), Drop: act("drop"),
		SLOs:    func(context.Context) ([]console.SLO, error) { return h.slos, h.fails },
		Alerts:  func(context.Context) ([]console.Alert, error) { return h.alerts, h.fails },
		Runbook: func(name string) (string, bool) { b, ok := h.books[name]; return b, ok },
		Faults:  h.faultsNow, SwitchFault: h.switchFault}
	for _, f := range change {
		f(&cfg)
	}
	if h.page, err = console.New(cfg); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) faultsNow() []console.Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.faults)
}

func (h *house) switchFault(_ context.Context, name string, on bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.faults {
		if f := &h.faults[i]; f.Name == name {
			f.On, f.Since = on, time.Now()
			return nil
		}
	}
	return errors.New("no fault is called " + name)
}

// background runs f until the test ends.
func (h *house) background(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

// emit publishes events of a correlation and waits until the read model has them.
func (h *house) emit(correlation, traceparent string, events ...streams.Event) {
	h.t.Helper()
	for _, e := range events {
		f, _ := h.top.Vocabulary.FactOf(e)
		topic, ok := h.top.Topic(f.Name)
		if !ok {
			h.t.Fatalf("%s is not published", f.Name)
		}
		data, err := json.Marshal(e)
		if err != nil {
			h.t.Fatal(err)
		}
		service, _, _ := h.top.Decider(topic.Writer)
		h.n++
		h.at = h.at.Add(7 * time.Millisecond)
		key := e.Key().String()
		env := streams.Envelope{ID: fmt.Sprint("e", h.n), Type: f.Name, Version: f.Version, Source: "/" + service.Name + "/" + topic.Writer, Time: h.at, Key: key,
			Correlation: correlation, Lane: streams.NewLane(service.Name, 0, "i1"), Seq: int64(h.n), Traceparent: traceparent, Data: data}
		if err := h.cl.ProduceSync(context.Background(), env.Record(topic.Name, streams.Partition(key, partitions))).FirstErr(); err != nil {
			h.t.Fatal(err)
		}
	}
	for range 500 {
		got, err := h.reads.Events(context.Background(), correlation)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range got {
			if e.ID == fmt.Sprint("e", h.n) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Fatal("the read model did not get the event")
}

func (h *house) get(path string, status int, has ...string) string {
	h.t.Helper()
	return h.do(httptest.NewRequest(http.MethodGet, path, nil), status, has...)
}

func (h *house) do(r *http.Request, status int, has ...string) string {
	h.t.Helper()
	w := httptest.NewRecorder()
	h.page.ServeHTTP(w, r)
	body := w.Body.String()
	if w.Code != status {
		h.t.Errorf("%s %s answers %d, want %d", r.Method, r.URL, w.Code, status)
	}
	for _, s := range has {
		if !strings.Contains(body+w.Header().Get("Location"), s) {
			h.t.Errorf("%s %s lacks %q", r.Method, r.URL, s)
		}
	}
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		h.t.Errorf("%s has the policy %q", r.URL, csp)
	}
	for _, inline := range []string{"<style", " style=", "<script>", " onclick=", "<no value>", "ZgotmplZ", "%!"} {
		if strings.Contains(body, inline) {
			h.t.Errorf("%s holds %q", r.URL, inline)
		}
	}
	return body
}

func placed(order, customer string) event.OrderPlaced {
	return event.OrderPlaced{Order: event.OrderID(order), Customer: customer, Email: "ada@example.org", Card: "tok_1", ShipTo: event.Address{Street: "1 Mill Lane"},
		Lines: []event.Line{{SKU: "A", Quantity: 2, Unit: event.Money{Minor: 2410, Currency: "GBP"}}}, Total: gbp}
}

func TestEmpty(t *testing.T) {
	h := newHouse(t)
	h.get("/", 200, "Nothing. Every lane and unit is at work", "all at work", "just started", "No order has been placed yet", "clients", "inventory")
	h.get("/sagas", 200, "None yet.")
	h.get("/sagas?state=stuck", 200, "No running saga is beyond")
	h.get("/sagas?state=cancelled", 200, "None of this state")
	h.get("/sagas?q=nobody", 200, "Nothing is called")
	h.get("/sagas?page=2", 400, "damaged")
	h.get("/dead-letters", 200, "Nothing is parked")
	h.get("/orders/o-1", 404, "No order of this name")
	h.get("/sagas/c-1", 404, "No event carries this correlation")
	h.get("/nowhere", 404, "Nothing is at this address")
	h.get("/console/console.go", 404)
	h.get("/console/console.css", 200, "light-dark(")
	h.get("/console/console.js", 200, "DOMParser")
	h.do(httptest.NewRequest(http.MethodPost, "/", nil), 405, "looked at")
	if _, err := console.New(console.Config{}); err == nil {
		t.Error("a page of nothing is made")
	}
}

func TestFilled(t *testing.T) {
	h := newHouse(t)
	h.background(h.page.Run)
	tp := under(traceA)
	h.emit("c1", tp, placed("o-1", "ada"), event.HoldRequested{SKU: "A", Order: "o-1", Quantity: 2}, event.StockHeld{Order: "o-1", SKU: "A"},
		event.StockReserved{Order: "o-1"}, event.PaymentAuthorised{Order: "o-1", Amount: gbp}, event.OrderConfirmed{Order: "o-1", Total: gbp},
		event.OrderReleased{Order: "o-1"}, event.OrderShipped{Order: "o-1", Carrier: "weir-post", Tracking: "T1"}, event.MailSent{Order: "o-1"}, event.OrderClosed{Order: "o-1", Outcome: event.Fulfilled})
	h.emit("c2", "", placed("o-2", "ada"), event.StockRejected{Order: "o-2", SKU: "A"}, event.OrderCancelled{Order: "o-2", Reason: "out of stock: A"})
	h.emit("c3", "", placed("o-3", "bob"), event.HoldRequested{SKU: "A", Order: "o-3", Quantity: 1})
	h.decide(tp, "c1", "payment", "stock.reserved", errors.New("the disk is full"))
	h.export()
	h.tel.OnBatch(streams.BatchInfo{Service: "order", Inputs: []streams.InputInfo{{Decider: "order", Kind: streams.CommandInput, Name: "place-order", Result: "decided"}}, Events: []string{"order.placed"}})
	h.tel.OnLane(streams.LaneEvent{Service: "payment", What: streams.LaneMeasured, Lag: map[string]int64{"order.order": 7}, LagAge: 4 * time.Second})
	h.tel.OnBreaker("payment", "provider", "open")
	h.why = []string{"lane payment/3 is halted: a hole in the log"}
	time.Sleep(4500 * time.Millisecond) // two samples, and the answers of before are old

	h.get("/", 200, "o-1", "o-2", "o-3", "fulfilled", "compensating", "£48.20", "lag 4.0 s", "provider does not answer", "a hole in the log", "1 not at work",
		"7<small> records", "33.3<small> % of orders", "1 of 3 in 5 min", "35<small> ms P99", "1 wait over 1 s", "2<small> sagas")
	h.get("/orders/o-1", 200, "was confirmed after 35 ms and shipped with weir-post", "Nothing is left.", "hold.requested", "inventory · claim", traceA, "the disk is full", "1 span failed", "provider ≤ 7.0 ms")
	h.get("/sagas/c1", 200, "o-1", "customer ada")
	h.get("/orders/o-2", 200, "was cancelled after 14 ms, before it was confirmed: out of stock: A", "4 steps are left", "has to release the stock", "has to void the payment", "has to tell the customer", "then <i>order</i> has to close the order.", "deadline in")
	h.get("/orders/o-3", 200, "is not confirmed yet", "11 steps are left", "has to hold the stock (0 of 1 SKUs held)", "then <i>claim</i> has to reserve the stock", "has to set £48.20 aside")
	h.get("/sagas", 200, "o-1", "o-2", "o-3")
	h.get("/sagas?q=+o-2+", 303, "/orders/o-2")
	h.get("/sagas?q=c1", 303, "/sagas/c1")
	h.get("/sagas?q=o-1&state=running", 303, "/orders/o-1") // a name is one, whatever was listed before
	for path, want := range map[string]string{"/sagas?q=ada": "o-1 o-2", "/sagas?q=ada&state=cancelled": "o-2", "/sagas?state=cancelled": "o-2", "/sagas?state=running": "o-2 o-3", "/sagas?state=ended": "o-1", "/sagas?q=ada&state=ended": "o-1"} {
		body := h.get(path, 200)
		for _, o := range []string{"o-1", "o-2", "o-3"} {
			if strings.Contains(body, "<code>"+o+"<") != strings.Contains(want, o) {
				t.Errorf("%s lists %s: %v, want %s", path, o, !strings.Contains(want, o), want)
			}
		}
	}
}

const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>'{{.}}`

func TestHostileDataIsText(t *testing.T) {
	h := newHouse(t)
	order, correlation := "o-"+hostile, "c/"+hostile
	h.emit(correlation, "", placed(order, hostile+" ada@example.org"), event.OrderCancelled{Order: event.OrderID(order), Reason: hostile})
	h.letters = []console.Letter{{Service: "order", Decider: "order", Key: order, Kind: "event", Name: hostile, From: hostile, Reason: hostile + " for bob@example.org", Stack: hostile, Correlation: correlation, At: time.Now()},
		{Service: "order", Decider: "order", Key: order, Kind: "event", Name: hostile, From: hostile}}
	h.why = []string{"lane " + hostile}
	h.slos = []console.SLO{{ID: hostile, Name: hostile, Service: hostile, Owner: hostile, Description: hostile}}
	h.alerts = []console.Alert{{Name: hostile, Severity: hostile, State: "firing", Summary: hostile, Runbook: "javascript:alert(1)", Labels: map[string]string{hostile: hostile, "email": "bob@example.org"}, Since: time.Now()}}
	h.faults = []console.Fault{{Name: hostile, What: hostile, Effect: hostile, Alerts: []string{hostile}, On: true}}
	h.decide(under(traceA), hostile, hostile, hostile, errors.New(hostile+" for bob@example.org"))
	h.export()
	for _, path := range []string{"/", "/sagas", "/sagas?q=" + url.QueryEscape(hostile), "/sagas?state=stuck", "/traces", "/traces?q=" + url.QueryEscape(hostile), "/traces/" + traceA, "/slos", "/faults", "/dead-letters", "/dead-letters?q=" + url.QueryEscape(hostile), "/orders/" + url.PathEscape(order), "/sagas/" + url.PathEscape(correlation)} {
		body := h.get(path, 200, "&lt;script&gt;")
		for _, bad := range []string{"<script>alert", "<img", "ada@", "bob@", "tok_1", "Mill Lane", "javascript:"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
	}
	for _, path := range []string{"/orders/..%2F..%2Fetc", "/sagas/%00", "/sagas?state=" + url.QueryEscape(hostile), "/dead-letters?result=" + url.QueryEscape(hostile)} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		h.page.ServeHTTP(w, r)
		if w.Code >= 500 || strings.Contains(w.Body.String(), "<script>alert") {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

// form is what the browser sends for a button of the page.
func form(path string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(url.Values{"service": {"order"}, "decider": {"order"}, "key": {"o-1"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestDeadLetters(t *testing.T) {
	h := newHouse(t)
	h.letters = []console.Letter{{Service: "order", Decider: "order", Key: "o-1", Kind: "event", Name: "payment.declined", From: "payment.order/0@5", Reason: "no such order", Stack: "order.go:12", At: time.Now()},
		{Service: "order", Decider: "order", Key: "o-1", Kind: "event", Name: "mail.sent", From: "message.order/0@6", At: time.Now()}}
	h.get("/dead-letters", 200, "no such order", "order.go:12", "payment.order/0@5", "1 input waiting behind it", "Drop payment.declined of o-1")
	h.get("/", 200, "1 key parked in order", "2</sup>")

	h.do(httptest.NewRequest(http.MethodGet, "/dead-letters/retry?service=order&decider=order&key=o-1", nil), 404)
	if len(h.asked) > 0 {
		t.Fatalf("a look had it done: %v", h.asked)
	}

	h.do(form("/dead-letters/retry"), 303, "/dead-letters?result=1")
	h.get("/dead-letters?result=1", 200, "The retry worked. order o-1 flows again.")
	h.left = 2
	h.do(form("/dead-letters/retry"), 303, "result=2")
	h.get("/dead-letters?result=2", 200, "order o-1 failed again: 2 inputs still parked.")
	h.do(form("/dead-letters/drop"), 303, "result=3")
	h.get("/dead-letters?result=3", 200, "is still parked: the next input failed too")
	h.fails = errors.New("another instance owns the lane of bob@example.org")
	h.do(form("/dead-letters/drop"), 303, "result=4")
	if body := h.get("/dead-letters?result=4", 200, "was not possible: another instance"); strings.Contains(body, "bob@") {
		t.Error("a mail address is shown")
	}
	if got := strings.Join(h.asked, ", "); got != "retry order order o-1, retry order order o-1, drop order order o-1, drop order order o-1" {
		t.Errorf("what was done: %s", got)
	}
}
