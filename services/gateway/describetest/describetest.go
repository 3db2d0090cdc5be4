// Package describetest has programs of others judge a described HTTP interface: Redocly
// lints the description, and Schemathesis asks all that it allows, and what it does not.
package describetest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/streams/streamtest"
)

// Lint fails for every error and warning of the linter.
func Lint(t *testing.T, description []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, description, 0o600); err != nil {
		t.Fatal(err)
	}
	lint := exec.CommandContext(t.Context(), streamtest.Real(t, "redocly"), "lint", "--extends", "recommended", "--format", "json", "--max-problems", "50", file)
	lint.Dir = t.TempDir()
	lint.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off")
	out, err := lint.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var found struct {
		Totals struct{ Errors, Warnings int }
	}
	if err := json.Unmarshal(out, &found); err != nil || found.Totals.Errors+found.Totals.Warnings > 0 {
		t.Errorf("the description has problems (%v):\n%s", err, out)
	}
}

// Exercise asks the interface at a URL. That it takes whatever fits its schemas is not
// asked for: no schema says that all lines of a thing are of one currency.
func Exercise(t *testing.T, url string) {
	t.Helper()
	ask := exec.CommandContext(t.Context(), streamtest.Real(t, "schemathesis"), "run", url+gateway.DescriptionPath, "--max-examples", "50",
		"--exclude-checks", "positive_data_acceptance", "--seed", "1", "--no-color")
	ask.Dir = t.TempDir()
	if out, err := ask.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
