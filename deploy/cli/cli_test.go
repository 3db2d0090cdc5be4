package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir()) // where no weir.yaml is
	for call, want := range map[string]int{
		"version": 0, "topology": 0, "topology -o json": 0, "--help": 0, "": 0, "dlq": 0,
		"config show": 0, "config check": 0, "kafka plan": 0, "kafka plan -o json": 0, "kafka plan -o cli": 0, "logs template": 0, "kafka apply": 1, "kafka plan -o png": 2,
		"bogus": 2, "dlq bogus": 2, "dev --bogus": 2, "dev extra": 2, "topology -o png": 2, "run": 2, "load": 2, "saga show": 2,
		"dev --partitions 0": 2, "dev --orders-per-second -1": 2, "saga ls --state odd": 2,
		"saga ls --url http://127.0.0.1:1": 1, "run nobody": 1, "run order": 1, "run all --config no-such.yaml": 1, "load no-such-file.csv": 1,
	} {
		var out, errs bytes.Buffer
		if got := Main(strings.Fields(call), &out, &errs); got != want {
			t.Errorf("weir %s: exit code %d, want %d: %s", call, got, want, errs.String())
		}
		if want != 0 && !strings.HasPrefix(errs.String(), "weir: ") {
			t.Errorf("weir %s says %q", call, errs.String())
		}
	}
}
