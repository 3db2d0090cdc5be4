package streams_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// A lane holds a bounded number of pending effects in memory, and the rest waits
// in its store: inputs are decided all the same, and all are asked for in the end.
func TestEffectsBound(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, o *slow) {
		l := &listener{}
		c.Hooks = []streams.Hook{l}
		c.Start("stage", func(cfg *streams.Config) { cfg.MaxEffects, cfg.MaxBatch = 3, 1 })
		keys := neighbours(1, 10)
		for _, k := range keys {
			tell(t, c, act{Account: k, Do: "ask", Text: ":" + string(k)})
		}
		time.Sleep(20 * time.Second)
		o.mu.Lock()
		atOnce := o.max
		o.mu.Unlock()
		l.mu.Lock()
		pending := l.pending
		l.mu.Unlock()
		if pending != 10 || atOnce != 3 {
			t.Errorf("%d effects pending, %d calls at once; want 10 and 3", pending, atOnce)
		}
		close(o.open)
		time.Sleep(20 * time.Second)
		for _, k := range keys {
			if got := logOf(t, c, "stage", "actor", k); got != fmt.Sprintf("ask:%s, answer to :%s", k, k) {
				t.Errorf("%s: %s", k, got)
			}
		}
	})
}

// A key's timer is known by its name: the last word on it counts.
func TestTimerIsReplacedAndCancelled(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		n := c.Start("stage")
		for _, x := range []struct {
			key  account
			acts []act
			want string
		}{
			{"replaced", []act{{Do: "set", N: 10, Text: "x"}, {Do: "set", N: 30, Text: "y"}}, "setx, sety, rang y"},
			{"cancelled", []act{{Do: "set", N: 10}, {Do: "cancel"}}, "set, cancel"},
			{"cancelled unset", []act{{Do: "cancel"}, {Do: "set", N: 10, Text: "x"}}, "cancel, setx, rang x"},
			{"set twice", []act{{Do: "set twice", N: 10}}, "set twice, rang second"},
			{"cancelled by one as late", []act{{Do: "set both", N: 10}}, "set both, rang stop gong"}, // due in one batch, after the restart
			{"set and cancelled", []act{{Do: "set", N: 5, Text: "x"}, {Do: "set and cancel", N: 10, Text: "y"}}, "setx, set and cancely, rang y"},
		} {
			for i := range x.acts {
				x.acts[i].Account = x.key
			}
			tell(t, c, x.acts...)
			defer func() {
				if got := logOf(t, c, "stage", "actor", x.key); got != x.want {
					t.Errorf("%s: %s, want %s", x.key, got, x.want)
				}
			}()
		}
		time.Sleep(7 * time.Second)
		n.Kill()
		c.Start("stage")
		time.Sleep(time.Minute)
	})
}

// Two deciders of a service decide about one event, each once, and the failure
// of one is its own.
func TestTwoDecidersOnOneEvent(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		n := c.Start("stage")
		tell(t, c, act{Account: "k", Do: "a"}, act{Account: "k", Do: "fail"}, act{Account: "k", Do: "b"})
		time.Sleep(3 * time.Second)
		n.Kill()
		n = c.Start("stage")
		tell(t, c, act{Account: "k", Do: "c"})
		time.Sleep(15 * time.Second)
		if a, s := logOf(t, c, "stage", "actor", "k"), logOf(t, c, "stage", "shadow", "k"); a != "a" || s != "a, fail, b, c" {
			t.Errorf("actor %s; shadow %s", a, s)
		}
		if left, err := n.DropParked(t.Context(), streams.StreamID{Decider: "actor", Key: "k"}); err != nil || left != 0 {
			t.Errorf("%d left, %v", left, err)
		}
		if a, s := logOf(t, c, "stage", "actor", "k"), logOf(t, c, "stage", "shadow", "k"); a != "a, b, c" || s != "a, fail, b, c" {
			t.Errorf("actor %s; shadow %s", a, s)
		}
	})
}

// Rule 11: a consumer of what is new begins at the topic's end, and only once.
func TestOnNewStartsAtTheEnd(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		c.Start("stage")
		tell(t, c, act{Account: "k", Do: "before"})
		time.Sleep(3 * time.Second)
		n := c.Start("latecomers")
		awaitState(t, n, streams.Partition("k", 4), streams.LaneRunning)
		tell(t, c, act{Account: "k", Do: "now"})
		time.Sleep(3 * time.Second)
		n.Kill()
		tell(t, c, act{Account: "k", Do: "while it was down"})
		time.Sleep(3 * time.Second)
		c.Start("latecomers")
		time.Sleep(15 * time.Second)
		if got := logOf(t, c, "latecomers", "late", "k"); got != "" {
			t.Errorf("evolve does not know these events, and made %s", got)
		}
		var seen []string
		s := c.OpenStore("latecomers")
		defer s.Close()
		err := s.Outbox(t.Context(), streams.Partition("k", 4), 0, 100, func(e streams.StoredEvent) error {
			env, err := e.Envelope()
			seen = append(seen, string(env.Data))
			return err
		})
		if got := strings.Join(seen, " "); err != nil || got != `{"account":"k","what":"now"} {"account":"k","what":"while it was down"}` {
			t.Errorf("%s %v", got, err)
		}
	})
}

// Rule 6: who finds the lane claimed by another gives it up, says so, and does
// not claim it again while the group may still take it away.
func TestZombieIsFenced(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		l := &listener{}
		c.Hooks = []streams.Hook{l}
		n := c.Start("stage")
		awaitState(t, n, 2, streams.LaneRunning)
		k, far := neighbours(2, 1)[0], neighbours(3, 1)[0]
		s := c.OpenStore("stage")
		defer s.Close()
		ours, err := s.Claim(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		tell(t, c, act{Account: k, Do: "a"}, act{Account: far, Do: "a"})
		awaitState(t, n, 2, streams.LaneFenced)
		time.Sleep(20 * time.Second) // a zombie would learn from its group within this
		want := []streams.LaneChange{streams.LaneClaimed, streams.LaneRunning, streams.LaneConflict, streams.LaneReloaded, streams.LaneFenced}
		if got := l.changes("stage", 2); !slices.Equal(got, want) {
			t.Errorf("lane 2 went through %v, want %v", got, want)
		}
		cur, err := s.Cursor(t.Context(), 2)
		if err != nil || cur.Epoch != ours.Epoch || cur.Rev != ours.Rev {
			t.Errorf("the cursor went from %+v to %+v, %v", ours, cur, err)
		}
		if got := logOf(t, c, "stage", "actor", k) + logOf(t, c, "stage", "actor", far); got != "a" {
			t.Errorf("got %q, want the other lane's only", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.RetryParked(ctx, streams.StreamID{Decider: "actor", Key: string(k)}); err == nil {
			t.Error("a fenced lane took a retry")
		}
	})
}

// breaks ends a lane's life between a commit and its publishing, once armed.
type breaks struct {
	armed     atomic.Bool
	committed chan time.Time
}

func (b *breaks) OnPoint(p streams.Point, _ streams.Lane) error {
	if p != streams.PointCommitted {
		return nil
	}
	if b.armed.CompareAndSwap(true, false) {
		return errors.New("as asked")
	}
	b.committed <- time.Now()
	return nil
}

// A life that begins by publishing again reads its inputs at once all the same.
func TestReadsAtOnceWhilePublishingAgain(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		b := &breaks{committed: make(chan time.Time, 100)}
		c.Hooks = []streams.Hook{b}
		k := neighbours(2, 1)[0]
		awaitState(t, c.Start("stage"), 2, streams.LaneRunning)
		for range 10 {
			b.armed.Store(true)
			tell(t, c, act{Account: k, Do: "a"}, act{Account: k, Do: "b"})
			told := time.Now()
			if took := (<-b.committed).Sub(told); took > 500*time.Millisecond {
				t.Errorf("read %v after the lane began again", took)
			}
			time.Sleep(2 * time.Minute) // or the next failure would be waited for longer
		}
	})
}
