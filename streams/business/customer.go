package business

import (
	"time"

	"github.com/weirstream/weir/streams"
)

// Customer is somebody who uses the business: the prober sends one a minute to see
// whether it works, weir dev as many as it is told, and the simulator crowds of them
// on bad days.
type Customer struct {
	// Begins is the saga that a customer begins: how it ends is how it went.
	Begins string
	// Visit is what a customer of this name does, in this order. chance is all that it
	// may depend on; the same chance gives the same visit. Names are unique, and fit
	// into keys.
	Visit func(name string, chance Chance) []Act
	// Probe is the prober's visit: a single act that begins the saga, and uses nothing
	// up that others need.
	Probe func(name string) Act
	// Deliveries are events from outside without which customers get nothing.
	Deliveries func(chance Chance) []streams.Event
}

// Chance is where chance comes from.
type Chance interface {
	IntN(n int) int // from 0 to n-1
}

// Act is one thing that a customer does.
type Act struct {
	Command string        // that is sent
	Body    streams.Event // its body
	After   time.Duration // since the act before
}
