package alerts_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/ruletest"
)

// inhibition is a rule of the rendered routes.
type inhibition struct {
	Source []string `yaml:"source_matchers"`
	Target []string `yaml:"target_matchers"`
	Equal  []string `yaml:"equal"`
}

func inhibitions(t *testing.T, s *alerts.Set) []inhibition {
	t.Helper()
	b, err := s.Routes()
	if err != nil {
		t.Fatal(err)
	}
	var routes struct {
		Inhibit []inhibition `yaml:"inhibit_rules"`
	}
	if err := yaml.Unmarshal(b, &routes); err != nil || len(routes.Inhibit) < 4 {
		t.Fatalf("%d inhibitions, %v", len(routes.Inhibit), err)
	}
	return routes.Inhibit
}

var matcher = regexp.MustCompile(`^(\w+)(=~|!=|=)"(.*)"$`)

// match is Alertmanager's: a label that is not there is an empty one.
func match(t *testing.T, matchers []string, labels map[string]string) bool {
	t.Helper()
	for _, m := range matchers {
		part := matcher.FindStringSubmatch(m)
		if part == nil {
			t.Fatalf("matcher %s", m)
		}
		have, is := labels[part[1]], false
		switch part[2] {
		case "=":
			is = have == part[3]
		case "!=":
			is = have != part[3]
		case "=~":
			is = regexp.MustCompile("^(?:" + part[3] + ")$").MatchString(have)
		}
		if !is {
			return false
		}
	}
	return true
}

// seen is what everyAlert has found: to see all of them fire takes a while.
var seen struct {
	once   sync.Once
	labels []map[string]string
}

// everyAlert has the labels of every alert: those of the objectives are in their
// rules, those of the others are seen when they fire.
func everyAlert(t *testing.T, s *alerts.Set) []map[string]string {
	t.Helper()
	seen.once.Do(func() { seen.labels = seeEveryAlert(t, s) })
	if len(seen.labels) < len(s.Names()) {
		t.Fatalf("%d alerts were seen", len(seen.labels))
	}
	return slices.Clone(seen.labels)
}

func seeEveryAlert(t *testing.T, s *alerts.Set) (out []map[string]string) {
	t.Helper()
	groups, err := s.Groups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" && r.Labels["sloth_id"] != "" {
				labels := maps.Clone(r.Labels)
				labels["alertname"] = r.Alert
				out = append(out, labels)
			}
		}
	}
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := write(t, files)
	for _, a := range s.Alerts {
		r, err := ruletest.Run(t.Context(), filepath.Join(dir, "tests", a.Name+".yml"))
		if err != nil {
			t.Fatal(err)
		}
		fired := 0
		for _, f := range r.Fired {
			if f.Labels["alertname"] == a.Name {
				fired++
				out = append(out, f.Labels)
			}
		}
		if fired == 0 {
			t.Errorf("%s never fires", a.Name)
		}
	}
	return out
}

// Of every pair: nothing silences what is worse than itself, and what must be equal
// is there on both sides. Two labels that are not there are equal.
func TestInhibitions(t *testing.T) {
	s := ofShop(t)
	all := everyAlert(t, s)
	rank := map[string]int{alerts.Ticket: 1, alerts.Page: 2}
	for _, i := range inhibitions(t, s) {
		pairs := 0
		for _, source := range all {
			for _, target := range all {
				if !match(t, i.Source, source) || !match(t, i.Target, target) || maps.Equal(source, target) {
					continue
				}
				pairs++
				if rank[source["severity"]] < rank[target["severity"]] {
					t.Errorf("the %s %s silences the %s %s of %s", source["severity"], source["alertname"], target["severity"], target["alertname"], target["sloth_id"])
				}
				for _, l := range i.Equal {
					if source[l] == "" || target[l] == "" {
						t.Errorf("%s, which is to be equal, is %q of %s and %q of %s", l, source[l], source["alertname"], target[l], target["alertname"])
					}
				}
			}
		}
		if pairs == 0 {
			t.Errorf("%v silences nothing", i)
		}
	}
}

// silenced are those of the alerts that fire which another keeps quiet.
func silenced(t *testing.T, s *alerts.Set, firing []map[string]string) (out []string) {
	t.Helper()
	muted, err := s.Muted(firing)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range firing {
		if muted[i] {
			out = append(out, a["alertname"]+" "+a["severity"]+" "+a["endpoint"])
		}
	}
	return out
}

// All that fires when a host is slow is one call, and no ticket while it lasts.
func TestAStormIsOneCall(t *testing.T) {
	s := ofShop(t)
	firing := everyAlert(t, s)
	muted, err := s.Muted(firing)
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for i, a := range firing {
		switch {
		case a["severity"] == alerts.Page:
			pages++
		case a["severity"] == alerts.Ticket && !muted[i] && a["alertname"] != "FaultPractised":
			t.Errorf("the ticket %s %s is not muted by a page", a["alertname"], a["sloth_id"])
		}
	}
	if pages < 10 {
		t.Errorf("%d pages", pages)
	}
	b, err := s.Routes()
	if err != nil {
		t.Fatal(err)
	}
	var tree struct {
		Route struct {
			Routes []struct {
				Receiver string
				Matchers []string
				GroupBy  []string `yaml:"group_by"`
			}
		}
	}
	if err := yaml.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	for _, a := range firing {
		for _, r := range tree.Route.Routes {
			if match(t, r.Matchers, a) { // the first that does
				if a["severity"] == alerts.Page && a["alertname"] != "DuplicateEffect" && (r.Receiver != "on-call" || fmt.Sprint(r.GroupBy) != "[severity]") {
					t.Errorf("the page %s goes to %s, grouped by %v", a["alertname"], r.Receiver, r.GroupBy)
				}
				break
			}
		}
	}
}

// The carrier is down, the provider has trouble of its own, and the mailbox's breaker
// is open: both pages get through, and so does the mailbox's ticket.
func TestOneEndpointSilencesNoOther(t *testing.T) {
	s := ofShop(t)
	var firing []map[string]string
	for _, a := range everyAlert(t, s) {
		if a["alertname"] == "OutsideCallsBurn" && a["severity"] == alerts.Ticket && a["sloth_service"] != "mailbox" {
			firing = append(firing, a)
		}
	}
	if len(firing) != 2 {
		t.Fatalf("%v", firing)
	}
	for _, endpoint := range []string{"carrier", "mailbox"} {
		firing = append(firing, map[string]string{"alertname": "BreakerOpen", "severity": alerts.Ticket, "service": "some", "endpoint": endpoint})
	}
	if got := silenced(t, s, firing); fmt.Sprint(got) != "[BreakerOpen ticket carrier]" {
		t.Errorf("silent are %s", strings.Join(got, ", "))
	}
}
