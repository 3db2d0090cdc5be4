package verify

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the invariants, in the order of the report.
const (
	Order      = "order"      // a key's events are on the log as its lane numbered them
	Published  = "published"  // the log carries what is stored, byte for byte
	Once       = "once"       // every input is decided about exactly once
	Replayable = "replayable" // versions have no gap, and snapshots are the last of them
	Settled    = "settled"    // nothing waits: no parked input, effect, timer, unpublished event or unread record
	Decided    = "decided"    // the stored inputs, decided again, give what is stored
	Story      = "story"      // an event belongs to the saga of what caused it
	Timely     = "timely"     // time goes forward, and every timer acts once, due, on inputs that are read
)

// what each invariant counts as looked at.
var units = [][2]string{
	{Order, "records"}, {Published, "stored events"}, {Once, "inputs"}, {Replayable, "events"},
	{Settled, "lanes"}, {Decided, "inputs"}, {Story, "events"}, {Timely, "timers"},
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

// Report is the verdict on all invariants. The zero report has none.
type Report struct {
	Invariants []Invariant `json:"invariants"`
	Notes      []string    `json:"notes,omitempty"` // what is worth knowing and no violation
}

// Declare adds an invariant, which comes after those that are there. unit is
// what it is checked on, in the plural. One that is there stays as it is.
func (r *Report) Declare(name, unit string) {
	if r.find(name) < 0 {
		r.Invariants = append(r.Invariants, Invariant{Name: name, Unit: unit})
	}
}

// Looked counts n more units that an invariant was checked on. It panics if
// nobody declared it.
func (r *Report) Looked(name string, n int) { r.of(name).Looked += n }

// Violate notes that an invariant does not hold, and where. It panics if nobody
// declared it.
func (r *Report) Violate(name, format string, args ...any) {
	i := r.of(name)
	i.Violations++
	if len(i.Shown) < shownAtMost {
		i.Shown = append(i.Shown, fmt.Sprintf(format, args...))
	}
}

// Note adds what is worth knowing and no violation.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Report) find(name string) int {
	return slices.IndexFunc(r.Invariants, func(i Invariant) bool { return i.Name == name })
}

func (r *Report) of(name string) *Invariant {
	i := r.find(name)
	if i < 0 {
		panic("verify: no invariant is called " + name + ": declare it first")
	}
	return &r.Invariants[i]
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
