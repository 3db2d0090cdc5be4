package bugs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/weirstream/weir/streams/streamtest/bugs"
)

// Every bug has its place in the runtime as it is now, and the runtime with all
// of them compiles.
func TestEveryBugIsPlanted(t *testing.T) {
	overlay, err := bugs.Overlay(t.TempDir(), bugs.OfRuntime())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", "-overlay", overlay,
		"github.com/weirstream/weir/streams").CombinedOutput(); err != nil {
		t.Fatalf("the runtime with bugs: %v\n%s", err, out)
	}
}

// A bug that is in nobody's way any more must not be found out by nobody.
func TestABugWithoutItsPlaceIsRefused(t *testing.T) {
	const edit = "-- streams/plan.go --\npackage streams\n-- after --\n\nvar _ = planted(\"x\")\n"
	for name, c := range map[string]struct{ text, want string }{
		"as it should be": {edit, ""},
		"lines that are gone": {"-- streams/plan.go --\npackage gone\n-- after --\nplanted(\"x\")\n",
			"0 times in streams/plan.go"},
		"lines that are twice": {"-- streams/plan.go --\n}\n-- after --\nplanted(\"x\")\n", "times in streams/plan.go"},
		"a part of a line": {"-- streams/plan.go --\nstreams\n-- after --\nplanted(\"x\")\n",
			"0 times in streams/plan.go"},
		"no such file":    {"-- streams/gone.go --\npackage streams\n-- after --\nplanted(\"x\")\n", "gone.go"},
		"no gate":         {"-- streams/plan.go --\npackage streams\n-- after --\nvar _ = 1\n", "never asks"},
		"another's gate":  {strings.Replace(edit, `("x")`, `("y")`, 1), "asks whether y"},
		"no verb":         {"-- streams/plan.go --\npackage streams\n", "does not say what happens"},
		"an unknown verb": {strings.Replace(edit, "after", "beneath", 1), `"beneath"`},
		"nothing":         {"A mistake.\n", "edits nothing"},
		"the same lines twice": {edit + strings.Replace(strings.Replace(edit, "after", "becomes", 1), "\n\nvar",
			"\npackage streams\n\nvar", 1) +
			strings.Replace(edit, "after", "becomes", 1), "the same lines"},
	} {
		_, err := bugs.Overlay(t.TempDir(), fstest.MapFS{"x.txt": {Data: []byte(c.text)}})
		if got := errorText(err); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", name, got, c.want)
		}
	}
}

// Several bugs may stand at one place, each before or after the same lines.
func TestBugsShareAPlace(t *testing.T) {
	dir := t.TempDir()
	at := func(verb, name string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("-- streams/plan.go --\npackage streams\n-- " + verb + " --\n// planted(\"" + name + "\")\n")}
	}
	if _, err := bugs.Overlay(dir, fstest.MapFS{"a.txt": at("before", "a"), "b.txt": at("before", "b"),
		"c.txt": at("after", "c")}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "streams_plan.go"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "// planted(\"a\")\n// planted(\"b\")\npackage streams\n// planted(\"c\")\n"; !strings.HasPrefix(string(got), want) {
		t.Errorf("the file begins with\n%.120s", got)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
