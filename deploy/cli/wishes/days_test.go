package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// Bad days for a business of one's own: what customers do, and what must hold
// whatever goes wrong meanwhile. Everything else is the simulator's.
func TestWishlistOnBadDays(t *testing.T) {
	top, err := wishes.Topology()
	if err != nil {
		t.Fatal(err)
	}
	streamtest.Simulate(t, &streamtest.Simulation{
		Topology: top,
		Work: func(w *streamtest.World) {
			for n := range 20 {
				customer := Customer(fmt.Sprint("customer-", n%6))
				if _, err := w.Send(fmt.Sprint("wish-", n), "wish", Wish{customer, "tea"}); err != nil {
					w.Violate("wish %d was never answered: %v", n, err)
				}
				time.Sleep(time.Duration(w.Rand.IntN(5)) * time.Second)
			}
		},
		Check: func(ctx context.Context, _ *streamtest.World, in verify.Input) (*verify.Report, error) {
			wishes := map[Customer]int{}
			in.Event = func(_ string, e streams.Event) {
				if e, ok := e.(Wished); ok {
					wishes[e.Customer]++
				}
			}
			r, err := verify.Check(ctx, in)
			r.Declare("two each", "customers")
			for customer, n := range wishes {
				if r.Looked("two each", 1); n > 2 {
					r.Violate("two each", "%s has %d wishes", customer, n)
				}
			}
			return r, err
		},
	}, streamtest.Campaign{Seeds: 20})
}
