package streamtest_test

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/streams/streamtest/bugs"
)

var (
	withBugs = flag.String("bugs", "", "this binary has bugs in it: tell how many seeds find each of these out (a,b,…)")
	seeds    = flag.Int("seeds", 1000, "how many seeds to look for a planted bug")
)

// checked are the invariants that the bank's days are judged by.
var checked = []string{"order", "published", "once", "replayable", "settled", "decided", "timely",
	"money"} // a saga that is lost is found by its own tests

// A simulator that finds nothing proves nothing: each planted bug must be found
// out within some seeds, and each invariant must find at least one.
func TestPlantedBugsAreFoundOut(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the runtime once more, with bugs")
	}
	planted, err := bugs.Names(bugs.OfRuntime())
	if err != nil || len(planted) == 0 {
		t.Fatalf("bugs %v: %v", planted, err)
	}
	if *withBugs != "" {
		for bug := range strings.SplitSeq(*withBugs, ",") {
			find(t, bug)
		}
		return
	}
	out, err := exec.Command(buildWithBugs(t), "-test.run", "^TestPlantedBugsAreFoundOut$", "-bugs",
		strings.Join(planted, ","), "-seeds", fmt.Sprint(*seeds)).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	caught := map[string]string{}
	var by []string
	for _, m := range regexp.MustCompile(`(?m)^caught: (\S+) after (\d+) by (.*)$`).FindAllStringSubmatch(string(out),
		-1) {
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

// buildWithBugs builds this test again, on a runtime with bugs.
func buildWithBugs(t *testing.T) (binary string) {
	t.Helper()
	overlay, err := bugs.Overlay(t.TempDir(), bugs.OfRuntime())
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(t.TempDir(), "bugs.test")
	if out, err := exec.Command("go", "test", "-c", "-tags", "synctests", "-overlay", overlay, "-o", binary,
		".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// find plants a bug and prints how many seeds it took to find it out, and which
// invariants did.
func find(t *testing.T, bug string) {
	t.Setenv("WEIR_BUG", bug)
	s := bankDay(t)
	for seed := 1; seed <= *seeds; seed++ {
		if o := s.Run(t, s.Schedule(uint64(seed))); !o.OK() {
			fmt.Printf("caught: %s after %d by %s\n", bug, seed, strings.Join(invariants(o.Violations), ", "))
			return
		}
	}
	fmt.Printf("missed: %s\n", bug)
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
