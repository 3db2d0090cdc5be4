package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/services/ingest"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
)

const (
	partitions  = 4
	topic       = "external.sku"
	traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

// house is ingestion on a broker, behind a real server.
type house struct {
	t      *testing.T
	url    string
	broker *kfake.Cluster
}

func newHouse(t *testing.T, change ...func(*ingest.Config)) *house {
	t.Helper()
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1)) // the register's service makes the topics
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	cfg := ingest.Config{Client: []kgo.Opt{kgo.SeedBrokers(broker.ListenAddrs()...)}, Topology: top, Partitions: partitions, Commands: register(t, top, broker),
		Now: func() time.Time { return time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) }}
	for _, f := range change {
		f(&cfg)
	}
	h, err := ingest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &house{t, srv.URL + ingest.Path, broker}
}

type reply struct {
	status  int
	Type    string          `json:"type"`
	Detail  string          `json:"detail"`
	Results []ingest.Result `json:"results"`
	header  http.Header
}

func (h *house) post(contentType, body string, headers ...string) reply {
	h.t.Helper()
	req, err := http.NewRequest(http.MethodPost, h.url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
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
	r := reply{status: res.StatusCode, header: res.Header}
	if err := json.Unmarshal(b, &r); err != nil {
		h.t.Fatalf("answer is no JSON: %s", b)
	}
	if r.status >= 400 && (res.Header.Get("Content-Type") != "application/problem+json" || r.Type == "" || r.Detail == "") {
		h.t.Errorf("answer %d is no problem: %s", r.status, b)
	}
	return r
}

// records reads n records of the topic.
func (h *house) records(n int) (out []*kgo.Record) {
	h.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(h.broker.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		h.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for len(out) < n && ctx.Err() == nil {
		out = append(out, cl.PollFetches(ctx).Records()...)
	}
	if len(out) != n {
		h.t.Fatalf("the log has %d records, want %d", len(out), n)
	}
	return out
}

func structured(id string, more ...string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"dock","type":"stock.received","data":{"sku":"mug","quantity":7}%s}`, id, strings.Join(append([]string{""}, more...), ","))
}

var binary = []string{"ce-specversion", "1.0", "ce-id", "b1", "ce-source", "https://dock.example/a%20b", "ce-type", "stock.received",
	"ce-time", "2025-12-24T18:00:00Z", "ce-dock", "%E2%82%AC5", "Traceparent", traceparent}

func TestTheThreeModes(t *testing.T) {
	h := newHouse(t)
	for i, r := range []reply{
		h.post("application/json", `{"sku":"mug","quantity":7}`, binary...),
		h.post("application/cloudevents+json; charset=utf-8", structured("s1", `"correlationid":"c9"`), "traceparent", traceparent),
		h.post("application/cloudevents-batch+json", "["+structured("x1", `"traceparent":"`+traceparent+`"`)+","+structured("x2")+"]"),
	} {
		if r.status != 202 || len(r.Results) == 0 || r.Results[0].Status != ingest.Accepted || r.Results[0].ID == "" || r.Results[0].Source == "" {
			t.Errorf("mode %d: %+v", i, r)
		}
	}
	events := map[string]streams.Envelope{}
	for _, rec := range h.records(4) {
		if rec.Partition != streams.Partition("mug", partitions) {
			t.Errorf("record is on partition %d", rec.Partition)
		}
		e, err := streams.ReadEnvelope(rec)
		if err != nil {
			t.Fatal(err)
		}
		if e.Lane != "" || e.Seq != 0 || e.Key != "mug" || e.Type != "stock.received" || string(e.Data) != `{"sku":"mug","quantity":7}` {
			t.Errorf("event is %+v", e)
		}
		if e.ID == "b1" && !hasHeader(rec, "ce_dock", "€5") {
			t.Errorf("the extension was lost: %v", rec.Headers)
		}
		events[e.ID] = e
	}
	b1 := events["b1"]
	if b1.Source != "https://dock.example/a b" || !b1.Time.Equal(time.Date(2025, 12, 24, 18, 0, 0, 0, time.UTC)) || b1.Traceparent != traceparent {
		t.Errorf("binary event is %+v", b1)
	}
	if s1 := events["s1"]; s1.Correlation != "c9" || s1.Traceparent != traceparent || s1.Time.Year() != 2026 {
		t.Errorf("structured event is %+v", s1)
	}
	if events["x1"].Traceparent != traceparent || events["x2"].Traceparent != "" {
		t.Errorf("traces of the batch: %q, %q", events["x1"].Traceparent, events["x2"].Traceparent)
	}
}

func hasHeader(r *kgo.Record, key, value string) bool {
	for _, h := range r.Headers {
		if h.Key == key && string(h.Value) == value {
			return true
		}
	}
	return false
}

func TestARefusalSaysWhy(t *testing.T) {
	h := newHouse(t)
	const structuredType, batchType = "application/cloudevents+json", "application/cloudevents-batch+json"
	with := func(from, to string) string { return strings.Replace(structured("s1"), from, to, 1) }
	for name, c := range map[string]struct {
		contentType, body string
		status            int
		detail            string
	}{
		"no content type":      {"", "{}", 415, "is not accepted"},
		"protobuf":             {"application/cloudevents+protobuf", "{}", 415, "is not accepted"},
		"latin-1":              {structuredType + "; charset=latin1", "{}", 415, "UTF-8"},
		"no JSON":              {structuredType, "{", 400, "not one JSON value"},
		"two values":           {structuredType, "{} {}", 400, "not one JSON value"},
		"bad UTF-8":            {structuredType, "\"\xff\"", 400, "UTF-8"},
		"deep":                 {structuredType, strings.Repeat("[", 65) + strings.Repeat("]", 65), 400, "64"},
		"very deep":            {structuredType, strings.Repeat("[", 500_000), 400, "64"},
		"an array":             {structuredType, "[]", 400, "object"},
		"null":                 {structuredType, "null", 400, "object"},
		"no array":             {batchType, "{}", 400, "array"},
		"null for a batch":     {batchType, "null", 400, "array"},
		"too many":             {batchType, "[" + strings.Repeat("1,", 1000) + "1]", 413, "split it"},
		"too large":            {structuredType, `"` + strings.Repeat("x", 1<<20) + `"`, 413, "1048576"},
		"no attributes":        {structuredType, "{}", 422, "specversion"},
		"another spec":         {structuredType, with(`"1.0"`, `"0.3"`), 422, "1.0"},
		"no id":                {structuredType, with(`"id":"s1"`, `"id":""`), 422, `"id" is missing`},
		"no source":            {structuredType, with(`"source":"dock",`, ``), 422, `"source" is missing`},
		"source is no URI":     {structuredType, with(`"dock"`, `"http://[::1"`), 422, "URI"},
		"unknown type":         {structuredType, with("stock.received", "stock.stolen"), 422, "not known"},
		"a type of our own":    {structuredType, with("stock.received", "payment.captured"), 422, "not taken from outside"},
		"a lane":               {structuredType, structured("s1", `"lane":"order/0/x"`), 422, "platform's own"},
		"a sequence":           {structuredType, structured("s1", `"sequence":"4611686018427387904"`), 422, "platform's own"},
		"a replay":             {structuredType, structured("s1", `"replayid":"r"`), 422, "platform's own"},
		"attribute in capital": {structuredType, structured("s1", `"Lane":"x"`), 422, "lower case"},
		"attribute is object":  {structuredType, structured("s1", `"ext":{}`), 400, "neither"},
		"attribute is 1.5":     {structuredType, structured("s1", `"ext":1.5`), 400, "integer"},
		"control characters":   {structuredType, with(`"dock"`, `"do\nck"`), 422, "control"},
		"base64":               {structuredType, structured("s1", `"data_base64":"e30="`), 400, "data_base64"},
		"XML":                  {structuredType, structured("s1", `"datacontenttype":"text/xml"`), 422, "application/json"},
		"bad time":             {structuredType, structured("s1", `"time":"yesterday"`), 422, "RFC 3339"},
		"far time":             {structuredType, structured("s1", `"time":"9999-01-01T00:00:00Z"`), 422, "2200"},
		"newer data":           {structuredType, structured("s1", `"dataversion":2`), 422, "dataversion"},
		"no data":              {structuredType, with(`,"data":{"sku":"mug","quantity":7}`, ``), 422, "data is missing"},
		"data is null":         {structuredType, with(`{"sku":"mug","quantity":7}`, `null`), 422, "not an object"},
		"data is a string":     {structuredType, with(`{"sku":"mug","quantity":7}`, `"mug"`), 422, "shape"},
		"a field too many":     {structuredType, with(`"quantity":7`, `"quantity":7,"price":1`), 422, "unknown field"},
		"a field missing":      {structuredType, with(`,"quantity":7`, ``), 422, `"quantity" is missing`},
		"a field null":         {structuredType, with(`"quantity":7`, `"quantity":null`), 422, `"quantity" is missing`},
		"another case":         {structuredType, with(`"sku"`, `"SKU"`), 422, `"sku" is missing`},
		"both cases":           {structuredType, with(`"sku":"mug"`, `"sku":"mug","SKU":"jug"`), 400, "data.SKU and"},
		"a fraction":           {structuredType, with(`:7`, `:7.5`), 422, "shape"},
		"a huge number":        {structuredType, with(`:7`, `:1e30`), 422, "shape"},
		"an empty key":         {structuredType, with(`"mug"`, `""`), 422, "key is empty"},
		"NUL in the key":       {structuredType, with(`"mug"`, `"m\u0000g"`), 400, "data.sku holds a control"},
		"a line in the key":    {structuredType, with(`"mug"`, `"m\ng"`), 422, "control"},
		"a key turned around":  {structuredType, with(`"mug"`, `"m\u202eg"`), 422, "direction"},
		"an id turned around":  {structuredType, with(`"id":"s1"`, `"id":"s\u202e1"`), 422, "direction"},
		"half a character":     {structuredType, with(`"id":"s1"`, `"id":"\ud800s1"`), 400, "id holds half"},
		"data twice":           {structuredType, structured("s1", `"data":{"sku":"mug","quantity":999}`), 400, "data is there twice"},
		"a field twice":        {structuredType, with(`"quantity":7`, `"quantity":7,"quantity":1000`), 400, "data.quantity is there twice"},
		"two types":            {structuredType, structured("s1", `"type":"payment.authorised"`), 400, "type is there twice"},
		"a long s":             {structuredType, with(`"sku"`, `"\u017fku"`), 422, `"sku" is missing`},
		"a number past all":    {structuredType, with(`:7`, `:1e999999`), 422, "shape"},
	} {
		t.Run(name, func(t *testing.T) {
			r := h.post(c.contentType, c.body)
			if r.status != c.status || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("answer is %d %q, want %d with %q", r.status, r.Detail, c.status, c.detail)
			}
		})
	}
	h.post(structuredType, structured("only-this"))
	h.records(1)
}

func TestARequestIsMoreThanItsBody(t *testing.T) {
	h := newHouse(t)
	const structuredType = "application/cloudevents+json"
	zip := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, s)
		z.Close()
		return b.String()
	}
	if r := h.post(structuredType, zip(structured("z1")), "Content-Encoding", "gzip"); r.status != 202 {
		t.Errorf("gzip: %+v", r)
	}
	if r := h.post(structuredType, zip(strings.Repeat(" ", 50<<20)), "Content-Encoding", "gzip"); r.status != 413 {
		t.Errorf("bomb: %+v", r)
	}
	if r := h.post(structuredType, "no gzip", "Content-Encoding", "gzip"); r.status != 400 {
		t.Errorf("no gzip: %+v", r)
	}
	if r := h.post(structuredType, zip("{}")[:12], "Content-Encoding", "gzip"); r.status != 400 {
		t.Errorf("half a gzip: %+v", r)
	}
	if r := h.post(structuredType, "{}", "Content-Encoding", "br"); r.status != 415 {
		t.Errorf("brotli: %+v", r)
	}
	if r := h.post("application/json", "{}", "ce-id", "%zz"); r.status != 400 {
		t.Errorf("bad percent encoding: %+v", r)
	}
	if r := h.post("application/json", `{"sku":"mug","quantity":1}`, append([]string{"ce-lane", "x"}, binary...)...); r.status != 422 {
		t.Errorf("a lane as header: %+v", r)
	}
	res, err := http.Get(h.url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 405 || res.Header.Get("Allow") != "POST" {
		t.Errorf("GET is answered %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
}

func TestABatchHasAResultPerEvent(t *testing.T) {
	h := newHouse(t)
	r := h.post("application/cloudevents-batch+json", "["+structured("g1")+`,7,`+strings.Replace(structured("b1"), "stock.received", "order.placed", 1)+","+structured("g2")+"]")
	if r.status != 207 || len(r.Results) != 4 {
		t.Fatalf("answer is %+v", r)
	}
	for i, want := range []ingest.Status{ingest.Accepted, ingest.Refused, ingest.Refused, ingest.Accepted} {
		if r.Results[i].Status != want || (want == ingest.Refused) != (r.Results[i].Detail != "") {
			t.Errorf("result %d is %+v, want %s", i, r.Results[i], want)
		}
	}
	h.records(2)
	if r := h.post("application/cloudevents-batch+json", "[]"); r.status != 202 {
		t.Errorf("an empty batch: %+v", r)
	}
	var many []string
	for i := range 1000 {
		many = append(many, structured(fmt.Sprint("m", i)))
	}
	if r := h.post("application/cloudevents-batch+json", "["+strings.Join(many, ",")+"]"); r.status != 202 || len(r.Results) != 1000 {
		t.Errorf("a full batch: %d %s, %d results", r.status, r.Detail, len(r.Results))
	}
	h.records(1002)
}

// odd is an event with one of its texts replaced, escapes and all.
func odd(text, by string) string { return strings.ReplaceAll(structured("s1"), text, by) }

// An event that two readers could read differently is refused, and costs the
// others of its batch nothing.
func TestAnAmbiguousEventOfABatch(t *testing.T) {
	h := newHouse(t)
	r := h.post("application/cloudevents-batch+json", "["+structured("g1")+","+odd("s1", `\ud800s1`)+","+odd("s1", `\udfffs1`)+","+
		structured("s2", `"data":{"sku":"mug","quantity":999}`)+","+odd("7", `7,"Quantity":8`)+","+odd("mug", `\u001b[2J`)+"]")
	if r.status != 207 || len(r.Results) != 6 {
		t.Fatalf("answer is %+v", r)
	}
	for i, want := range []string{"", "id holds half", "id holds half", "data is there twice", "data.Quantity and", "data.sku holds a control"} {
		if !strings.HasPrefix(r.Results[i].Detail, want) || (r.Results[i].Status == ingest.Refused) != (want != "") {
			t.Errorf("result %d is %+v, want %q", i, r.Results[i], want)
		}
	}
	h.records(1)
}

func TestTheLogIsAway(t *testing.T) {
	h := newHouse(t, func(c *ingest.Config) { c.Timeout = 200 * time.Millisecond })
	h.broker.Close()
	r := h.post("application/cloudevents+json", structured("s1"))
	if r.status != 503 || r.header.Get("Retry-After") == "" || len(r.Results) != 1 || r.Results[0].Status != ingest.Unavailable {
		t.Errorf("answer is %+v", r)
	}
}

// FuzzPost looks for an answer that blames the server for the client's bytes.
func FuzzPost(f *testing.F) {
	top, err := shop.Business.Topology()
	if err != nil {
		f.Fatal(err)
	}
	// Nothing listens there: only what is wholly valid waits for the log.
	h, err := ingest.New(ingest.Config{Client: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, Topology: top, Partitions: partitions, Commands: streams.NewCommands(), Timeout: time.Millisecond})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(h.Close)
	f.Add("application/cloudevents+json", []byte(structured("s1")))
	f.Add("application/cloudevents-batch+json", []byte("["+structured("s1")+"]"))
	f.Add("application/json", []byte(`{"sku":"mug","quantity":7}`))
	f.Add("application/json", []byte(`{"sku":"mug","quantity":7,"Quantity":8}`))
	f.Add("application/cloudevents+json", []byte(structured("s1", `"data":{"sku":"mug","quantity":999}`)))
	f.Add("application/cloudevents+json", []byte(structured("s1", `"type":"payment.authorised"`)))
	f.Add("application/cloudevents+json", []byte(odd("s1", `\ud800s1`)))
	f.Add("application/cloudevents-batch+json", []byte("["+odd("s1", `\ud800s1`)+","+odd("mug", `\u001b[31m`)+","+structured("s1", `"correlationid":"o-1","x\u0000":{}`)+"]"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, ingest.Path, bytes.NewReader(body))
		r.Header = http.Header{"Content-Type": {contentType}}
		for i := 0; i < len(binary); i += 2 {
			r.Header.Set(binary[i], binary[i+1])
		}
		h.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Fatalf("%d for %q", w.Code, body)
		}
	})
}

func TestPostsAreLimited(t *testing.T) {
	h := newHouse(t, func(c *ingest.Config) {
		stands := func() time.Time { return time.Unix(0, 0) }
		c.Limit = edge.Limit{Buckets: cache.NewMemory(stands), Quota: cache.Quota{PerSecond: 1, Burst: 2}}
	})
	const structuredType = "application/cloudevents+json"
	for i, want := range []int{202, 202, 429, 429} {
		r := h.post(structuredType, structured(fmt.Sprint("s", i)))
		if r.status != want || (r.header.Get("Retry-After") == "1") != (want == 429) {
			t.Errorf("post %d is answered %d %q, Retry-After %q", i, r.status, r.Detail, r.header.Get("Retry-After"))
		}
	}
	if r := h.post(structuredType, structured("s9"), edge.APIKeyHeader, "another"); r.status != 202 {
		t.Errorf("another client is answered %d", r.status)
	}
	h.records(3)
}
