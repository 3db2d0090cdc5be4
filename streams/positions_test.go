package streams_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// inBothWatches runs a test with a pipeline of each kind.
func inBothWatches(t *testing.T, f func(t *testing.T, c *streamtest.Cluster, w *laneWatch)) {
	t.Helper()
	for name, transactional := range map[string]bool{"plain": false, "transactional": true} {
		t.Run(name, func(t *testing.T) { inWatch(t, transactional, f) })
	}
}

func administer(t *testing.T, c *streamtest.Cluster) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(c.Client()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

// halts wants the pipeline to end by itself, and to say all this.
func (r *pipeRun) halts(t *testing.T, what ...string) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(2 * time.Minute):
		r.end(t)
		t.Fatal("the pipeline runs on without a word")
	}
	for _, w := range append(what, "teller.account/", "streams.AcceptLog") {
		if r.err == nil || !strings.Contains(r.err.Error(), w) {
			t.Errorf("the pipeline ended with %v, which does not say %q", r.err, w)
		}
		r.wantReady(t, w)
	}
}

func acceptLog(t *testing.T, c *streamtest.Cluster, want int) {
	t.Helper()
	cfg := streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}
	for _, n := range []int{want, 0} { // accepted once, there is nothing left to accept
		if accepted, err := streams.AcceptLog(t.Context(), cfg, "watch"); err != nil || len(accepted) != n {
			t.Fatalf("accepted %v (%v), want %d partitions", accepted, err, n)
		}
	}
}

func forgetGroup(t *testing.T, c *streamtest.Cluster) {
	t.Helper()
	if _, err := administer(t, c).DeleteGroup(t.Context(), "watch"); err != nil {
		t.Fatal(err)
	}
}

// truncate deletes all that is on the log of deposits.
func truncate(t *testing.T, c *streamtest.Cluster) {
	t.Helper()
	time.Sleep(time.Second) // what was answered is published by then
	adm := administer(t, c)
	ends, err := adm.ListEndOffsets(t.Context(), "teller.account")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteRecords(t.Context(), ends.Offsets()); err != nil {
		t.Fatal(err)
	}
}

// A topic that was deleted and made again is another one, and its records are no
// repeats: a pipeline stops, and once that is accepted passes them on.
func TestPipelineStopsAtATopicMadeAnew(t *testing.T) {
	for _, running := range []bool{false, true} {
		for _, forgotten := range []bool{false, true} { // by the broker, of its group, with the topic
			t.Run(fmt.Sprintf("running=%v,forgotten=%v", running, forgotten), func(t *testing.T) {
				inBothWatches(t, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
					c.Start("watchers")
					p := runPipe(c)
					depositAs(t, c, "first", 50)
					time.Sleep(10 * time.Second)
					before, _ := watchTotals(t, c)
					if !running {
						p.end(t)
					}
					adm, forever := administer(t, c), "-1"
					if _, err := adm.DeleteTopics(t.Context(), "teller.account"); err != nil {
						t.Fatal(err)
					}
					if forgotten {
						_, _ = adm.DeleteOffsets(t.Context(), "watch", kadm.TopicsSet{"teller.account": {0: {}, 1: {}, 2: {}, 3: {}}}) // refused while it runs
					}
					if _, err := adm.CreateTopic(t.Context(), 4, 1, map[string]*string{"retention.ms": &forever, "retention.bytes": &forever}, "teller.account"); err != nil {
						t.Fatal(err)
					}
					depositAs(t, c, "second", 50)
					if !running {
						p = runPipe(c)
					}
					p.halts(t, "deleted and made again")
					acceptLog(t, c, 4)
					p = runPipe(c)
					time.Sleep(20 * time.Second)
					if after, _ := watchTotals(t, c); before.N != 50 || after.N != 100 || w.repeats.Load() != 0 {
						t.Errorf("of 50 deposits watchers took %d, of 50 more %d; %d dropped as repeats", before.N, after.N-before.N, w.repeats.Load())
					}
					p.end(t)
				})
			})
		}
	}
}

// depositAs writes deposits as a producer of a new incarnation would.
func depositAs(t *testing.T, c *streamtest.Cluster, incarnation string, n int) {
	t.Helper()
	cl, err := kgo.NewClient(append(c.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	seq := map[int32]int64{}
	for i := range n {
		key := fmt.Sprint("acc-", i%7)
		part := streams.Partition(key, 4)
		seq[part]++
		e := streams.Envelope{ID: fmt.Sprint(incarnation, i), Type: "teller.deposited", Version: 1, Source: "/front", Time: time.Now(), Key: key,
			Data: fmt.Appendf(nil, `{"account":%q,"amount":%d,"balance":0,"n":1}`, key, 100+i), Lane: streams.NewLane("front", part, incarnation), Seq: seq[part], Prev: seq[part] - 1}
		if err := cl.ProduceSync(t.Context(), e.Record("teller.account", part)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// A group's offsets expire, and a pipeline goes on where it was.
func TestPipelineOutlivesItsGroup(t *testing.T) {
	inBothWatches(t, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
		c.Start("front")
		c.Start("watchers")
		p := runPipe(c)
		book(context.Background(), t, c, 0, 50)
		wantWatched(t, c, 50)
		p.end(t)
		forgetGroup(t, c)
		p = runPipe(c)
		book(context.Background(), t, c, 50, 100)
		wantWatched(t, c, 100)
		p.end(t)
		once(t, "watch.account", readAll(t, c, kgo.ReadCommitted(), "watch.account"), 100-least+1-bad)
		w.wantPassed(t, 100)
	})
}

// What a pipeline had not read is deleted: it does not skip it in silence, whether
// its group is remembered or not, and whether or not anything ever went out.
func TestPipelineStopsAtATruncatedLog(t *testing.T) {
	for _, before := range []int{50, least - 1} { // of those it lets none pass
		for _, forgotten := range []bool{false, true} {
			t.Run(fmt.Sprintf("before=%d,forgotten=%v", before, forgotten), func(t *testing.T) {
				inBothWatches(t, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
					c.Start("front")
					p := runPipe(c)
					book(context.Background(), t, c, 0, before)
					time.Sleep(5 * time.Second)
					p.end(t)
					book(context.Background(), t, c, before, 100) // not read
					if forgotten {
						forgetGroup(t, c)
					}
					truncate(t, c)
					p = runPipe(c)
					book(context.Background(), t, c, 100, 150)
					p.halts(t, "has read up to offset", "are deleted")
					acceptLog(t, c, 4)
					p = runPipe(c)
					time.Sleep(10 * time.Second)
					p.end(t)
					passed := max(before-least+1-bad, 0)
					once(t, "watch.account", readAll(t, c, kgo.ReadCommitted(), "watch.account"), passed+50)
				})
			})
		}
	}
}

// A running pipeline that is kept from its input until that is deleted.
func TestRunningPipelineStopsAtATruncatedLog(t *testing.T) {
	inBothWatches(t, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
		c.Start("front")
		p := runPipe(c)
		book(context.Background(), t, c, 0, 50)
		time.Sleep(5 * time.Second)
		held := c.Broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "teller.account", Err: kerr.NotLeaderForPartition, Count: -1})
		book(context.Background(), t, c, 50, 100)
		truncate(t, c)
		held.Remove()
		p.halts(t, "has read up to offset", "are deleted")
	})
}

// A pipeline that is new wants all.
func TestNewPipelineRefusesATruncatedLog(t *testing.T) {
	inBothWatches(t, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
		c.Start("front")
		book(context.Background(), t, c, 0, 50)
		truncate(t, c)
		p := runPipe(c)
		p.halts(t, "has no position there", "are deleted")
	})
}

// What an older version left in the group only is taken over; later the group's
// word counts for nothing against the pipeline's own, nor does that of an owner
// who was cut off and writes after the next.
func TestPipelineTakesItsGroupsOffsetsOver(t *testing.T) {
	inBothWatches(t, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
		c.Start("front")
		c.Start("watchers")
		book(context.Background(), t, c, 0, 50)
		time.Sleep(time.Second)
		adm := administer(t, c)
		ends, err := adm.ListEndOffsets(t.Context(), "teller.account")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := adm.CommitOffsets(t.Context(), "watch", ends.Offsets()); err != nil {
			t.Fatal(err)
		}
		p := runPipe(c)
		book(context.Background(), t, c, 50, 100)
		time.Sleep(10 * time.Second)
		p.end(t)
		once(t, "watch.account", readAll(t, c, kgo.ReadCommitted(), "watch.account"), 50)
		for _, r := range readAll(t, c, kgo.ReadCommitted(), streams.PositionsTopic("watch"))[:4] { // the oldest again
			r.Offset, r.Timestamp = 0, time.Time{}
			produce(t, c, r)
		}
		if _, err := adm.CommitOffsets(t.Context(), "watch", ends.Offsets()); err != nil {
			t.Fatal(err)
		}
		p = runPipe(c)
		time.Sleep(10 * time.Second)
		p.end(t)
		once(t, "watch.account", readAll(t, c, kgo.ReadCommitted(), "watch.account"), 50)
	})
}
