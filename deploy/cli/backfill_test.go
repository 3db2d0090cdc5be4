package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/processors/analytics/rebuild"
)

// A call that cannot be right is told what it lacks, and what is not there costs nothing.
func TestBackfillsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // where no weir.yaml is
	for call, want := range map[string]string{
		"":                                       "say one of --from, --file",
		"--from log --status":                    "say one of --from, --file",
		"--file a.csv":                           "--file and --mapping go together",
		"--mapping a.yaml --status":              "--file and --mapping go together",
		"--status --dry-run":                     "--dry-run goes with",
		"--drop-old --accept-fewer":              "--accept-fewer goes with --from",
		"--from lgo":                             "did you mean log?",
		"--from log --rate -1":                   "--rate",
		"--file a.csv --mapping b.yaml --rate x": "--rate",
	} {
		contains(t, run(t, exitUsage, append([]string{"backfill"}, strings.Fields(call)...)...), want)
	}
	for _, call := range []string{"--from log", "--from stores --dry-run", "--status", "--drop-old", "--remove file/0", "--file a.csv --mapping b.yaml"} {
		contains(t, run(t, exitBad, append([]string{"backfill", "--data", filepath.Join(dir, "none")}, strings.Fields(call)...)...), "there is no analytics at")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind are %v (%v)", left, err)
	}
}

// The tables of a directory are written anew while nobody holds it, from the log and from
// the event stores, and a run goes on with them.
func TestBackfillOfADirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the platform twice")
	}
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	live := func(customers float64) {
		t.Helper()
		c := config.Default()
		c.Data, c.HTTP, c.Partitions = dir, "127.0.0.1:0", 2
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		o := platform.Options{Business: tested.Business, Config: c, Units: []string{platform.AllUnits}, Kafka: "127.0.0.1:0", Rate: customers}
		if err := platform.Run(ctx, o); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	live(20)
	var before, after platform.BackfillState
	state := func(into *platform.BackfillState) {
		t.Helper()
		asJSON(t, into, "backfill", "--status", "-o", "json", "--data", dir)
	}
	state(&before)
	if before.Events == 0 {
		t.Fatal("nothing happened")
	}
	contains(t, run(t, exitOK, "backfill", "--from", "log", "--dry-run", "--data", dir), "prove what is written")
	for _, from := range []string{"log", "stores", "log"} {
		var out rebuild.Report
		asJSON(t, &out, "backfill", "--from", from, "-o", "json", "--data", dir)
		if out.Events < before.Events || out.Parity.Fewer {
			t.Errorf("from the %s: %+v, and there were %d events", from, out, before.Events)
		}
	}
	state(&after)
	if !after.Old || after.Shadow || after.Events < before.Events {
		t.Errorf("there is %+v", after)
	}
	live(0)
	contains(t, run(t, exitOK, "backfill", "--drop-old", "--data", dir), "removed are the tables")
	state(&before)
	if before.Old || before.Events < after.Events {
		t.Errorf("there is %+v, and was %+v", before, after)
	}
}

func asJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := tested.Main(args, &out, &errs); code != exitOK {
		t.Fatalf("weir %s: code %d, %s", strings.Join(args, " "), code, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		t.Fatal(err)
	}
}
