//go:build !real

package platform_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/dashboards"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams/telemetry"
)

// wide are values of Grafana's variables that a slow machine has samples for.
var wide = map[string]string{"__rate_interval": "20s", "__range": "60s", "__interval": "1s"}

// Every query of every panel of every board returns data of a running platform,
// or says why it may be empty.
func TestEveryQueryReturnsData(t *testing.T) {
	if testing.Short() {
		t.Skip("all rules every second take minutes with the race detector; make test runs it")
	}
	p := startPractice(t)
	p.send(t, "flood", 400) // clients with a quota, so that all of ingestion is to be seen
	var empty []dashboards.Query
	asked, never := 0, sagasOfNobody(t)
	for _, b := range boards(t) {
		for _, q := range dashboards.Queries(b) {
			asked++
			if q.Empty == "" && !slices.Contains(never, b.ID()) {
				empty = append(empty, q)
			}
		}
	}
	p.await("data for every query", 3*time.Minute, func() (bool, string) {
		empty = slices.DeleteFunc(empty, p.answers)
		var state strings.Builder
		for _, q := range empty {
			fmt.Fprintf(&state, "\n%s, %s %s: %s", q.Board, q.Panel, q.Ref, q.Filled(wide))
		}
		return len(empty) == 0, fmt.Sprintf("%d of %d queries are empty:%s", len(empty), asked, state.String())
	})
	if asked < 200 {
		t.Errorf("only %d queries", asked)
	}
	t.Logf("%d queries of %d boards", asked, len(boards(t)))
	p.onlyDeclared()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// sagasOfNobody are the boards of sagas that no customer of practice begins: they have no
// times to show.
func sagasOfNobody(t *testing.T) (boards []string) {
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	var begun []string // events that follow from what customers ask for
	for seed := range uint64(200) {
		for _, act := range shop.Business.Customer.Visit("v", rand.New(rand.NewPCG(seed, 1))) {
			_, name, _ := top.CommandTarget(act.Command)
			_, d, _ := top.Decider(name)
			for _, r := range top.Reactions(d) {
				if r.Input == act.Command {
					begun = append(begun, r.Emits...)
				}
			}
		}
	}
	for _, s := range shop.Business.Sagas {
		if !slices.Contains(begun, top.Name(s.Starts)) {
			boards = append(boards, dashboards.SagaUID(s.Name))
		}
	}
	return boards
}

// answers tells whether a query has a value that is a number.
func (p *exercise) answers(q dashboards.Query) bool {
	p.t.Helper()
	for _, v := range p.query(q.Filled(wide)) {
		if !math.IsNaN(v) {
			return true
		}
	}
	return false
}

// send posts deliveries one by one, faster than the quota allows.
func (p *exercise) send(t *testing.T, client string, n int) {
	t.Helper()
	for i := range n {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%s-%d","source":"/test","type":"stock.received","data":{"sku":"tea","quantity":1}}`, client, i)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/v1/events", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/cloudevents+json")
		req.Header.Set("X-Api-Key", client)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

// onlyDeclared wants every metric of ours that Prometheus has scraped to be in
// the catalogue, with its type and no other labels.
func (p *exercise) onlyDeclared() {
	p.t.Helper()
	var metadata struct {
		Data map[string][]struct{ Type string }
	}
	p.get(http.MethodGet, "/prometheus/api/v1/metadata", &metadata)
	seen := 0
	for name, m := range metadata.Data {
		if !strings.HasPrefix(name, "weir_") {
			continue
		}
		seen++
		d, ok := telemetry.Declared(name)
		if !ok { // OpenMetrics tells a counter without its ending
			d, ok = telemetry.Declared(name + "_total")
		}
		if !ok || string(d.Kind) != m[0].Type {
			p.t.Errorf("%s %s is not in the catalogue", m[0].Type, name)
			continue
		}
		p.labels(d)
	}
	if seen < 30 {
		p.t.Errorf("only %d metrics were scraped", seen)
	}
}

func (p *exercise) labels(m telemetry.Metric) {
	p.t.Helper()
	var series struct{ Data []map[string]string }
	match := m.Name
	if m.Kind == telemetry.Histogram {
		match += "_bucket"
	}
	p.get(http.MethodGet, "/prometheus/api/v1/series?match[]="+url.QueryEscape(match), &series)
	allowed := map[string]bool{"__name__": true, "job": true, "instance": true, "le": m.Kind == telemetry.Histogram}
	for _, l := range m.Labels {
		allowed[l] = true
	}
	for _, s := range series.Data {
		for l := range s {
			if !allowed[l] {
				b, _ := json.Marshal(s)
				p.t.Errorf("%s has a label that is not declared: %s", m.Name, b)
				return
			}
		}
	}
}
