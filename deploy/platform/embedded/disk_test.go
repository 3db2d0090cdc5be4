//go:build linux || darwin

package embedded

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams/telemetry"
)

// How full the disk is, is asked anew each time, and not known of a directory that
// is gone.
func TestDiskIsMeasured(t *testing.T) {
	d := &Data{dir: filepath.Join(t.TempDir(), "data")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	i := telemetry.NewInstruments(registry)
	d.MeasureDisk(i)
	if err := i.Err(); err != nil {
		t.Fatal(err)
	}
	measured := func() map[string]float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, f := range families {
			out[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
		return out
	}
	m := measured()
	if free, size := m[telemetry.DiskFree], m[telemetry.DiskSize]; size <= 0 || free < 0 || free > size || math.IsNaN(free) {
		t.Errorf("%v of %v bytes are free", free, size)
	}
	if err := os.Remove(d.dir); err != nil {
		t.Fatal(err)
	}
	if m := measured(); !math.IsNaN(m[telemetry.DiskFree]) || !math.IsNaN(m[telemetry.DiskSize]) {
		t.Errorf("of a directory that is gone is known %v", m)
	}
}
