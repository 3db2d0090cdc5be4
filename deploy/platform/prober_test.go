//go:build !real

package platform_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"
)

// Nobody outside has the prober fail: neither by taking away what it buys, nor by
// placing an order under the name that is next.
func TestNobodyOutsideHasTheProberFail(t *testing.T) {
	url := running(t, 50*time.Millisecond)
	probed := func() (ids []string) {
		res, err := http.Get(url + "/v1/orders?customer=synthetic")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var page struct{ Items []struct{ Order string } }
		if b, err := io.ReadAll(res.Body); err != nil || json.Unmarshal(b, &page) != nil {
			t.Fatalf("%s, %v", b, err)
		}
		for _, o := range page.Items {
			ids = append(ids, o.Order)
		}
		return ids
	}
	until := func(n float64) (got map[string]float64) {
		for range 300 {
			if got = series(t, url); got[`weir_synthetic_orders_total{result="confirmed"}`] >= n || got[`weir_synthetic_orders_total{result="cancelled"}`] > 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		return got
	}
	until(2)
	ids := probed()
	for _, id := range ids {
		if len(id) < 30 || !regexp.MustCompile(`^synthetic-[a-z0-9]+$`).MatchString(id) {
			t.Errorf("the name %s can be guessed", id)
		}
	}
	for _, sku := range append(slices.Clone(ids), "synthetic") { // who counts it, has it run out
		body := `{"specversion":"1.0","id":"` + sku + `","source":"/scan","type":"stock.received","data":{"sku":"` + sku + `","quantity":1}}`
		if status := send(t, "POST", url+"/v1/events", body, "Content-Type", "application/cloudevents+json"); status != http.StatusAccepted {
			t.Fatalf("answered %d", status)
		}
	}
	before := series(t, url)
	want := before[`weir_synthetic_orders_total{result="confirmed"}`] + 5
	got := until(want)
	for _, result := range []string{"cancelled", "refused", "unanswered"} {
		series := `weir_synthetic_orders_total{result="` + result + `"}`
		if n := got[series] - before[series]; n != 0 {
			t.Errorf("%v of the prober's orders were %s", n, result)
		}
	}
	if got[`weir_synthetic_orders_total{result="confirmed"}`] < want {
		t.Error("the prober's orders are not confirmed any more")
	}
}
