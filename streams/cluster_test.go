package streams_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

func TestEventsReachEveryDecider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, fleet(t), 4)
		c.Start("front")
		c.Start("back")
		sum := book(context.Background(), t, c, 0, 100)
		want(t, c, sum, 100)
		c.Close()
	})
}

func TestInstancesJoinDieAndFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		c := streamtest.NewCluster(t, fleet(t), 4)
		f1, b1 := c.Start("front"), c.Start("back")
		sum := book(ctx, t, c, 0, 50)
		c.Start("front")
		b2 := c.Start("back")
		sum += book(ctx, t, c, 50, 100)
		// kfake forgets to expire a member that dies while it waits to be let in.
		time.Sleep(30 * time.Second)
		f1.Kill()
		b1.Kill()
		sum += book(ctx, t, c, 100, 150)
		c.Start("back")
		time.Sleep(10 * time.Second)
		b2.Freeze()
		sum += book(ctx, t, c, 150, 200)
		time.Sleep(30 * time.Second)
		b2.Thaw() // a zombie by now
		sum += book(ctx, t, c, 200, 250)
		want(t, c, sum, 250)
		c.Close()
	})
}

// A zombie's late claim fences the lane's owner, whom the group tells nothing.
// The owner must have its lane back without a rebalance.
func TestOwnerFencedByZombieComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		c := streamtest.NewCluster(t, fleet(t), 4)
		n := c.Start("front")
		c.Start("back")
		sum := book(ctx, t, c, 0, 20)
		zombie := c.OpenStore("front")
		for lane := range c.Partitions {
			if _, err := zombie.Claim(ctx, lane); err != nil {
				t.Fatal(err)
			}
		}
		if err := zombie.Close(); err != nil {
			t.Fatal(err)
		}
		sum += book(ctx, t, c, 20, 40)
		for _, l := range n.Lanes() {
			if l.State != streams.LaneRunning {
				t.Errorf("lane %d is %s: %v", l.Lane, l.State, l.Err)
			}
		}
		want(t, c, sum, 40)
		c.Close()
	})
}
