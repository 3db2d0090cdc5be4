package streams_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// slowly lets the broker deny for a while, in all that it is asked, that it knows
// topics which were made, as brokers of a real cluster do that have not heard of
// them yet: each kind of question for so long, counted from its first.
func slowly(c *streamtest.Cluster, each time.Duration, denied *atomic.Int64, of ...kmsg.Key) {
	for _, key := range of {
		var first time.Time
		c.Broker.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Count: -1, Err: kerr.UnknownTopicOrPartition, When: func(kmsg.Request) bool {
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) > each {
				return false
			}
			denied.Add(1)
			return true
		}})
	}
}

// On a cluster that is new, nothing that is slow to be known ends a service, a
// pipeline or what runs in one process at a time, though two of each begin at once.
func TestFreshClusterIsWaitedFor(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Metadata, kmsg.DescribeConfigs, kmsg.ListOffsets, kmsg.Produce, kmsg.Fetch} {
		t.Run(key.Name(), func(t *testing.T) {
			inWatch(t, false, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
				var denied atomic.Int64
				slowly(c, 20*time.Second, &denied, key)
				var nodes []*streamtest.Node
				for range 2 {
					nodes = append(nodes, c.Start("front"), c.Start("watchers"))
				}
				a, b := runPipe(c), runPipe(c)
				ctx, stop := context.WithCancel(t.Context())
				alone, begun := make(chan error, 1), make(chan bool, 1)
				go func() {
					cfg := streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}
					alone <- streams.RunExclusive(ctx, cfg, "lonely", func(ctx context.Context) error {
						begun <- true
						<-ctx.Done()
						return nil
					})
				}()
				time.Sleep(40 * time.Second)
				for _, n := range nodes {
					if !n.Joined() {
						t.Errorf("%s has not joined", n.Service)
					}
					select {
					case <-n.Done():
						t.Fatalf("%s ended: %v", n.Service, n.Stop())
					default:
					}
				}
				book(context.Background(), t, c, 0, 50)
				wantWatched(t, c, 50)
				select {
				case <-begun:
				case <-time.After(time.Minute):
					t.Error("what runs alone has not begun")
				}
				a.end(t)
				b.end(t)
				stop()
				if err := <-alone; err != nil {
					t.Error(err)
				}
				if denied.Load() == 0 {
					t.Error("the broker denied nothing: the test tests nothing")
				}
			})
		})
	}
}

// A control topic whose end the broker cannot tell yet is not an empty one: what
// it keeps of a service would be written anew.
func TestAnUnknownEndIsNoEmptyTopic(t *testing.T) {
	inWatch(t, false, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
		c.Start("front")
		time.Sleep(10 * time.Second)
		c.Broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: streams.ControlTopic, Err: kerr.TopicAuthorizationFailed, Count: -1})
		if have, err := streams.Incarnations(t.Context(), c.Client()); err == nil {
			t.Errorf("incarnations %v of a topic whose end is not known", have)
		}
	})
}
