package audit

import (
	"slices"

	"github.com/weirstream/weir/streams/verify"
)

// Names of the business's own invariants. Those of verify are in the same report.
const (
	Money        = "money"        // the provider has exactly what shipped orders cost
	Stock        = "stock"        // nothing is sold twice, nothing is held for ever
	Terminal     = "terminal"     // every placed order ends exactly once
	Compensation = "compensation" // what was done for a cancelled order is undone once
	Effects      = "effects"      // every outside effect happened once
)

// what each of them counts as looked at.
var units = [][2]string{{Money, "orders"}, {Stock, "shelf events"}, {Terminal, "orders"}, {Compensation, "orders"}, {Effects, "effects"}}

// order of the report; what it does not name comes after.
var arranged = []string{Money, Stock, Terminal, Compensation, verify.Order, verify.Published, verify.Once, Effects, verify.Replayable}

// Report is the verdict on all invariants.
type Report = verify.Report

// Invariant is the verdict on one of them.
type Invariant = verify.Invariant

// merge makes one report of the business's and the runtime's.
func merge(business, runtime *Report) *Report {
	all := slices.Concat(business.Invariants, runtime.Invariants)
	place := func(i Invariant) int {
		if n := slices.Index(arranged, i.Name); n >= 0 {
			return n
		}
		return len(arranged)
	}
	slices.SortStableFunc(all, func(a, b Invariant) int { return place(a) - place(b) })
	return &Report{Invariants: all, Notes: slices.Concat(runtime.Notes, business.Notes)}
}
