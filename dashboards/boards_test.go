package dashboards

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/services/sagas"
	"github.com/weirstream/weir/streams/telemetry"
)

var update = flag.Bool("update", false, "write the golden files again")

func business(t *testing.T) Business {
	t.Helper()
	top, err := sagas.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return Business{Topology: top, Sagas: sagas.All(), Alerts: alerts.Business(top, sagas.All(), alerts.Standard()), Live: "http://127.0.0.1:8080"}
}

func boards(t *testing.T) []Board {
	t.Helper()
	all, err := Boards(business(t))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func known(t *testing.T) (Series, []alerts.Group) {
	t.Helper()
	groups, err := business(t).Alerts.Groups()
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
		m, err := Metrics(e)
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
			for _, err := range series.CheckQuery(r.Expr) {
				t.Errorf("%s %s%s: %v", g.Name, r.Record, r.Alert, err)
			}
		}
	}
}
