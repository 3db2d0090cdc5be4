package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// corruption is one thing that is wrong with a day that is otherwise true. It
// leaves work undone, so it is settled only where that is said.
type corruption struct {
	what string
	want string // the invariant that tells, with a part of what it says
	says string
	lie  func(*verify.Input)
}

func settled(in *verify.Input) { in.Settled = true }

func both(f, g func(*verify.Input)) func(*verify.Input) {
	return func(in *verify.Input) { f(in); g(in) }
}

func parkedRows(f func(*streams.ParkedInput)) liar {
	return liar{parked: func(p []streams.ParkedInput) []streams.ParkedInput { f(&p[0]); return p }}
}

func pendingRows(f func(*streams.PendingEffect)) liar {
	return liar{pending: func(p []streams.PendingEffect) []streams.PendingEffect { f(&p[0]); return p }}
}

func timerRows(f func(*streams.Timer)) liar {
	return liar{timers: func(t []streams.Timer) []streams.Timer { f(&t[0]); return t }}
}

// skipping leaves out the events of a type.
func skipping(typ string) liar {
	return liar{events: func(e streams.StoredEvent) []streams.StoredEvent {
		if e.Type == typ {
			return nil
		}
		return []streams.StoredEvent{e}
	}}
}

func outcomeOf(e streams.InputEntry) (streams.InputEntry, bool) {
	return e, e.Kind == streams.OutcomeInput
}

var corruptions = []corruption{
	{"parked input", verify.Settled, "is parked at", settled},
	{"pending effect", verify.Settled, "has no outcome", settled},
	{"timer left", verify.Settled, "is still set", settled},
	{"mark behind", verify.Settled, "its mark says", both(settled, lie(liar{cursor: func(c *streams.Cursor) { c.Published = 1 }}))},
	{"records unread", verify.Settled, "it has read external.account", both(settled, lie(liar{cursor: func(c *streams.Cursor) { c.Inputs["external.account"] = streams.Position{Offset: 1} }}))},

	{"another fact", verify.Decided, `with the data {"account":"acts","what":"uno"}`, lie(rewritten("desk.noted", `"what":"one"`, `"what":"uno"`))},
	{"another private fact", verify.Decided, `with the data {"account":"acts","what":"mmmo one"}`, lie(rewritten("desk.memo", `"memo one"`, `"mmmo one"`))},
	{"another time", verify.Decided, "with the time", lie(moment(streams.CommandInput, time.Nanosecond))},
	{"another stream", verify.Decided, "with the stream {desk elsewhere}", lie(changed(func(e *streams.StoredEvent) {
		if e.Stream.Decider == "desk" {
			e.Stream.Key = "elsewhere"
		}
	}))},
	{"another stream version", verify.Decided, "with the stream version 3", lie(changed(func(e *streams.StoredEvent) { e.Version += 2 }))},
	{"another version of the type", verify.Decided, "with the version of its type 2", lie(changed(func(e *streams.StoredEvent) { e.TypeVer = 2 }))},
	{"another key", verify.Decided, "with the key other", lie(changed(func(e *streams.StoredEvent) { e.Key = "other" }))},
	{"another topic", verify.Decided, "with the topic other", lie(changed(func(e *streams.StoredEvent) { e.Topic = "other" }))},
	{"another partition", verify.Decided, "with the partition 7", lie(changed(func(e *streams.StoredEvent) { e.Partition = 7 }))},
	{"event lost", verify.Decided, "with the id", lie(skipping("desk.noted"))},
	{"last events lost", verify.Decided, "and is not stored", lie(liar{events: func(e streams.StoredEvent) []streams.StoredEvent {
		if e.Seq > 9 {
			return nil
		}
		return []streams.StoredEvent{e}
	}})},
	{"event of nobody", verify.Decided, "is stored and follows from no input", lie(liar{inputs: func(int32) func(int64, *time.Time, []streams.InputEntry) []streams.InputEntry {
		return func(rev int64, _ *time.Time, e []streams.InputEntry) []streams.InputEntry {
			if rev > 6 {
				return nil
			}
			return e
		}
	}})},
	{"command with another body", verify.Decided, `gives desk.noted of desk "acts" with`, lie(entry(func(e *streams.InputEntry) {
		e.Body = []byte(strings.Replace(string(e.Body), `"do":"two"`, `"do":"tvo"`, 1))
	}))},
	{"record that is nowhere", verify.Decided, "it is not on the log", lie(entry(func(e *streams.InputEntry) {
		if e.Topic != "" {
			e.Offset += 1 << 40
		}
	}))},
	{"row damaged", verify.Decided, "unknown format", lie(liar{raw: func(r *streams.InputRow) { r.Entries = []byte{9} }})},
	{"dropped, not parked", verify.Decided, "its key is not parked behind it", lie(entry(func(e *streams.InputEntry) {
		if e.Kind == streams.CommandInput {
			e.Name = "dropped:" + e.Name
		}
	}))},
	{"another state", verify.Decided, "is stored as {", lie(liar{snapshot: func(s *streams.Snapshot) { s.State = []byte(`{"notes":null,"n":7}`) }})},
	{"state of another version", verify.Decided, "it follows at", lie(liar{snapshot: func(s *streams.Snapshot) { s.Version++ }})},
	{"effect lost", verify.Decided, "a pending effect of desk \"acts\" follows and is not stored", lie(liar{pending: func([]streams.PendingEffect) []streams.PendingEffect { return nil }})},
	{"effect of nobody", verify.Decided, "a pending effect of desk \"nobody\" is stored and follows from no input", lie(pendingRows(func(p *streams.PendingEffect) { p.Stream.Key = "nobody" }))},
	{"effect with another key", verify.Decided, "with key ring/elsewhere", lie(pendingRows(func(p *streams.PendingEffect) { p.Key = "ring/elsewhere" }))},
	{"effect with another body", verify.Decided, "body \"elsewhere\"", lie(pendingRows(func(p *streams.PendingEffect) { p.Body = []byte(`"elsewhere"`) }))},
	{"second outcome", verify.Decided, "which nobody asked for, or which had its outcome", lie(added(outcomeOf))},
	{"outcomes out of order", verify.Decided, "which its key asked for earlier, had an outcome", lie(liar{inputs: func(int32) func(int64, *time.Time, []streams.InputEntry) []streams.InputEntry {
		return func(_ int64, _ *time.Time, e []streams.InputEntry) []streams.InputEntry {
			first := func(e streams.InputEntry) bool {
				return e.Kind == streams.OutcomeInput && strings.HasSuffix(string(e.Body), `swap"`)
			}
			return slices.DeleteFunc(e, first)
		}
	}})},
	{"parked input lost", verify.Decided, "a parked input of desk \"parks\" follows and is not stored", lie(liar{parked: func(p []streams.ParkedInput) []streams.ParkedInput { return p[:len(p)-1] }})},
	{"parked input of nobody", verify.Decided, "a parked input of desk \"nobody\" is stored and follows from no input", lie(parkedRows(func(p *streams.ParkedInput) { p.Stream.Key = "nobody" }))},
	{"parked for another reason", verify.Decided, `reason "because"`, lie(parkedRows(func(p *streams.ParkedInput) { p.Reason = "because" }))},
	{"another answer", verify.Decided, "is stored as answered done 42", lie(liar{replies: func(r []streams.Reply) {
		for i := range r {
			r[i].Body = []byte("42")
		}
	}})},

	{"clock went back", verify.Timely, "its clock went back", lie(moment(streams.CommandInput, -time.Hour))},
	{"too early", verify.Timely, "which falls due at", lie(moment(streams.TimerInput, -time.Hour))},
	{"with another body", verify.Timely, "it was set with", lie(entry(func(e *streams.InputEntry) {
		if e.Kind == streams.TimerInput {
			e.Body = []byte(`"6s"`)
		}
	}))},
	{"timer lost", verify.Timely, "is lost", lie(liar{timers: func([]streams.Timer) []streams.Timer { return nil }})},
	{"timer of nobody", verify.Timely, "should not be set: the last one was never set", lie(timerRows(func(t *streams.Timer) { t.Stream.Key = "nobody" }))},
	{"due at another time", verify.Timely, "is stored as", lie(timerRows(func(t *streams.Timer) { t.Due = t.Due.Add(1) }))},
	{"acted twice", verify.Timely, "which is not set: the last one acted in commit", lie(added(func(e streams.InputEntry) (streams.InputEntry, bool) {
		return e, e.Kind == streams.TimerInput && e.Stream.Key == "acts"
	}))},
	{"acted though cancelled", verify.Timely, "which is not set: the last one was cancelled by commit", lie(added(func(e streams.InputEntry) (streams.InputEntry, bool) {
		return streams.InputEntry{Kind: streams.TimerInput, Stream: streams.StreamID{Decider: "desk", Key: "acts"}, Name: "bell", ID: "x", Body: []byte(`"x"`)}, strings.Contains(string(e.Body), `"cancel"`)
	}))},
	{"acted though replaced", verify.Timely, "which is not set: the last one was replaced by commit", lie(added(func(e streams.InputEntry) (streams.InputEntry, bool) {
		return streams.InputEntry{Kind: streams.TimerInput, Stream: streams.StreamID{Decider: "desk", Key: "acts"}, Name: "bell", ID: "x", Body: []byte(`"x"`)}, strings.Contains(string(e.Body), `"set"`)
	}))},
	{"on unread input", verify.Timely, "and which was on the log by", lie(late(map[int64]bool{0: true}))},
	{"waited and was cancelled", verify.Timely, "which had waited for its key and was cancelled by commit", func(*verify.Input) { other.Store(true) }},
}

// day is everything that can happen to one key, in one lane, with some left
// undone at its end.
func (o *office) day() {
	o.tell("acts", "nothing") // the first record of its partition
	o.ask("acts", "set", "6s")
	o.tell("acts", "one")
	o.ask("acts", "two", "")
	time.Sleep(8 * time.Second)
	o.ask("acts", "set", "5m")
	o.ask("acts", "cancel", "")
	o.tell("acts", "ask", "swap")
	time.Sleep(2 * time.Second)
	o.tell("parks", "set", "8s")
	time.Sleep(2 * time.Second)
	o.tell("parks", "panic")
	o.tell("parks", "behind")
	time.Sleep(10 * time.Second) // the bell waits behind it
	o.unpark("parks", true, true)
	o.tell("parks", "panic", "again")
	o.tell("parks", "behind")
	o.ask("acts", "set", "1h")
	o.ask("acts", "set", "2h")
	o.tell("acts", "ask", "nobody")
	time.Sleep(5 * time.Second)
	o.stop()
}

// Every new invariant is seen failing, by one change to a day that holds.
func TestEachCorruptionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.day()
		truth := o.input()
		truth.Settled = false
		if r := o.verify(truth); !r.OK() || tells(r, verify.Timely, "unread") {
			t.Fatalf("without a lie:\n%s", r)
		}
		for _, c := range corruptions {
			in := o.input()
			in.Settled = false
			c.lie(&in)
			if r := o.verify(in); !tells(r, c.want, c.says) {
				t.Errorf("%s: want %s saying %q in\n%s", c.what, c.want, c.says, r)
			}
			other.Store(false)
		}
		o.shut()
	})
}

// An incomplete log is no history, and the times of producers are no proof.
func TestWhatCannotBeDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOn(t, func(*streamtest.Cluster) {})
		o.tell("k", "one")
		time.Sleep(3 * time.Second)
		o.stop()
		for complete, says := range map[bool]string{false: "the inputs were not decided again", true: "the log bears its producers' times"} {
			in := o.input()
			in.Complete = complete
			if r := o.verify(in); !r.OK() || !strings.Contains(fmt.Sprint(r.Notes), says) {
				t.Errorf("want a note that %s in\n%s", says, r)
			}
		}
		o.shut()
	})
}
