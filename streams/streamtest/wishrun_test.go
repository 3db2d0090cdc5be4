package streamtest_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// The same decider on the shipped runtime: broker, store and all, in virtual time.
func TestWishlistRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, wishTopology(t), 2)
		c.Start("wishlists")
		for n, want := range []string{"1", "2", `{"code":"full","detail":"ada has two wishes already"}`} {
			cmd, err := streams.NewCommand(string(rune('a'+n)), "wish", Wish{"ada", "tea"})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := c.Send(context.Background(), cmd); err != nil || string(r.Body) != want {
				t.Errorf("wish %d: %s %v, want %s", n, r.Body, err, want)
			}
		}
		c.Close()
	})
}
