package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
)

func neighbour(n int) string { // keys of lane 0
	for i := 0; ; i++ {
		k := fmt.Sprint("zz-", i)
		if streams.Partition(k, partitions) == 0 {
			if n == 0 {
				return k
			}
			n--
		}
	}
}

func TestParkedKeepsItsSaga(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.tell("k", "fail")
		time.Sleep(3 * time.Second)
		mended.Store(true)
		o.unpark("k", false, true)
		time.Sleep(3 * time.Second)
		o.input()
		n := 0
		err := o.stores["desks"].Outbox(context.Background(), streams.Partition("k", partitions), 0, math.MaxInt, func(e streams.StoredEvent) error {
			env, err := e.Envelope()
			if err == nil && env.Causation == "told-1" && env.Type != streams.ParkedType {
				n++
				if env.Correlation != "/test#told-1" { // its sender's word for it is its source's own
					t.Errorf("%s of %s has the correlation %q", env.Type, e.Stream.Decider, env.Correlation)
				}
			}
			return err
		})
		if err != nil || n == 0 {
			t.Errorf("%d events, %v", n, err)
		}
		o.shut()
	})
}

func TestParkedCommandOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		cmd, _ := streams.NewCommand("cmd-x", "tell", told{"k", "fail", ""})
		send := func() streams.ReplyStatus {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			r, err := o.c.Send(ctx, cmd)
			check(t, err)
			return r.Status
		}
		if s := send(); s != streams.ReplyParked {
			t.Fatal(s)
		}
		mended.Store(true)
		o.unpark("k", false, true)
		if s := send(); s != streams.ReplyDone {
			t.Error(s)
		}
		time.Sleep(3 * time.Second)
		in, n := o.input(), 0
		in.Event = func(_ string, e streams.Event) {
			if _, ok := e.(noted); ok {
				n++
			}
		}
		o.stop()
		o.verify(in)
		if n != 1 {
			t.Errorf("decided %d times", n)
		}
		o.shut()
	})
}

func TestFirstRecordOfALaneIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		data, _ := json.Marshal(noted{account(neighbour(0)), "x"})
		e := streams.Envelope{ID: "h1", Type: "desk.noted", Version: 1, Source: "/desks/desk", Time: time.Now(), Key: neighbour(0), Lane: "desks/0/OTHER", Seq: 7, Prev: 5, Data: data}
		check(t, o.client.ProduceSync(context.Background(), e.Record("desk.account", 0)).FirstErr())
		time.Sleep(5 * time.Second)
		halted := false
		for _, l := range o.c.Lanes() {
			halted = halted || l.Service == "followers" && l.State == streams.LaneHalted
		}
		if !halted {
			t.Error("the follower went over a hole")
		}
		o.shut()
	})
}

// once fails at a point of the loop, once.
type once struct {
	at  streams.Point
	svc string
	arm atomic.Bool
}

func (h *once) OnPoint(p streams.Point, l streams.Lane) error {
	if p == h.at && l[:len(h.svc)] == streams.Lane(h.svc) && h.arm.CompareAndSwap(true, false) {
		return errors.New("dies here")
	}
	return nil
}

func openWith(t *testing.T, h streams.Hook) *office {
	o := open(t)
	for _, n := range o.nodes {
		check(t, n.Stop())
	}
	o.c.Hooks = append(o.c.Hooks, h)
	return o
}

func TestLargeOutboxIsPublishedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &once{at: streams.PointCommitted, svc: "desks/0"}
		o := openWith(t, h)
		for range 700 { // 3 events each, in one batch
			o.tell(neighbour(0), "n")
		}
		h.arm.Store(true)
		o.desks = o.c.Start("desks")
		follower := o.c.Start("followers")
		time.Sleep(30 * time.Second)
		if h.arm.Load() {
			t.Fatal("it did not die")
		}
		in := o.input()
		check(t, o.desks.Stop())
		check(t, follower.Stop())
		o.nodes = nil
		if r := o.verify(in); !r.OK() {
			t.Errorf("%s", r)
		}
		o.shut()
	})
}

func TestManyPendingEffectsAreTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &once{at: streams.PointCommitted, svc: "desks/0"}
		o := openWith(t, h)
		for n := range 350 { // 2 effects each, in one batch
			o.tell(neighbour(n), "ask", "x")
		}
		h.arm.Store(true)
		o.desks = o.c.Start("desks")
		time.Sleep(2 * time.Minute)
		if h.arm.Load() {
			t.Fatal("it did not die")
		}
		o.input()
		rows, err := o.stores["desks"].Effects(context.Background(), 0, 0, 2000)
		if err != nil || len(rows) != 0 {
			t.Errorf("%d effects are pending: %v", len(rows), err)
		}
		check(t, o.desks.Stop())
		o.nodes = nil
		o.shut()
	})
}

func TestEarlierTimerIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.tell(neighbour(0), "set", "1h")
		time.Sleep(3 * time.Second)
		o.tell(neighbour(1), "set", "5s")
		time.Sleep(20 * time.Second)
		in, n := o.input(), 0
		in.Settled = false
		in.Event = func(_ string, e streams.Event) {
			if n2, ok := e.(noted); ok && n2.What == "heard 5s" {
				n++
			}
		}
		o.stop()
		o.verify(in)
		if n != 1 {
			t.Errorf("a timer of 5 s acted %d times within 20 s", n)
		}
		o.shut()
	})
}
