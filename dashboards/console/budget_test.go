package console

import (
	"testing"
	"time"
)

// A budget that is overdrawn many times says so, and that of a young server by how
// little it is judged.
func TestBudgetsInWords(t *testing.T) {
	for share, want := range map[float64]string{0.71: "71 %", 0.004: "0.4 %", -0.2: "−20 %", -1: "−100 %", -87.29: "below −100 %"} {
		if got := leftOf(share); got != want {
			t.Errorf("%v is %q, want %q", share, got, want)
		}
	}
	month := 30 * 24 * time.Hour
	for known, young := range map[time.Duration]bool{20 * time.Minute: true, 4 * 24 * time.Hour: false} {
		if s := (SLO{Window: month, Known: known}); s.Young() != young {
			t.Errorf("known for %s: young %v", known, s.Young())
		}
	}
}
