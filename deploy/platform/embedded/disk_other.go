//go:build !linux && !darwin

package embedded

import "github.com/weirstream/weir/streams/telemetry"

func (d *Data) MeasureDisk(*telemetry.Instruments) {}
