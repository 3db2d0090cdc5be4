//go:build real

package platform

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/config/probe"
	"github.com/weirstream/weir/deploy/logs"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams/streamtest"
)

// realConfig names the test's servers, and nothing embedded.
func realConfig(t *testing.T) config.Config {
	t.Helper()
	c := config.Default()
	real := func(name string) config.Secret { return config.Secret(streamtest.Real(t, name)) }
	c.Kafka.Brokers, c.Partitions = []string{streamtest.Real(t, "kafka")}, 4
	c.ClickHouse.URL = config.Secret(streamtest.Real(t, "clickhouse") + "/test_" + strings.ToLower(rand.Text()))
	c.Postgres.URL, c.RabbitMQ.URL, c.Mongo.URL, c.Redis.URL, c.Consul.URL = real("postgres"), real("rabbitmq"), real("mongo"), real("redis"), real("consul")
	c.Prometheus.URL, c.Jaeger.URL = real("prometheus"), real("jaeger")
	c.OTLP.Endpoint, c.OTLP.SpansPerSecond = streamtest.Real(t, "jaeger-grpc"), 5000
	c.Outside = map[string]config.Secret{"provider": real("provider"), "carrier": real("carrier"), "mailbox": real("mailbox")}
	c.HTTP, c.Data = "127.0.0.1:0", t.TempDir()
	return c
}

// start runs units until the test ends, and returns their address.
func start(t *testing.T, c config.Config, log *slog.Logger, units ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Business: shop.Business, Config: c, Units: units, Kafka: "127.0.0.1:0", Log: log, Ready: func(http, _ string) { ready <- http }})
	}()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("units %v: %v", units, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("units %v do not drain", units)
		}
	})
	select {
	case address := <-ready:
		return "http://" + address
	case err := <-ended:
		ended <- nil
		t.Fatalf("units %v: %v", units, err)
	case <-time.After(60 * time.Second):
		t.Fatalf("units %v are not up after a minute", units)
	}
	return ""
}

// eventually asks until the answer is right.
func eventually(t *testing.T, what string, patience time.Duration, ok func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}

func request(method, url string, body string, into any) error {
	b, err := answer(method, url, body)
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func answer(method, url string, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 {
		return nil, fmt.Errorf("%s answers %s: %.300s", url, res.Status, b)
	}
	return b, nil
}

func place(t *testing.T, base string) (order string) {
	t.Helper()
	order = "o-" + strings.ToLower(rand.Text())
	body := fmt.Sprintf(`{"order":%q,"customer":"ada","email":"ada@example.org","card":"tok-1",
		"ship_to":{"name":"Ada","street":"1 High Street","city":"Leeds","postcode":"LS1 1AA","country":"GB"},
		"lines":[{"sku":"tea","quantity":2,"unit":{"minor":250,"currency":"GBP"}}]}`, order)
	eventually(t, "placing "+order, 30*time.Second, func() error { return request(http.MethodPost, base+"/v1/orders", body, nil) })
	return order
}

// traceOf waits for the end of an order, and names its trace.
func traceOf(t *testing.T, base, order string) (id string) {
	t.Helper()
	var h struct {
		Events []struct{ Type, Traceparent string }
	}
	// The read model is new, and reads first what tests before have left on the log.
	eventually(t, "the end of "+order, 3*time.Minute, func() error {
		if err := request(http.MethodGet, base+"/v1/orders/"+order+"/history", "", &h); err != nil {
			return err
		}
		if !slices.ContainsFunc(h.Events, func(e struct{ Type, Traceparent string }) bool { return e.Type == "order.closed" }) {
			return fmt.Errorf("%d events so far", len(h.Events))
		}
		return nil
	})
	if len(h.Events) == 0 || len(h.Events[0].Traceparent) != 55 {
		t.Fatalf("order %s has no trace: %v", order, h.Events)
	}
	return h.Events[0].Traceparent[3:35]
}

// Three processes on the real engines: each unit finds the others, a saga goes
// through all of them, and its trace, its log lines and its metrics are where
// they are to be looked for. One of them sends its spans over HTTP.
func TestASagaOnRealServers(t *testing.T) {
	c := realConfig(t)
	file, err := os.Create(filepath.Join(streamtest.Real(t, "logs"), "test-"+strings.ToLower(rand.Text())+".json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	search := streamtest.Real(t, "opensearch")
	if err := request(http.MethodPut, search+"/_index_template/logs-weir", string(logs.Template()), nil); err != nil {
		t.Fatal(err)
	}
	log := slog.New(logs.NewHandler(file, slog.LevelInfo, "test"))
	overHTTP := c
	overHTTP.OTLP.Protocol, overHTTP.OTLP.Endpoint = "http", streamtest.Real(t, "jaeger-http")
	addresses := []string{start(t, c, log, "order", "inventory"), start(t, overHTTP, log, "payment", "shipping", "notification", "review"),
		start(t, c, log, GatewayUnit, ProjectionUnit, AnalyticsUnit)}
	base := addresses[2]
	order := place(t, base)
	trace := traceOf(t, base, order)
	t.Run("Jaeger has the whole trace", func(t *testing.T) { inJaeger(t, trace) })
	t.Run("ClickHouse answers for it", func(t *testing.T) { inClickHouse(t, base, order) })
	t.Run("OpenSearch finds its lines", func(t *testing.T) { inOpenSearch(t, search, trace) })
	t.Run("Consul knows every unit", func(t *testing.T) { inConsul(t, c) })
	t.Run("Prometheus scrapes every process", func(t *testing.T) { inPrometheus(t, addresses) })
	t.Run("the live page shows what Prometheus knows", func(t *testing.T) { onThePage(t, base) })
	t.Run("dead letters are asked for where they are", func(t *testing.T) {
		var l Letters
		if err := request(http.MethodGet, base+"/v1/dead-letters", "", &l); err != nil || l.DeadLetters == nil {
			t.Errorf("%v, %v", l, err)
		}
		err := request(http.MethodPost, base+"/v1/dead-letters/order/order/"+order+"/retry", "", nil)
		if err == nil || !strings.Contains(err.Error(), "nothing of this key is parked") {
			t.Errorf("retrying what is not parked: %v", err)
		}
	})
}

func inJaeger(t *testing.T, trace string) {
	var found struct {
		Data []struct {
			Spans []struct {
				OperationName, SpanID, ProcessID string
				References                       []struct{ TraceID, SpanID string }
			}
			Processes map[string]struct{ ServiceName string }
		}
	}
	eventually(t, "the trace "+trace, 20*time.Second, func() error {
		if err := request(http.MethodGet, streamtest.Real(t, "jaeger")+"/api/traces/"+trace, "", &found); err != nil {
			return err
		}
		if len(found.Data) != 1 {
			return fmt.Errorf("%d traces", len(found.Data))
		}
		known := map[string]bool{}
		services := map[string]bool{}
		for _, s := range found.Data[0].Spans {
			known[s.SpanID] = true
			services[found.Data[0].Processes[s.ProcessID].ServiceName] = true
		}
		for _, want := range []string{"gateway", "order", "inventory", "payment", "shipping", "notification", "review"} {
			if !services[want] {
				return fmt.Errorf("no span of %s among %d", want, len(found.Data[0].Spans))
			}
		}
		for _, s := range found.Data[0].Spans {
			for _, r := range s.References {
				if r.TraceID == trace && !known[r.SpanID] { // a link may lead to another trace
					return fmt.Errorf("the parent of %s is missing", s.OperationName)
				}
			}
		}
		return nil
	})
}

// inClickHouse asks what happened to an order, and has all of analytics compared with the log.
func inClickHouse(t *testing.T, base, order string) {
	var story struct{ Rows [][]any }
	eventually(t, "the story of "+order, time.Minute, func() error {
		err := request(http.MethodGet, base+"/v1/analytics/order-story?key="+order, "", &story)
		if err == nil && (len(story.Rows) < 10 || !strings.Contains(fmt.Sprint(story.Rows), "order.closed")) {
			err = fmt.Errorf("%d events so far", len(story.Rows))
		}
		return err
	})
	if err := request(http.MethodPost, base+ReconcilePath, "", nil); err != nil {
		t.Fatal(err)
	}
	var r Reconciliation
	eventually(t, "the comparison of all with the log", time.Minute, func() error {
		if err := request(http.MethodGet, base+ReconcilePath, "", &r); err != nil || r.Running {
			return fmt.Errorf("it goes on at block %d of %d (%v)", r.Done, r.Of, err)
		}
		return nil
	})
	if len(r.Differences) > 0 || r.Error != "" || r.Of == 0 {
		t.Errorf("analytics is not what the log says: %+v", r)
	}
}

func inOpenSearch(t *testing.T, search, trace string) {
	var found struct {
		Hits struct {
			Hits []struct {
				Source map[string]any `json:"_source"`
			}
		}
	}
	eventually(t, "the lines of "+trace, 60*time.Second, func() error {
		query := fmt.Sprintf(`{"size":100,"query":{"term":{"trace.id":%q}}}`, trace)
		if err := request(http.MethodPost, search+"/logs-weir-*/_search", query, &found); err != nil {
			return err
		}
		services := []string{}
		for _, h := range found.Hits.Hits {
			s, _ := h.Source["service.name"].(string)
			services = append(services, s)
		}
		for _, want := range []string{"order", "payment", "shipping", "notification"} {
			if !slices.Contains(services, want) {
				return fmt.Errorf("no line of %s among those of %v", want, services)
			}
		}
		return nil
	})
}

func inConsul(t *testing.T, c config.Config) {
	for _, unit := range []string{"order", "inventory", "payment", "shipping", "notification", "review", GatewayUnit, ProjectionUnit, AnalyticsUnit, "process"} {
		eventually(t, unit+" in Consul", 20*time.Second, func() error {
			var found []any
			err := request(http.MethodGet, c.Consul.URL.Reveal()+"/v1/health/service/weir-"+unit+"?passing", "", &found)
			if err == nil && len(found) == 0 {
				err = fmt.Errorf("not registered or not healthy")
			}
			return err
		})
	}
}

func inPrometheus(t *testing.T, addresses []string) {
	var found struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	eventually(t, "the metrics of every process", 60*time.Second, func() error {
		if err := request(http.MethodGet, streamtest.Real(t, "prometheus")+"/api/v1/query?query=process_start_time_seconds", "", &found); err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, r := range found.Data.Result {
			seen["http://"+r.Metric["instance"]] = true
		}
		for _, a := range addresses {
			if !seen[a] {
				return fmt.Errorf("%s is not scraped, only %v", a, seen)
			}
		}
		return nil
	})
}

func onThePage(t *testing.T, base string) {
	eventually(t, "objectives with data", 2*time.Minute, func() error { // rules are evaluated every 30 s
		b, err := answer(http.MethodGet, base+"/slos", "")
		if err != nil {
			return err
		}
		for _, want := range []string{`id="slo-gateway-availability"`, `id="alerts"`, "<dt>bad</dt>"} {
			if !strings.Contains(string(b), want) {
				return fmt.Errorf("no %s on the page", want)
			}
		}
		return nil
	})
}

// Everything that the configuration names answers, and says its version.
func TestConfigCheckOnRealServers(t *testing.T) {
	c := realConfig(t)
	c.ClickHouse.URL = config.Secret(streamtest.Real(t, "clickhouse"))
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range probe.All(t.Context(), &c, top, shop.Business.Endpoints()) {
		if named := r.Address != "" || r.What == "alertmanager"; !r.OK() || !named { // of which there is none here

			t.Errorf("%+v", r)
		}
		if r.Version == "" && slices.Contains([]string{"kafka", "postgres", "rabbitmq", "mongo", "redis", "consul", "clickhouse"}, r.What) {
			t.Errorf("%s tells no version", r.What)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := free.Addr().String()
	free.Close()
	c.Kafka.Brokers, c.Postgres.URL, c.RabbitMQ.URL = []string{away}, config.Secret("postgres://weir:hunter2@"+away+"/weir"), config.Secret("amqp://weir:hunter2@"+away+"/")
	c.Mongo.URL, c.Redis.URL, c.Consul.URL = config.Secret("mongodb://weir:hunter2@"+away+"/"), config.Secret("redis://:hunter2@"+away+"/0"), config.Secret("http://weir:hunter2@"+away)
	c.Prometheus.URL = c.Consul.URL
	bad := c
	bad.RabbitMQ.URL, bad.Mongo.URL = "amqp://weir:hunter2%zz@h/", "mongodb://weir:hunter2%zz@h/"
	for _, r := range append(probe.All(t.Context(), &c, top, shop.Business.Endpoints()), probe.All(t.Context(), &bad, top, shop.Business.Endpoints())...) {
		if b, err := json.Marshal(r); err != nil || strings.Contains(string(b), "hunter2") {
			t.Errorf("a secret is told: %s, %v", b, err)
		}
		if r.Answers && slices.Contains([]string{"kafka", "postgres", "rabbitmq", "mongo", "redis", "consul", "prometheus"}, r.What) {
			t.Errorf("%s answers, though nobody listens", r.What)
		}
	}
}
