package alerts_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
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
	s := ofShop(t)
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	_, tests := write(t, files)
	var mu sync.Mutex
	found, empty := map[string]bool{}, map[string]bool{}
	t.Run("all", func(t *testing.T) {
		for _, file := range tests {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
				t.Parallel()
				r, err := ruletest.Run(t.Context(), file)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range r.Failures {
					t.Error(f)
				}
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(found, r.Found)
				maps.Copy(empty, r.Empty)
			})
		}
	})
	c := s.Coverage(found, empty)
	t.Logf("%d of %d alerts are tested", c.Tested, c.Alerts)
	if c.Tested != c.Alerts || c.Alerts < 60 {
		t.Errorf("%d of %d alerts are tested: %v are not", c.Tested, c.Alerts, c.Missing)
	}
	if c := s.Coverage(found, nil); c.Tested > 1 { // the watchdog is never silent
		t.Errorf("%d alerts are tested that were never seen silent", c.Tested)
	}
}

// The tests find out what is wrong with a rule: each of these changes breaks one.
func TestTheTestsFindOut(t *testing.T) {
	s := ofShop(t)
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
			return tests
		}
	}
	cause := func(name, old, new string) func(map[string][]byte) []string {
		return func(files map[string][]byte) []string {
			spoil(alerts.CauseFile, old, new)(files)
			return []string{"tests/" + name + ".yml"}
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
		"NaN when nothing happens":      spoil(availability, `1e-9`, "0"),
		"NaN in one window":             spoil("rules/gateway-latency.yml", `(\[6h\]\)\), )1e-9`, "${1}0"),
		"NaN when nothing is missing":   spoil("rules/inventory-completeness.yml", `1e-9`, "0"),
		"a threshold of an alert":       cause("OutboxStuck", `> 10\b`, "> 9"),
		"half a median":                 cause("StoreSlow", `(_bucket\[5m\]\)\)\)) > 0\.1`, "$1 > 0.051"),
		"another quantile":              cause("StoreSlow", `quantile\(0\.5`, "quantile(0.6"),
		"half a rate":                   cause("ClockSkew", `> 0\.02\b`, "> 0.011"),
		"a part of a condition":         cause("HotKey", `>= 300\b`, ">= 1"),
		"a share of a condition":        cause("HotKey", `> 0\.85`, "> 0.8"),
		"a count of a condition":        cause("HotKey", `\(weir_lane_inputs_total\)\) > 1`, "(weir_lane_inputs_total)) > 0"),
		"a label that is not there":     cause("DuplicateEffect", `\$labels\.event`, "$$labels.nonsense"),
		"an alert that waits too long":  cause("LaneHalted", `for: 30s`, "for: 10m"),
		"a blind Blind":                 cause("Blind", `absent\(weir_behind_seconds\{service!~"projection\|analytics"\}\)`, "weir_behind_seconds < 0"),
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
				r, err := ruletest.Run(t.Context(), filepath.Join(dir, f))
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
