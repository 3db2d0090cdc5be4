//go:build real

package dashboards

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/telemetry"
)

// Grafana's own code draws every panel of every board, of an hour with an accident in
// it: each value is seen, no name is cut, and nothing is missing where there is data.
func TestPanelsAreReadable(t *testing.T) {
	program, chromium := streamtest.Real(t, "grafana"), streamtest.Real(t, "chromium")
	b := ofShop(t)
	groups, err := b.Alerts.Groups()
	if err != nil {
		t.Fatal(err)
	}
	db := promqltest.LoadedStorage(t, anHour(b, groups))
	all := asked(boards(t))
	drawn, wants := map[string][]byte{}, map[string][]int{}
	for _, b := range all {
		drawn[b.ID()], wants[b.ID()] = results(t, db, b)
	}
	page := httptest.NewServer(gallery(program, drawn))
	t.Cleanup(page.Close)
	tab := openTab(t, chromium)
	for _, b := range all {
		t.Run(b.ID(), func(t *testing.T) { readable(t, tab.look(t, page.URL, b, b.ID()), wants[b.ID()]) })
	}
}

// asked are the boards that ask Prometheus: rows of ClickHouse are not drawn here.
func asked(all []Board) []Board {
	return slices.DeleteFunc(all, func(b Board) bool { return b.ID() == BusinessUID })
}

func readable(t *testing.T, all []drawing, series []int) {
	for i, p := range all {
		if single := p.Type == "stat" || p.Type == "bargauge"; single && p.Values != series[i] {
			t.Errorf("%s shows %d of %d values: the others are over one another, or outside of it", p.Title, p.Values, series[i])
		}
		if p.Nothing != "" && series[i] > 0 {
			t.Errorf("%s says %q, although there is data", p.Title, p.Nothing)
		}
		if len(p.Cut) > 0 {
			t.Errorf("%s cuts %q", p.Title, p.Cut)
		}
	}
}

// Where nobody measures anything, every panel says so in words, and none is 0 or
// Grafana's own "No data".
func TestPanelsSayWhatIsUnknown(t *testing.T) {
	program, chromium := streamtest.Real(t, "grafana"), streamtest.Real(t, "chromium")
	db := promqltest.LoadedStorage(t, "load 30s\n  something_else 1x120\n")
	drawn := map[string][]byte{}
	all := asked(boards(t))
	for _, b := range all {
		drawn[b.ID()], _ = results(t, db, b)
	}
	page := httptest.NewServer(gallery(program, drawn))
	t.Cleanup(page.Close)
	tab := openTab(t, chromium)
	for _, b := range all {
		for i, p := range tab.look(t, page.URL, b, b.ID()+"-unknown") {
			if want := text(b.all()[i].FieldConfig.Defaults.NoValue); !strings.Contains(p.Text, want) || !strings.Contains(want, notKnown) || strings.Contains(p.Text, "No data") {
				t.Errorf("%s, %s says %q, want %q", b.ID(), p.Title, p.Text, want)
			}
		}
	}
}

// gallery serves a page that draws a board, and the board with its results.
func gallery(program string, drawn map[string][]byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>A board</title><div id="board"></div><script src="panels.js"></script>`)
	})
	mux.HandleFunc("/panels.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, program) })
	mux.HandleFunc("/data.json", func(w http.ResponseWriter, r *http.Request) { w.Write(drawn[r.URL.Query().Get("board")]) })
	return mux
}

// oneSeries and oneQuery are results as the page takes them, in milliseconds.
type oneSeries struct {
	Metric map[string]string `json:"metric"`
	Values [][2]any          `json:"values"`
}

type oneQuery struct {
	Legend string      `json:"legend"`
	Series []oneSeries `json:"series"`
}

const anHourOf, every = time.Hour, 30 * time.Second

// results asks what Grafana would ask for the board, and packs it with the board. Of
// each panel it tells how many series there are.
func results(t *testing.T, db storage.Queryable, b Board) (out []byte, shown []int) {
	t.Helper()
	given := map[string]string{"__rate_interval": "2m", "__range": "1h"}
	for _, v := range b.Templating.List {
		if expr, ok := values(v); ok && v.Regex != nil { // as its first value
			if found := ask(t, db, expr, true); len(found) > 0 {
				given[v.Name] = found[0].Metric["sloth_id"]
			}
		}
	}
	of := map[string]map[string]oneQuery{}
	for _, p := range b.all() {
		id := fmt.Sprint(number32(p.Id))
		of[id] = map[string]oneQuery{}
		n := 0
		for _, target := range p.Targets {
			q := target.(prometheus.Dataquery)
			expr := strings.ReplaceAll(fill(q.Expr, given), " offset 1w", " offset 10m")
			found := ask(t, db, expr, *q.Instant)
			of[id][text(q.RefId)] = oneQuery{text(q.LegendFormat), found}
			n += len(found)
		}
		shown = append(shown, n)
	}
	raw, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	out, err = json.Marshal(map[string]any{"board": json.RawMessage(raw), "results": of, "from": 0, "to": anHourOf.Milliseconds()})
	if err != nil {
		t.Fatal(err)
	}
	return out, shown
}

func ask(t *testing.T, db storage.Queryable, expr string, now bool) (out []oneSeries) {
	t.Helper()
	out = []oneSeries{}
	engine := promqltest.NewTestEngine(t, false, 0, 50_000_000)
	end := time.Unix(0, 0).Add(anHourOf)
	query, err := engine.NewRangeQuery(t.Context(), db, nil, expr, time.Unix(0, 0), end, every)
	if now {
		query, err = engine.NewInstantQuery(t.Context(), db, nil, expr, end)
	}
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	got := query.Exec(t.Context())
	if got.Err != nil {
		t.Fatalf("%s: %v", expr, got.Err)
	}
	switch v := got.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, oneSeries{s.Metric.Map(), [][2]any{{s.T, finite(s.F)}}})
		}
	case promql.Matrix:
		for _, s := range v {
			one := oneSeries{Metric: s.Metric.Map()}
			at := map[int64]float64{}
			for _, f := range s.Floats {
				at[f.T] = f.F
			}
			for ms := int64(0); ms <= anHourOf.Milliseconds(); ms += every.Milliseconds() {
				if f, ok := at[ms]; ok {
					one.Values = append(one.Values, [2]any{ms, finite(f)})
				} else {
					one.Values = append(one.Values, [2]any{ms, nil})
				}
			}
			out = append(out, one)
		}
	}
	return out
}

func finite(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return f
}

// anHour is an hour of every metric with an accident in the middle of it, in
// promqltest's language. What each series does follows from its name.
func anHour(b Business, groups []alerts.Group) string {
	values := possible(b)
	values["instance"] = []string{"10.0.3.17:8080", "10.0.3.18:8080"}
	values["lane"], values["status"] = []string{"0", "1"}, []string{"200", "201", "429", "503"}
	values["fault"], values["effect"], values["endpoint"] = []string{"provider-slow"}, []string{"authorise", "capture"}, []string{"provider", "carrier"}
	values["change"], values["topic"] = []string{"claimed", "released", "reloaded"}, []string{"order.order", "payment.order"}
	var out strings.Builder
	out.WriteString("load 30s\n")
	write := func(name string, labels []string, growth string) {
		fmt.Fprintf(&out, "  %s{%s} %s\n", name, strings.Join(labels, ","), growth)
	}
	for _, m := range telemetry.Catalogue {
		for _, labels := range products(append([]string{"instance"}, m.Labels...), values) {
			s := seed(m.Name + strings.Join(labels, ","))
			switch m.Kind {
			case telemetry.Histogram:
				for i, le := range append(slices.Clone(m.Buckets), math.Inf(1)) {
					share := 1 / (1 + math.Exp(float64(len(m.Buckets))*(.2+.4*s)-float64(i)))
					write(m.Name+"_bucket", append(labels[:len(labels):len(labels)], is("le", fmt.Sprint(le))), counting(30*(.2+s)*share))
				}
				write(m.Name+"_count", labels, counting(30*(.2+s)))
				write(m.Name+"_sum", labels, counting(9*(.2+s)))
			case telemetry.Counter:
				write(m.Name, labels, counting(60*s*s))
			default:
				write(m.Name, labels, gauging(m.Name, s))
			}
		}
	}
	for i := range values["instance"] {
		at := []string{is("instance", values["instance"][i])}
		write(cpuSeconds, at, counting(20))
		write(memory, at, "400000000+900000x120")
	}
	fires := 0
	for _, g := range groups {
		for _, r := range g.Rules {
			var labels []string
			for k, v := range r.Labels {
				labels = append(labels, is(k, v))
			}
			s := seed(r.Labels["sloth_id"])
			if r.Record != "" {
				write(r.Record, labels, recorded(r.Record, s))
			} else if fires++; fires%5 == 1 {
				labels = append(labels, is("alertname", r.Alert))
				write("ALERTS", append(labels, `alertstate="pending"`), "_x58 1x6 stale")
				write("ALERTS", append(labels, `alertstate="firing"`), "_x65 1x60")
				write("ALERTS_FOR_STATE", labels, "_x58 1740x70")
			}
		}
	}
	return out.String()
}

// seed is a number from 0 to 1 for a name.
func seed(name string) float64 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return float64(h.Sum32()%1000) / 1000
}

// counting is a counter whose growth doubles in the accident.
func counting(growth float64) string {
	return fmt.Sprintf("0+%vx55 %v+%vx20 %v+%vx45", growth, 55*growth, 2*growth, 95*growth, growth)
}

func gauging(name string, s float64) string {
	switch {
	case strings.HasSuffix(name, "_state"):
		return fmt.Sprintf("0x60 2x%d 1x5 0x60", int(5+20*s))
	case name == telemetry.LanesHalted || name == telemetry.UnitHalted || name == telemetry.FaultOn:
		return fmt.Sprintf("0x60 %vx20 0x50", math.Round(s))
	case name == telemetry.BuildInfo || name == telemetry.SagasRunning:
		return "1x120"
	case name == telemetry.DiskSize:
		return "100000000000x120"
	case name == telemetry.DiskFree:
		return "40000000000-70000000x120"
	case name == telemetry.MoneyHeld:
		return fmt.Sprintf("%vx60 600000x30 %vx40", 2000*s, 1500*s)
	}
	return fmt.Sprintf("%vx60 %vx20 %vx50", 5*s, 430*s*s, 8*s)
}

func recorded(name string, s float64) string {
	switch {
	case name == alerts.BudgetRemaining:
		left := []float64{1, .97, .6, .2, -.4, -16.69, -86.65}[int(6.99*s)]
		return fmt.Sprintf("1x55 %vx70", left)
	case name == alerts.CurrentBurn:
		return fmt.Sprintf("%vx55 %vx10 %vx20 %vx45", .4*s, 20*s, 7*s, 1.2*s)
	case name == alerts.PeriodDays:
		return "30x120"
	case name == alerts.Objective:
		return "0.99x120"
	case name == alerts.ErrorBudget:
		return "0.01x120"
	case name == alerts.Info:
		return "1x120"
	}
	return fmt.Sprintf("%vx55 %vx20 %vx50", .004*s, .4*s, .02*s)
}
