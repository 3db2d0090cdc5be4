//go:build real

package kill

import (
	"slices"
	"testing"
	"time"

	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/streamtest/bugs"
	"github.com/weirstream/weir/streams/verify"
)

// What the audit is worth: a platform with a mistake in it fails it, and the
// same platform without one passes it in the tests beside.
func TestPlantedBugsOnServers(t *testing.T) {
	overlay, err := bugs.Overlay(t.TempDir(), bugs.OfRuntime())
	check(t, err)
	binary := build(t, "-overlay", overlay)
	for _, bug := range []struct {
		name   string
		happen func(*shared) // what it shows at, beside the load
		breaks string        // invariant
	}{
		{"key-per-attempt", nothing, business.Effects},
		{"no-dedup", func(s *shared) { s.drop(0) }, verify.Once},
	} {
		t.Run(bug.name, func(t *testing.T) {
			s := newShared(t, binary, trouble, "WEIR_BUG="+bug.name)
			s.load.start(t)
			time.Sleep(5 * time.Second)
			bug.happen(s)
			s.works()
			s.load.stop()
			<-s.load.done
			s.outside.mend(t)
			quiet(t, s.kafka)
			s.stop()
			if r := s.examine(); !slices.Contains(r.Violated(), bug.breaks) {
				t.Errorf("%s holds, the audit finds %v", bug.breaks, r.Violated())
			}
		})
	}
}
