package streamtest_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// planted are mistakes that the runtime must not make, built in by the tag
// weirbugs.
var planted = []string{"no-dedup", "dedup-by-lane", "no-external-dedup", "offsets-first", "publish-first", "reordered-publish", "lost-publish", "no-cas",
	"timer-lost", "timer-early", "timer-kept", "key-per-attempt", "command-again", "state-kept", "mark-with-hole", "parked-overtaken", "snapshot-ahead",
	"intent-lost", "outcome-twice", "clock-back", "compensate-again", "reply-lost", "gap-ignored", "late-commit", "old-copy-taken", "clock-believed"}

// checked are the invariants that the bank's days are judged by.
var checked = []string{"order", "published", "once", "replayable", "settled", "decided", "timely", "money"} // a saga that is lost is found by its own tests

// A simulator that finds nothing proves nothing: each planted bug must be found
// out within some seeds, and each invariant must find at least one.
func TestPlantedBugsAreFoundOut(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the runtime once more, with bugs")
	}
	binary := filepath.Join(t.TempDir(), "bugs.test")
	if out, err := exec.Command("go", "test", "-c", "-tags", "synctests weirbugs", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(binary, "-test.run", "^TestCatch$").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	caught := map[string]string{}
	var by []string
	for _, m := range regexp.MustCompile(`(?m)^caught: (\S+) after (\d+) by (.*)$`).FindAllStringSubmatch(string(out), -1) {
		caught[m[1]] = m[2] + " seeds, by " + m[3]
		by = append(by, strings.Split(m[3], ", ")...)
	}
	for _, bug := range planted {
		t.Logf("%-18s %s", bug, caught[bug])
		if caught[bug] == "" {
			t.Errorf("%s was not found out", bug)
		}
	}
	for _, invariant := range checked {
		if !slices.Contains(by, invariant) {
			t.Errorf("%s found no planted bug out", invariant)
		}
	}
}
