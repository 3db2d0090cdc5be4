package telemetry_test

import (
	"strings"
	"testing"
	"time"
)

// A saga's lines carry its trace, and each is written once: when what it tells
// is stored.
func TestLinesOfASaga(t *testing.T) {
	const tid = "4bf92f3577b34da6a3ce929d0e0e4736"
	inErrands(t, 1000, func(e *errands) {
		for id, weight := range map[string]int{"a": 1, "b": 99} {
			e.request(id, "00-"+tid+"-00f067aa0ba902b7-01", runErrand{Customer: "ada", Mail: "m", Weight: weight})
		}
		time.Sleep(2 * time.Minute)
		e.c.Close()
		got := map[string]int{}
		for line := range strings.Lines(e.lines.String()) {
			for _, what := range []string{"kind=command", "kind=outcome", "kind=timer", "kind=event", "code=too-heavy"} {
				if strings.Contains(line, tid) && strings.Contains(line, what) {
					got[what]++
				}
			}
		}
		if got["kind=command"] != 2 || got["kind=outcome"] != 1 || got["kind=timer"] != 1 || got["kind=event"] != 0 || got["code=too-heavy"] != 1 {
			t.Errorf("lines by what they tell: %v in\n%s", got, e.lines.String())
		}
	})
}
