package alerts

import (
	"testing"
	"time"

	"github.com/weirstream/weir/alerts/ruletest"
	"github.com/weirstream/weir/services/shop"
)

// An entrance is compared with the same time of the seasons before: what is usual at
// night wakes nobody, and what is missing by day does, though some still come.
func TestCustomersAreComparedWithTheirSeason(t *testing.T) {
	p := Standard()
	p.Season = 4 * time.Hour
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	set := &Set{Policy: p, Alerts: []*Alert{(&fold{shop.Business, topology, p}).customersGone()}}
	groups, err := set.Groups()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := File(groups)
	if err != nil {
		t.Fatal(err)
	}
	visits := func(perSecond float64) []input {
		return []input{{`weir_http_request_seconds_count{route="/v1/orders",method="POST",caller="client"}`, perSecond, true}}
	}
	season := func(s *story, day, night float64) *story {
		return s.then(2*time.Hour, visits(day)).then(2*time.Hour, visits(night))
	}
	tell := func() *story { return &story{name: "seasons", every: time.Minute} }
	for name, c := range map[string]struct {
		story *story
		fires time.Duration // after the beginning; 0: never
	}{
		"as ever":                 {season(season(season(tell(), 1, 0.02), 1, 0.02), 1, 0.02), 0},
		"a tenth comes":           {season(season(season(tell(), 1, 0.02), 1, 0.02), 0.1, 0.02), 8*time.Hour + 7*time.Minute},
		"a third comes":           {season(season(season(tell(), 1, 0.02), 1, 0.02), 0.33, 0.02), 0},
		"the week before was odd": {season(season(season(tell(), 0.05, 0.02), 1, 0.02), 0.1, 0.02), 0},
		"a small shop":            {season(season(season(tell(), 0.005, 0), 0.005, 0), 0, 0), 0},
		"a new server":            {tell().then(time.Hour, visits(1)).then(2*time.Hour, visits(0.1)), 0},
		"a batch was here":        {tell().then(time.Hour, visits(0)).then(5*time.Minute, visits(5)).then(3*time.Hour, visits(0)), 0},
		"nobody comes":            {tell().then(time.Hour, visits(1)).then(2*time.Hour, visits(0)), time.Hour + 11*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.story
			s.looks = append(s.looks, look{s.now() - time.Minute, "vector(0)", []Sample{{"{}", 0}}})
			f := &TestFile{Rules: nil, Interval: "1m", Tests: []Test{s.test()}}
			b, err := f.YAML()
			if err != nil {
				t.Fatal(err)
			}
			r, err := ruletest.RunTest([][]byte{rules}, b)
			if err != nil || len(r.Failures) > 0 {
				t.Fatal(err, r.Failures)
			}
			got := time.Duration(0)
			if len(r.Fired) > 0 {
				got = r.Fired[0].At
			}
			if d := got - c.fires; d < -time.Minute || d > 2*time.Minute {
				t.Errorf("fires after %s, want %s", got, c.fires)
			}
		})
	}
}
