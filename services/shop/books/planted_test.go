package books_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weirstream/weir/services/shop/books"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/streamtest/bugs"
	"github.com/weirstream/weir/streams/verify"
)

var withBugs = flag.Bool("bugs", false, "this binary has all bugs in it: tell which invariants each breaks")

// planted are mistakes that a runtime or a service could make, and an invariant
// that must find each out.
var planted = []struct{ bug, caught string }{
	{"no-dedup", verify.Once},
	{"offsets-first", verify.Once},
	{"publish-first", verify.Published},
	{"reordered-publish", verify.Order},
	{"lost-publish", verify.Published},
	{"key-per-attempt", business.Effects},
	{"command-again", verify.Once},
	{"lost-release", books.Stock},
	{"lost-void", books.Money},
}

// A checker that finds nothing proves nothing: with each bug planted, the same
// bad day must not balance.
func TestPlantedBugsAreFoundOut(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the runtime once more, with bugs")
	}
	if *withBugs {
		badDays(t)
		return
	}
	out, err := exec.Command("go", "test", "-overlay", overlay(t), "-count=1", "-run", "^TestPlantedBugsAreFoundOut$",
		"-v", ".", "-bugs").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("bug → what found it out")
	verdicts := regexp.MustCompile(`(?m)planted: (\S+) → (.*)$`).FindAllSubmatch(bytes.TrimSpace(out), -1)
	for _, p := range planted {
		i := slices.IndexFunc(verdicts, func(v [][]byte) bool { return string(v[1]) == p.bug })
		if i < 0 {
			t.Errorf("%s: no verdict", p.bug)
			continue
		}
		names := string(verdicts[i][2])
		t.Logf("%-18s → %s", p.bug, names)
		if !slices.Contains(strings.Split(names, ", "), p.caught) {
			t.Errorf("%s was not found out by %s", p.bug, p.caught)
		}
	}
}

// overlay plants the runtime's bugs, and those that a service could make.
func overlay(t *testing.T) string {
	t.Helper()
	name, err := bugs.Overlay(t.TempDir(), bugs.OfRuntime(), os.DirFS("testdata/bugs"))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// The services' bugs have their places too.
func TestEveryBugIsPlanted(t *testing.T) {
	if out, err := exec.Command("go", "vet", "-overlay", overlay(t),
		"github.com/weirstream/weir/streams").CombinedOutput(); err != nil {
		t.Fatalf("the runtime with bugs: %v\n%s", err, out)
	}
}

// badDays prints which invariants each bug breaks.
func badDays(t *testing.T) {
	lanesMayHalt = true
	for _, p := range planted {
		t.Setenv("WEIR_BUG", p.bug)
		synctest.Test(t, func(t *testing.T) {
			r, _ := badDay(t, 1, calm)
			t.Logf("planted: %s → %s", p.bug, strings.Join(r.Violated(), ", "))
			t.Logf("\n%s", r)
		})
	}
}
