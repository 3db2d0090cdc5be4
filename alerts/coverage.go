package alerts

import (
	"slices"
	"strings"
)

// Coverage tells how many alerts have a test that sees them fire, and one that
// sees them silent.
type Coverage struct {
	Alerts, Tested int
	Missing        []string
}

// Coverage counts every alerting rule, by severity and objective.
func (s *Set) Coverage() (c Coverage) {
	count := func(name string, f *TestFile) {
		c.Alerts++
		fires, silent := false, false
		if f != nil {
			for _, t := range f.Tests {
				for _, e := range t.Expect {
					fires = fires || len(e.Samples) > 0
					silent = silent || len(e.Samples) == 0
				}
			}
		}
		if fires && silent {
			c.Tested++
		} else {
			c.Missing = append(c.Missing, name)
		}
	}
	for _, o := range s.SLOs {
		tests := o.Tests(s.Policy)
		for _, r := range o.alerts(s.Policy, s.Runbooks) {
			count(o.ID()+" "+r.Labels["severity"], tests[r.Labels["severity"]])
		}
	}
	for _, a := range s.Alerts {
		count(a.Name, a.Tests(s.Policy))
	}
	slices.SortFunc(c.Missing, strings.Compare)
	return c
}
