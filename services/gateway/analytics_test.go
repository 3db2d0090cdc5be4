package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/asktest"
	kept "github.com/weirstream/weir/processors/analytics/sqlite"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/services/shop"
)

// questions is the gateway with analytics of two confirmed orders, of which nobody may read
// more than some rows.
func questions(t *testing.T, most int64) *house {
	t.Helper()
	return newHouse(t, func(c *gateway.Config) {
		schema, err := analytics.NewSchema(shop.Business, c.Topology)
		if err != nil {
			t.Fatal(err)
		}
		store, err := kept.Open(filepath.Join(t.TempDir(), "analytics.db"), schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		var told []asktest.Told
		for i, country := range []string{"GB", "FR"} {
			id, at := event.OrderID(fmt.Sprint("o-", i)), time.Date(2010, 12, 1+i, 23, 30, 0, 0, time.UTC)
			total := event.Money{Minor: int64(1000 + i), Currency: "GBP"}
			told = append(told, asktest.Told{Event: event.OrderPlaced{Order: id, Customer: "ada", Total: total, ShipTo: event.Address{Country: country}}, At: at, Correlation: string(id)},
				asktest.Told{Event: event.OrderConfirmed{Order: id, Total: total, Lines: 1}, At: at, Correlation: string(id)})
		}
		asktest.Keep(t, store, schema, told)
		c.Analytics = &analytics.Model{Store: store, Schema: schema, Most: most}
	})
}

func TestQuestionsAreAnswered(t *testing.T) {
	h := questions(t, 0)
	var list gateway.Questions
	h.asks("/v1/analytics", 200, &list)
	if len(list.Items) < 10 || list.Items[0].Name != "revenue" || list.Items[0].By[0] != "country" {
		t.Errorf("the questions are %+v", list)
	}
	for query, want := range map[string]string{
		"revenue": `[["FR","GBP","10.01",1,1],["GB","GBP","10.00",1,1]]`,
		"revenue?by=day,country&zone=Europe/Paris&from=2010-12-02&to=2010-12-03": `[["2010-12-02","GB","GBP","10.00",1,1]]`,
		"revenue?by=total&from=2010-12-02T00:00:00Z":                             `[["GBP","10.01",1,1]]`,
		"revenue?where=country%3DFR&where=customer%3Dada":                        `[["FR","GBP","10.01",1,1]]`,
		"revenue?limit=1&from=2011-01-01":                                        `[]`,
		"order-story?key=o-0":                                                    `[["2010-12-01T23:30:00Z","order.placed","the order was placed","order","o-0","teller"],["2010-12-01T23:30:00Z","order.confirmed","the order was confirmed","order","o-0","teller"]]`,
	} {
		var a struct {
			Rows json.RawMessage
		}
		h.asks("/v1/analytics/"+query, 200, &a)
		if got := string(a.Rows); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestQuestionsThatAreRefused(t *testing.T) {
	h := questions(t, 2)
	for query, want := range map[string]string{
		"":                             "200 ",
		"?by=day":                      "400 this takes no parameters",
		"/nothing":                     "404 there is no question \"nothing\": they are listed at /v1/analytics",
		"/revenue?by=nobody":           "400 revenue cannot be told apart by \"nobody\"",
		"/revenue?from=7x":             "400 from \"7x\" is neither a day",
		"/revenue?from=a&from=b":       "400 parameter \"from\" is not known here or given twice",
		"/revenue?month=a":             "400 parameter \"month\" is not known here",
		"/revenue?where=country":       "400 where \"country\" is not of the form",
		"/revenue?zone=Nowhere":        "400 \"Nowhere\" is no time zone",
		"/revenue?limit=-1":            "400 limit \"-1\" is not a whole number",
		"/revenue?where=country%3D%00": "400 the path or the query is not UTF-8",
		"/revenue":                     "422 question revenue: the question is of too much",
		"/order-story":                 "400 order-story is about one order: say which",
	} {
		var p struct{ Detail string }
		status, wanted, _ := strings.Cut(want, " ")
		code := 0
		fmt.Sscan(status, &code)
		h.asks("/v1/analytics"+query, code, &p)
		if !strings.Contains(p.Detail, wanted) {
			t.Errorf("%s: %s, want %s", query, p.Detail, want)
		}
	}
	var p struct{ Detail string }
	newHouse(t).asks("/v1/analytics/revenue", 503, &p)
	if !strings.Contains(p.Detail, "this process keeps no analytics") {
		t.Errorf("without analytics: %s", p.Detail)
	}
}

// asks reads an answer of a status.
func (h *house) asks(path string, status int, into any) {
	h.t.Helper()
	res, err := http.Get(h.url + path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		h.t.Errorf("%s: %s, want %d", path, res.Status, status)
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		h.t.Errorf("%s: %v", path, err)
	}
}
