package alerts

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/alerts/ruletest"
	"github.com/weirstream/weir/services/shop"
)

// Traffic of the table, in events a second.
var traffics = []struct {
	name string
	rate float64
}{{"20 a day", 20.0 / 86400}, {"1 a second", 1}, {"1,000 a second", 1000}}

// calmFor is what came before, and watchedFor how long is waited for an alert.
const calmFor, watchedFor = 7 * time.Hour, 7 * time.Hour

// trouble is a row of the table: what happens, to whose series.
type trouble struct {
	alert, of, what string   // of: where several objectives share an alert
	rules           []string // files
	groups          []string // in their order
	share           float64  // of the events that are bad
	load            func(rate, share float64) []input
}

// troubles are what pages, by an objective or by itself.
func troubles(s *Set) (out []trouble) {
	for _, o := range s.SLOs {
		if o.NoPage || o.SLI.drive == nil || o.SLI.weigh != nil {
			continue
		}
		drive, of := o.SLI.drive, ""
		if slices.ContainsFunc(s.SLOs, func(x *SLO) bool { return x != o && x.Alert == o.Alert }) {
			of = " of " + o.Service
		}
		for _, share := range []float64{1, 0.1} {
			t := trouble{o.Alert, of, "all of them fail", o.ruleFiles(), o.groupOrder(), share, func(rate, share float64) []input {
				if o.Service == proberUnit {
					rate = 1.0 / 60 // of the prober, whatever the traffic
				}
				return drive(load{good: rate * (1 - share), bad: rate * share})
			}}
			if share < 1 {
				t.what = "a tenth fails"
			}
			out = append(out, t)
		}
	}
	for name, drive := range map[string]func(rate, share float64) []input{
		"FailuresInARow": func(rate, share float64) []input {
			return []input{{`weir_http_failures_in_a_row{route="/v1/orders",method="POST"}`, rate * share, true}}
		},
		"ProbesFail": func(_, share float64) []input {
			return []input{{`weir_probes_total{result="unanswered"}`, share / 60, true},
				{`weir_probes_total{result="done"}`, (1 - share) / 60, true}}
		},
		"CustomersGone": func(rate, share float64) []input {
			return []input{{`weir_http_request_seconds_count{route="/v1/orders",method="POST",caller="client"}`, rate * (1 - share), true}}
		},
	} {
		what := map[string]string{"CustomersGone": "nobody comes any more"}[name]
		if what == "" {
			what = "all of them fail"
		}
		out = append(out, trouble{name, "", what, []string{"../" + CauseFile}, nil, 1, drive})
	}
	return out
}

// after is how long after the trouble's beginning its page comes; 0 for not at all.
func (x trouble) after(t *testing.T, dir string, rate float64) time.Duration {
	t.Helper()
	s := &story{name: x.alert, every: time.Minute}
	s.then(calmFor, x.load(rate, 0)).then(watchedFor, x.load(rate, x.share)).see(watchedFor, "vector(0)", []Sample{{"{}", 0}}) // a test lasts as long as it looks
	f := &TestFile{Rules: x.rules, Interval: "1m", Groups: x.groups, Tests: []Test{s.test()}}
	b, err := f.YAML()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tests", fmt.Sprintf("when-%s%s-%v-%v.yml", x.alert, x.of, x.share, rate))
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := ruletest.Run(t.Context(), file)
	if err != nil || len(r.Failures) > 0 {
		t.Fatal(err, r.Failures)
	}
	for _, fired := range r.Fired {
		if fired.Labels["alertname"] == x.alert && fired.Labels["severity"] == Page {
			return fired.At - calmFor
		}
	}
	return 0
}

// The table of alerts/README.md says when a person is called, at three sizes of a
// business.
func TestWhenAlertsFire(t *testing.T) {
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	s := Business(shop.Business, topology, Standard())
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, b := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all := troubles(s)
	rows := make([]string, len(all))
	var telling sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, x := range all {
		telling.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			row := fmt.Sprintf("| %s%s: %s |", x.alert, x.of, x.what)
			for _, n := range traffics {
				cell := " – |"
				if d := x.after(t, dir, n.rate); d > 0 {
					cell = " " + span(d.Round(time.Minute)) + " |"
				}
				row += cell
			}
			rows[i] = row
		})
	}
	telling.Wait()
	if t.Failed() {
		return
	}
	head, line := "| page |", "|---|"
	for _, n := range traffics {
		head, line = head+" "+n.name+" |", line+"---|"
	}
	slices.Sort(rows)
	table := "\n" + head + "\n" + line + "\n" + strings.Join(rows, "\n") + "\n\n"
	have, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(have), "<!-- when -->")
	_, after, ok2 := strings.Cut(rest, "<!-- /when -->")
	if !ok || !ok2 {
		t.Fatal("README.md has no place for the table")
	}
	want := []byte(before + "<!-- when -->" + table + "<!-- /when -->" + after)
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile("README.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
		have = want
	}
	if !bytes.Equal(have, want) {
		t.Errorf("the table of README.md is another one; look at it, and run make golden:%s", table)
	}
}
