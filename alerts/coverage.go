package alerts

// Coverage tells how many alerts were seen firing by a test, and silent by one.
type Coverage struct {
	Alerts, Tested int
	Missing        []string
}

// Coverage counts every alerting rule, by severity and objective. Found and empty
// are the expressions that had samples when a test looked, and those that had none,
// as ruletest tells.
func (s *Set) Coverage(found, empty map[string]bool) (c Coverage) {
	count := func(name, fires string, always bool) {
		c.Alerts++
		if found[fires] && (always || empty[fires]) {
			c.Tested++
		} else {
			c.Missing = append(c.Missing, name)
		}
	}
	for _, o := range s.SLOs {
		for _, r := range o.alerts(s.Policy, s.Runbooks) {
			severity := r.Labels["severity"]
			count(o.ID()+" "+severity, o.fires(severity), false)
		}
	}
	for _, a := range s.Alerts {
		count(a.Name, a.fires(), a.Always)
	}
	return c
}
