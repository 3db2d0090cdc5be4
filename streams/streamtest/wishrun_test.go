package streamtest_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

func wishTopology(t *testing.T) *streams.Topology {
	t.Helper()
	v, err := streams.NewVocabulary(streams.NewFact[Wished]("wishlist.wished"), streams.NewFact[Filled]("wishlist.filled"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{{Name: "wishlists", Deciders: []*streams.Decider{Wishlists}}})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

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
