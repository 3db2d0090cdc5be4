package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirstream/weir/streams/business"
)

// everyCommand calls f for every command, with the words that call it.
func everyCommand(f func(c *cobra.Command, path []string)) {
	var walk func(c *cobra.Command, path ...string)
	walk = func(c *cobra.Command, path ...string) {
		f(c, path)
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name())...)
		}
	}
	walk(tested.rootCommand())
}

// nonsense are values that no flag of a kind could have. Kinds without bounds are
// not used: every number would pass that is one.
var nonsense = map[string][]string{
	"number":    {"NaN", "Inf", "-Inf", "-1", "1e300", "1e12", "x", "", "0x", "１"},
	"int":       {"NaN", "Inf", "-1", "2147483648", "99999999999999999999", "1.5", "1e3", "x", ""},
	"duration":  {"-1s", "-1ns", "1ns", "NaN", "Inf", "x", "", "1", "2562047h", "9999999999h"},
	"uint64":    {"-1", "NaN", "1.5", "x", "", "99999999999999999999"},
	kindURL:     {"nonsense", "file:///etc/passwd", "http://", "http:///x", "http://h:99999", "http://h:", "http://h:x", "://", "", "javascript:alert(1)", "http://%zz"},
	kindOutside: {"nonsense", "", "=", "=http://h", "provider=", "provider=nonsense", "nobody=http://h"},
	kindAddress: {"nonsense", "x", "", ":", "h:", "h:99999", "h:-1", "h:x", "h:http", "http://h:1", "1", "a b:1", "h:1:2"},
	"bool":      {"x", "2", "NaN"},
	kindMoment:  {"x", "", "7", "7y", "-7d", "yesterday", "2010-13-01", "2010-12-01 08:00", "99999d"},
}

func TestEveryFlagRefusesNonsense(t *testing.T) {
	t.Chdir(t.TempDir()) // where no weir.yaml is
	tried := map[string]int{}
	everyCommand(func(c *cobra.Command, path []string) {
		if c.HasSubCommands() || len(path) == 0 || path[0] == "completion" {
			return
		}
		arguments := []string{"x", "x", "x"}
		visit := func(f *pflag.Flag) {
			kind := f.Value.Type()
			if kind == "float64" || kind == "int32" || kind == "float32" {
				t.Errorf("weir %s: --%s has no bounds", strings.Join(path, " "), f.Name)
			}
			values := nonsense[kind]
			if strings.Contains(kind, "|") || f.Name == "output" {
				values = []string{"x", ""}
			}
			for _, v := range values {
				if f.Name == "mailbox" || f.Name == "http" || f.Name == "kafka" {
					arguments = nil
				}
				tried[kind]++
				var out, errs bytes.Buffer
				args := append(append(append([]string{}, path...), arguments...), "--"+f.Name+"="+v)
				if code := tested.Main(args, &out, &errs); code != 2 || !strings.Contains(errs.String(), "--"+f.Name) && f.Name != "output" {
					t.Errorf("weir %s: exit code %d, %s", strings.Join(args, " "), code, errs.String())
				}
			}
		}
		c.LocalFlags().VisitAll(visit)
		c.InheritedFlags().VisitAll(visit)
	})
	for kind := range nonsense {
		if tried[kind] == 0 {
			t.Errorf("no flag is of the kind %s", kind)
		}
	}
}

// A secret in a flag is not told when it is refused.
func TestARefusedURLIsNotRepeated(t *testing.T) {
	for _, args := range [][]string{{"dev", "--outside", "provider=ftp://key-hunter2@h/hunter2?k=hunter2"}, {"saga", "ls", "--url", "http://u:hunter2@h:99999/"}} {
		if said := run(t, 2, args...); strings.Contains(said, "hunter2") {
			t.Error(said)
		}
	}
	if said := run(t, 3, "saga", "ls", "--url", "http://u:hunter2@127.0.0.1:1/"); strings.Contains(said, "hunter2") {
		t.Error(said)
	}
}

func TestCompletion(t *testing.T) {
	for call, want := range map[string]string{
		"fault on ": "provider-down", "run ": "inventory", "dlq ls --service ": "payment", "dlq retry ": "payment", "dlq show payment ": "payment",
		"slo gate ": "gateway-latency", "dev --log-level ": "debug", "saga ls -o ": "json", "saga ls --state ": "running", "": "simulate",
	} {
		contains(t, run(t, 0, append([]string{cobra.ShellCompRequestCmd}, strings.Split(call, " ")...)...), want)
	}
	contains(t, run(t, 0, "completion", "bash"), "__start_weir")
}

func TestDidYouMean(t *testing.T) {
	for call, want := range map[string]string{
		"sgaa": "saga", "dlq retyr": "retry", "fault on provider-dwon": "provider-down", "run inventroy": "inventory", "dlq ls --service pyament": "payment",
		"dev --log-level dbug": "debug", "saga ls --state runing": "running", "slo gate gateway-latncy": "gateway-latency", "topology -o jsn": "json", "dev --htpp x": "--http",
	} {
		contains(t, run(t, 2, strings.Fields(call)...), "did you mean "+want+"?")
	}
	if said := didYouMean("qqqqqq", []string{"saga", "dlq"}); said != "" {
		t.Errorf("nothing like it: %q", said)
	}
}

// The address stands in WEIR_URL for every command that asks a running weir, and a
// flag has the last word.
func TestTheAddressOfARunningWeir(t *testing.T) {
	asks := 0
	t.Setenv(urlVariable, "http://127.0.0.1:1")
	everyCommand(func(c *cobra.Command, path []string) {
		if f := c.Flag("url"); f != nil && !c.HasSubCommands() {
			asks++
			if f.DefValue != "http://127.0.0.1:1" {
				t.Errorf("weir %s asks %s", strings.Join(path, " "), f.DefValue)
			}
		}
	})
	if asks != 19 {
		t.Errorf("%d commands ask a running weir", asks)
	}
	contains(t, run(t, 3, "saga", "ls"), "http://127.0.0.1:1")
	contains(t, run(t, 3, "slo", "status"), "127.0.0.1:1/prometheus")
	contains(t, run(t, 3, "saga", "ls", "--url", "http://127.0.0.1:2"), "http://127.0.0.1:2")
	t.Setenv(urlVariable, "nonsense")
	contains(t, run(t, 2, "fault", "ls"), urlVariable)
}

// Of a command that is not there, that is told, and nothing of its flags.
func TestAnUnknownCommandIsToldBeforeItsFlags(t *testing.T) {
	idle := App{Business: &business.Business{Name: "idle"}} // it has no customer, and so no bad days
	for _, args := range [][]string{{"simulate", "--seed", "1"}, {"simulate"}} {
		var out, errs bytes.Buffer
		code := idle.Main(args, &out, &errs)
		if want := "weir: unknown command \"simulate\". See weir --help\n"; code != exitUsage || errs.String() != want {
			t.Errorf("weir %q exits with %d: %s", args, code, errs.String())
		}
	}
}
