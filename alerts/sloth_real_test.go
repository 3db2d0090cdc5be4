//go:build real

package alerts_test

import (
	"fmt"
	"math"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams/streamtest"
)

// What Sloth makes of testdata/sloth.yml and what alerts makes of the same two
// objectives are evaluated over the same stories, and compared at every minute.
// Where they differ by design, README.md says so, and a test here measures it.

// Where ours sum up recorded rates, they may be later by one of their windows, and
// else differ by so much.
const (
	lag       = 5 * time.Minute
	tolerance = 0.03 // of Sloth's value, or of the budget if that is more
	exact     = 1e-9
)

// longSpans are the windows that ours sum up.
var longSpans = []string{"1d", "3d"}

// both evaluates a story with our rules and with Sloth's.
func both(t *testing.T, s story) (ours, sloths *evaluation) {
	t.Helper()
	spec, err := exec.CommandContext(t.Context(), streamtest.Real(t, "sloth"), "generate", "-i", "testdata/sloth.yml").Output()
	if err != nil {
		t.Fatalf("sloth generate: %v", err)
	}
	set := ofShop(t)
	set.SLOs = slices.DeleteFunc(set.SLOs, func(o *alerts.SLO) bool { return !slices.Contains(objectives, o.ID()) })
	set.Alerts = nil
	groups, err := set.Groups()
	if err != nil || len(set.SLOs) != len(objectives) {
		t.Fatalf("%d objectives: %v", len(set.SLOs), err)
	}
	rules, err := alerts.File(groups)
	if err != nil {
		t.Fatal(err)
	}
	return evaluate(t, s, rules), evaluate(t, s, spec)
}

// budgets are the shares of bad events that are allowed.
var budgets = map[string]float64{"gateway-availability": budgetFailed, "gateway-latency": budgetLate}

var objectives = []string{"gateway-availability", "gateway-latency"}

// comparison is of one series that both have.
type comparison struct {
	what         string
	ours, sloths series
	lag          time.Duration
	tolerance    float64
	unit         float64 // what is smaller counts as this
}

// check has ours, at every step, be what Sloth's is, or was within the lag.
func (c *comparison) check(t *testing.T, steps int) {
	t.Helper()
	wrong, furthest := 0, 0.0
	for step := range steps {
		away := c.away(step)
		furthest = max(furthest, away)
		if away > c.tolerance {
			if wrong++; wrong == 1 {
				t.Errorf("%s at %s: %v, Sloth %v", c.what, time.Duration(step)*every, c.ours.at(step), c.sloths.at(step))
			}
		}
	}
	if wrong > 1 {
		t.Errorf("%s: %d of %d evaluations differ, by up to %.3g", c.what, wrong, steps, furthest)
	}
	if c.tolerance > exact {
		t.Logf("%s: at most %.3g away", c.what, furthest)
	}
}

// at is "nothing" where there is no value.
func (s series) at(step int) string {
	if v, ok := s[step]; ok {
		return fmt.Sprintf("%.6g", v)
	}
	return "nothing"
}

// away is how far ours lies outside of what Sloth's was within the lag, as a share.
func (c *comparison) away(step int) float64 {
	v, here := c.ours[step]
	least, most := math.Inf(1), math.Inf(-1)
	for s := step - int(c.lag/every); s <= step; s++ {
		if w, ok := c.sloths[s]; ok {
			least, most = min(least, w), max(most, w)
		}
	}
	_, there := c.sloths[step]
	switch {
	case here != there || math.IsNaN(v) != math.IsNaN(least):
		return math.Inf(1)
	case !here:
		return 0
	}
	return max(least-v, v-most, 0) / max(math.Abs(least), math.Abs(most), c.unit)
}

func ratio(id, window string) string {
	return fmt.Sprintf(`slo:sli_error:ratio_rate%s{sloth_id="%s"}`, window, id)
}
func burn(id string) string { return fmt.Sprintf(`%s{sloth_id="%s"}`, alerts.CurrentBurn, id) }
func left(id string) string { return fmt.Sprintf(`%s{sloth_id="%s"}`, alerts.BudgetRemaining, id) }

// same compares ratios of error over windows, and further series of each objective.
func same(t *testing.T, ours, sloths *evaluation, windows []string, further []comparison) {
	t.Helper()
	for _, id := range objectives {
		all := slices.Clone(further)
		for _, w := range windows {
			c := comparison{what: ratio("%s", w), tolerance: exact, unit: budgets[id]}
			if slices.Contains(longSpans, w) {
				c.lag, c.tolerance = lag, tolerance
			}
			all = append(all, c)
		}
		for _, c := range all {
			c.what = fmt.Sprintf(c.what, id)
			c.ours, c.sloths = ours.one(c.what), sloths.one(c.what)
			c.check(t, ours.steps)
		}
	}
}

var windows = []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"}

func sameVerdicts(t *testing.T, s story, ours, sloths *evaluation) {
	t.Helper()
	for _, id := range objectives {
		// On a new server ours waits for five bad events that it has seen, and extrapolates none.
		for severity, lag := range map[string]time.Duration{alerts.Page: 0, alerts.Ticket: lag + 3*time.Minute} {
			name := id + " " + severity
			c := comparison{what: name, ours: ours.fires(name), sloths: sloths.fires(name), lag: lag, unit: 1}
			c.check(t, ours.steps)
			if c.ours.lasts() == 0 && slices.Contains(s.calls, name) {
				t.Errorf("%s never fires", name)
			}
			t.Logf("%s fires for %s, Sloth's for %s", name, c.ours.lasts(), c.sloths.lasts())
		}
	}
}

// fires is 1 where an alert does, and 0 where it does not.
func (e *evaluation) fires(name string) series {
	out := series{}
	for step := range e.steps {
		out[step] = e.verdicts[name][step]
	}
	return out
}

// lasts is how long an alert fires.
func (s series) lasts() (d time.Duration) {
	for _, v := range s {
		if v > 0 {
			d += every
		}
	}
	return d
}

func TestAsSloth(t *testing.T) {
	for _, s := range alike() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			ours, sloths := both(t, s)
			same(t, ours, sloths, windows, []comparison{
				{what: burn("%s"), tolerance: exact, unit: 1},
				{what: left("%s"), lag: lag, tolerance: tolerance, unit: 1}})
			sameVerdicts(t, s, ours, sloths)
		})
	}
}
