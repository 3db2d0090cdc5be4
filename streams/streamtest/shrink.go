package streamtest

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// Rerun lives through a schedule k times and tells how often it fails. A seed
// fixes the schedule, not how Go interleaves.
func (s *Simulation) Rerun(t *testing.T, sch Schedule, k int) (fails int) {
	for range k {
		if !s.Run(t, sch).OK() {
			fails++
		}
	}
	return fails
}

// Shrink looks for a schedule with fewer faults that still fails, given how
// often the whole one failed in how many runs: what fails rarely is tried more
// often before it is called harmless. say is told how it goes.
func (s *Simulation) Shrink(t *testing.T, sch Schedule, fails, runs int, say func(string)) Schedule {
	tries := triesFor(fails, runs)
	failing := func(c Schedule) bool {
		for range tries {
			if !s.Run(t, c).OK() {
				return true
			}
		}
		return false
	}
	for size := max(1, len(sch.Faults)/2); ; size /= 2 {
		for at := 0; at < len(sch.Faults); {
			c := sch
			c.Faults = slices.Delete(slices.Clone(sch.Faults), at, min(at+size, len(sch.Faults)))
			if failing(c) {
				sch = c
				say(fmt.Sprintf("fails with %d faults", len(sch.Faults)))
			} else {
				at += size
			}
		}
		if size <= 1 {
			break
		}
	}
	if c := sch; c.Skew > 0 {
		if c.Skew = 0; failing(c) {
			sch = c
		}
	}
	return sch
}

// triesFor is how many runs show a failure of this rate with 95 %, at most 40.
func triesFor(fails, runs int) int {
	rate := float64(fails) / float64(max(runs, 1))
	if rate >= 0.95 {
		return 2
	}
	return min(40, max(2, int(math.Ceil(math.Log(0.05)/math.Log(1-max(rate, 0.01))))))
}
