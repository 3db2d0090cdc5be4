package audit

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the invariants, in the order of the report.
const (
	Money        = "money"        // the provider has exactly what shipped orders cost
	Stock        = "stock"        // nothing is sold twice, nothing is held for ever
	Terminal     = "terminal"     // every placed order ends exactly once
	Compensation = "compensation" // what was done for a cancelled order is undone once
	Order        = "order"        // a key's events are on the log as its lane numbered them
	Published    = "published"    // the log carries what is stored, byte for byte
	Once         = "once"         // every input is decided about exactly once
	Effects      = "effects"      // every outside effect happened once
	Replayable   = "replayable"   // versions have no gap, and snapshots are the last of them
)

// what each invariant counts as looked at.
var units = [][2]string{
	{Money, "orders"}, {Stock, "shelf events"}, {Terminal, "orders"}, {Compensation, "orders"}, {Order, "records"},
	{Published, "stored events"}, {Once, "inputs"}, {Effects, "effects"}, {Replayable, "events"},
}

// shownAtMost bounds the violations that are spelled out per invariant.
const shownAtMost = 10

// Invariant is the verdict on one of them.
type Invariant struct {
	Name       string   `json:"name"`
	Unit       string   `json:"unit"`
	Looked     int      `json:"looked"` // units it was checked on
	Violations int      `json:"violations"`
	Shown      []string `json:"shown,omitempty"` // the first of the violations
}

func (i *Invariant) violate(what string) {
	i.Violations++
	if len(i.Shown) < shownAtMost {
		i.Shown = append(i.Shown, what)
	}
}

// Report is the verdict on all invariants.
type Report struct {
	Invariants []Invariant `json:"invariants"`
	Notes      []string    `json:"notes,omitempty"` // what is worth knowing and no violation
}

func newReport() *Report {
	r := &Report{}
	for _, u := range units {
		r.Invariants = append(r.Invariants, Invariant{Name: u[0], Unit: u[1]})
	}
	return r
}

func (r *Report) of(name string) *Invariant {
	return &r.Invariants[slices.IndexFunc(r.Invariants, func(i Invariant) bool { return i.Name == name })]
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// OK tells whether every invariant holds.
func (r Report) OK() bool { return len(r.Violated()) == 0 }

// Violated names the invariants that do not hold.
func (r Report) Violated() (names []string) {
	for _, i := range r.Invariants {
		if i.Violations > 0 {
			names = append(names, i.Name)
		}
	}
	return names
}

// String is the report as a table, the violations below it.
func (r Report) String() string {
	var b strings.Builder
	for _, i := range r.Invariants {
		verdict := "holds"
		switch {
		case i.Violations > 0:
			verdict = fmt.Sprintf("VIOLATED %d×", i.Violations)
		case i.Looked == 0:
			verdict = "nothing to look at"
		}
		fmt.Fprintf(&b, "  %-13s %9d %-14s %s\n", i.Name, i.Looked, i.Unit, verdict)
	}
	for _, i := range r.Invariants {
		for n, s := range i.Shown {
			if n == 0 {
				fmt.Fprintf(&b, "\n  %s:\n", i.Name)
			}
			fmt.Fprintf(&b, "    %s\n", s)
		}
		if more := i.Violations - len(i.Shown); more > 0 {
			fmt.Fprintf(&b, "    … and %d more\n", more)
		}
	}
	for n, s := range r.Notes {
		if n == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "  note: %s\n", s)
	}
	if v := r.Violated(); len(v) > 0 {
		fmt.Fprintf(&b, "\n  verdict: VIOLATED: %s\n", strings.Join(v, ", "))
	} else {
		b.WriteString("\n  verdict: the books balance\n")
	}
	return b.String()
}
