// Package alerts says what the platform promises, as values: objectives with
// their indicators, and the conditions that need a person. Prometheus rules,
// Alertmanager routes, runbooks, OpenSLO documents and the tests of every alert
// render from them.
package alerts

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Severities of an alert.
const (
	Page   = "page"   // wakes a person
	Ticket = "ticket" // waits for the next working day
	// Heartbeat is of the watchdog, which fires always: who misses it calls a person.
	Heartbeat = "heartbeat"
)

// SLO is one objective.
type SLO struct {
	Service     string // that promises: a service's name, or "platform"
	Name        string // of the objective, unique within the service
	Alert       string // name of its alerts, which its runbook bears too
	Description string
	Owner       string  // who is called
	Objective   float64 // percent of the events that are good, below 100
	SLI         SLI
	// MinBad is how many bad events a window must hold before it alerts, so that
	// one error at night wakes nobody. Of an indicator over time: evaluations.
	MinBad float64
	// NoPage has it make tickets only: what it measures is worth no night.
	NoPage  bool
	Labels  map[string]string // of its alerts, beside those that all have
	runbook string            // of its alerts, where nobody has written one
	// Queries are those of the document that it was read from, if it was: rulefile
	// has what Prometheus says about them.
	Queries []Query
}

// ID names the objective among all.
func (s *SLO) ID() string { return s.Service + "-" + s.Name }

// Budget is the share of events that may be bad.
func (s *SLO) Budget() float64 { return round(1 - s.Objective/100) }

// Window is one pair of windows of a burn-rate alert: it fires while both burn
// the budget faster than the factor says. The short one has it end soon after.
type Window struct {
	Short, Long time.Duration
	Factor      float64 // of the rate that uses up the budget exactly within the period
	Severity    string
}

// Policy is how all objectives are watched.
type Policy struct {
	Period  time.Duration // over which the budget counts
	Windows []Window
	Every   time.Duration // between evaluations; 30 s if 0
	Season  time.Duration // after which traffic repeats; a week if 0
}

// Standard are the windows of the Site Reliability Workbook (Google, 2018,
// chapter 5), with one more pair of a day and two hours, as Sloth has it.
func Standard() Policy {
	return Policy{Period: 30 * day, Windows: []Window{
		{5 * time.Minute, time.Hour, 14.4, Page},
		{30 * time.Minute, 6 * time.Hour, 6, Page},
		{2 * time.Hour, day, 3, Ticket},
		{6 * time.Hour, 3 * day, 1, Ticket},
	}}
}

const day = 24 * time.Hour

// Check refuses windows that make no sense.
func (p *Policy) Check() error {
	if len(p.Windows) == 0 {
		return errors.New("a policy without windows never alerts")
	}
	for _, w := range p.Windows {
		if w.Short <= 0 || w.Long <= w.Short || p.Period < w.Long || w.Factor <= 0 || w.Severity != Page && w.Severity != Ticket {
			return fmt.Errorf("windows %s and %s, factor %v, severity %q: the long window lies between the short one and the period (%s), the factor is above 0, the severity page or ticket",
				span(w.Short), span(w.Long), w.Factor, w.Severity, span(p.Period))
		}
	}
	return nil
}

// spans are all windows, the shortest first, and the period.
func (p *Policy) spans() []time.Duration {
	seen := map[time.Duration]bool{p.Period: true}
	out := []time.Duration{p.Period}
	for _, w := range p.Windows {
		for _, d := range []time.Duration{w.Short, w.Long} {
			if !seen[d] {
				seen[d] = true
				out = append(out, d)
			}
		}
	}
	sortDurations(out)
	return out
}

func (p *Policy) every() time.Duration {
	if p.Every == 0 {
		return 30 * time.Second
	}
	return p.Every
}

func (p *Policy) season() time.Duration {
	if p.Season == 0 {
		return 7 * day
	}
	return p.Season
}

func (p *Policy) shortest() time.Duration { return p.spans()[0] }

// windows are those that an objective alerts by.
func (s *SLO) windows(p Policy, severity string) (out []Window) {
	for _, w := range p.Windows {
		if w.Severity == severity && (severity == Ticket || !s.NoPage) {
			out = append(out, w)
		}
	}
	return out
}

var (
	labelShape = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	nameShape  = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	alertShape = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
)

// Check refuses an objective that says too little, or could never alert.
func (s *SLO) Check(p Policy) error {
	if err := p.Check(); err != nil {
		return err
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("objective "+s.ID()+": "+format, args...))
	}
	if !nameShape.MatchString(s.Service) || !nameShape.MatchString(s.Name) || !alertShape.MatchString(s.Alert) {
		bad("service %q and name %q are lower-case words with dashes, the alert's name %q is CamelCase", s.Service, s.Name, s.Alert)
	}
	if s.Owner == "" || s.Description == "" {
		bad("it needs an owner and a description")
	}
	if strings.Contains(s.Description, "{{") {
		bad("its description holds {{, which Prometheus would evaluate as a template in the alerts")
	}
	for name := range s.Labels {
		if _, taken := s.alertLabels(Page)[name]; taken || name == "alertname" || strings.HasPrefix(name, "__") || !labelShape.MatchString(name) {
			bad("its alerts cannot have the label %q: it has a meaning already, or is no name", name)
		}
	}
	if s.SLI.bad == nil || s.SLI.total == nil {
		bad("it has no indicator")
	}
	if s.SLI.err != nil {
		bad("%w", s.SLI.err)
	}
	if !(s.Objective > 0 && s.Objective < 100) {
		bad("%v %% is no objective: it lies between 0 and 100", s.Objective)
		return errors.Join(errs...)
	}
	for _, w := range p.Windows {
		if s.NoPage && w.Severity == Page {
			continue
		}
		if threshold := w.Factor * s.Budget(); threshold >= 1 {
			bad("its %s alert over %s needs %.4g %% of bad events, and can never fire: promise at least %.4g %%, or lower the factor %v",
				w.Severity, span(w.Long), 100*threshold, 100*(1-1/w.Factor), w.Factor)
		}
	}
	return errors.Join(errs...)
}

// matchers joins PromQL label matchers, leaving out empty ones.
func matchers(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, ",")
}
