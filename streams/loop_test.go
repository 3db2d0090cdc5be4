//go:build synctests

package streams_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

func named(instance string) func(*streams.Config) {
	return func(c *streams.Config) { c.Instance = instance }
}

func lanesOf(n *streamtest.Node) (out []int32) {
	for _, l := range n.Lanes() {
		if l.State == streams.LaneRunning {
			out = append(out, l.Lane)
		}
	}
	return out
}

// A member that is killed and started again and again costs the others nothing:
// they keep their lanes, and their lanes commit.
func TestCrashLoopOfOneMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, fleet(t), 8)
		survivor := c.Start("front", named("one"))
		c.Start("back")
		loops := c.Start("front", named("two"))
		time.Sleep(20 * time.Second)
		kept := lanesOf(survivor)
		if len(kept) != 4 {
			t.Fatalf("the survivor has lanes %v before", kept)
		}
		stop := make(chan struct{})
		slow := make(chan string, 1)
		go func() { // deposits to a key of every lane that it keeps
			defer close(slow)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
				key := keyOf(kept[n%len(kept)], c.Partitions)
				cmd, err := streams.NewCommand(fmt.Sprint("loop-", n), "deposit", deposit{account(key), "br-1", 1})
				if err != nil {
					slow <- err.Error()
					return
				}
				began := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				_, err = c.Send(ctx, cmd)
				cancel()
				if err != nil {
					slow <- fmt.Sprintf("%s at %v: %v, the survivor has %v", key, began, err, lanesOf(survivor))
					return
				}
			}
		}()
		for range 10 {
			loops.Kill()
			loops = c.Start("front", named("two"))
			time.Sleep(1900 * time.Millisecond)
		}
		time.Sleep(30 * time.Second)
		close(stop)
		if why, ok := <-slow; ok {
			t.Errorf("a survivor's lane stood still: %s", why)
		}
		if got := lanesOf(survivor); !slices.Equal(got, kept) {
			t.Errorf("the survivor has lanes %v after, and had %v", got, kept)
		}
		if n := len(lanesOf(loops)); n != 4 {
			t.Errorf("who came back has %d lanes", n)
		}
		loops.Kill()
		time.Sleep(15 * time.Second)
		if n := len(lanesOf(survivor)); n != 8 {
			t.Errorf("the survivor has %d lanes of who does not come back", n)
		}
		c.Close()
	})
}

func keyOf(lane, partitions int32) string {
	for n := 0; ; n++ {
		if key := fmt.Sprint("acc-", n); streams.Partition(key, partitions) == lane {
			return key
		}
	}
}

// A member that has a name and stops in peace hands its lanes over at once.
func TestANamedMemberLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, fleet(t), 4)
		stays, goes := c.Start("front", named("one")), c.Start("front", named("two"))
		time.Sleep(20 * time.Second)
		if a, b := lanesOf(stays), lanesOf(goes); len(a) != 2 || len(b) != 2 {
			t.Fatalf("lanes %v and %v", a, b)
		}
		if err := goes.Stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if n := len(lanesOf(stays)); n != 4 {
			t.Errorf("%d lanes four seconds after the other has left", n)
		}
		c.Close()
	})
}

// Two members of one name: the one that is put out says so, and ends.
func TestTwoMembersOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, fleet(t), 4)
		first := c.Start("front", named("one"))
		time.Sleep(10 * time.Second)
		second := c.Start("front", named("one"))
		select {
		case <-first.Done():
		case <-time.After(time.Minute):
			t.Fatal("it goes on")
		}
		if err := first.Stop(); err == nil || !strings.Contains(err.Error(), `"one"`) {
			t.Errorf("it ended with %v", err)
		}
		time.Sleep(10 * time.Second)
		if n := len(lanesOf(second)); n != 4 {
			t.Errorf("the other has %d lanes", n)
		}
		c.Close()
	})
}
