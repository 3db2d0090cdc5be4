package books_test

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/services/shop/books"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/verify"
)

// planted are mistakes that a runtime or a service could make, built in by the
// tag weirbugs, and an invariant that must find each out.
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
	out, err := exec.Command("go", "test", "-tags", "weirbugs", "-count=1", "-run", "^TestABadDayWithBugs$", "-v", ".").CombinedOutput()
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
