package alerts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/ruletest"
)

// write puts rendered files below a directory, and returns those of the tests.
func write(t *testing.T, files map[string][]byte) (dir string, tests []string) {
	t.Helper()
	dir = t.TempDir()
	for name, b := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "tests/") {
			tests = append(tests, file)
		}
	}
	slices.Sort(tests)
	return dir, tests
}

// Every alert fires on a breach within the promised time, stays silent just
// under it, resets, and behaves on no data.
func TestEveryAlert(t *testing.T) {
	s := business(t)
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	_, tests := write(t, files)
	for _, file := range tests {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			t.Parallel()
			r, err := ruletest.Run(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Failures {
				t.Error(f)
			}
		})
	}
	c := s.Coverage()
	t.Logf("%d of %d alerts are tested", c.Tested, c.Alerts)
	if c.Tested != c.Alerts || len(tests) < c.Alerts {
		t.Errorf("%d of %d alerts are tested, in %d files: %v are not", c.Tested, c.Alerts, len(tests), c.Missing)
	}
}

// The tests find out what is wrong with a rule: each of these changes breaks one.
func TestTheTestsFindOut(t *testing.T) {
	s := business(t)
	spoil := func(file string, old, new string) func(map[string][]byte) []string {
		return func(files map[string][]byte) []string {
			before := string(files[file])
			after := regexp.MustCompile(old).ReplaceAllString(before, new)
			if before == after {
				t.Fatalf("%s has no %q", file, old)
			}
			files[file] = []byte(after)
			base := strings.TrimSuffix(filepath.Base(file), ".yml")
			var tests []string
			for name := range files {
				if b := filepath.Base(name); strings.HasPrefix(name, "tests/") && (strings.HasPrefix(b, base+"-page") || strings.HasPrefix(b, base+"-ticket")) {
					tests = append(tests, name)
				}
			}
			if file == alerts.CauseFile {
				tests = []string{"tests/OutboxStuck.yml", "tests/LaneHalted.yml", "tests/InputsParked.yml", "tests/Blind.yml", "tests/DuplicateEffect.yml"}
			}
			return tests
		}
	}
	availability, fresh := "rules/gateway-availability.yml", "rules/order-freshness.yml"
	for name, change := range map[string]func(map[string][]byte) []string{
		"a factor too high":             spoil(availability, `14\.4 \*`, "18 *"),
		"a factor too low":              spoil(availability, `> \(1 \*`, "> (0.5 *"),
		"the long window left out":      spoil(availability, `(?s)max\(slo:sli_error:ratio_rate1h`, "max(slo:sli_error:ratio_rate5m"),
		"the short window left out":     spoil(availability, `(?s)max\(slo:sli_error:ratio_rate30m`, "max(slo:sli_error:ratio_rate6h"),
		"no minimum of events":          spoil(availability, `>= 5\)`, ">= 0)"),
		"bad events of another status":  spoil(availability, `5\.\.`, "4.."),
		"a gauge's bound too high":      spoil(fresh, `> bool 30`, "> bool 100"),
		"a gauge's bound never reached": spoil(fresh, `> bool 30`, "< bool 30"),
		"a threshold of an alert":       spoil(alerts.CauseFile, `> 10\b`, "> 9"),
		"an alert that waits too long":  spoil(alerts.CauseFile, `for: 30s`, "for: 10m"),
		"a blind Blind":                 spoil(alerts.CauseFile, `absent\(weir_behind_seconds\)`, "weir_behind_seconds < 0"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := s.Files()
			if err != nil {
				t.Fatal(err)
			}
			tests := change(files)
			dir, _ := write(t, files)
			failures := 0
			for _, f := range tests {
				r, err := ruletest.Run(filepath.Join(dir, f))
				if err != nil {
					t.Fatal(err)
				}
				failures += len(r.Failures)
			}
			if failures == 0 {
				t.Errorf("%v pass all the same", tests)
			}
		})
	}
}
