// Package bugs plants mistakes in the runtime that it must not make, for tests
// that have to find each out: a judge who finds nothing proves nothing. The
// runtime's sources know nothing of them.
//
// A bug is a text file, called as the bug. Its first lines say what the mistake
// is; then come its edits, each a place and what happens there. A place is a file
// of the module and lines that are in it exactly once:
//
//	-- streams/timers.go --
//		if l.cur.Inputs[t].Offset < end {
//	-- becomes --
//		if l.cur.Inputs[t].Offset < end && !planted("timer-early") {
//
// Lines may also be put before a place or after it. "-- new FILE --" is a file
// of its own. All bugs are in one build: each asks planted, with its own name,
// which the environment's WEIR_BUG answers.
package bugs

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

//go:embed *.txt
var files embed.FS

// OfRuntime are those of the package streams.
func OfRuntime() fs.FS { return files }

// Names lists the bugs of a folder.
func Names(folder fs.FS) (names []string, err error) {
	found, err := fs.Glob(folder, "*.txt")
	for _, f := range found {
		names = append(names, strings.TrimSuffix(f, ".txt"))
	}
	return names, err
}

// verb says what happens to the lines of a place.
type verb string

const (
	becomes verb = "becomes"
	before  verb = "before"
	after   verb = "after"
)

// edit changes a file of the module, at lines that are in it exactly once.
type edit struct {
	bug, file, lines string
	verb             verb
	text             string
}

// bug is what a file says.
type bug struct {
	edits []edit
	added map[string]string // files that only this bug has
}

var (
	heading = regexp.MustCompile(`(?m)^-- (.+) --\n`)
	gate    = regexp.MustCompile(`planted\("([^"]*)"\)`)
)

// read reads a bug's file.
func read(folder fs.FS, name string) (*bug, error) {
	raw, err := fs.ReadFile(folder, name+".txt")
	if err != nil {
		return nil, err
	}
	text := string(raw)
	b := &bug{added: map[string]string{}}
	heads := heading.FindAllStringSubmatchIndex(text, -1)
	if len(heads) == 0 {
		return nil, fmt.Errorf("bug %s edits nothing", name)
	}
	section := func(n int) (head, body string) {
		end := len(text)
		if n+1 < len(heads) {
			end = heads[n+1][0]
		}
		return text[heads[n][2]:heads[n][3]], text[heads[n][1]:end]
	}
	for n := 0; n < len(heads); n++ {
		head, body := section(n)
		if file, ok := strings.CutPrefix(head, "new "); ok {
			b.added[file] = body
			continue
		}
		if n++; n == len(heads) {
			return nil, fmt.Errorf("bug %s does not say what happens in %s", name, head)
		}
		what, text := section(n)
		b.edits = append(b.edits, edit{name, head, body, verb(what), text})
	}
	return b, b.gated(name, text)
}

// gated tells whether the bug asks for itself, and for no other.
func (b *bug) gated(name, text string) error {
	asked := gate.FindAllStringSubmatch(text, -1)
	for _, a := range asked {
		if a[1] != name {
			return fmt.Errorf("bug %s asks whether %s is planted", name, a[1])
		}
	}
	if len(asked) == 0 {
		return fmt.Errorf("bug %s never asks whether it is planted", name)
	}
	for _, e := range b.edits {
		if e.verb != becomes && e.verb != before && e.verb != after {
			return fmt.Errorf("bug %s: nothing can happen %q to lines of %s", name, e.verb, e.file)
		}
	}
	return nil
}

// switchFile is the file that each package with bugs gets.
func switchFile(dir, pkg string) (name, text string) {
	return path.Join(dir, "planted.go"), "package " + pkg + `

import "os"

// planted tells whether WEIR_BUG names the bug.
func planted(bug string) bool { return os.Getenv("WEIR_BUG") == bug }
`
}
