package streams_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// A decision is a value: extending it twice gives two decisions.
func TestDecisionIsAValue(t *testing.T) {
	ring := streams.NewEffect("ring", "phone", time.Second, func(s string) string { return s }, newSlow().call)
	e := func(what string) acted { return acted{"k", what} }
	var made []streams.Decision
	decide := func(_ none, a act, _ streams.Input) streams.Decision { return made[a.N] }
	d := streams.Define("d", account(""), quiet, streams.OnCommand("act", decide, acted{}).Asks(ring),
		streams.OnTimer("x", func(none, int, streams.Input) streams.Decision { return streams.Nothing() }),
		streams.OnTimer("y", func(none, int, streams.Input) streams.Decision { return streams.Nothing() }),
		streams.OnOutcome(ring, func(none, string, streams.Input) streams.Decision { return streams.Nothing() }))
	events := []streams.Event{e("a"), e("b")}[:1]
	base := streams.Emit(events...).Emit(e("base")).After("x", 1, 1).Cancel("x").Do(ring.With("1"))
	one := base.Emit(e("one")).After("x", 2, 2).Cancel("y").Do(ring.With("one")).Reply("one")
	two := base.Emit(e("two")).After("y", 3, 3).Cancel("x", "y").Do(ring.With("two"))
	made = []streams.Decision{base, one, two, streams.Nothing(), streams.Reject(streams.Conflict, "no", "%d times", 3)}
	want := []string{
		"[{k a} {k base}] map[x:1ns] [x] [{ring 1 1}] <nil> <nil>",
		"[{k a} {k base} {k one}] map[x:2ns] [x y] [{ring 1 1} {ring one one}] one <nil>",
		"[{k a} {k base} {k two}] map[x:1ns y:3ns] [x x y] [{ring 1 1} {ring two two}] <nil> <nil>",
		"[] map[] [] [] <nil> <nil>",
		"[] map[] [] [] <nil> no: 3 times",
	}
	for n := range made {
		x, err := d.Try(nil, "act", act{Account: "k", N: int64(n)}, streams.Input{ID: "i"})
		if err != nil || x.Err != nil {
			t.Fatal(err, x.Err)
		}
		if got := strings.TrimSpace(fmt.Sprintln(x.Events, x.Timers, x.Cancels, x.Intents, x.Reply, x.Rejected)); got != want[n] {
			t.Errorf("decision %d: %s, want %s", n, got, want[n])
		}
	}
	if b := events[:2][1]; b != e("b") {
		t.Errorf("the caller's slice was written to: %v", b)
	}
}

// What a state has no use for changes nothing: neither an event nor a reply comes of it.
func TestWhileDecidesInSomeStatesOnly(t *testing.T) {
	fold := func(s int, e streams.Event) int { return s + int(e.(act).N) }
	decide := streams.While(func(s int) bool { return s == 2 }, func(s int, a act, in streams.Input) streams.Decision {
		return streams.Emit(act{Account: a.Account, N: int64(s), Do: in.ID}).Reply("done")
	})
	d := streams.Define("d", account(""), fold, streams.OnCommand("act", decide, act{}))
	for history, want := range map[int64]string{1: "[] <nil>", 2: "[{k i 2 }] done", 3: "[] <nil>"} {
		x, err := d.Try([]streams.Event{act{Account: "k", N: history}}, "act", act{Account: "k"}, streams.Input{ID: "i"})
		if err != nil || x.Err != nil {
			t.Fatal(err, x.Err)
		}
		if got := strings.TrimSpace(fmt.Sprintln(x.Events, x.Reply)); got != want {
			t.Errorf("in state %d: %s, want %s", history, got, want)
		}
	}
}

func TestDerivedIDs(t *testing.T) {
	in, same, other := streams.Input{ID: "i"}, streams.Input{ID: "i", At: time.Now()}, streams.Input{ID: "j"}
	if in.NewID("a") != same.NewID("a") || in.NewID("a") == in.NewID("b") || in.NewID("a") == other.NewID("a") {
		t.Error("ids do not derive from input and label")
	}
}

// recorder stands in for the test that a case fails.
type recorder struct {
	testing.TB
	failed []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }
func (r *recorder) Fatal(args ...any)                 { r.Fatalf("%s", fmt.Sprint(args...)) }

// verdict runs a case and returns what it failed with.
func verdict(t *testing.T, f func(testing.TB)) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r.failed
}

type memory struct {
	Seen map[string]int
	Log  []string
}

func (m memory) evolve(e streams.Event) memory {
	if m.Seen == nil {
		m.Seen = map[string]int{}
	}
	m.Seen[e.(acted).What]++
	m.Log = append(m.Log, e.(acted).What)
	return m
}

// What is not pure fails its test.
func TestImpurityIsFound(t *testing.T) {
	calls := 0
	for name, x := range map[string]struct {
		decide func(memory, act, streams.Input) streams.Decision
		want   string
	}{
		"pure": {func(_ memory, a act, _ streams.Input) streams.Decision { return streams.Emit(acted{a.Account, "x"}) }, ""},
		"clock": {func(_ memory, a act, _ streams.Input) streams.Decision {
			return streams.Emit(acted{a.Account, time.Now().String()})
		}, "is not pure"},
		"chance": {func(_ memory, a act, _ streams.Input) streams.Decision {
			return streams.Emit(acted{a.Account, fmt.Sprint(rand.Uint64())})
		}, "is not pure"},
		"memory of its own": {func(_ memory, a act, _ streams.Input) streams.Decision {
			calls++
			return streams.Emit(acted{a.Account, fmt.Sprint(calls)})
		}, "is not pure"},
		"writes into a map": {func(m memory, a act, _ streams.Input) streams.Decision {
			m.Seen["first"] = 7
			return streams.Emit(acted{a.Account, "x"})
		}, "changed its state while deciding on act: only evolve may"},
		"writes into a slice": {func(m memory, a act, _ streams.Input) streams.Decision {
			m.Log[0] = "rewritten"
			return streams.Nothing()
		}, "changed its state while deciding on act"},
		"writes before it refuses": {func(m memory, a act, _ streams.Input) streams.Decision {
			delete(m.Seen, "first")
			return streams.Reject(streams.Conflict, "no", "never")
		}, "changed its state while deciding on act"},
		"writes before it fails": {func(m memory, a act, _ streams.Input) streams.Decision {
			m.Log[0] = "rewritten"
			panic("no")
		}, "changed its state while deciding on act"},
	} {
		d := streams.Define("d", account(""), memory.evolve, streams.On(x.decide, acted{}))
		failed := verdict(t, func(tb testing.TB) { streamtest.Given(tb, d, acted{"k", "first"}).When(act{Account: "k"}) })
		if (x.want == "") != (len(failed) == 0) || x.want != "" && !strings.Contains(failed[0], x.want) {
			t.Errorf("%s: the test failed with %q, want %q", name, failed, x.want)
		}
	}
}

// Each expectation fails when it does not hold.
func TestExpectationsFail(t *testing.T) {
	ring := streams.NewEffect("ring", "phone", time.Second, func(s string) string { return s }, newSlow().call)
	d := streams.Define("d", account(""), quiet, streams.OnCommand("act", func(_ none, a act, _ streams.Input) streams.Decision {
		switch a.Do {
		case "reject":
			return streams.Reject(streams.Conflict, "no", "never")
		case "fail":
			panic("no")
		}
		return streams.Emit(acted{a.Account, "x"}).After("by", time.Second, 1).Cancel("by").Do(ring.With("k")).Reply("hello")
	}, acted{}).Asks(ring), streams.OnTimer("by", func(none, int, streams.Input) streams.Decision { return streams.Nothing() }),
		streams.OnOutcome(ring, func(none, string, streams.Input) streams.Decision { return streams.Nothing() }))
	when := func(tb testing.TB, do string) *streamtest.Case {
		return streamtest.Given(tb, d).When(act{Account: "k", Do: do})
	}
	for name, f := range map[string]func(testing.TB){
		"other event":   func(tb testing.TB) { when(tb, "").Then(acted{"k", "y"}) },
		"no event":      func(tb testing.TB) { when(tb, "").Then() },
		"one too many":  func(tb testing.TB) { when(tb, "").Then(acted{"k", "x"}, acted{"k", "x"}) },
		"then, refused": func(tb testing.TB) { when(tb, "reject").Then() },
		"then, failed":  func(tb testing.TB) { when(tb, "fail").Then() },
		"other code":    func(tb testing.TB) { when(tb, "reject").Rejected("yes") },
		"not refused":   func(tb testing.TB) { when(tb, "").Rejected("no") },
		"not failed":    func(tb testing.TB) { when(tb, "").Fails() },
		"other key":     func(tb testing.TB) { when(tb, "").Asks("ring", "j", "k") },
		"asks":          func(tb testing.TB) { when(tb, "").AsksNothing() },
		"other time":    func(tb testing.TB) { when(tb, "").Sets("by", time.Minute) },
		"no cancel":     func(tb testing.TB) { when(tb, "").Cancels() },
		"other reply":   func(tb testing.TB) { when(tb, "").Replies("bye") },
		"unknown input": func(tb testing.TB) { streamtest.Given(tb, d).When(bonus{}) },
	} {
		if len(verdict(t, f)) == 0 {
			t.Errorf("%s: passed", name)
		}
	}
	if failed := verdict(t, func(tb testing.TB) {
		when(tb, "").Then(acted{"k", "x"}).Sets("by", time.Second).Cancels("by").Asks("ring", "k", "k").Replies("hello")
		when(tb, "reject").Rejected("no").AsksNothing()
		when(tb, "fail").Fails()
		streamtest.Given(tb, d).WhenTimer("by", 1).Then()
		streamtest.Given(tb, d).WhenOutcome("ring", "x").Then()
	}); failed != nil {
		t.Errorf("what holds failed: %q", failed)
	}
}

// What was refused leaves its answer behind, and nothing else: whoever asks
// could fill the disk with it.
func TestRefusedCommandsAreNotKept(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		c.Start("stage")
		for i := range 20 {
			cmd, err := streams.NewCommand(fmt.Sprint("c-", i%10), "act", act{Account: "k", Do: "reject", Text: strings.Repeat("x", 100_000)})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := c.Send(t.Context(), cmd); err != nil || r.Status != streams.ReplyRejected {
				t.Fatalf("%s %v", r.Status, err)
			}
		}
		s, kept := c.OpenStore("stage"), 0
		defer s.Close()
		lane := streams.Partition("k", c.Partitions)
		if err := s.Inputs(t.Context(), lane, 0, func(r streams.InputRow) error { kept += len(r.Entries); return nil }); err != nil {
			t.Fatal(err)
		}
		rs, err := s.Replies(t.Context(), lane, []string{"c-0", "c-9"})
		for _, r := range rs {
			kept += len(r.Body)
		}
		if err != nil || len(rs) != 2 || kept > 5000 {
			t.Errorf("%d bytes are kept of refused commands, and %d of 2 replies: %v", kept, len(rs), err)
		}
	})
}
