//go:build synctests

// franz-go holds a mutex over a join of its group, and a commit meanwhile waits
// for it: virtual time stands still unless its build tag synctests makes that
// mutex a channel. go test -tags synctests ./streams runs what needs it.

package streams_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// Instances of a pipeline join and leave while it works.
func TestPipelineIsShared(t *testing.T) {
	for _, transactional := range []bool{false, true} {
		t.Run(fmt.Sprint("transactional ", transactional), func(t *testing.T) {
			inWatch(t, transactional, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
				ctx := context.Background()
				c.Start("front")
				n := c.Start("watchers")
				a := runPipe(c)
				book(ctx, t, c, 0, 50)
				b := runPipe(c)
				book(ctx, t, c, 50, 100)
				time.Sleep(5 * time.Second)
				a.end(t)
				book(ctx, t, c, 100, 150)
				d := runPipe(c)
				book(ctx, t, c, 150, 200)
				wantWatched(t, c, 200)
				b.end(t)
				d.end(t)
				deadLetters(t, c)
				caughtUp(t, c, n)
				if transactional {
					once(t, "watch.account", readAll(t, c, kgo.ReadCommitted(), "watch.account"), 200-least+1-bad)
				}
			})
		})
	}
}

// Ready is who is in the group, also if there is nothing left for it to read; not
// who has yet to join, and not who looks where it stands.
func TestPipelineTellsWhetherItIsReady(t *testing.T) {
	inBothWatches(t, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
		var asked atomic.Int64 // by the group's client, and by who compares that with the log
		c.Broker.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			c.Broker.KeepControl()
			if asked.Add(1) <= 2 {
				time.Sleep(3 * time.Second)
			}
			return nil, nil, false
		})
		first := runPipe(c)
		first.wantReady(t, "not joined")
		for _, why := range []string{"not joined", "it looks where to read from"} {
			time.Sleep(2500 * time.Millisecond)
			first.wantReady(t, why)
		}
		all := []*pipeRun{first}
		for range 5 { // of more than there are partitions
			all = append(all, runPipe(c))
		}
		time.Sleep(time.Minute)
		for _, p := range all {
			p.wantReady(t, "")
		}
		for _, p := range all {
			p.end(t)
		}
	})
}

// Who is told to stop before the pipeline has begun has met no trouble.
func TestPipelineStoppedAtItsStart(t *testing.T) {
	inWatch(t, false, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		p, err := streams.NewPipelineInstance(streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}, "watch")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}

// A pipeline that the group throws out, and does not let in again for a minute,
// asks again in peace, and goes on where it was.
func TestPipelineLosesItsSession(t *testing.T) {
	for _, transactional := range []bool{false, true} {
		t.Run(fmt.Sprint("transactional ", transactional), func(t *testing.T) {
			inWatch(t, transactional, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
				ctx := context.Background()
				c.Start("front")
				c.Start("watchers")
				p := runPipe(c)
				book(ctx, t, c, 0, 50)
				var out atomic.Bool
				var joins atomic.Int64
				out.Store(true)
				c.Broker.ControlKey(int16(kmsg.Heartbeat), func(r kmsg.Request) (kmsg.Response, error, bool) {
					c.Broker.KeepControl()
					q := r.(*kmsg.HeartbeatRequest)
					resp := q.ResponseKind().(*kmsg.HeartbeatResponse)
					resp.ErrorCode = kerr.UnknownMemberID.Code
					return resp, nil, q.Group == "watch" && out.Load()
				})
				c.Broker.ControlKey(int16(kmsg.JoinGroup), func(r kmsg.Request) (kmsg.Response, error, bool) {
					c.Broker.KeepControl()
					q := r.(*kmsg.JoinGroupRequest)
					resp := q.ResponseKind().(*kmsg.JoinGroupResponse)
					resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
					shut := q.Group == "watch" && out.Load()
					if shut {
						joins.Add(1)
					}
					return resp, nil, shut
				})
				time.Sleep(time.Minute)
				p.wantReady(t, "GROUP_AUTHORIZATION_FAILED")
				if n := joins.Load(); n < 5 || n > 100 {
					t.Errorf("it asked %d times in a minute to be let in", n)
				}
				book(ctx, t, c, 50, 100)
				out.Store(false)
				wantWatched(t, c, 100)
				p.wantReady(t, "")
				p.end(t)
			})
		})
	}
}

// Transactions that are aborted are tried again, but not as fast as it goes.
func TestAbortedTransactionsBackOff(t *testing.T) {
	inWatch(t, true, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
		ctx := context.Background()
		c.Start("front")
		n := c.Start("watchers")
		p := runPipe(c)
		book(ctx, t, c, 0, 50)
		var out atomic.Bool
		var refused atomic.Int64
		out.Store(true)
		c.Broker.ControlKey(int16(kmsg.TxnOffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.Broker.KeepControl()
			if !out.Load() || refused.Load() > 10_000 { // or else time would stand still
				return nil, nil, false
			}
			refused.Add(1)
			return refuseTxnCommit(r.(*kmsg.TxnOffsetCommitRequest), kerr.IllegalGeneration), nil, true
		})
		book(ctx, t, c, 50, 100)
		time.Sleep(time.Minute)
		p.wantReady(t, "aborted")
		if n := refused.Load(); n < 5 || n > 200 {
			t.Errorf("%d transactions in a minute", n)
		}
		out.Store(false)
		wantWatched(t, c, 100)
		p.wantReady(t, "")
		p.end(t)
		if w.failed.Load() < 5 {
			t.Errorf("hooks were told of %d records whose commit was aborted", w.failed.Load())
		}
		w.wantPassed(t, 100)
		caughtUp(t, c, n)
	})
}

// Rule 4 holds for pipelines too.
func TestPipelineRefusesDataOfAnotherKey(t *testing.T) {
	inWatch(t, false, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
		c.Start("front")
		p := runPipe(c)
		book(context.Background(), t, c, 0, 7)
		e := envelope("front/9/another", 1, 0, deposited{"acc-1", 50, 50, 1, ""})
		e.Key = "acc-2"
		produce(t, c, e.Record("teller.account", streams.Partition("acc-2", c.Partitions)))
		time.Sleep(5 * time.Second)
		if n := count(t, c, streams.DeadTopic("watch")); n != 1 {
			t.Errorf("%d dead letters, want 1", n)
		}
		if n := count(t, c, "watch.account"); n != 0 {
			t.Errorf("%d outputs, want none", n)
		}
		p.end(t)
	})
}
