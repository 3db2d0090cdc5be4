package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// The same decider on the shipped runtime: broker, store and all, in virtual time.
// A reply's token names the last event that follows, so that who waits for it sees
// all of them.
func TestWishlistRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		top, err := wishes.Topology()
		if err != nil {
			t.Fatal(err)
		}
		c := streamtest.NewCluster(t, top, 2)
		c.Start("wishlists")
		tokens := []string{":1", ":3", ""} // the second wish is two events
		for n, want := range []string{`{"wishes":1}`, `{"wishes":2}`, `{"class":"conflict","code":"full","detail":"ada has two wishes already"}`} {
			cmd, err := streams.NewCommand(string(rune('a'+n)), "wish", Wish{"ada", "tea"})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := c.Send(context.Background(), cmd); err != nil || string(r.Body) != want || !strings.HasSuffix(r.Token, tokens[n]) || (r.Token == "") != (tokens[n] == "") {
				t.Errorf("wish %d: %s %q %v, want %s and a token that ends with %s", n, r.Body, r.Token, err, want, tokens[n])
			}
		}
		c.Close()
	})
}
