package streams_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// gauges keeps what one lane of the stage measures, and when it commits.
type gauges struct {
	lane      int32
	mu        sync.Mutex
	measured  []measured
	committed []time.Time
}

type measured struct {
	at time.Time
	streams.LaneEvent
}

func (g *gauges) OnLane(e streams.LaneEvent) {
	if e.What == streams.LaneMeasured && e.Service == "stage" && e.Lane == g.lane {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.measured = append(g.measured, measured{time.Now(), e})
	}
}

func (g *gauges) OnPoint(p streams.Point, lane streams.Lane) error {
	if p == streams.PointCommitted {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.committed = append(g.committed, time.Now())
	}
	return nil
}

// take returns what was measured since the last call, the first left out: it
// may be of before.
func (g *gauges) take(t *testing.T) []measured {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.measured
	g.measured = nil
	if len(out) < 4 {
		t.Fatalf("measured %d times", len(out))
	}
	return out[1:]
}

// The lag is what stands in the topic above the cursor, its age that of the
// last record read.
func TestLagIsMeasured(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		g := &gauges{lane: 2}
		c.Hooks = []streams.Hook{g}
		if err := streams.MakeTopics(t.Context(), streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}); err != nil {
			t.Fatal(err)
		}
		var recs []*kgo.Record
		base := time.Now().Truncate(time.Millisecond)
		for i, k := range neighbours(2, 4) {
			data, err := json.Marshal(act{Account: k, Do: "fail"})
			if err != nil {
				t.Fatal(err)
			}
			e := streams.Envelope{ID: fmt.Sprint("lag-", i), Type: "act", Source: "test", Time: base, Key: string(k), Data: data}
			r := e.Record("external.account", 2)
			r.Timestamp = base.Add(time.Duration(i) * time.Second)
			recs = append(recs, r)
		}
		produce(t, c, recs...)
		// It takes two, which fail, and no more.
		stage := c.Start("stage", func(cfg *streams.Config) { cfg.MaxParked, cfg.MaxBatch = 2, 1 })
		time.Sleep(10 * time.Second)
		g.take(t)
		time.Sleep(10 * time.Second)
		for _, m := range g.take(t) {
			if want := m.at.Sub(recs[1].Timestamp); m.Lag["external.account"] != 2 || m.LagAge != want {
				t.Errorf("lag %v of %v, want 2 records and %v", m.Lag, m.LagAge, want)
			}
		}
		if l := stage.Lanes()[2]; l.State != streams.LanePaused || l.Err == nil {
			t.Errorf("a lane with as many parked inputs as may be is %s: %v", l.State, l.Err)
		}
		for range 2 { // a person gives them up, and it goes on
			for _, k := range neighbours(2, 4) {
				_, _ = stage.DropParked(t.Context(), streams.StreamID{Decider: "actor", Key: string(k)})
			}
			time.Sleep(10 * time.Second)
		}
		g.take(t)
		time.Sleep(10 * time.Second)
		if l := stage.Lanes()[2]; l.State != streams.LaneRunning {
			t.Errorf("with nothing parked it is %s: %v", l.State, l.Err)
		}
		for _, m := range g.take(t) {
			if n, ok := m.Lag["external.account"]; !ok || n != 0 || m.LagAge != 0 || m.Unpublished != 0 {
				t.Errorf("when all is read and published: lag %v of %v, unpublished for %v", m.Lag, m.LagAge, m.Unpublished)
			}
		}
	})
}

// The age of what is unpublished counts from the commit of the oldest: a
// commit after it that publishes nothing does not make it younger, nor does a
// restart make it older.
func TestUnpublishedIsMeasured(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		g := &gauges{lane: 2}
		c.Hooks = []streams.Hook{g}
		k := neighbours(2, 1)[0]
		n := c.Start("stage")
		awaitState(t, n, 2, streams.LaneRunning)
		var down atomic.Bool
		c.Broker.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.Broker.KeepControl()
			if !down.Load() {
				return nil, nil, false
			}
			return refuseWith(r.(*kmsg.ProduceRequest), kerr.NotEnoughReplicas), nil, true
		})
		down.Store(true)
		ask := func(id, do string, want streams.ReplyStatus) {
			cmd, err := streams.NewCommand(id, "act", act{Account: k, Do: do})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := c.Send(t.Context(), cmd); err != nil || r.Status != want {
				t.Fatalf("%+v %v", r, err)
			}
		}
		ask("one", "a", streams.ReplyDone)
		g.mu.Lock()
		since := g.committed[len(g.committed)-1]
		g.mu.Unlock()
		waits := func(when string) {
			t.Helper()
			g.take(t)
			time.Sleep(10 * time.Second)
			for _, m := range g.take(t) {
				if want := m.at.Sub(since); m.Unpublished != want {
					t.Errorf("%s: unpublished for %v, want %v", when, m.Unpublished, want)
				}
			}
		}
		time.Sleep(10 * time.Second)
		waits("after its commit")
		ask("two", "reject", streams.ReplyRejected)
		time.Sleep(10 * time.Second)
		waits("after a commit without events")
		n.Kill()
		c.Start("stage")
		time.Sleep(20 * time.Second)
		waits("after a restart")
		down.Store(false)
		time.Sleep(20 * time.Second)
		g.take(t)
		time.Sleep(10 * time.Second)
		for _, m := range g.take(t) {
			if m.Unpublished != 0 {
				t.Errorf("published, and unpublished for %v", m.Unpublished)
			}
		}
	})
}
