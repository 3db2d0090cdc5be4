package alerts

import (
	"errors"
	"fmt"
	"strings"
)

// Set is all that a platform promises and watches.
type Set struct {
	Policy Policy
	SLOs   []*SLO
	Alerts []*Alert
	// Runbooks is what a runbook's name is put behind to link it.
	Runbooks string
}

// DefaultRunbooks is where the live page shows them.
const DefaultRunbooks = "/runbooks/"

// Check refuses what could not be rendered, or would never alert.
func (s *Set) Check() error {
	errs := []error{s.Policy.Check()}
	seen := map[string]bool{}
	twice := func(what string) {
		if seen[what] {
			errs = append(errs, fmt.Errorf("%s is declared twice", what))
		}
		seen[what] = true
	}
	if strings.Contains(s.Runbooks, "{{") {
		errs = append(errs, fmt.Errorf("the address of runbooks %q holds {{, which Prometheus would evaluate as a template in the alerts", s.Runbooks))
	}
	for _, o := range s.SLOs {
		errs = append(errs, o.Check(s.Policy))
		twice("objective " + o.ID())
	}
	for _, a := range s.Alerts {
		errs = append(errs, a.Check())
		twice("alert " + a.Name)
	}
	return errors.Join(errs...)
}

// Groups renders all rules.
func (s *Set) Groups() ([]Group, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	var out []Group
	for _, o := range s.SLOs {
		g, err := o.Rules(s.Policy, s.Runbooks)
		if err != nil {
			return nil, err
		}
		out = append(out, g...)
	}
	if len(s.Alerts) == 0 {
		return out, nil
	}
	return append(out, s.causes()), nil
}

// causes is the group of the alerts without a budget.
func (s *Set) causes() Group {
	g := Group{Name: "alerts", Interval: span(s.Policy.every())}
	for _, a := range s.Alerts {
		g.Rules = append(g.Rules, a.Rule(s.Runbooks))
	}
	return g
}

// Names are those of all alerts, each once, in their order.
func (s *Set) Names() (out []string) {
	seen := map[string]bool{}
	add := func(n string) {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	for _, o := range s.SLOs {
		add(o.Alert)
	}
	for _, a := range s.Alerts {
		add(a.Name)
	}
	return out
}
