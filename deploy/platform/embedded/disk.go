//go:build linux || darwin

package embedded

import (
	"math"
	"syscall"

	"github.com/weirstream/weir/streams/telemetry"
)

// MeasureDisk tells how full the disk under the data directory is.
func (d *Data) MeasureDisk(i *telemetry.Instruments) {
	i.Measured(telemetry.DiskFree, func() float64 {
		return d.disk(func(s *syscall.Statfs_t) float64 { return float64(s.Bavail) * float64(s.Bsize) })
	})
	i.Measured(telemetry.DiskSize, func() float64 {
		return d.disk(func(s *syscall.Statfs_t) float64 { return float64(s.Blocks) * float64(s.Bsize) })
	})
}

// disk reads something of the disk; it is no number if the disk does not tell.
func (d *Data) disk(read func(*syscall.Statfs_t) float64) float64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		return math.NaN()
	}
	return read(&s)
}
