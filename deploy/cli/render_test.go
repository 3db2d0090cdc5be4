package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put writes files, given by their paths.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func renderInto(t *testing.T, dir string, files map[string]string) []string {
	t.Helper()
	text := map[string][]byte{}
	for name, s := range files {
		text[name] = []byte(s)
	}
	notes, err := rendering{dir, ".manifest"}.write(text)
	if err != nil {
		t.Fatal(err)
	}
	return notes
}

// Nothing that others wrote is removed, overwritten, or written through a link.
func TestARenderTouchesItsOwnFilesOnly(t *testing.T) {
	dir, others := t.TempDir(), t.TempDir()
	put(t, others, map[string]string{"precious": "precious", "folder/a.yml": "theirs"})
	put(t, dir, map[string]string{"rules/other-team.yml": "theirs", "rules/taken.yml": "mine", "rules/same.yml": "same"})
	for from, to := range map[string]string{"alertmanager.yml": "precious", "tests": "folder"} {
		if err := os.Symlink(filepath.Join(others, to), filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	notes := renderInto(t, dir, map[string]string{"rules/taken.yml": "1", "rules/same.yml": "same", "rules/old.yml": "1", "rules/edited.yml": "1", "alertmanager.yml": "1", "tests/a.yml": "1"})
	if len(notes) != 1 || !strings.Contains(notes[0], "taken.yml.orig") {
		t.Errorf("told: %v", notes)
	}
	got := tree(t, dir)
	for name, want := range map[string]string{"rules/other-team.yml": "theirs", "rules/taken.yml": "1", "rules/taken.yml.orig": "mine", "rules/same.yml": "same",
		"alertmanager.yml": "1", "tests/a.yml": "1"} {
		if got[name] != want {
			t.Errorf("%s says %q, want %q", name, got[name], want)
		}
	}
	if foreign := tree(t, others); foreign["precious"] != "precious" || foreign["folder/a.yml"] != "theirs" || len(foreign) != 2 {
		t.Errorf("written through a link: %v", foreign)
	}

	put(t, dir, map[string]string{"rules/edited.yml": "by hand"})
	notes = renderInto(t, dir, map[string]string{"rules/taken.yml": "2"})
	got = tree(t, dir)
	for name, want := range map[string]string{"rules/taken.yml": "2", "rules/edited.yml": "by hand", "rules/old.yml": "", "alertmanager.yml": "", "tests/a.yml": "", "rules/other-team.yml": "theirs"} {
		if got[name] != want {
			t.Errorf("after another render %s says %q, want %q", name, got[name], want)
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "edited.yml") {
		t.Errorf("told: %v", notes)
	}
	for name := range got {
		if strings.HasSuffix(name, ".new") {
			t.Errorf("%s is left over", name)
		}
	}
}

// A folder that has become a link leads to somebody else's files, however alike.
func TestNothingIsRemovedThroughALink(t *testing.T) {
	dir, others := t.TempDir(), t.TempDir()
	put(t, others, map[string]string{"a.yml": "1"})
	renderInto(t, dir, map[string]string{"rules/a.yml": "1"})
	if err := os.RemoveAll(filepath.Join(dir, "rules")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(others, filepath.Join(dir, "rules")); err != nil {
		t.Fatal(err)
	}
	renderInto(t, dir, map[string]string{"b": "1"})
	if tree(t, others)["a.yml"] != "1" {
		t.Error("a file behind a link was removed")
	}
}

// A manifest is a file like any other: it may not have files elsewhere removed.
func TestAManifestStaysInItsDirectory(t *testing.T) {
	dir, others := t.TempDir(), t.TempDir()
	put(t, others, map[string]string{"x": "x"})
	back, err := filepath.Rel(dir, filepath.Join(others, "x"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, map[string]string{".manifest": sum([]byte("x")) + "  " + filepath.ToSlash(back) + "\n" + sum([]byte("x")) + "  " + filepath.Join(others, "x") + "\n"})
	renderInto(t, dir, map[string]string{"a": "1"})
	if tree(t, others)["x"] != "x" {
		t.Error("a file elsewhere was removed")
	}
}

// What cannot be done as a whole is not begun.
func TestARenderThatFailsLeavesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	renderInto(t, dir, map[string]string{"a": "1", "z/b": "1", "old": "1"})
	if err := os.Remove(filepath.Join(dir, "z", "b")); err != nil {
		t.Fatal(err)
	}
	put(t, dir, map[string]string{"z/b/in the way": ""})
	before := tree(t, dir)
	if _, err := (rendering{dir, ".manifest"}).write(map[string][]byte{"a": []byte("2"), "z/b": []byte("2")}); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("the error is %v", err)
	}
	after := tree(t, dir)
	if len(after) != len(before) || after["a"] != "1" || after["old"] != "1" {
		t.Errorf("was %v, is %v", before, after)
	}
}
