package bugs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Overlay plants all bugs of the folders: what it returns is for the go
// command's -overlay. Everything is written to dir, which is empty.
func Overlay(dir string, folders ...fs.FS) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	edits, planted, err := collect(folders)
	if err != nil {
		return "", err
	}
	for file, es := range edits {
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return "", fmt.Errorf("bug %s: %w", es[0].bug, err)
		}
		if planted[file], err = apply(string(src), es); err != nil {
			return "", err
		}
		pkg, err := parser.ParseFile(token.NewFileSet(), file, src, parser.PackageClauseOnly)
		if err != nil {
			return "", err
		}
		name, text := switchFile(path.Dir(file), pkg.Name.Name)
		planted[name] = text
	}
	return write(dir, root, planted)
}

// moduleRoot is where the module of the working directory is.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", fmt.Errorf("bugs are planted in a module's sources, and there is no go.mod here or above")
	}
	return filepath.Dir(mod), nil
}

// collect reads all bugs: the edits of each file, and the files that are new.
func collect(folders []fs.FS) (edits map[string][]edit, added map[string]string, err error) {
	edits, added = map[string][]edit{}, map[string]string{}
	for _, folder := range folders {
		names, err := Names(folder)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			b, err := read(folder, name)
			if err != nil {
				return nil, nil, err
			}
			for _, e := range b.edits {
				edits[e.file] = append(edits[e.file], e)
			}
			for file, text := range b.added {
				if _, ok := added[file]; ok {
					return nil, nil, fmt.Errorf("bug %s adds %s, as another bug does", name, file)
				}
				added[file] = text
			}
		}
	}
	return edits, added, nil
}

// span is a part of a file that an edit replaces; an empty one is a place
// between two lines.
type span struct {
	from, to int
	edit
}

// apply makes all edits of a file at once, at places of the file as it is.
func apply(src string, edits []edit) (string, error) {
	spans := make([]span, 0, len(edits))
	for _, e := range edits {
		at, err := place(src, e)
		if err != nil {
			return "", err
		}
		spans = append(spans, at)
	}
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Or(a.from-b.from, a.to-b.to) })
	var out strings.Builder
	end, last := 0, ""
	for _, s := range spans {
		if s.from < end {
			return "", fmt.Errorf("bugs %s and %s change the same lines of %s", last, s.bug, s.file)
		}
		out.WriteString(src[end:s.from])
		out.WriteString(s.text)
		end, last = s.to, s.bug
	}
	out.WriteString(src[end:])
	return out.String(), nil
}

// place finds an edit's lines, which must be there once: a bug that is planted
// elsewhere, or nowhere, is found by nobody.
func place(src string, e edit) (span, error) {
	whole := "\n" + src
	if n := strings.Count(whole, "\n"+e.lines); n != 1 {
		return span{}, fmt.Errorf("bug %s: these lines are %d times in %s, and should be once:\n%s", e.bug, n, e.file,
			e.lines)
	}
	from := strings.Index(whole, "\n"+e.lines)
	to := from + len(e.lines)
	switch e.verb {
	case before:
		to = from
	case after:
		from = to
	}
	return span{from, to, e}, nil
}

// write puts the changed and the new sources into dir, beside the list of them.
func write(dir, root string, sources map[string]string) (string, error) {
	list := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range sources {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", err
		}
		list.Replace[filepath.Join(root, filepath.FromSlash(file))] = to
	}
	raw, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, raw, 0o600)
}
