package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/streams"
)

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir()) // where no weir.yaml is
	for call, want := range map[string]int{
		"version": 0, "topology": 0, "topology -o json": 0, "--help": 0, "": 0, "dlq": 0,
		"config show": 0, "config check": 0, "kafka plan": 0, "kafka plan -o json": 0, "kafka plan -o cli": 0, "logs template": 0, "kafka apply": 1, "kafka plan -o png": 2,
		"bogus": 2, "dlq bogus": 2, "dev --bogus": 2, "dev extra": 2, "topology -o png": 2, "run": 2, "load": 2, "saga show": 2,
		"dev --partitions 0": 2, "dev --customers-per-second -1": 2, "saga ls --state odd": 2,
		"saga ls --url http://127.0.0.1:1": 3, "saga ls --url nonsense": 2, "run nobody": 2, "--version": 0, "slo status --url http://127.0.0.1:1": 3,
		"dlq retry": 2, "dlq drop --all": 2, "dlq ls --service odrer": 2, "fault on provider-dwon": 2, "completion bash": 0, "run order": 1, "run all --config no-such.yaml": 1, "load no-such-file.csv": 1,
	} {
		var out, errs bytes.Buffer
		if got := tested.Main(strings.Fields(call), &out, &errs); got != want {
			t.Errorf("weir %s: exit code %d, want %d: %s", call, got, want, errs.String())
		}
		if want != 0 && !strings.HasPrefix(errs.String(), "weir: ") {
			t.Errorf("weir %s says %q", call, errs.String())
		}
	}
}

func TestEveryOutputIsChecked(t *testing.T) {
	checked := 0
	var walk func(c *cobra.Command, path ...string)
	walk = func(c *cobra.Command, path ...string) {
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name())...)
		}
		if c.Flags().Lookup("output") == nil {
			return
		}
		checked++
		var out, errs bytes.Buffer
		if got := tested.Main(append(path, "-o", "png"), &out, &errs); got != 2 || !strings.Contains(errs.String(), "json") {
			t.Errorf("weir %s -o png: exit code %d, %s", strings.Join(path, " "), got, errs.String())
		}
	}
	walk(tested.rootCommand())
	if checked < 12 {
		t.Errorf("only %d commands have -o", checked)
	}
}

func TestKafkaPlanAsCalls(t *testing.T) {
	t.Chdir(t.TempDir()) // where no weir.yaml is
	plan := func(form string) string {
		var out, errs bytes.Buffer
		if code := tested.Main([]string{"kafka", "plan", "-o", form}, &out, &errs); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		return out.String()
	}
	var want struct {
		Topics []streams.TopicSpec
		ACLs   []streams.ACL
	}
	if err := json.Unmarshal([]byte(plan("json")), &want); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(plan("cli")), "\n")
	if len(want.Topics) == 0 || len(want.ACLs) == 0 || len(lines) != len(want.Topics)+len(want.ACLs) {
		t.Fatalf("%d lines for %d topics and %d access rules", len(lines), len(want.Topics), len(want.ACLs))
	}
	for i, s := range want.Topics {
		call := []string{"kafka-topics.sh ", fmt.Sprintf(" --create --if-not-exists --topic %s --partitions %d --replication-factor %d", s.Name, s.Partitions, s.Replication)}
		for k, v := range s.Configs {
			call = append(call, " --config "+k+"="+v)
		}
		for _, part := range call {
			if !strings.Contains(lines[i]+" ", part) {
				t.Errorf("topic %s: no %q in %s", s.Name, part, lines[i])
			}
		}
	}
	if first := lines[len(want.Topics)]; !strings.HasPrefix(first, "kafka-acls.sh ") {
		t.Errorf("after the topics comes %s", first)
	}
}
