//go:build !linux && !darwin

package platform

import "github.com/weirstream/weir/streams/telemetry"

func (d *data) measureDisk(*telemetry.Instruments) {}
