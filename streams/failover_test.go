package streams_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
	"github.com/weirstream/weir/streams/streamtest"
)

// A database fails over under a running service, to a replica that lags: from one
// call to the next the store is an older copy of itself (PostgreSQL with
// asynchronous replication does that in every failover that loses something).
// What was handed out since would be handed out again: every lane has to halt, also
// those that have nothing to do.
func TestStoreFailsOverToAnOlderCopy(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *sqlite.Store, int32){
		"as it was": func(*testing.T, *sqlite.Store, int32) {},
		"claimed more often since": func(t *testing.T, s *sqlite.Store, lanes int32) { // by others, who did nothing
			for n := range 100 * lanes {
				if _, err := s.Claim(t.Context(), n%lanes); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) { failsOver(t, change) })
	}
}

func failsOver(t *testing.T, change func(*testing.T, *sqlite.Store, int32)) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		n := c.Start("front")
		c.Start("back")
		sum := book(ctx, t, c, 0, 20)
		time.Sleep(5 * time.Second)
		// Nothing is under way: the copy is whole.
		copied := map[string][]byte{}
		for _, f := range []string{"front.db", "front.db-wal"} {
			if b, err := os.ReadFile(filepath.Join(c.Dir, f)); err == nil {
				copied[f] = b
			}
		}
		sum += book(ctx, t, c, 20, 40) // answered, published, mirrored for ten seconds
		time.Sleep(10 * time.Second)
		want(t, c, sum, 40)
		dir := t.TempDir()
		for f, b := range copied {
			if err := os.WriteFile(filepath.Join(dir, f), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		old, err := sqlite.Open(filepath.Join(dir, "front.db"), sqlite.WithoutSync())
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			c.Close()
			_ = old.Close() // nothing of it matters
		}()
		change(t, old, c.Partitions)
		n.Become(old)
		answered := int64(0)
		for i := range 20 {
			cmd, _ := streams.NewCommand("after-"+string(rune('a'+i)), "deposit", deposit{account("acc-" + string(rune('0'+i%7))), "br-1", 1000})
			limited, stop := context.WithTimeout(ctx, time.Second)
			r, err := c.Send(limited, cmd)
			stop()
			if err == nil && r.Status == streams.ReplyDone {
				answered++
			}
		}
		time.Sleep(10 * time.Second)
		for _, l := range n.Lanes() {
			if l.State != streams.LaneHalted {
				t.Errorf("front/%d is %s on an older copy of its store: %v", l.Lane, l.State, l.Err)
			}
		}
		want(t, c, sum+answered*1000, 40+answered)
	})
}

// A store that gets another name under its lanes, which only stopped ones may have
// done, is not gone on with: the platform does not know it.
func TestAStoreIsRenewedUnderItsLanes(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("front")
		c.Start("back")
		book(t.Context(), t, c, 0, 20)
		time.Sleep(5 * time.Second)
		s := c.OpenStore("front")
		defer func() {
			c.Close()
			_ = s.Close() // nothing of it matters
		}()
		if _, err := s.(streams.Renewer).Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.Become(s)
		time.Sleep(time.Minute)
		for _, l := range n.Lanes() {
			if l.State != streams.LaneHalted || !strings.Contains(l.Err.Error(), "its store is another one now") {
				t.Errorf("front/%d is %s: %v", l.Lane, l.State, l.Err)
			}
		}
	})
}
