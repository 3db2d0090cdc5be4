package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// inBubble runs a test against a cluster of the fleet in virtual time.
func inBubble(t *testing.T, f func(t *testing.T, c *streamtest.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, fleet(t), 4)
		f(t, c)
		c.Close()
	})
}

// produce writes a raw record where a lane of the back office reads it.
func produce(t *testing.T, c *streamtest.Cluster, recs ...*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(append(c.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(context.Background(), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// awaitState waits until an instance's lane is in a state.
func awaitState(t *testing.T, n *streamtest.Node, lane int32, want streams.LaneChange) streams.LaneStatus {
	t.Helper()
	var got streams.LaneStatus
	for range 300 {
		for _, s := range n.Lanes() {
			if s.Lane == lane {
				got = s
			}
		}
		if got.State == want {
			return got
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("lane %d is %q (%v), want %q", lane, got.State, got.Err, want)
	return got
}

// lateStore commits, and then says that it failed: the acknowledgement got lost.
type lateStore struct {
	streams.Store
	every int64
	n     atomic.Int64
	lies  atomic.Int64
}

func (s *lateStore) Commit(ctx context.Context, lane int32, tx *streams.Tx) error {
	if err := s.Store.Commit(ctx, lane, tx); err != nil {
		return err
	}
	if s.n.Add(1)%s.every == 0 {
		s.lies.Add(1)
		return errors.New("the connection broke before the answer came")
	}
	return nil
}

// Rule 6: after a doubtful commit the cursor tells whether it was done.
func TestCommitDoneButNotAcknowledged(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		late := map[string]*lateStore{}
		for _, service := range []string{"front", "back"} {
			late[service] = &lateStore{Store: c.OpenStore(service), every: 7}
			defer late[service].Close()
			c.StartOn(service, late[service])
		}
		sum := book(context.Background(), t, c, 0, 100)
		want(t, c, sum, 100)
		for name, s := range late {
			if s.lies.Load() == 0 {
				t.Errorf("store of %s lost no acknowledgement: the test tests nothing", name)
			}
		}
	})
}

// Rule 9: a failed produce ends the lane's life, and the outbox is published
// again; nothing later overtakes it.
func TestFailedProduce(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("front")
		c.Start("back")
		sum := book(context.Background(), t, c, 0, 20)
		var failed atomic.Int64
		rnd := rand.New(rand.NewPCG(1, 2))
		c.Broker.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.Broker.KeepControl()
			if failed.Load() >= 20 || rnd.IntN(4) > 0 {
				return nil, nil, false
			}
			failed.Add(1)
			return refuse(r.(*kmsg.ProduceRequest)), nil, true
		})
		sum += book(context.Background(), t, c, 20, 150)
		want(t, c, sum, 150)
		if failed.Load() == 0 {
			t.Error("no produce failed: the test tests nothing")
		}
	})
}

// refuse answers a produce request with an error that franz-go does not retry.
func refuse(r *kmsg.ProduceRequest) kmsg.Response { return refuseWith(r, kerr.InvalidRecord) }

func refuseWith(r *kmsg.ProduceRequest, why *kerr.Error) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range r.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, why.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// Rules 17 and 19: a failed decision parks its key; what follows on that key
// waits, in order; everything else flows; retry fails again, drop lets it flow.
func TestFailedDecisionParksItsKeyOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		n := c.Start("front")
		c.Start("back")
		sum := book(ctx, t, c, 0, 7)
		post(ctx, t, c, "poison", bonus{Account: "acc-3", Fail: true})
		post(ctx, t, c, "after-1", bonus{Account: "acc-3", Amount: 1000})
		post(ctx, t, c, "after-2", bonus{Account: "acc-3", Amount: 2000})
		post(ctx, t, c, "other", bonus{Account: "acc-4", Amount: 500})
		time.Sleep(2 * time.Second)
		want(t, c, sum+500, 8)
		cmd, _ := streams.NewCommand("blocked", "deposit", deposit{"acc-3", "br-0", 1})
		if r, err := c.Send(ctx, cmd); err != nil || r.Status != streams.ReplyParked {
			t.Errorf("command to a parked key: %+v %v, want parked", r, err)
		}
		key := streams.StreamID{Decider: "teller", Key: "acc-3"}
		if left, err := n.RetryParked(ctx, key); err != nil || left != 3 {
			t.Errorf("retry of what fails again: %d left, %v; want 3", left, err)
		}
		if left, err := n.DropParked(ctx, key); err != nil || left != 0 {
			t.Errorf("drop: %d left, %v; want 0", left, err)
		}
		want(t, c, sum+500+3000, 10)
		if r, err := c.Send(ctx, cmd); err != nil || r.Status != streams.ReplyDone {
			t.Errorf("command after the drop: %+v %v, want done", r, err)
		}
	})
}

// The parked set survives the instance.
func TestParkedKeySurvivesRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		n := c.Start("front")
		c.Start("back")
		sum := book(ctx, t, c, 0, 7)
		post(ctx, t, c, "poison", bonus{Account: "acc-3", Fail: true})
		time.Sleep(time.Second)
		n.Kill()
		n = c.Start("front")
		post(ctx, t, c, "after", bonus{Account: "acc-3", Amount: 1000})
		awaitState(t, n, streams.Partition("acc-3", 4), streams.LaneRunning)
		time.Sleep(5 * time.Second)
		want(t, c, sum, 7)
		if left, err := n.DropParked(ctx, streams.StreamID{Decider: "teller", Key: "acc-3"}); err != nil || left != 0 {
			t.Errorf("drop: %d left, %v", left, err)
		}
		want(t, c, sum+1000, 8)
	})
}

// Rule 22: the same command id is decided once; another body under it is refused.
func TestRepeatedCommand(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		n := c.Start("front")
		c.Start("back")
		first, _ := streams.NewCommand("once", "deposit", deposit{"acc-1", "br-1", 5})
		other, _ := streams.NewCommand("once", "deposit", deposit{"acc-1", "br-1", 6})
		bad, _ := streams.NewCommand("bad", "deposit", deposit{"acc-1", "br-1", -6})
		a, err := c.Send(ctx, first)
		if err != nil || a.Status != streams.ReplyDone {
			t.Fatalf("%+v %v", a, err)
		}
		n.Kill()
		c.Start("front")
		if b, err := c.Send(ctx, first); err != nil || string(b.Body) != string(a.Body) || b.Token != a.Token {
			t.Errorf("repeat: %+v %v, want %+v", b, err, a)
		}
		if b, err := c.Send(ctx, other); err != nil || b.Status != streams.ReplyConflict {
			t.Errorf("another body: %+v %v, want a conflict", b, err)
		}
		if b, err := c.Send(ctx, bad); err != nil || b.Status != streams.ReplyRejected || !strings.Contains(string(b.Body), "amount") {
			t.Errorf("bad amount: %+v %v, want rejected", b, err)
		}
		want(t, c, 5, 1)
	})
}

// Rule 24: events from outside are told apart by source and id.
func TestExternalEventTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		n := c.Start("front")
		c.Start("back")
		awaitState(t, n, 0, streams.LaneRunning)
		for range 3 {
			post(ctx, t, c, "same", bonus{Account: "acc-2", Amount: 10})
		}
		time.Sleep(time.Second)
		n.Kill()
		c.Start("front")
		post(ctx, t, c, "same", bonus{Account: "acc-2", Amount: 10})
		want(t, c, 10, 1)
	})
}

// envelope is a lane's event as the back office reads it.
func envelope(lane streams.Lane, seq, prev int64, d deposited) *streams.Envelope {
	b, _ := json.Marshal(d)
	return &streams.Envelope{ID: fmt.Sprint(lane, seq), Type: "teller.deposited", Version: 1, Source: "/test", Time: time.Now(), Key: d.Account.String(), Lane: lane, Seq: seq, Prev: prev, Data: b}
}

// Rule 8: at or below the highest sequence is a repeat; a hole halts the lane.
func TestRepeatsAndHoles(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("back")
		part := streams.Partition("acc-1", 4)
		awaitState(t, n, part, streams.LaneRunning)
		lane := streams.NewLane("front", part, "life-1")
		send := func(e *streams.Envelope) { produce(t, c, e.Record("teller.account", part)) }
		send(envelope(lane, 1, 0, deposited{"acc-1", 5, 5, 1, ""}))
		send(envelope(lane, 4, 1, deposited{"acc-1", 5, 10, 2, ""}))
		send(envelope(lane, 1, 0, deposited{"acc-1", 5, 5, 1, ""})) // repeats
		send(envelope(lane, 4, 1, deposited{"acc-1", 5, 10, 2, ""}))
		replay := envelope(lane, 9, 4, deposited{"acc-1", 5, 10, 2, ""})
		replay.ReplayID = "replay-1" // rule 14: not for live lanes
		send(replay)
		// Rule 8: a restored store is another lane, and begins at 1 again.
		send(envelope(streams.NewLane("front", part, "life-2"), 1, 0, deposited{"acc-1", 5, 15, 3, ""}))
		time.Sleep(2 * time.Second)
		if got := fleetTotals(t, c); got != "accounts 15 in 3, branches 0, gaps 0" {
			t.Errorf("got %s", got)
		}
		send(envelope(lane, 9, 7, deposited{"acc-1", 5, 20, 4, ""})) // 7 never came
		s := awaitState(t, n, part, streams.LaneHalted)
		if !strings.Contains(fmt.Sprint(s.Err), "events are missing") {
			t.Errorf("halted with %v", s.Err)
		}
		if got := fleetTotals(t, c); got != "accounts 15 in 3, branches 0, gaps 0" {
			t.Errorf("after the hole: %s", got)
		}
	})
}

// Rule 4: a key on a partition that is not its own, and a record that is no
// event, park nobody.
func TestMisplacedRecords(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("back")
		part := streams.Partition("acc-1", 4)
		awaitState(t, n, part, streams.LaneRunning)
		lane := streams.NewLane("front", part, "life-1")
		wrong := (part + 1) % 4
		produce(t, c, envelope(lane, 1, 0, deposited{"acc-1", 7, 7, 1, ""}).Record("teller.account", wrong),
			&kgo.Record{Topic: "teller.account", Partition: part, Value: []byte("no key")},
			&kgo.Record{Topic: "teller.account", Partition: part, Key: []byte("acc-1"), Value: []byte("no envelope")},
			envelope(lane, 1, 0, deposited{"acc-1", 5, 5, 1, ""}).Record("teller.account", part))
		time.Sleep(2 * time.Second)
		if got := fleetTotals(t, c); got != "accounts 5 in 1, branches 0, gaps 0" {
			t.Errorf("got %s", got)
		}
		if dead := count(t, c, streams.DeadTopic("back")); dead != 3 {
			t.Errorf("%d reports on the dead-letter topic, want 3", dead)
		}
	})
}

func count(t *testing.T, c *streamtest.Cluster, topic string) (n int64) {
	t.Helper()
	cl, err := kgo.NewClient(c.Client()...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(context.Background(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

// Rule 18: a newer version stops the lane and parks nothing.
func TestNewerVersionHalts(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("back")
		part := streams.Partition("acc-1", 4)
		awaitState(t, n, part, streams.LaneRunning)
		e := envelope(streams.NewLane("front", part, "life-1"), 1, 0, deposited{"acc-1", 5, 5, 1, ""})
		e.Version = 2
		produce(t, c, e.Record("teller.account", part))
		s := awaitState(t, n, part, streams.LaneHalted)
		if !strings.Contains(fmt.Sprint(s.Err), "upgrade consumers") {
			t.Errorf("halted with %v", s.Err)
		}
	})
}

// Rule 3: another partition count, or a store that the platform does not know,
// stops the start.
func TestUnknownStoreAndPartitionCount(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("back")
		awaitState(t, n, 0, streams.LaneRunning)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		other := c.Start("back", func(cfg *streams.Config) { cfg.Partitions = 8 })
		<-other.Done()
		if err := other.Stop(); err == nil || !strings.Contains(err.Error(), "partitions") {
			t.Errorf("8 partitions instead of 4: %v", err)
		}
		c.Dir = t.TempDir()
		lost := c.Start("back")
		<-lost.Done()
		if err := lost.Stop(); err == nil || !strings.Contains(err.Error(), "restore") {
			t.Errorf("another store: %v", err)
		}
	})
}

// Rule 11: a decider that wants all refuses a log whose beginning is gone.
func TestTruncatedLog(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		front := c.Start("front")
		awaitState(t, front, 0, streams.LaneRunning)
		part := streams.Partition("acc-1", 4)
		produce(t, c, envelope("x", 1, 0, deposited{"acc-1", 5, 5, 1, ""}).Record("teller.account", part))
		cl, err := kgo.NewClient(c.Client()...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		del := kadm.Offsets{}
		del.AddOffset("teller.account", part, 1, -1)
		if _, err := kadm.NewClient(cl).DeleteRecords(context.Background(), del); err != nil {
			t.Fatal(err)
		}
		n := c.Start("back")
		s := awaitState(t, n, part, streams.LaneHalted)
		if !strings.Contains(fmt.Sprint(s.Err), "wants all") {
			t.Errorf("halted with %v", s.Err)
		}
	})
}
