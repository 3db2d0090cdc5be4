//go:build weirbugs

package books_test

import (
	"strings"
	"testing"
	"testing/synctest"
)

// TestABadDayWithBugs prints which invariants each bug breaks.
func TestABadDayWithBugs(t *testing.T) {
	bugs = true
	for _, p := range planted {
		t.Setenv("WEIR_BUG", p.bug)
		synctest.Test(t, func(t *testing.T) {
			r, _ := badDay(t, 1, calm)
			t.Logf("planted: %s → %s", p.bug, strings.Join(r.Violated(), ", "))
			t.Logf("\n%s", r)
		})
	}
}
