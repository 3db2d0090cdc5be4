package streams_test

import (
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// A store keeps what tells repeats as long as it has to, and no longer.
func TestRepliesAreForgotten(t *testing.T) {
	inWatch(t, false, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
		c.Start("front", func(cfg *streams.Config) { cfg.ReplyTTL = 2 * time.Minute })
		cmd, err := streams.NewCommand("d-1", "deposit", deposit{"acc-1", "br-1", 50})
		if err != nil {
			t.Fatal(err)
		}
		store := c.OpenStore("front")
		defer store.Close()
		kept := func() int {
			t.Helper()
			replies, err := store.Replies(t.Context(), streams.Partition("acc-1", c.Partitions), []string{"d-1"})
			if err != nil {
				t.Fatal(err)
			}
			return len(replies)
		}
		if _, err := c.Send(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		time.Sleep(115 * time.Second)
		if _, err := c.Send(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		if n := count(t, c, "teller.account"); n != 1 || kept() != 1 {
			t.Errorf("sent again within two minutes: %d deposits, %d replies kept", n, kept())
		}
		time.Sleep(15 * time.Second)
		if n := kept(); n != 0 {
			t.Errorf("%d replies are kept after two minutes", n)
		}
	})
}
