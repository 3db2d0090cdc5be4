//go:build real

package alerts_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams/streamtest"
)

// tool runs one of the tools with arguments, and fails the test if it does.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), streamtest.Real(t, name), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// rendered has all files of the business in a directory.
func rendered(t *testing.T) (s *alerts.Set, dir string) {
	t.Helper()
	s = ofShop(t)
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir, _ = write(t, files)
	return s, dir
}

func TestPromtoolTakesAllRules(t *testing.T) {
	s, dir := rendered(t)
	files, err := filepath.Glob(filepath.Join(dir, "rules", "*.yml"))
	if err != nil || len(files) != len(s.SLOs)+1 {
		t.Fatalf("%d files of rules for %d objectives: %v", len(files), len(s.SLOs), err)
	}
	out := tool(t, "promtool", append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files...)...)
	if strings.Count(out, "SUCCESS") != len(files) {
		t.Errorf("promtool is not content with every file:\n%s", out)
	}
}

// promtool agrees with what ruletest says in TestEveryAlert. It evaluates step by
// step, so it is asked about an objective of each kind, and all other alerts.
func TestPromtoolPassesTheAlerts(t *testing.T) {
	s, dir := rendered(t)
	var names []string
	seen := map[alerts.Kind]bool{}
	for _, o := range s.SLOs {
		if !seen[o.SLI.Kind] {
			seen[o.SLI.Kind] = true
			for severity := range o.Tests(s.Policy) {
				names = append(names, o.ID()+"-"+severity)
			}
		}
	}
	for _, a := range s.Alerts {
		names = append(names, a.Name)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out := tool(t, "promtool", "test", "rules", filepath.Join(dir, "tests", name+".yml")); !strings.Contains(out, "SUCCESS") {
				t.Error(out)
			}
		})
	}
}

// Every page reaches whoever is on call, a ticket of each owner that owner, the
// watchdog who misses it, and what has none of these nobody.
func TestAmtoolRoutesEveryOwner(t *testing.T) {
	s, dir := rendered(t)
	config := filepath.Join(dir, "alertmanager.yml")
	tool(t, "amtool", "check-config", config)
	owners := map[string]bool{}
	for _, o := range s.SLOs {
		owners[o.Owner] = true
	}
	for _, a := range s.Alerts {
		owners[a.Owner] = true
	}
	route := func(labels ...string) string {
		return strings.TrimSpace(tool(t, "amtool", append([]string{"config", "routes", "test", "--config.file=" + config}, labels...)...))
	}
	want := map[string]string{alerts.Heartbeat: "watchdog", "none": "nobody"}
	for owner := range owners {
		want[alerts.Page], want[alerts.Ticket] = "on-call", owner+"-ticket"
		for severity, receiver := range want {
			if got := route("alertname=A", "owner="+owner, "severity="+severity); got != receiver {
				t.Errorf("a %s of %s goes to %q, not to %q", severity, owner, got, receiver)
			}
		}
	}
}
