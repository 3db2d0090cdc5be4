package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlite"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// house is the gateway before the real runtime, broker and stores.
type house struct {
	t       *testing.T
	url     string
	cluster *streamtest.Cluster
	reads   *projection.Model
	handler http.Handler
	gateway *gateway.Gateway
	cache   cache.Cache // of orders, or nil
}

func newHouse(t *testing.T, change ...func(*gateway.Config)) *house {
	t.Helper()
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, cluster: streamtest.NewCluster(t, top, 2)}
	rows, err := sqlite.Open(filepath.Join(t.TempDir(), "read.db"), shop.Business.Views())
	if err != nil {
		t.Fatal(err)
	}
	h.reads = projection.New(rows)
	t.Cleanup(func() { h.reads.Close() })
	cfg := gateway.Config{Business: shop.Business, Commands: h.cluster.Commands, Topology: top, Partitions: 2, Reads: h.reads,
		Timeout: 500 * time.Millisecond, Wait: 500 * time.Millisecond, Log: nil}
	for _, f := range change {
		f(&cfg)
	}
	h.cache = cfg.Documents
	if h.gateway, err = gateway.New(cfg); err != nil {
		t.Fatal(err)
	}
	h.handler = h.gateway
	h.url = h.listen(h.handler)
	return h
}

// listen serves a gateway until the test ends, and returns its URL.
func (h *house) listen(handler http.Handler) string {
	srv := httptest.NewServer(handler)
	h.t.Cleanup(srv.Close)
	return srv.URL
}

// serve runs the order service and waits until both its lanes answer.
func (h *house) serve() *streamtest.Node {
	h.t.Helper()
	n := h.cluster.Start("order")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, id := range []event.OrderID{"probe-1", "probe-2", "probe-3", "probe-4", "probe-5"} {
		cmd, err := streams.NewCommand(string(id), "cancel-order", order.CancelOrder{Order: id})
		if err != nil {
			h.t.Fatal(err)
		}
		if _, err := h.cluster.Send(ctx, cmd); err != nil {
			h.t.Fatal(err)
		}
	}
	return n
}

// project runs the read model until the test ends.
func (h *house) project() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	cfg := projection.Config{Client: h.cluster.Client(), Business: shop.Business, Topology: h.cluster.Topology, Partitions: 2}
	if h.cache != nil {
		cfg.Changed = gateway.DocumentsChanged(h.cache)
	}
	go func() { done <- h.reads.Run(ctx, cfg) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (h *house) do(method, path, body string, headers ...string) reply {
	h.t.Helper()
	req, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	r := reply{status: res.StatusCode, header: res.Header, raw: string(b)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(b, &r.body); err != nil {
			h.t.Fatalf("%s %s answers %q: %v", method, path, b, err)
		}
	}
	if r.status >= 400 && (res.Header.Get("Content-Type") != "application/problem+json" || r.body["type"] == nil || r.body["detail"] == "") {
		h.t.Errorf("%s %s answers %d, but no problem: %s", method, path, r.status, b)
	}
	return r
}

func (h *house) want(r reply, status int, has string) {
	h.t.Helper()
	if r.status != status || !strings.Contains(r.raw, has) {
		h.t.Errorf("answer is %d %s, want %d with %q", r.status, r.raw, status, has)
	}
}

func placement(id string) string {
	return fmt.Sprintf(`{"order":%q,"customer":"ada","email":"ada@example.org","ship_to":{"name":"Ada","country":"GB"},"card":"tok_1",
		"lines":[{"sku":"mug","quantity":2,"unit":{"minor":255,"currency":"GBP"}}]}`, id)
}

func TestPlaceReadCancel(t *testing.T) {
	h := newHouse(t)
	h.serve()
	h.project()

	r := h.do("POST", "/v1/orders", placement("o-1"), "Idempotency-Key", "k1", "traceparent", traceparent)
	h.want(r, 201, `"total":{"minor":510,"currency":"GBP"}`)
	token := r.header.Get("Weir-Token")
	if r.header.Get("Location") != "/v1/orders/o-1" || token == "" {
		t.Errorf("headers are %v", r.header)
	}
	h.want(h.do("GET", "/v1/orders/o-1", "", "Weir-Token", token), 200, `"state":"placed"`)
	if again := h.do("POST", "/v1/orders", placement("o-1"), "Idempotency-Key", "k1"); again.status != 201 || again.raw != r.raw || again.header.Get("Weir-Token") != token {
		t.Errorf("the repeat is answered %+v", again)
	}
	h.want(h.do("POST", "/v1/orders", strings.Replace(placement("o-1"), "255", "256", 1), "Idempotency-Key", "k1"), 409, "idempotency-conflict")
	h.want(h.do("POST", "/v1/orders", strings.Replace(placement("o-1"), "255", "256", 1)), 409, "order-exists")

	// The same key cancels: its scope is the operation.
	c := h.do("POST", "/v1/orders/o-1/cancel", `{"reason":"regret"}`, "Idempotency-Key", "k1")
	h.want(c, 200, `"state":"cancelled"`)
	h.want(h.do("GET", "/v1/orders/o-1?after="+c.header.Get("Weir-Token"), ""), 200, `"reason":"regret"`)
	h.want(h.do("POST", "/v1/orders/o-1/cancel", ""), 200, `"state":"cancelled"`)
	h.want(h.do("POST", "/v1/orders/o-2/cancel", ""), 404, "unknown-order")

	hist := h.do("GET", "/v1/orders/o-1/history", "")
	h.want(hist, 200, traceparent[:35])
	if strings.Contains(hist.raw, "ada@example.org") || len(hist.body["events"].([]any)) != 2 {
		t.Errorf("history is %s", hist.raw)
	}
	saga := hist.body["events"].([]any)[0].(map[string]any)["correlation"].(string)
	h.want(h.do("GET", "/v1/sagas/"+strings.ReplaceAll(saga, "/", "%2F"), ""), 200, `"saga":"place-order"`)
	h.want(h.do("GET", "/v1/sagas?state=running", ""), 200, `"subject":"order/o-1"`)
	h.want(h.do("GET", "/v1/sagas?state=&saga=place-order&page=", ""), 200, `"correlation":`)
	h.want(h.do("GET", "/v1/sagas?state=ended", ""), 200, `{"items":[]}`)
	h.want(h.do("GET", "/v1/sagas?saga=return-order", ""), 200, `{"items":[]}`)
	h.want(h.do("GET", "/v1/orders?customer=ada&state=cancelled", ""), 200, `"order":"o-1"`)
	h.want(h.do("GET", "/v1/orders?customer=bob", ""), 200, `{"items":[]}`)
}

func TestTheKeyNamesTheOrder(t *testing.T) {
	h := newHouse(t)
	h.serve()
	body := strings.Replace(placement(""), `"order":"",`, "", 1)
	a := h.do("POST", "/v1/orders", body, "Idempotency-Key", "basket-7")
	b := h.do("POST", "/v1/orders", body, "Idempotency-Key", "basket-7")
	h.want(a, 201, `"order":"o-`)
	if a.body["order"] != b.body["order"] || a.header.Get("Location") != "/v1/orders/"+a.body["order"].(string) {
		t.Errorf("one key made %v and %v", a.body, b.body)
	}
	h.want(h.do("POST", "/v1/orders", strings.Replace(body, "255", "9", 1), "Idempotency-Key", "basket-7"), 409, "idempotency-conflict")
	c, d := h.do("POST", "/v1/orders", body), h.do("POST", "/v1/orders", body)
	if c.status != 201 || d.status != 201 || c.body["order"] == d.body["order"] {
		t.Errorf("without a key: %v and %v", c.body, d.body)
	}
}

func TestWhatIsRefused(t *testing.T) {
	h := newHouse(t)
	h.serve()
	with := func(from, to string) string { return strings.Replace(placement("o-9"), from, to, 1) }
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		has                string
	}{
		"unknown field":      {"POST", "/v1/orders", with(`"card"`, `"cvv"`), 422, "unknown field"},
		"unknown deep field": {"POST", "/v1/orders", with(`"quantity"`, `"count"`), 422, `unknown field \"lines[0].count\": there are sku`},
		"no customer":        {"POST", "/v1/orders", with(`"ada"`, `""`), 422, "customer"},
		"no lines":           {"POST", "/v1/orders", `{"customer":"ada"}`, 422, "lines is missing"},
		"no quantity":        {"POST", "/v1/orders", with(`"quantity":2,`, ``), 422, "lines[0].quantity is missing"},
		"no line":            {"POST", "/v1/orders", with(`"lines":[`, `"lines":[null,`), 422, "lines[0] is null"},
		"no body":            {"POST", "/v1/orders", ``, 422, "customer is missing"},
		"no verdict":         {"POST", "/v1/reviews/r-1/moderation", ``, 422, "publish is missing"},
		"an empty verdict":   {"POST", "/v1/reviews/r-1/moderation", `{}`, 422, "publish is missing"},
		"no stars":           {"PUT", "/v1/reviews/r-1", ``, 422, "stars is missing"},
		"a name of no path":  {"POST", "/v1/orders", with(`"mug"`, `".."`), 422, "lines[0].sku: nothing may be called"},
		"quantity 0":         {"POST", "/v1/orders", with(`:2`, `:0`), 422, "lines[0].quantity"},
		"a fraction":         {"POST", "/v1/orders", with(`:2`, `:2.5`), 422, "does not fit"},
		"order id":           {"POST", "/v1/orders", with(`o-9`, `../x`), 422, "order is not 1 to 128"},
		"long order id":      {"POST", "/v1/orders", with(`o-9`, strings.Repeat("o", 129)), 422, "order is not 1 to 128"},
		"array":              {"POST", "/v1/orders", `[]`, 422, "object"},
		"no JSON":            {"POST", "/v1/orders", `{`, 400, "JSON"},
		"trailing":           {"POST", "/v1/orders", placement("o-9") + "{}", 400, "JSON"},
		"deep":               {"POST", "/v1/orders", strings.Repeat("[", 100_000), 400, "64"},
		"large":              {"POST", "/v1/orders", `"` + strings.Repeat("x", 1<<20) + `"`, 413, "split"},
		"key in the body":    {"POST", "/v1/orders/o-9/cancel", `{"order":"o-8"}`, 422, "stands in the path"},
		"cancel field":       {"POST", "/v1/orders/o-9/cancel", `{"why":"x"}`, 422, "unknown field"},
		"cancel id":          {"POST", "/v1/orders/a%2Fb/cancel", ``, 422, "order is not 1 to 128"},
		"method":             {"DELETE", "/v1/orders/o-9", ``, 405, "GET"},
		"path":               {"GET", "/v1/nowhere", ``, 404, "nothing is at"},
		"no such order":      {"GET", "/v1/orders/o-9", ``, 404, "not-found"},
		"no such history":    {"GET", "/v1/orders/o-9/history", ``, 404, "not-found"},
		"no such saga":       {"GET", "/v1/sagas/c-9", ``, 404, "not-found"},
		"parameter":          {"GET", "/v1/orders?limit=5", ``, 400, "limit"},
		"parameter twice":    {"GET", "/v1/orders?state=placed&state=shipped", ``, 400, "twice"},
		"bad query":          {"GET", "/v1/orders?state=%zz", ``, 400, "query"},
		"state":              {"GET", "/v1/orders?state=lost", ``, 400, "placed"},
		"page":               {"GET", "/v1/orders?page=2", ``, 400, "page token"},
		"saga state":         {"GET", "/v1/sagas?state=lost", ``, 400, "running"},
		"saga page":          {"GET", "/v1/sagas?page=2", ``, 400, "page token"},
		"token":              {"GET", "/v1/orders/o-9?after=yesterday", ``, 400, "token"},
		"token of no lane":   {"GET", "/v1/orders/o-9?after=order.order:order/9/x:99999", ``, 400, "token"},
		"token of no topic":  {"GET", "/v1/orders/o-9?after=order.pizza:order/0/x:99999", ``, 400, "token"},
		"token of no writer": {"GET", "/v1/orders/o-9?after=order.order:payment/0/x:99999", ``, 400, "token"},
		"a quantity twice":   {"POST", "/v1/orders", with(`"quantity":2`, `"quantity":2,"quantity":1000`), 400, "lines[0].quantity is there twice"},
		"in two cases":       {"POST", "/v1/orders", with(`"quantity":2`, `"quantity":2,"Quantity":1000`), 400, "differ only in case"},
		"in another case":    {"POST", "/v1/orders", with(`"quantity"`, `"Quantity"`), 400, "lines[0].Quantity is not spelt"},
		"a long s":           {"POST", "/v1/orders", with(`"sku"`, `"\u017fku"`), 400, "lines[0].ſku is not spelt"},
		"lines twice":        {"POST", "/v1/orders", with(`"lines"`, `"lines":[{"sku":"mug"}],"lines"`), 400, "lines is there twice"},
		"two orders":         {"POST", "/v1/orders", with(`"card"`, `"order":"o-8","card"`), 400, "order is there twice"},
		"NUL":                {"POST", "/v1/orders", with(`"ada"`, `"a\u0000b"`), 400, "customer holds a control character"},
		"half a character":   {"POST", "/v1/orders", with(`"Ada"`, `"A\ud800a"`), 400, "ship_to.name holds half"},
		"a line in a name":   {"POST", "/v1/orders", with(`"Ada"`, `"A\nda"`), 422, "control characters"},
		"past all numbers":   {"POST", "/v1/orders", with(`:2,`, `:1e999999,`), 422, "does not fit"},
		"a novel for a name": {"POST", "/v1/orders", with(`"Ada"`, `"`+strings.Repeat("x", 255)+`"`), 422, "bound of 254"},
		"a novel of reasons": {"POST", "/v1/orders/o-9/cancel", `{"reason":"` + strings.Repeat("x", 255) + `"}`, 422, "bound of 254"},
		"NUL in a reason":    {"POST", "/v1/orders/o-9/cancel", `{"reason":"a\u0000b"}`, 400, "reason holds a control character"},
		"reasons twice":      {"POST", "/v1/orders/o-9/cancel", `{"reason":"a","reason":"b"}`, 400, "reason is there twice"},
		"NUL in a path":      {"GET", "/v1/orders/%00", ``, 400, "control"},
		"escape in a path":   {"GET", "/v1/sagas/a%1b%5B2J", ``, 400, "control"},
		"escape in a query":  {"GET", "/v1/orders?customer=%C2%9B", ``, 400, "control"},
	} {
		t.Run(name, func(t *testing.T) {
			h.want(h.do(c.method, c.path, c.body), c.status, c.has)
		})
	}
	h.want(h.do("POST", "/v1/orders", placement("o-9"), "Content-Type", "text/plain"), 415, "application/json")
	h.want(h.do("POST", "/v1/orders", placement("o-9"), "Idempotency-Key", "a b"), 400, "Idempotency-Key")
	h.want(h.do("GET", gateway.DescriptionPath, ""), 200, `"openapi": "3.1.0"`)
}

func TestNotNow(t *testing.T) {
	h := newHouse(t)
	r := h.do("POST", "/v1/orders", placement("o-1"), "Idempotency-Key", "k1")
	h.want(r, 503, "same Idempotency-Key")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	n := h.serve()
	n.Freeze()
	h.want(h.do("POST", "/v1/orders", placement("o-1"), "Idempotency-Key", "k1"), 503, "not known")
	n.Thaw()
	r = h.do("POST", "/v1/orders", placement("o-1"), "Idempotency-Key", "k1")
	h.want(r, 201, "placed")
	h.want(h.do("GET", "/v1/orders/o-1?after="+r.header.Get("Weir-Token"), ""), 412, "not-yet") // nobody projects
	if h.reads.Close(); true {
		h.want(h.do("GET", "/v1/orders/o-1", ""), 503, "read-model-unavailable")
	}
}

func TestAParkedOrder(t *testing.T) {
	h := newHouse(t)
	h.serve()
	h.want(h.do("POST", "/v1/orders", placement("o-1")), 201, "placed")
	cl, err := kgo.NewClient(append(h.cluster.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	bad := streams.Envelope{ID: "e1", Type: "payment.declined", Source: "test", Time: time.Now(), Key: "o-1", Data: []byte(`{"order":7}`)}
	if err := cl.ProduceSync(context.Background(), bad.Record("payment.order", streams.Partition("o-1", 2))).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var r reply
	for range 50 { // until the lane has read it
		if r = h.do("POST", "/v1/orders/o-1/cancel", `{"reason":"waited"}`); r.status != 200 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.want(r, 503, "urn:weir:problem:parked")
}

func TestTheTraceHook(t *testing.T) {
	h := newHouse(t)
	h.serve()
	h.project()
	var heard []int
	traced, err := gateway.New(gateway.Config{Business: shop.Business, Commands: h.cluster.Commands, Topology: h.cluster.Topology, Partitions: 2, Reads: h.reads,
		Trace: func(*http.Request, string) (string, func(int, time.Duration)) {
			return traceparent, func(s int, _ time.Duration) { heard = append(heard, s) }
		}})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{placement("o-1"), "{"} {
		req := httptest.NewRequest("POST", "/v1/orders", bytes.NewReader([]byte(body)))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		traced.ServeHTTP(w, req)
		if w.Code == 201 {
			h.want(h.do("GET", "/v1/orders/o-1/history?after="+w.Header().Get("Weir-Token"), ""), 200, traceparent[:35])
		}
	}
	if fmt.Sprint(heard) != "[201 400]" {
		t.Errorf("the hook heard %v", heard)
	}
}
