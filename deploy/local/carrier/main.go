// Command carrier runs the simulated parcel carrier; -help says how.
package main

import (
	"os"

	"github.com/weirstream/weir/deploy/local/sim"
)

func main() {
	p := sim.Program{Name: "carrier", What: "parcel carrier", Listen: "127.0.0.1:9102", New: func(c sim.Config) (sim.Simulated, error) { return sim.NewCarrier(c) }}
	os.Exit(p.Main())
}
