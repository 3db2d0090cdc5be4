// Command provider runs the simulated payment provider; -help says how.
package main

import (
	"os"

	"github.com/weirstream/weir/deploy/local/sim"
)

func main() {
	p := sim.Program{Name: "provider", What: "payment provider", Listen: "127.0.0.1:9101", New: func(c sim.Config) (sim.Simulated, error) { return sim.NewProvider(c) }}
	os.Exit(p.Main())
}
