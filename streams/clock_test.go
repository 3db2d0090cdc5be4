package streams_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// A machine's clock is a day ahead for a minute, and is set right again. After
// that, a deadline of two minutes must act after about two minutes.
func TestClockAheadForAMinute(t *testing.T) {
	o := &outsider{reply: func(int, string) (string, error) { return "", errors.New("nobody there") }}
	inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
		var ahead atomic.Int64
		n := c.Start("desks", func(cfg *streams.Config) {
			cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		open(t, c, "acc-1", 2*time.Hour) // set before the jump, due two hours from now
		ahead.Store(int64(24 * time.Hour))
		time.Sleep(10 * time.Second)
		open(t, c, "acc-8", 2*time.Minute)
		time.Sleep(50 * time.Second)
		t.Logf("during the jump: acc-1 (due in 2 h): %s", deskLog(t, c, "acc-1"))
		ahead.Store(0)
		key := account("acc-1x")
		for i := 0; streams.Partition(string(key), 4) != streams.Partition("acc-1", 4); i++ {
			key = account(fmt.Sprint("acc-n", i))
		}
		began := time.Now()
		open(t, c, key, 2*time.Minute)
		for deskLog(t, c, string(key)) == `{"Open":true,"Log":null}` && time.Since(began) < 72*time.Hour {
			time.Sleep(time.Minute)
		}
		late := time.Since(began)
		for _, l := range n.Lanes() {
			t.Logf("lane %d: %s %v", l.Lane, l.State, l.Err)
		}
		t.Logf("after the clock was set right: the deadline of 2 min acted after %v: %s", late, deskLog(t, c, string(key)))
		if late > 10*time.Minute {
			t.Errorf("a deadline of 2 min acted after %v", late)
		}
	})
}

// The memory of repeats is forgotten by the machine's clock: a day ahead for some
// minutes, and it is gone.
func TestClockAheadForgetsRepeats(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		var ahead atomic.Int64
		c.Start("front", func(cfg *streams.Config) {
			cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		c.Start("back")
		ctx := context.Background()
		post(ctx, t, c, "b-1", bonus{Account: "acc-3", Amount: 100})
		time.Sleep(time.Minute)
		post(ctx, t, c, "b-1", bonus{Account: "acc-3", Amount: 100})
		time.Sleep(time.Minute)
		want(t, c, 100, 1) // the repeat is dropped
		ahead.Store(int64(25 * time.Hour))
		time.Sleep(90 * time.Minute)
		ahead.Store(0)
		time.Sleep(time.Minute)
		post(ctx, t, c, "b-1", bonus{Account: "acc-3", Amount: 100}) // two hours after the first
		time.Sleep(time.Minute)
		want(t, c, 100, 1)
	})
}

// A process that starts on a machine whose clock is a day ahead believes its store
// before it has decided anything: what it decides first has the right time, and so
// has a lane whose earlier owner had.
func TestClockAheadAtTheStart(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("front", func(cfg *streams.Config) { cfg.Now = func() time.Time { return time.Now().Add(24 * time.Hour) } })
		c.Start("back")
		book(t.Context(), t, c, 0, 20)
		time.Sleep(10 * time.Second)
		recs := readAll(t, c, kgo.ReadCommitted(), "teller.account")
		if len(recs) != 20 {
			t.Errorf("%d events, want 20", len(recs))
		}
		for _, r := range recs {
			if e, err := streams.ReadEnvelope(r); err != nil || e.Time.After(time.Now().Add(time.Minute)) {
				t.Errorf("at %v an event is of %v (%v)", time.Now(), e.Time, err)
			}
		}
	})
}

// Calls of a provider that hangs fill the bound of pending effects: deadlines have
// to act all the same.
func TestDeadlinesBehindHangingCalls(t *testing.T) {
	o := &outsider{reply: func(int, string) (string, error) { return "", errors.New("nobody there") }}
	for _, bound := range []int{3, 1000} {
		t.Run(fmt.Sprint("MaxEffects=", bound), func(t *testing.T) {
			inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
				n := c.Start("desks", func(cfg *streams.Config) { cfg.MaxEffects = bound })
				var keys []account
				for i := 0; len(keys) < 3; i++ {
					if k := account(fmt.Sprint("acc-", i)); streams.Partition(string(k), 4) == 1 {
						keys = append(keys, k)
					}
				}
				for _, k := range keys[:2] { // two calls each
					open(t, c, k, 2*time.Minute)
				}
				// something comes in that the lane does not read any more
				ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
				defer stop()
				cl := streams.Envelope{ID: "x", Type: "case.closed", Version: 1, Source: "/x", Time: time.Now(), Key: string(keys[2]), Data: []byte(fmt.Sprintf(`{"account":%q}`, keys[2]))}
				_ = ctx
				produce(t, c, cl.Record("external.account", 1))
				time.Sleep(time.Hour)
				for _, l := range n.Lanes() {
					t.Logf("lane %d: %s %v %v", l.Lane, l.State, l.Err, l.Offsets)
				}
				for _, k := range keys[:2] {
					if got := deskLog(t, c, string(k)); got == `{"Open":true,"Log":null}` {
						t.Errorf("%s: an hour after a deadline of 2 min: %s", k, got)
					}
				}
			})
		})
	}
}

// Where the inputs end is asked when a timer falls due, and answered later. What
// falls due meanwhile has to wait for another answer: what cancels it may have
// come onto the log after this one was given.
func TestBarrierIsOfWhenItWasAskedFor(t *testing.T) {
	for later := 2 * time.Second; later < 26*time.Second; later += 2 * time.Second {
		o := &outsider{reply: yes}
		inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
			n := c.Start("desks")
			keys := neighbours(1, 2)
			open(t, c, keys[0], time.Minute)
			open(t, c, keys[1], time.Minute+later)
			time.Sleep(59 * time.Second)
			n.Late(4 * time.Second)
			time.Sleep(later) // the first is due, the second in a second
			e := streams.Envelope{ID: "x", Type: "case.closed", Version: 1, Source: "/x", Time: time.Now(), Key: string(keys[1]), Data: fmt.Appendf(nil, `{"account":%q}`, keys[1])}
			produce(t, c, e.Record("external.account", 1))
			time.Sleep(30 * time.Second)
			n.Late(0)
			time.Sleep(time.Minute)
			for i, want := range []string{`["answer yes","answer yes","expired"]`, `["answer yes","answer yes"]`} {
				if got := deskLog(t, c, string(keys[i])); !strings.Contains(got, want) || strings.Contains(got, "expired") != (i == 0) {
					t.Errorf("%s, %s later: %s, want %s", keys[i], later, got, want)
				}
			}
		})
	}
}
