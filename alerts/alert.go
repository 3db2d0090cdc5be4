package alerts

import (
	"errors"
	"fmt"
	"time"
)

// Alert is a condition that needs a person whatever the budgets say.
type Alert struct {
	Name        string // CamelCase; its runbook bears it too
	Severity    string // Page or Ticket
	Owner       string
	Summary     string // one sentence; may use {{ $labels.… }} and {{ $value }}
	Description string // what it means for customers
	Expr        string // PromQL
	For         time.Duration
	// Within is how soon after the breach it fires, at the latest.
	Within time.Duration
	// Memory is how far back it looks; up to seven of the shortest windows need no word.
	Memory time.Duration
	// Example are series that show it, for its test: calm, then in breach. A breach
	// is little above the threshold.
	Example []Example
	// Blind has it fire if there are no series at all.
	Blind bool
	// Always has it fire all the time: a watchdog is missed when it is silent.
	Always bool
}

// Example is a series of an alert's test. Of a counter, the values are its
// growth per second; of a gauge, its value.
type Example struct {
	Series  string
	Calm    []float64 // just short of a breach, for each part of the condition: the n-th of all series go together
	Breach  float64
	Counter bool
}

// Check refuses an alert that says too little.
func (a *Alert) Check() error {
	var errs []error
	if !alertShape.MatchString(a.Name) {
		errs = append(errs, fmt.Errorf("alert %q: its name is CamelCase", a.Name))
	}
	if a.Severity != Page && a.Severity != Ticket && !a.Always || a.Owner == "" || a.Summary == "" || a.Description == "" || a.Expr == "" {
		errs = append(errs, fmt.Errorf("alert %s needs a severity (page or ticket), an owner, a summary, a description and an expression", a.Name))
	}
	if !a.Always && len(a.Example) == 0 || a.Within < a.For || a.Within == 0 {
		errs = append(errs, fmt.Errorf("alert %s needs an example of its breach, and says within which time it fires, not sooner than %s", a.Name, a.For))
	}
	for _, e := range a.Example {
		if len(e.Calm) == 0 || len(e.Calm) != len(a.Example[0].Calm) {
			errs = append(errs, fmt.Errorf("alert %s: its series %s needs as many calm values as the others, and at least one", a.Name, e.Series))
		}
	}
	return errors.Join(errs...)
}

// Rule renders the alert.
func (a *Alert) Rule(runbooks string) Rule {
	r := Rule{Alert: a.Name, Expr: a.Expr, Labels: map[string]string{"severity": a.Severity, "owner": a.Owner},
		Annotations: annotations(runbooks, a.Name, a.Description, a.Summary)}
	if a.For > 0 {
		r.For = span(a.For)
	}
	return r
}
