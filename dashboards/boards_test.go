package dashboards

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/rulefile"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams/telemetry"
)

var update = flag.Bool("update", false, "write the golden files again")

func ofShop(t *testing.T) Business {
	t.Helper()
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return Business{Business: shop.Business, Topology: top,
		Alerts: alerts.Business(shop.Business, top, alerts.Standard()), Live: "http://127.0.0.1:8080"}
}

func boards(t *testing.T) []Board {
	t.Helper()
	all, err := Boards(ofShop(t))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func known(t *testing.T) (Series, []alerts.Group) {
	t.Helper()
	groups, err := ofShop(t).Alerts.Groups()
	if err != nil {
		t.Fatal(err)
	}
	return Known(groups), groups
}

func TestBoardsAreClean(t *testing.T) {
	series, _ := known(t)
	for _, err := range LintAll(boards(t), series) {
		t.Error(err)
	}
}

// Boards are committed, so that a change of one is seen.
func TestGolden(t *testing.T) {
	want := map[string]bool{}
	for _, b := range boards(t) {
		name := filepath.Join("golden", b.ID()+".json")
		want[name] = true
		got, err := b.JSON()
		if err != nil {
			t.Fatal(err)
		}
		old, err := os.ReadFile(name)
		if string(old) == string(got) {
			continue
		}
		if !*update {
			t.Errorf("%s is not what the code says (%v): run make golden and look at the difference", name, err)
		} else if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join("golden", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if want[f] {
			continue
		}
		if !*update {
			t.Errorf("%s is of no board: run make golden", f)
		} else if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBoardsAreAlwaysTheSame(t *testing.T) {
	for range 3 {
		a, b := boards(t), boards(t)
		for i := range a {
			x, err := a[i].JSON()
			if err != nil {
				t.Fatal(err)
			}
			if y, _ := b[i].JSON(); string(x) != string(y) {
				t.Fatalf("board %s differs from one time to the next", a[i].ID())
			}
		}
	}
}

// metrics are those that an expression without variables reads; a
// histogram's parts count as the histogram.
func metrics(expr string) ([]string, error) {
	tree, err := rulefile.PromQL.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	out := names(selectors(tree))
	for i, n := range out {
		for _, part := range []string{"_bucket", "_count", "_sum"} {
			if m, ok := telemetry.Declared(strings.TrimSuffix(n, part)); ok && m.Kind == telemetry.Histogram {
				out[i] = m.Name
			}
		}
	}
	return out, nil
}

// unseen are metrics that no board needs to show, and why.
var unseen = map[string]string{}

func TestEveryMetricIsShown(t *testing.T) {
	_, groups := known(t)
	var exprs []string
	for _, b := range boards(t) {
		for _, q := range Queries(b) {
			exprs = append(exprs, q.Filled(nil))
		}
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				exprs = append(exprs, r.Expr)
			}
		}
	}
	var shown []string
	for _, e := range exprs {
		m, err := metrics(e)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, m...)
	}
	for _, m := range telemetry.Catalogue {
		if unseen[m.Name] == "" && !slices.Contains(shown, m.Name) {
			t.Errorf("%s is in no panel and in no alert: show it, or say in unseen why not", m.Name)
		}
		if unseen[m.Name] != "" && slices.Contains(shown, m.Name) {
			t.Errorf("%s is shown: take it out of unseen", m.Name)
		}
	}
}

// Rules ask for what there is, as the boards do.
func TestRulesAskForKnownSeries(t *testing.T) {
	series, groups := known(t)
	for _, g := range groups {
		for _, r := range g.Rules {
			for _, err := range series.check(r.Expr) {
				t.Errorf("%s %s%s: %v", g.Name, r.Record, r.Alert, err)
			}
		}
	}
}

// limitsOn is where a panel draws its limit.
func limitsOn(t *testing.T, all []Board, board, title string) []float64 {
	t.Helper()
	for _, b := range all {
		for _, p := range b.all() {
			if b.ID() != board || text(p.Title) != title {
				continue
			}
			var out []float64
			for _, s := range p.FieldConfig.Defaults.Thresholds.Steps[1:] {
				out = append(out, *s.Value)
			}
			return out
		}
	}
	t.Fatalf("board %s has no panel %q", board, title)
	return nil
}

// A limit on a board is where the alert or the objective has it, and moves along.
func TestLimitsComeFromTheRules(t *testing.T) {
	all := boards(t)
	for _, c := range []struct {
		board, title string
		want         []float64
	}{
		{OverviewUID, "Time to answer", []float64{0.1}}, {IngestionUID, "Time to answer", []float64{0.1}}, {IngestionUID, "Answers", []float64{0.1}},
		{ServiceUID("order"), "From event to effect", []float64{1}}, {ServiceUID("order"), "Behind", []float64{30}},
		{OverviewUID, "Figures lag by", []float64{30}}, {BusinessUID, "Analytics behind", []float64{300}},
		{ServiceUID("order"), "Oldest unpublished event", []float64{10}}, {PipelineUID, "Unpublished", []float64{10}}, {PipelineUID, "Time to commit", []float64{0.1}},
		{ServiceUID("order"), "Time to commit", []float64{0.1}}, {OverviewUID, "Burn rates", []float64{1, 3, 6, 14.4}},
		{SagaUID("place-order"), "Oldest", []float64{900}}, {SagaUID("place-order"), "From start to end", []float64{900}},
	} {
		if got := limitsOn(t, all, c.board, c.title); !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: limits %v, want %v", c.board, c.title, got, c.want)
		}
	}
	moved := ofShop(t)
	for _, o := range moved.Alerts.SLOs {
		if o.ID() == "order-latency" {
			o.SLI = alerts.Within(telemetry.InputAge, 250*time.Millisecond, `service="order"`, `service="order",decider="order"`)
		}
	}
	for _, a := range moved.Alerts.Alerts {
		if a.Name == "OutboxStuck" {
			a.Threshold.Value = 20
		}
	}
	all, err := Boards(moved)
	if err != nil {
		t.Fatal(err)
	}
	if got := limitsOn(t, all, ServiceUID("order"), "From event to effect"); !slices.Equal(got, []float64{0.25}) {
		t.Errorf("the objective's bound moved to 250 ms, the board's is %v", got)
	}
	if got := limitsOn(t, all, PipelineUID, "Unpublished"); !slices.Equal(got, []float64{20}) {
		t.Errorf("the alert's bound moved to 20 s, the board's is %v", got)
	}
}

// A panel that asks for the bound of an objective or alert by a name that there is none
// of would show everything in green.
func TestEveryLimitIsFound(t *testing.T) {
	for _, b := range boards(t) {
		for _, p := range b.all() {
			if p.Id != nil && b.free[*p.Id] == noBound {
				t.Errorf("board %s, %s: %s", b.ID(), text(p.Title), noBound)
			}
		}
	}
}

// What is no upper bound is drawn nowhere: at the wrong end it would colour what is well.
func TestOnlyUpperBoundsAreLimits(t *testing.T) {
	for condition, want := range map[alerts.Threshold]limit{
		{Query: "x", Op: alerts.Above, Value: 2}:   {2, true},
		{Query: "x", Op: alerts.AtLeast, Value: 3}: {3, true},
		{Query: "x", Op: alerts.Exactly, Value: 1}: {1, false},
		{Query: "x", Op: alerts.Above, Value: 0}:   {0, false},
	} {
		l := limits{&alerts.Set{Alerts: []*alerts.Alert{{Name: "A", Threshold: condition}, {Name: "B", Expr: "x > 7 and y > 8"}}}}
		if got := l.alert("A"); got != want {
			t.Errorf("%+v: %v, want %v", condition, got, want)
		}
		if got := l.alert("B"); got.known {
			t.Errorf("of a condition of two comparisons %v is drawn", got.value)
		}
	}
}

// Another business, without alerts of its own and without outside calls, has
// boards too.
func TestBoardsOfLittle(t *testing.T) {
	b := ofShop(t)
	b.Alerts.Alerts, b.Alerts.SLOs = nil, b.Alerts.SLOs[:1]
	all, err := Boards(b)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := b.Alerts.Groups()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range LintAll(all, Known(groups)) {
		t.Error(err)
	}
}

func TestQueriesAreFilled(t *testing.T) {
	q := Query{Expr: `sum by (x) (rate(y{service=~"$service",a="${b:raw}"}[$__rate_interval]) + increase(z[$__range]))`}
	if got, want := q.Filled(nil), `sum by (x) (rate(y{service=~".*",a=".*"}[1m]) + increase(z[1h]))`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := q.Filled(map[string]string{"service": "order", "__rate_interval": "20s"}), `sum by (x) (rate(y{service=~"order",a=".*"}[20s]) + increase(z[1h]))`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	all := 0
	for _, b := range boards(t) {
		for _, q := range Queries(b) {
			all++
			if b.ID() == OverviewUID && q.Panel == "Firing alerts" && q.Empty == "" {
				t.Error("a list of alerts is empty on a good day, and does not say so")
			}
		}
	}
	if all < 150 {
		t.Errorf("only %d queries on all boards", all)
	}
}
