package alerts_test

import (
	"os"
	"strings"
	"testing"

	"github.com/weirstream/weir/streams/business"
)

// No business can give an objective the alert of another, with its runbook.
func TestAlertsOfThePlatformAreReserved(t *testing.T) {
	files, err := os.ReadDir("runbooks")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d runbooks, %v", len(files), err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(f.Name(), ".md"); !business.ReservedAlert(name) {
			t.Errorf("an objective could have the alert %q: reserve it in streams/business", name)
		}
	}
}
