package dashboards

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// Every query runs in Prometheus' own engine, and finds series if every metric
// has some: a label value that no series has, a join that does not match and a
// sum over nothing show here, and not to a person at night.
func TestEveryQueryAnswers(t *testing.T) {
	b := ofShop(t)
	groups, err := b.Alerts.Groups()
	if err != nil {
		t.Fatal(err)
	}
	db := promqltest.LoadedStorage(t, everySeries(b, groups))
	engine := promqltest.NewTestEngine(t, false, 0, 10_000_000)
	for _, board := range boards(t) {
		for _, q := range Queries(board) {
			now := strings.ReplaceAll(q.Filled(nil), " offset 1w", "") // all that there is are ten minutes
			query, err := engine.NewInstantQuery(t.Context(), db, nil, now, time.Unix(0, 0).Add(10*time.Minute))
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

// What nobody measures is no number on any board, not even 0.
func TestUnknownIsNoNumber(t *testing.T) {
	empty := promqltest.LoadedStorage(t, "load 15s\n  something_else 1x60\n")
	for _, board := range boards(t) {
		for _, q := range Queries(board) {
			if v := instantly(t, empty, q.Filled(nil)); len(v) > 0 {
				t.Errorf("%s, %s %s: %v although nothing is measured: %s", q.Board, q.Panel, q.Ref, v, q.Expr)
			}
		}
	}
}

// What is counted and did not happen is 0, and not missing: on a quiet day all that
// a board says at its top is a number.
func TestQuietIsZero(t *testing.T) {
	quiet := "load 15s\n"
	for _, alive := range []string{anybody + `{instance="a",version="1",go="1"}`, alerts.Info + `{sloth_id="x"}`} {
		quiet += "  " + alive + " 1x60\n"
	}
	for _, saga := range shop.Business.Sagas {
		quiet += "  " + followed + `{saga="` + saga.Name + `"} 0x60` + "\n"
	}
	db := promqltest.LoadedStorage(t, quiet)
	zeros := 0
	for _, board := range boards(t) {
		for _, q := range Queries(board) {
			if !strings.Contains(q.Expr, " or 0 * max(") {
				continue
			}
			zeros++
			if v := instantly(t, db, q.Filled(nil)); len(v) != 1 || v[0].F != 0 || !v[0].Metric.IsEmpty() {
				t.Errorf("%s, %s %s: %v on a quiet day: %s", q.Board, q.Panel, q.Ref, v, q.Expr)
			}
		}
	}
	if zeros < 50 {
		t.Errorf("only %d queries have a 0", zeros)
	}
}

// An alert is marked once, when it began, however far apart Grafana's samples are.
func TestAnAlertIsMarkedOnce(t *testing.T) {
	db := promqltest.LoadedStorage(t, `load 15s
  ALERTS_FOR_STATE{alertname="A",severity="page",service="order"} 30x240
  ALERTS{alertname="A",severity="page",service="order",alertstate="pending"} 1x8 stale
  ALERTS{alertname="A",severity="page",service="order",alertstate="firing"} _x9 1x230
  ALERTS_FOR_STATE{alertname="B",severity="page",service="order"} 30x240
  ALERTS{alertname="B",severity="page",service="order",alertstate="pending"} 1x240
`)
	engine := promqltest.NewTestEngine(t, false, 0, 10_000_000)
	for _, step := range []time.Duration{5 * time.Second, 15 * time.Second, 4 * time.Minute} {
		expr := Query{Expr: text(began("Pages", alerts.Page, red, is("service", "order")).Expr)}.Filled(nil)
		query, err := engine.NewRangeQuery(t.Context(), db, nil, expr, time.Unix(0, 0), time.Unix(3600, 0), step)
		if err != nil {
			t.Fatal(err)
		}
		got, err := query.Exec(t.Context()).Matrix()
		if err != nil {
			t.Fatal(err)
		}
		times := map[float64]bool{}
		for _, series := range got {
			for _, sample := range series.Floats {
				times[sample.F] = true
			}
		}
		if len(got) != 1 || len(got[0].Floats) < 10 || len(times) != 1 || !times[30_000] {
			t.Errorf("at steps of %s there are marks at %v for %v", step, times, got)
		}
		query.Close()
	}
}

// instantly is what a query finds ten minutes after the beginning.
func instantly(t *testing.T, db storage.Queryable, expr string) promql.Vector {
	t.Helper()
	query, err := promqltest.NewTestEngine(t, false, 0, 10_000_000).NewInstantQuery(t.Context(), db, nil, expr, time.Unix(600, 0))
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	v, err := query.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return v
}

// everySeries writes ten minutes of every metric of the catalogue, of every
// recorded series and of an alert, in promqltest's language.
func everySeries(b Business, groups []alerts.Group) string {
	values := possible(b)
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
	for _, m := range []string{cpuSeconds, memory} {
		write(m, []string{`instance="example"`}, "0+5x60")
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			var labels []string
			for k, v := range r.Labels {
				labels = append(labels, is(k, v))
			}
			if r.Record != "" {
				write(r.Record, labels, "0.5x60")
				continue
			}
			services := []string{""}
			if strings.Contains(r.Expr, "by (service") {
				services = values["service"]
			}
			for _, s := range services {
				of := append(labels[:len(labels):len(labels)], is("alertname", r.Alert))
				if s != "" {
					of = append(of, is("service", s))
				}
				write("ALERTS", append(of, `alertstate="firing"`), "1x60")
				write("ALERTS_FOR_STATE", of, "30x60")
			}
		}
	}
	return out.String()
}

// possible are values of labels, of those that matter.
func possible(b Business) map[string][]string {
	values := map[string][]string{"kind": {"event"}, "result": {"decided", "accepted", "refused", "done"},
		"status": {"200", "503"}, "route": {b.Business.Commands()[0].Path},
		"method": {"POST"}, "compensated": {"true", "false"}, "in_time": {"true", "false"}, "undo": {"true", "false"}, "currency": {"GBP", "EUR", "USD", "JPY"}}
	for _, s := range b.Topology.Services {
		values["service"] = append(values["service"], s.Name)
	}
	values["service"] = append(values["service"], streams.ProjectionUnit, streams.AnalyticsUnit)
	for _, m := range b.Business.Money {
		values["account"] = append(values["account"], m.Name)
	}
	for _, s := range b.Business.Sagas {
		values["saga"] = append(values["saga"], s.Name)
	}
	for _, f := range b.Topology.Vocabulary.Facts() {
		values["event"] = append(values["event"], f.Name)
	}
	return values
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
