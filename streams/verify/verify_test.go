package verify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/verify"
)

func tells(r *verify.Report, name, says string) bool {
	return slices.ContainsFunc(r.Invariants, func(i verify.Invariant) bool {
		return i.Name == name && slices.ContainsFunc(i.Shown, func(s string) bool { return strings.Contains(s, says) })
	})
}

func TestAGoodDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		for n := range 6 {
			key := fmt.Sprint("k", n)
			o.tell(key, "one")
			o.ask(key, "set", "5s")
			o.tell(key, "ask", key)
			if n%2 == 0 {
				o.tell(key, "cancel")
			}
			o.ask(key, "reject", "me")
		}
		time.Sleep(30 * time.Second)
		for _, settled := range []bool{false, true} { // with its lanes at work, and without
			in := o.input()
			in.Settled = settled
			r := o.verify(in)
			if !r.OK() || settled && len(r.Notes) > 0 {
				t.Errorf("a good day:\n%s", r)
			}
			for _, i := range r.Invariants {
				if i.Looked == 0 && (settled || i.Name != verify.Settled) {
					t.Errorf("%s looked at nothing", i.Name)
				}
			}
			if !settled {
				o.stop()
			}
		}
		o.shut()
	})
}

// What the caller folds comes from the same reading.
func TestCallersBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.tell("k", "set", "1h")
		time.Sleep(5 * time.Second)
		o.stop()
		var events, snapshots, timers, posted []string
		in := o.input()
		in.Settled = false
		in.Event = func(service string, e streams.Event) { events = append(events, fmt.Sprintf("%s %T", service, e)) }
		in.Snapshot = func(service string, s streams.Snapshot) { snapshots = append(snapshots, s.Stream.Decider) }
		in.Timer = func(service string, x streams.Timer) { timers = append(timers, service+" "+x.Name) }
		in.Posted = func(e streams.Envelope) { posted = append(posted, e.ID) }
		if r := o.verify(in); !r.OK() {
			t.Errorf("\n%s", r)
		}
		slices.Sort(snapshots)
		got := fmt.Sprint(events, snapshots, timers, posted)
		want := "[desks verify_test.noted desks verify_test.memo desks verify_test.tallied followers verify_test.followed] [desk follower tally] [desks bell] [told-1]"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		o.shut()
	})
}

// A key that failed, what waits behind it, the retry after better code came, and
// the drop: all of it can be decided again.
func TestParkedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		bad := map[string]string{"mend": "fail", "drop": "panic", "poison": "poison"}
		for key, do := range bad {
			o.tell(key, "set", "10s")
			o.tell(key, "ask", key)
			time.Sleep(3 * time.Second)
			o.tell(key, do)
			o.tell(key, "behind")
			time.Sleep(3 * time.Second)
			if got := o.ask(key, "refused", ""); got != streams.ReplyParked {
				t.Errorf("%s: %s", key, got)
			}
		}
		if got := o.ask("asked", "fail", ""); got != streams.ReplyParked {
			t.Errorf("a failed command: %s", got)
		}
		time.Sleep(30 * time.Second)
		in := o.input()
		if r := o.verify(in); !slices.Equal(r.Violated(), []string{verify.Settled}) || !tells(r, verify.Settled, "is parked at") || !tells(r, verify.Settled, "waits behind another") {
			t.Errorf("with parked keys:\n%s", r)
		}
		o.unpark("mend", false, false) // fails again
		mended.Store(true)
		o.unpark("mend", false, true)
		o.unpark("asked", false, true)
		o.unpark("drop", true, true)
		o.unpark("poison", true, true)
		o.tell("mend", "after")
		time.Sleep(10 * time.Second)
		o.stop()
		if r := o.verify(in); !r.OK() {
			t.Errorf("after all:\n%s", r)
		}
		o.shut()
	})
}

func (o *office) unpark(key string, drop, all bool) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	do := o.desks.RetryParked
	if drop {
		do = o.desks.DropParked
	}
	if left, err := do(ctx, streams.StreamID{Decider: "desk", Key: key}); err != nil || (left == 0) != all {
		o.t.Errorf("%s: %d left, %v", key, left, err)
	}
}

// A timer that waits behind a failed input does not act if what waits before it
// cancels it, also when another failure lies between the two.
func TestParkedTimerIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.tell("k", "set", "20s")
		o.tell("k", "fail")
		o.tell("k", "cancel")
		o.tell("again", "set", "20s")
		o.tell("again", "fail")
		o.tell("again", "cancel")
		o.tell("again", "panic")
		time.Sleep(40 * time.Second) // both bells fell due, and wait
		mended.Store(true)
		o.unpark("k", false, true)
		o.unpark("again", false, false)
		o.unpark("again", true, true)
		time.Sleep(10 * time.Second)
		in := o.input()
		in.Event = func(_ string, e streams.Event) {
			if n, ok := e.(noted); ok && strings.HasPrefix(n.What, "heard") {
				t.Errorf("a cancelled timer acted: %+v", n)
			}
		}
		o.stop()
		if r := o.verify(in); !r.OK() {
			t.Errorf("%s", r)
		}
		o.shut()
	})
}

// As above, but the cancellation and the timer are decided in two batches of one retry:
// more than MaxBatch (default 1000) inputs wait between them.
func TestParkedTimerIsCancelledABatchBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.tell("k", "set", "20s")
		o.tell("k", "fail")
		o.tell("k", "cancel")
		for range 1100 {
			o.tell("k", "n")
		}
		time.Sleep(40 * time.Second) // the bell fell due, and waits behind them
		mended.Store(true)
		o.unpark("k", false, true)
		time.Sleep(10 * time.Second)
		in := o.input()
		in.Event = func(_ string, e streams.Event) {
			if n, ok := e.(noted); ok && strings.HasPrefix(n.What, "heard") {
				t.Errorf("a cancelled timer acted: %+v", n)
			}
		}
		o.stop()
		if r := o.verify(in); !r.OK() {
			t.Errorf("%s", r)
		}
		o.shut()
	})
}
