package alerts_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/services/sagas"
	"github.com/weirstream/weir/streams/telemetry"
)

var update = flag.Bool("update", false, "write the golden files and the generated parts of the runbooks")

func business(t *testing.T) *alerts.Set {
	t.Helper()
	topology, err := sagas.Topology()
	if err != nil {
		t.Fatal(err)
	}
	s := alerts.Business(topology, sagas.All(), alerts.Standard())
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// golden compares with a file, or writes it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, got) {
		t.Errorf("%s differs from what the code says (%v): look at it, and run make golden", file, err)
	}
}

func TestGolden(t *testing.T) {
	s := business(t)
	groups, err := s.Groups()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := alerts.File(groups)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "golden/rules.yml", rules)
	routes, err := s.Routes()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "golden/alertmanager.yml", routes)
}

// Every alert has a runbook with hand-written causes and cure, every runbook an
// alert, and every link between them leads somewhere.
func TestRunbooks(t *testing.T) {
	s := business(t)
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	for _, name := range s.Names() {
		file := filepath.Join("runbooks", name+".md")
		have, err := os.ReadFile(file)
		if err != nil && !*update {
			t.Error(err)
			continue
		}
		want, err := s.Skeleton(name, have)
		if err != nil {
			t.Error(err)
			continue
		}
		golden(t, file, want)
		_, after, _ := strings.Cut(string(want), "## Causes\n")
		causes, cure, _ := strings.Cut(after, "## Cure\n")
		if len(strings.TrimSpace(causes)) < 20 || len(strings.TrimSpace(cure)) < 20 {
			t.Errorf("%s: write its causes and its cure", file)
		}
		for _, l := range link.FindAllStringSubmatch(string(want), -1) {
			if _, err := os.Stat(filepath.Join("runbooks", l[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, l[1], err)
			}
		}
	}
	files, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(s.Names(), strings.TrimSuffix(filepath.Base(f), ".md")) {
			t.Errorf("%s is of no alert", f)
		}
	}
}

// What an objective must not be.
func TestUselessObjectives(t *testing.T) {
	good := func() alerts.SLO {
		return alerts.SLO{Service: "s", Name: "n", Alert: "A", Owner: "o", Description: "d", Objective: 99.9,
			SLI: alerts.Within(telemetry.InputAge, time.Second, "", `service="s",decider="s"`)}
	}
	if s := good(); s.Check(alerts.Standard()) != nil {
		t.Fatal(s.Check(alerts.Standard()))
	}
	for name, c := range map[string]struct {
		spoil func(*alerts.SLO)
		say   string
	}{
		"never fires": {func(s *alerts.SLO) { s.Objective = 93 }, "can never fire: promise at least 93.06"},
		"perfect":     {func(s *alerts.SLO) { s.Objective = 100 }, "no objective"},
		"nobody":      {func(s *alerts.SLO) { s.Owner = "" }, "needs an owner"},
		"no bucket":   {func(s *alerts.SLO) { s.SLI = alerts.Within(telemetry.InputAge, 123*time.Millisecond, "", "") }, "no histogram of the catalogue with a bucket"},
		"no metric": {func(s *alerts.SLO) {
			s.SLI = alerts.Ratio(alerts.Availability, []alerts.Events{{Metric: "x"}}, alerts.Events{Metric: telemetry.Inputs})
		}, "not in the catalogue"},
		"no gauge":     {func(s *alerts.SLO) { s.SLI = alerts.Below(alerts.Freshness, telemetry.Inputs, 1, "", "") }, "no gauge"},
		"no indicator": {func(s *alerts.SLO) { s.SLI = alerts.SLI{} }, "no indicator"},
		"strange name": {func(s *alerts.SLO) { s.Name = "A b" }, "lower-case"},
		"weights":      {func(s *alerts.SLO) { o := good(); s.SLI = alerts.Steps(alerts.Part{SLO: &o, Weight: .5}) }, "sum up to 0.5"},
		"no latency unit": {func(s *alerts.SLO) {
			s.SLI = alerts.Within(telemetry.BatchInputs, time.Second, "", "")
			s.Objective = 50
		}, "can never fire"},
	} {
		s := good()
		c.spoil(&s)
		if err := s.Check(alerts.Standard()); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
	s := good()
	s.Objective, s.NoPage = 93, true // a ticket still can
	if err := s.Check(alerts.Standard()); err != nil {
		t.Error(err)
	}
	p := alerts.Standard()
	p.Windows[0].Long = time.Minute
	if err := p.Check(); err == nil {
		t.Error("a long window that is the shorter one")
	}
	set := business(t)
	set.SLOs = append(set.SLOs, set.SLOs[0])
	if err := set.Check(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("twice: %v", err)
	}
}

// OpenSLO documents say the same as the values: imported, they render the same
// rules.
func TestOpenSLOThereAndBack(t *testing.T) {
	s := business(t)
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, o := range s.SLOs {
		doc, ok := files["openslo/"+o.ID()+".yml"]
		if !ok {
			continue
		}
		seen++
		back, period, err := alerts.ReadOpenSLO(bytes.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		p := alerts.Standard()
		p.Period = period
		want, err := o.Rules(p, "/runbooks/")
		if err != nil {
			t.Fatal(err)
		}
		got, err := back[0].Rules(p, "/runbooks/")
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s comes back as other rules (%v):\n%v\n%v", o.ID(), err, got, want)
		}
	}
	if seen != len(s.SLOs)-1 { // the journey has none
		t.Errorf("%d documents of %d objectives", seen, len(s.SLOs))
	}
	for say, doc := range map[string]string{
		"only openslo/v1 SLO is taken":  "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: x}\n",
		"count events (Occurrences)":    "apiVersion: openslo/v1\nkind: SLO\nspec: {budgetingMethod: Timeslices}\n",
		"field nonsense not found":      "apiVersion: openslo/v1\nkind: SLO\nnonsense: 1\n",
		"one objective and one rolling": "apiVersion: openslo/v1\nkind: SLO\nspec: {budgetingMethod: Occurrences}\n",
	} {
		if _, _, err := alerts.ReadOpenSLO(strings.NewReader(doc)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v, want %q", doc, err, say)
		}
	}
}
