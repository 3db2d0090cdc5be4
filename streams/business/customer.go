package business

import (
	"fmt"
	"slices"
	"time"

	"github.com/weirstream/weir/streams"
)

// Customer is somebody who uses the business: the prober sends one a minute to see
// whether it works, weir dev as many as it is told, and the simulator crowds of them
// on bad days.
type Customer struct {
	// Begins is the saga that a customer begins: its answer is how it went.
	Begins string
	// Visit is what a customer of this name does, in this order. chance is all that it
	// may depend on; the same chance gives the same visit. Names are unique, and fit
	// into keys.
	Visit func(name string, chance Chance) []Act
	// BadDay is a visit when everybody wants the same few things, and many change their
	// minds at any moment.
	BadDay func(name string, chance Chance) []Act
	// Probe is the prober's visit: a single act that begins the saga, and uses nothing
	// up that others need.
	Probe func(name string) Act
	// Deliveries are events from outside without which customers get nothing; nil: there
	// are none.
	Deliveries func(chance Chance) []streams.Event
	// Delivery is a small event from outside about the thing of a name; nil: there is none.
	Delivery func(name string) streams.Event
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

// checkCustomer reports a customer who could not do what is said.
func (b *Business) checkCustomer(t *streams.Topology) (errs []error) {
	c := b.Customer
	if c == nil {
		return nil
	}
	saga, ok := b.Saga(c.Begins)
	if !ok || len(saga.Answers) == 0 || c.Visit == nil || c.BadDay == nil || c.Probe == nil {
		return []error{fmt.Errorf("the customer begins saga %q: it needs a saga that has answers, a visit, a bad day and a probe", c.Begins)}
	}
	act := c.Probe("probe")
	service, decider, taken := t.CommandTarget(act.Command)
	if _, door := b.Command(act.Command); !taken || !door {
		return []error{fmt.Errorf("the customer's probe sends command %q, which no service has a door for", act.Command)}
	}
	_, d, _ := t.Decider(decider)
	begins := slices.ContainsFunc(t.Reactions(d), func(r streams.Reaction) bool {
		return r.Input == act.Command && slices.Contains(r.Emits, t.Name(saga.Starts))
	})
	if !begins {
		errs = append(errs, fmt.Errorf("the customer's probe sends %s to %s, which does not begin saga %s", act.Command, service, saga.Name))
	}
	if c.Delivery != nil {
		if f, ok := t.Vocabulary.FactOf(c.Delivery("thing")); !ok || !f.External || len(t.Readers(f.Name)) == 0 {
			errs = append(errs, fmt.Errorf("the customer's delivery is a %T, which is no external event that anybody reads", c.Delivery("thing")))
		}
	}
	return errs
}
