package cli

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// root of the repository.
var root = filepath.Join("..", "..")

// documents are all texts for people, by their paths.
func documents(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || slices.Contains([]string{"node_modules", "bin", "scratch", "testdata"}, d.Name())):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".md"):
			b, err := os.ReadFile(path)
			out[path] = string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")

// What is shown as Go compiles as it stands there: the blocks of a document are the
// files of one package.
func TestGoInDocumentsCompiles(t *testing.T) {
	blocks := 0
	for path, text := range documents(t) {
		replace, dir := map[string]string{}, t.TempDir()
		folder, err := filepath.Abs(filepath.Join(root, "shown"))
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range fence.FindAllStringSubmatch(text, -1) {
			if m[1] != "go" {
				continue
			}
			name := fmt.Sprintf("block%d.go", i)
			if err := os.WriteFile(filepath.Join(dir, name), []byte(m[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			replace[filepath.Join(folder, name)] = filepath.Join(dir, name)
		}
		if len(replace) == 0 {
			continue
		}
		blocks += len(replace)
		overlay, err := json.Marshal(map[string]any{"Replace": replace})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(file, overlay, 0o600); err != nil {
			t.Fatal(err)
		}
		build := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, "-overlay", file, "./shown")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
	if blocks < 2 {
		t.Errorf("only %d blocks of Go are shown", blocks)
	}
}

var (
	inline = regexp.MustCompile("(?s)`((?:bin/)?weir [a-z-][^`]*)`")
	shell  = regexp.MustCompile(`(?m)^(?:\$ )?((?:bin/)?weir [^\n]*)`)
)

// calls are the command lines in a document, and whether each is whole, or only
// names a command.
func calls(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == "sh" || m[1] == "bash" || m[1] == "" {
			for _, c := range shell.FindAllStringSubmatch(m[2], -1) {
				out[c[1]] = true
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		if _, whole := out[m[1]]; !whole {
			out[m[1]] = false
		}
	}
	return out
}

// alternatives are the calls that a line with ls|show stands for.
func alternatives(words []string) [][]string {
	out := [][]string{{}}
	for _, w := range words {
		var more [][]string
		for _, choice := range strings.Split(w, "|") {
			for _, before := range out {
				more = append(more, append(before[:len(before):len(before)], choice))
			}
		}
		out = more
	}
	return out
}

// parses tells what is wrong with a call, whose words in capitals stand for others.
func parses(words []string, whole bool) error {
	for i, w := range words {
		switch w {
		case "URL":
			words[i] = "http://h"
		case "N":
			words[i] = "1"
		}
	}
	root := tested.rootCommand()
	root.InitDefaultCompletionCmd()
	c, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	args := c.Flags().Args()
	if c.HasSubCommands() && len(args) > 0 {
		return fmt.Errorf("%s has no command %s", c.CommandPath(), args[0])
	}
	if c.Args == nil || c.HasSubCommands() || !whole && len(args) == 0 {
		return nil
	}
	return c.Args(c, args)
}

// Every command line that a document shows exists, with its flags, as do the
// examples of the commands' own help.
func TestCommandLinesInDocuments(t *testing.T) {
	texts := documents(t)
	everyCommand(func(c *cobra.Command, path []string) {
		texts["help of "+c.CommandPath()] = "```sh\n" + regexp.MustCompile("(?m)^ +").ReplaceAllString(c.Example, "") + "\n```\n"
	})
	seen := 0
	for path, text := range texts {
		for call, whole := range calls(text) {
			line, _, _ := strings.Cut(call, " #")
			if strings.HasPrefix(path, "help of") {
				line, _, _ = strings.Cut(line, "   ") // what stands beside it
			}
			words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(strings.ReplaceAll(line, `\|`, "|")), "|"))
			for _, one := range alternatives(words[1:]) {
				seen++
				if cut := slices.IndexFunc(one, func(w string) bool { return w == "" || w == ">" || w == "&" || w == "&&" || w == "…" }); cut >= 0 {
					one = one[:cut]
				}
				if err := parses(one, whole); err != nil {
					t.Errorf("%s shows %q: %v", path, call, err)
				}
			}
		}
	}
	if seen < 60 {
		t.Errorf("only %d command lines were found", seen)
	}
	for _, bad := range []string{"weir dlq lst", "weir nothing", "weir dev --nothing", "weir saga show"} {
		if parses(strings.Fields(bad)[1:], true) == nil {
			t.Errorf("%s is taken for a command line", bad)
		}
	}
}
