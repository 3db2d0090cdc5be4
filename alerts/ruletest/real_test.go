//go:build real

package ruletest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirstream/weir/streams/streamtest"
)

// promtool gives its verdict about a file of tests: whether they pass.
func promtool(t *testing.T, file string) (passes bool, says string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), streamtest.Real(t, "promtool"), "test", "rules", file).CombinedOutput()
	if strings.Contains(string(out), "SUCCESS") == (err != nil) {
		t.Fatalf("promtool says neither yes nor no: %v\n%s", err, out)
	}
	return err == nil, string(out)
}

func TestPromtoolPassesTheSame(t *testing.T) {
	files, err := filepath.Glob("testdata/*.test.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		if passes, says := promtool(t, file); !passes {
			t.Errorf("promtool lets %s fail: %s", file, says)
		}
	}
}

func TestPromtoolFailsTheSame(t *testing.T) {
	for _, c := range failing {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "a.test.yml")
			for name, text := range map[string]string{file: "rule_files: [a.rules.yml]\n" + testOf(c.test), filepath.Join(dir, "a.rules.yml"): c.rules} {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if passes, says := promtool(t, file); passes {
				t.Errorf("promtool lets it pass: %s", says)
			}
		})
	}
}
