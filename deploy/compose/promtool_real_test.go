//go:build real

package compose_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weirstream/weir/streams/streamtest"
)

func TestPromtoolTakesTheConfiguration(t *testing.T) {
	dir := rendered(t, read(t))
	text, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(inVolume(string(text), dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), streamtest.Real(t, "promtool"), "check", "config", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
