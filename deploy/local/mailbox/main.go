// Command mailbox runs the simulated mail relay; -help says how.
package main

import (
	"os"

	"github.com/weirstream/weir/deploy/local/sim"
)

func main() {
	p := sim.Program{Name: "mailbox", What: "mail relay", Listen: "127.0.0.1:9104", SMTP: "127.0.0.1:9103", New: func(c sim.Config) (sim.Simulated, error) { return sim.NewMailbox(c) }}
	os.Exit(p.Main())
}
