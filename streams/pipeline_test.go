package streams_test

import (
	"context"
	"sync/atomic"
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

// A pipeline that is new takes what was there before it.
func TestNewPipelineTakesAll(t *testing.T) {
	for _, transactional := range []bool{false, true} {
		inWatch(t, transactional, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
			c.Start("front")
			c.Start("watchers")
			book(context.Background(), t, c, 0, 50)
			p := runPipe(c)
			wantWatched(t, c, 50)
			p.end(t)
		})
	}
}

// Rule 14: what a pipeline produces again is dropped at the lanes behind it.
func TestPipeline(t *testing.T) {
	inWatch(t, false, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
		c.Start("front")
		c.Start("watchers")
		p := runPipe(c)
		book(context.Background(), t, c, 0, 50)
		// Produced, and the positions not kept: it begins again further back.
		lost := c.Broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: streams.PositionsTopic("watch"), Err: kerr.InvalidRecord, Count: 5},
			kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: "watch", Err: kerr.InvalidCommitOffsetSize, Count: 5})
		book(context.Background(), t, c, 50, 100)
		p.end(t)
		other := runPipe(c)
		book(context.Background(), t, c, 100, 150)
		wantWatched(t, c, 150)
		other.end(t)
		if lost.Hits() == 0 || w.repeats.Load() == 0 {
			t.Errorf("%d commits lost, %d repeats dropped: the test tests nothing", lost.Hits(), w.repeats.Load())
		}
		deadLetters(t, c)
	})
}

// A transactional pipeline's committed output has each record once, and lanes
// read over the marks that transactions leave in their topics.
func TestTransactionalPipeline(t *testing.T) {
	inWatch(t, true, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
		c.Start("front")
		n := c.Start("watchers")
		p := runPipe(c)
		book(context.Background(), t, c, 0, 50)
		var refused atomic.Int64
		c.Broker.ControlKey(int16(kmsg.TxnOffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.Broker.KeepControl()
			if refused.Add(1) > 5 {
				return nil, nil, false
			}
			return refuseTxnCommit(r.(*kmsg.TxnOffsetCommitRequest), kerr.InvalidCommitOffsetSize), nil, true
		})
		book(context.Background(), t, c, 50, 100)
		time.Sleep(5 * time.Second)
		p.end(t)
		other := runPipe(c)
		book(context.Background(), t, c, 100, 150)
		wantWatched(t, c, 150)
		other.end(t)
		for _, topic := range []string{"watch.account", "watch.branch"} {
			once(t, topic, readAll(t, c, kgo.ReadCommitted(), topic), 150-least+1-bad)
			if n := len(readAll(t, c, kgo.ReadUncommitted(), topic)); n <= 150-least+1-bad {
				t.Errorf("%s holds %d records in all, none of them aborted: the test tests nothing", topic, n)
			}
		}
		w.wantPassed(t, 150)
		if refused.Load() == 0 || w.repeats.Load() != 0 {
			t.Errorf("%d transactions refused, %d repeats", refused.Load(), w.repeats.Load())
		}
		deadLetters(t, c)
		caughtUp(t, c, n)
	})
}

// once wants each event once.
func once(t *testing.T, topic string, recs []*kgo.Record, want int) {
	t.Helper()
	seen := map[string]int{}
	for _, r := range recs {
		e, err := streams.ReadEnvelope(r)
		if err != nil {
			t.Fatal(err)
		}
		if seen[e.ID]++; seen[e.ID] > 1 {
			t.Errorf("%s: event %s stands there %d times", topic, e.ID, seen[e.ID])
		}
	}
	if len(seen) != want {
		t.Errorf("%s: %d events, want %d", topic, len(seen), want)
	}
}

// caughtUp wants every cursor at the end of its topics, marks included.
func caughtUp(t *testing.T, c *streamtest.Cluster, n *streamtest.Node) {
	t.Helper()
	cl, err := kgo.NewClient(c.Client()...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(context.Background(), "watch.account", "watch.branch")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range n.Lanes() {
		for topic, at := range l.Offsets {
			if end, _ := ends.Lookup(topic, l.Lane); at != end.Offset {
				t.Errorf("lane %d stands at %d of %s, which ends at %d", l.Lane, at, topic, end.Offset)
			}
		}
	}
}

func refuseTxnCommit(q *kmsg.TxnOffsetCommitRequest, why *kerr.Error) kmsg.Response {
	resp := q.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	for _, t := range q.Topics {
		rt := kmsg.NewTxnOffsetCommitResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, why.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// What a lane publishes again, as it does not know that it arrived, the pipeline
// reads at another offset. What it becomes is a repeat all the same.
func TestPipelineReadsRepeats(t *testing.T) {
	inBothWatches(t, func(t *testing.T, c *streamtest.Cluster, w *laneWatch) {
		c.Start("watchers")
		p := runPipe(c)
		depositAs(t, c, "first", 50)
		depositAs(t, c, "first", 50)
		time.Sleep(20 * time.Second)
		if taken, _ := watchTotals(t, c); taken.N != 50 {
			t.Errorf("of 50 deposits that were published twice, %d were taken", taken.N)
		}
		p.end(t)
	})
}
