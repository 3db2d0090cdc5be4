package second

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/simulate"
	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/streams/streamtest"
)

// None of the shop's packages is needed for another business.
func TestTheShopIsNotNeeded(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test", ".")
	list.Stderr = os.Stderr
	b, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	generic := []string{"services/gateway", "services/ingest"}
	for dep := range strings.Lines(string(b)) {
		path, ours := strings.CutPrefix(strings.TrimSpace(dep), "github.com/weirstream/weir/")
		if !ours || !strings.HasPrefix(path, "services/") && !strings.HasPrefix(path, "bench/") {
			continue
		}
		if !strings.HasPrefix(path, generic[0]) && !strings.HasPrefix(path, generic[1]) {
			t.Errorf("another business needs %s", path)
		}
	}
}

func TestItIsDescribed(t *testing.T) {
	top, err := library.Topology()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := gateway.Describe(library, top)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths      map[string]map[string]any
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"post /v1/loans", "get /v1/loans", "get /v1/loans/{loan}", "get /v1/loans/{loan}/history", "post /v1/loans/{loan}/return", "get /v1/books", "get /v1/books/{book}", "post /v1/events"} {
		method, path, _ := strings.Cut(want, " ")
		if doc.Paths[path][method] == nil {
			t.Errorf("%s is not described", want)
		}
	}
	if doc.Components.Schemas["Loan"].Properties["member"] != nil || doc.Components.Schemas["Loan"].Properties["book"] == nil {
		t.Errorf("a loan is described as %v", doc.Components.Schemas["Loan"])
	}
}

func TestItsBadDays(t *testing.T) {
	s, err := simulate.New(library)
	if err != nil {
		t.Fatal(err)
	}
	streamtest.Simulate(t, s, streamtest.Campaign{For: 5 * time.Second, Kept: t.TempDir(), Progress: os.Stderr})
}
