package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// Order is how one order of a simulated day ended.
type Order struct {
	Order   string        `json:"order"`
	Placed  time.Time     `json:"placed"` // in virtual time, by the order's lane
	Took    time.Duration `json:"took_ns"`
	Events  int           `json:"events"` // of its saga, all services together
	Outcome string        `json:"outcome"`
}

// Day is one simulated run of the business.
type Day struct {
	*streamtest.Outcome
	Orders []Order
}

// Run lives through one schedule of the whole business, which draw makes. It
// needs the build tag synctests, is for programs that are not tests, and may be
// called once.
func Run(draw func(*streamtest.Simulation) streamtest.Schedule) (Day, error) {
	var d Day
	s, err := newBusiness(func(o Order) { d.Orders = append(d.Orders, o) })
	if err != nil {
		return d, err
	}
	failed, err := inTest(func(t *testing.T) { d.Outcome = s.Run(t, draw(s)) })
	if err == nil && (failed || d.Outcome == nil) {
		err = errors.New("the simulation could not run: build weir with make build, which sets the tag that it needs")
	}
	return d, err
}

// inTest runs f as a test, since only tests have bubbles of virtual time. The
// test framework would end the process after it, so it is left waiting for ever,
// once per process.
func inTest(f func(*testing.T)) (failed bool, err error) {
	testing.Init()
	if err := flag.CommandLine.Parse(nil); err != nil { // or it would parse weir's own arguments
		return false, err
	}
	ended := make(chan bool)
	test := testing.InternalTest{Name: "simulate", F: func(t *testing.T) {
		defer func() {
			ended <- t.Failed()
			select {}
		}()
		f(t)
	}}
	go testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{test}, nil, nil)
	return <-ended, nil
}

// orders reads from the stores how the orders ended.
func orders(ctx context.Context, in verify.Input) []Order {
	found := map[string]*Order{}
	for _, store := range in.Stores {
		for lane := range in.Partitions {
			// What cannot be read is for the audit to tell.
			_ = store.Outbox(ctx, lane, 0, math.MaxInt, func(e streams.StoredEvent) error {
				env, err := e.Envelope()
				if err == nil {
					take(found, env)
				}
				return err
			})
		}
	}
	out := make([]Order, 0, len(found))
	for _, o := range found {
		if !o.Placed.IsZero() {
			out = append(out, *o)
		}
	}
	slices.SortFunc(out, func(a, b Order) int {
		return strings.Compare(a.Placed.Format(time.RFC3339Nano)+a.Order, b.Placed.Format(time.RFC3339Nano)+b.Order)
	})
	return out
}

func take(found map[string]*Order, env streams.Envelope) {
	o := found[env.Saga()]
	if o == nil {
		o = &Order{Order: env.Saga()}
		found[env.Saga()] = o
	}
	o.Events++
	switch env.Type {
	case "order.placed":
		o.Placed = env.Time
	case "order.closed":
		var c event.OrderClosed
		if json.Unmarshal(env.Data, &c) == nil {
			o.Outcome, o.Took = c.Outcome, env.Time.Sub(o.Placed)
		}
	}
}
