//go:build real

package alerts_test

import (
	"math"
	"testing"
	"time"

	"github.com/weirstream/weir/alerts"
)

// Without traffic a ratio is 0 / 0 for Sloth, and its budget is not known for the
// 30 days after. Ours is 0: nobody was let down.
func TestSlothDoesNotKnowTheBudgetAfterIdleTime(t *testing.T) {
	s := quiet()
	ours, sloths := both(t, s)
	for _, id := range objectives {
		for _, expr := range []string{ratio(id, "5m"), ratio(id, "30m"), ratio(id, "1h"), ratio(id, "2h"), ratio(id, "6h"), burn(id)} {
			a, b := ours.one(expr), sloths.one(expr)
			if n := zeroForNaN(a, b); n < int(14*hour/every) {
				t.Errorf("%s: Sloth has NaN for %d evaluations only", expr, n)
			}
			(&comparison{expr, a, b, 0, exact, budgets[id]}).check(t, ours.steps)
		}
		a, b := ours.one(left(id)), sloths.one(left(id))
		before, end := int(day/every), ours.steps-1
		if math.Abs(a[end]-a[before]) > tolerance || math.Abs(b[before]-a[before]) > tolerance || !math.IsNaN(b[end]) {
			t.Errorf("%s: %v and Sloth %v before, %v and Sloth %v after 20 h of nothing", id, a[before], b[before], a[end], b[end])
		}
		t.Logf("%s: left of the budget %.3f, Sloth %.3f; after 20 h of nothing %.3f, Sloth %v", id, a[before], b[before], a[end], b[end])
	}
	same(t, ours, sloths, longSpans, nil)
	sameVerdicts(t, s, ours, sloths)
}

// zeroForNaN counts where Sloth's is NaN and ours 0, and leaves these steps out.
func zeroForNaN(ours, sloths series) (n int) {
	for step, v := range sloths {
		if math.IsNaN(v) && ours[step] == 0 {
			n++
			delete(ours, step)
			delete(sloths, step)
		}
	}
	return n
}

// One bad request among few is a high ratio. Sloth pages; ours waits for more of them.
func TestSlothPagesForOneBadRequestAtNight(t *testing.T) {
	ours, sloths := both(t, night())
	for _, id := range objectives {
		a, b := ours.fires(id+" page").lasts(), sloths.fires(id+" page").lasts()
		if a != 0 || b == 0 {
			t.Errorf("%s: pages for %s, Sloth for %s", id, a, b)
		}
		t.Logf("%s: pages for %s, Sloth for %s", id, a, b)
		expr := ratio(id, "1h")
		(&comparison{expr, ours.one(expr), sloths.one(expr), 0, exact, budgets[id]}).check(t, ours.steps)
	}
}

// Sloth's budget is a mean over minutes, in which a night's few requests count as
// much as a day's many. Ours is of events.
func TestSlothWeighsMinutesAndNotEvents(t *testing.T) {
	s := nights()
	ours, sloths := both(t, s)
	var sum load
	for step := range ours.steps {
		l := s.load(time.Duration(step) * every)
		sum = load{sum.requests + l.requests, sum.failed + l.failed, sum.late + l.late}
	}
	for id, share := range map[string]float64{"gateway-availability": sum.failed / sum.requests, "gateway-latency": sum.late / sum.requests} {
		truth, end := 1-share/budgets[id], ours.steps-1
		a, b := ours.one(left(id))[end], sloths.one(left(id))[end]
		if math.Abs(a-truth) > tolerance || b > 0 {
			t.Errorf("%s: %v of the budget is left, ours says %v, Sloth %v", id, truth, a, b)
		}
		t.Logf("%s: %.3f of the budget is left, ours says %.3f, Sloth %.3f", id, truth, a, b)
	}
	same(t, ours, sloths, windows, nil)
	sameVerdicts(t, s, ours, sloths)
}

// Before the first 5xx there is no series of any, and so no ratio for Sloth.
func TestSlothKnowsNothingBeforeTheFirstError(t *testing.T) {
	s := unborn()
	ours, sloths := both(t, s)
	id, end := "gateway-availability", ours.steps-1
	if a, b := ours.one(left(id)), sloths.one(left(id)); a[end] != 1 || len(b) != 0 {
		t.Errorf("%s: left %v, Sloth %v", id, a.at(end), b.at(end))
	}
	if a, b := ours.one(left("gateway-latency")), sloths.one(left("gateway-latency")); a[end] != 1 || b[end] != 1 {
		t.Errorf("latency, whose series are there: left %v, Sloth %v", a.at(end), b.at(end))
	}
	sameVerdicts(t, s, ours, sloths)
}

func TestWithoutSeriesAsSloth(t *testing.T) {
	s := silent()
	ours, sloths := both(t, s)
	for _, e := range []*evaluation{ours, sloths} {
		for _, id := range objectives {
			for _, expr := range []string{ratio(id, "5m"), ratio(id, "3d"), burn(id), left(id)} {
				if v := e.one(expr); len(v) > 0 {
					t.Errorf("%s is %v", expr, v.at(e.steps-1))
				}
			}
			if v := e.one(alerts.Objective + `{sloth_id="` + id + `"}`); len(v) != e.steps {
				t.Errorf("the rules of %s were not evaluated", id)
			}
		}
	}
	sameVerdicts(t, s, ours, sloths)
}
