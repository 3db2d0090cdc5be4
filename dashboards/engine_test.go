package dashboards

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams/telemetry"
)

// Every query runs in Prometheus' own engine, and finds series if every metric
// has some: a label value that no series has, a join that does not match and a
// sum over nothing show here, and not to a person at night.
func TestEveryQueryAnswers(t *testing.T) {
	b := business(t)
	groups, err := b.Alerts.Groups()
	if err != nil {
		t.Fatal(err)
	}
	db := promqltest.LoadedStorage(t, everySeries(b, groups))
	engine := promqltest.NewTestEngine(t, false, 0, 10_000_000)
	for _, board := range boards(t) {
		for _, q := range Queries(board) {
			query, err := engine.NewInstantQuery(t.Context(), db, nil, q.Filled(nil), time.Unix(0, 0).Add(10*time.Minute))
			if err != nil {
				t.Fatalf("%s, %s %s: %v", q.Board, q.Panel, q.Ref, err)
			}
			got := query.Exec(t.Context())
			if v, _ := got.Value.(promql.Vector); got.Err != nil || len(v) == 0 {
				t.Errorf("%s, %s %s: %d series (%v) for %s", q.Board, q.Panel, q.Ref, len(v), got.Err, q.Filled(nil))
			}
			if v, _ := got.Value.(promql.Vector); len(v) == 1 && v[0].F == 0 && strings.Contains(q.Expr, "weir_") {
				t.Errorf("%s, %s %s: 0 although every metric grows: %s", q.Board, q.Panel, q.Ref, q.Filled(nil))
			}
			for _, label := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(q.Legend, -1) {
				if v, _ := got.Value.(promql.Vector); len(v) > 0 && !v[0].Metric.Has(label[1]) {
					t.Errorf("%s, %s %s: its legend names %s, and there is only %s", q.Board, q.Panel, q.Ref, label[1], v[0].Metric)
				}
			}
			query.Close()
		}
	}
}

// everySeries writes ten minutes of every metric of the catalogue, of every
// recorded series and of an alert, in promqltest's language.
func everySeries(b Business, groups []alerts.Group) string {
	values := map[string][]string{"kind": {"event"}, "result": {"decided", "accepted", "refused", "confirmed"}, "status": {"200", "503"}, "route": {"/v1/orders"},
		"method": {"POST"}, "compensated": {"true", "false"}, "in_time": {"true", "false"}, "undo": {"true", "false"}}
	for _, s := range b.Topology.Services {
		values["service"] = append(values["service"], s.Name)
	}
	for _, s := range b.Sagas {
		values["saga"] = append(values["saga"], s.Name)
	}
	for _, f := range b.Topology.Vocabulary.Facts() {
		values["event"] = append(values["event"], f.Name)
	}
	var out strings.Builder
	out.WriteString("load 15s\n")
	write := func(name string, labels []string, growth string) {
		fmt.Fprintf(&out, "  %s{%s} %s\n", name, strings.Join(labels, ","), growth)
	}
	for _, m := range telemetry.Catalogue {
		for _, labels := range products(append([]string{"instance"}, m.Labels...), values) {
			switch m.Kind {
			case telemetry.Histogram:
				for i, le := range m.Buckets {
					write(m.Name+"_bucket", append(labels[:len(labels):len(labels)], is("le", fmt.Sprint(le))), fmt.Sprintf("0+%dx60", i+1))
				}
				write(m.Name+"_bucket", append(labels[:len(labels):len(labels)], `le="+Inf"`), fmt.Sprintf("0+%dx60", len(m.Buckets)+1))
				write(m.Name+"_count", labels, fmt.Sprintf("0+%dx60", len(m.Buckets)+1))
				write(m.Name+"_sum", labels, "0+3x60")
			case telemetry.Counter:
				write(m.Name, labels, "0+2x60")
			default:
				write(m.Name, labels, "1x60")
			}
		}
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			var labels []string
			for k, v := range r.Labels {
				labels = append(labels, is(k, v))
			}
			if r.Record != "" {
				write(r.Record, labels, "0.5x60")
			} else {
				write("ALERTS", append(labels, is("alertname", r.Alert), `alertstate="firing"`), "1x60")
			}
		}
	}
	return out.String()
}

// products are all combinations of labels' values; a label without any has one.
func products(labels []string, values map[string][]string) (out [][]string) {
	out = [][]string{nil}
	for _, l := range labels {
		some := values[l]
		if len(some) == 0 {
			some = []string{"example"}
		}
		var next [][]string
		for _, so := range out {
			for _, v := range some {
				next = append(next, append(so[:len(so):len(so)], is(l, v)))
			}
		}
		out = next
	}
	return out
}
