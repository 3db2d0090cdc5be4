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
		res, err := http.Get(url + "/v1/orders?customer=probe")
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
			if got = series(t, url); got[`weir_probes_total{result="done"}`] >= n || got[`weir_probes_total{result="undone"}`] > 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		return got
	}
	until(2)
	ids := probed()
	for _, id := range ids {
		if len(id) < 30 || !regexp.MustCompile(`^probe-[a-z0-9]+$`).MatchString(id) {
			t.Errorf("the name %s can be guessed", id)
		}
	}
	for _, sku := range append(slices.Clone(ids), "probe") { // who counts it, has it run out
		body := `{"specversion":"1.0","id":"` + sku + `","source":"/scan","type":"stock.received","data":{"sku":"` + sku + `","quantity":1}}`
		if status := send(t, "POST", url+"/v1/events", body, "Content-Type", "application/cloudevents+json"); status != http.StatusAccepted {
			t.Fatalf("answered %d", status)
		}
	}
	before := series(t, url)
	want := before[`weir_probes_total{result="done"}`] + 5
	got := until(want)
	for _, result := range []string{"undone", "refused", "unanswered"} {
		series := `weir_probes_total{result="` + result + `"}`
		if n := got[series] - before[series]; n != 0 {
			t.Errorf("%v of the prober's visits were %s", n, result)
		}
	}
	if got[`weir_probes_total{result="done"}`] < want {
		t.Error("the prober's orders are not confirmed any more")
	}
}
