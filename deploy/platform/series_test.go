//go:build !real

package platform_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/services/shop"
)

// running is a platform without shoppers and Prometheus, and without a prober unless
// it is told how often that orders.
func running(t *testing.T, probe time.Duration) (url string) {
	t.Helper()
	cfg := config.Default()
	cfg.HTTP, cfg.Data, cfg.Partitions = "127.0.0.1:0", t.TempDir(), 2
	ready, ended := make(chan string, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		ended <- platform.Run(ctx, platform.Options{Business: shop.Business, Config: cfg, Units: []string{platform.AllUnits}, Kafka: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
			Probe: probe, Ready: func(http, _ string) { ready <- http }})
	}()
	select {
	case addr := <-ready:
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return "http://" + addr
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	return ""
}

// series are those of ours that a process tells: metric and labels.
func series(t *testing.T, url string) map[string]float64 {
	t.Helper()
	res, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for name, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			if strings.HasPrefix(name, "weir_") {
				out[name+"{"+strings.Join(labels, ",")+"}"] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return out
}

// send asks with whatever a client may make up.
func send(t *testing.T, method, url, body string, headers ...string) int {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// madeUp is in everything that the clients of the test choose.
const madeUp = "zzmadeup"

// misbehave tells everything that can be told from outside, made up.
func misbehave(t *testing.T, url string, n int) {
	t.Helper()
	x := fmt.Sprint(strings.ToUpper(madeUp), n)
	key := []string{"X-Api-Key", x, "User-Agent", x, "Traceparent", x}
	send(t, x, url+"/v1/orders", "", key...)
	send(t, "GET", url+"/v1/"+x, "", key...)
	if n%20 == 0 { // it waits for what will never be
		if got := send(t, "GET", url+"/v1/orders/"+x+"?after=order.order:order/0/"+x+":9", "", key...); got != http.StatusPreconditionFailed {
			t.Errorf("a token that is never reached is answered %d", got)
		}
	}
	send(t, "POST", url+"/v1/orders/"+x+"/cancel", `{"reason":"`+x+`"}`, append(key, "Content-Type", "application/json", "Idempotency-Key", x+"-cancel")...)
	order := fmt.Sprintf(`{"order":"%[1]s","customer":"%[1]s","email":"%[1]s@example.org","card":"tok-%[1]s","ship_to":{"name":"%[1]s","street":"%[1]s","city":"%[1]s",`+
		`"postcode":"LS1 1AA","country":"GB"},"lines":[{"sku":"%[1]s","quantity":1,"unit":{"minor":1,"currency":"%[2]s"}}]}`, x, "%s")
	place := func(currency string) int {
		return send(t, "POST", url+"/v1/orders", fmt.Sprintf(order, currency), append(key, "Content-Type", "application/json", "Idempotency-Key", x+currency)...)
	}
	if got := place("ZZ" + string(rune('A'+n%26))); got != http.StatusUnprocessableEntity && got != http.StatusBadRequest {
		t.Errorf("a currency that there is not is answered %d", got)
	}
	if got := place("GBP"); got != http.StatusCreated {
		t.Errorf("an order is answered %d", got)
	}
	for _, kind := range []string{"stock.received", x, "order.placed"} {
		send(t, "POST", url+"/v1/events", fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":%q,"type":%q,"%s":"y","data":{"sku":%q,"quantity":1}}`, x, "/"+x, kind, strings.ToLower(x), x),
			append(key, "Content-Type", "application/cloudevents+json")...)
	}
}

// No label says what a client made up, however often it comes; and what the rules
// count was there at 0 before it could be counted.
func TestNoLabelComesFromOutside(t *testing.T) {
	url := running(t, 0)
	born := series(t, url)
	for n := range 15 {
		misbehave(t, url, n)
	}
	time.Sleep(3 * time.Second)
	mid := series(t, url)
	for n := range 60 {
		misbehave(t, url, 100+n)
	}
	time.Sleep(3 * time.Second)
	all := series(t, url)
	for name := range all {
		if strings.Contains(strings.ToLower(name), madeUp) || strings.Contains(name, "ZZ") {
			t.Errorf("%s is made up", name)
		}
		if _, ok := mid[name]; !ok {
			t.Errorf("%s came with more of the same", name)
		}
	}
	counted := counted(t)
	for name, v := range all {
		metric, _, _ := strings.Cut(name, "{")
		if _, ok := born[name]; !ok && v > 0 && slices.Contains(counted, metric) {
			t.Errorf("%s is born with %v, and the rules count it", name, v)
		}
	}
}

// counted are the counters and histograms of which rules say how much they grow.
func counted(t *testing.T) (out []string) {
	t.Helper()
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := alerts.Business(shop.Business, topology, alerts.Standard()).Groups()
	if err != nil {
		t.Fatal(err)
	}
	file, err := alerts.File(groups)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\b(weir_\w+?)(_bucket|_count)?\{`).FindAllSubmatch(bytes.ReplaceAll(file, []byte("["), []byte("{")), -1) {
		// A client, or a lane that moves here, has no series before it comes: their alerts
		// compare rates.
		if name := string(m[1]); name != "weir_quota_refused_total" && name != "weir_lane_inputs_total" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) < 15 {
		t.Fatalf("the rules count %v", out)
	}
	return out
}
