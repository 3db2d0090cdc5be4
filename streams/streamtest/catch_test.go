//go:build weirbugs

package streamtest_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var seeds = flag.Int("seeds", 400, "how many seeds to look for a planted bug")

// TestCatch plants each bug and prints how many seeds it took to find it out,
// and which invariants did.
func TestCatch(t *testing.T) {
	for _, bug := range planted {
		t.Setenv("WEIR_BUG", bug)
		s := bankDay(t)
		for seed := 1; ; seed++ {
			if seed > *seeds {
				fmt.Printf("missed: %s\n", bug)
				break
			}
			if o := s.Run(t, s.Schedule(uint64(seed))); !o.OK() {
				fmt.Printf("caught: %s after %d by %s\n", bug, seed, strings.Join(invariants(o.Violations), ", "))
				break
			}
		}
	}
}

// invariants names what was violated; what the world itself found is "at once".
func invariants(violations []string) (names []string) {
	for _, v := range violations {
		name, _, ok := strings.Cut(v, ": ")
		if !ok || !slices.Contains(checked, name) {
			name = "at once"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
