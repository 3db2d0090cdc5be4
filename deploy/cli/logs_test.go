package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// What a shipper reads is lines of JSON and nothing else; what a person reads is
// elsewhere.
func TestLogLinesHaveStandardOutputToThemselves(t *testing.T) {
	var out, errs bytes.Buffer
	args := []string{"dev", "--for", "1s", "--log-json", "--log-level", "info", "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--data", t.TempDir(), "--prometheus=false"}
	if code := tested.Main(args, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["@timestamp"] == nil || fields["message"] == nil {
			t.Errorf("no line for Elasticsearch: %s (%v)", line, err)
		}
	}
	if !strings.Contains(errs.String(), "weir is up") {
		t.Errorf("nobody is told that it is up: %s", errs.String())
	}
}
