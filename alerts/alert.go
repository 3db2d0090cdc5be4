package alerts

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Alert is a condition that needs a person whatever the budgets say.
type Alert struct {
	Name        string // CamelCase; its runbook bears it too
	Severity    string // Page or Ticket
	Owner       string
	Summary     string // one sentence; may use {{ $labels.… }} and {{ $value }}
	Description string // what it means for customers
	Threshold   Threshold
	Expr        string // PromQL of a condition that is more than one threshold, in its place
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

// Threshold is the condition of most alerts: what a query gives lies beyond a value.
type Threshold struct {
	Query string // PromQL, one operand of a comparison: with or, and, unless in parentheses
	Op    Op
	Value float64
}

// Op compares a query with a threshold.
type Op string

// The comparisons.
const (
	Above   Op = ">"
	AtLeast Op = ">="
	Exactly Op = "=="
)

func (t Threshold) expr() string { return fmt.Sprintf("%s %s %v", t.Query, t.Op, t.Value) }

// Upper is the value from which on it is too much, if that is what it says.
func (t Threshold) Upper() (float64, bool) { return t.Value, t.Op == Above || t.Op == AtLeast }

// Condition is the alert's in PromQL.
func (a *Alert) Condition() string {
	if a.Expr != "" {
		return a.Expr
	}
	return a.Threshold.expr()
}

// checkCondition wants either a threshold or an expression: of both, one would be
// what a board shows, and the other what calls a person.
func (a *Alert) checkCondition() error {
	t := a.Threshold
	switch {
	case (a.Expr == "") == (t == Threshold{}):
		return fmt.Errorf("alert %s needs a threshold or an expression, and not both", a.Name)
	case a.Expr != "":
		return nil
	case t.Query == "" || t.Op != Above && t.Op != AtLeast && t.Op != Exactly || math.IsNaN(t.Value) || math.IsInf(t.Value, 0):
		return fmt.Errorf("alert %s: the threshold %q needs a query, a comparison (>, >= or ==) and a number", a.Name, t.expr())
	}
	return nil
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
	if a.Severity != Page && a.Severity != Ticket && !a.Always || a.Owner == "" || a.Summary == "" || a.Description == "" {
		errs = append(errs, fmt.Errorf("alert %s needs a severity (page or ticket), an owner, a summary and a description", a.Name))
	}
	if err := a.checkCondition(); err != nil {
		errs = append(errs, err)
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
	r := Rule{Alert: a.Name, Expr: a.Condition(), Labels: map[string]string{"severity": a.Severity, "owner": a.Owner},
		Annotations: annotations(runbooks, a.Name, false, a.Description, a.Summary)}
	if a.For > 0 {
		r.For = span(a.For)
	}
	return r
}
