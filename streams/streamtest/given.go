// Package streamtest tests what is written with streams: Given/When/Then for
// deciders here, and a whole cluster in virtual time in cluster.go.
package streamtest

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
)

// Case is one decision under test.
type Case struct {
	t       testing.TB
	d       *streams.Decider
	history []streams.Event
	in      streams.Input
	got     streams.Trial
}

// Epoch is the time of a tested decision's input unless At gives another.
var Epoch = time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC)

// Given is what happened to the decider's key before.
func Given(t testing.TB, d *streams.Decider, history ...streams.Event) *Case {
	return &Case{t: t, d: d, history: history, in: streams.Input{ID: "input-1", Key: "key-1", At: Epoch, Correlation: "saga-1"}}
}

// At sets the time of the input.
func (c *Case) At(at time.Time) *Case { c.in.At = at; return c }

// Input sets all that the decision may know beside state and data.
func (c *Case) Input(in streams.Input) *Case { c.in = in; return c }

// When decides about an event or a command. It decides twice, from the same
// bytes, and fails the test if the answers differ: the decision is not pure.
func (c *Case) When(in any) *Case { c.t.Helper(); return c.when("", in) }

// WhenTimer decides about a timer of this name with its body.
func (c *Case) WhenTimer(name string, body any) *Case { c.t.Helper(); return c.when(name, body) }

// WhenOutcome decides about the outcome of the effect of this name.
func (c *Case) WhenOutcome(effect string, o any) *Case { c.t.Helper(); return c.when(effect, o) }

func (c *Case) when(name string, in any) *Case {
	c.t.Helper()
	if k, ok := in.(streams.Event); ok && c.in.Key == "key-1" {
		c.in.Key = k.Key().String()
	}
	first, err := c.d.Try(c.history, name, in, c.in)
	if err != nil {
		c.t.Fatal(err)
	}
	second, err := c.d.Try(c.history, name, in, c.in)
	if err != nil {
		c.t.Fatal(err)
	}
	if a, b := render(first), render(second); a != b {
		c.t.Fatalf("%s is not pure: the same state and input gave\n%s\nand then\n%s", c.d.Name, a, b)
	}
	c.got = first
	return c
}

func render(t streams.Trial) string {
	failed := ""
	if t.Err != nil { // a panic's stack is never the same twice
		failed, t.Err = "fails: "+t.Err.Error(), nil
	}
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err.Error()
	}
	for _, e := range t.Events {
		b = append(b, "\n"+reflect.TypeOf(e).String()...)
	}
	return failed + string(b)
}

// Then expects exactly these events, in this order, and no refusal.
func (c *Case) Then(want ...streams.Event) *Case {
	c.t.Helper()
	if c.got.Err != nil || c.got.Rejected != nil {
		c.t.Fatalf("the decision failed (%v) or was refused (%v), want %d events", c.got.Err, c.got.Rejected, len(want))
	}
	if len(c.got.Events)+len(want) > 0 && !reflect.DeepEqual(c.got.Events, want) {
		c.t.Errorf("got events %s\nwant %s", show(c.got.Events), show(want))
	}
	return c
}

func show(es []streams.Event) string {
	s := ""
	for _, e := range es {
		b, _ := json.Marshal(e) // shown to a person only
		s += "\n  " + reflect.TypeOf(e).String() + " " + string(b)
	}
	return s
}

// Rejected expects a business refusal with this code.
func (c *Case) Rejected(code string) *Case {
	c.t.Helper()
	if c.got.Rejected == nil || c.got.Rejected.Code != code {
		c.t.Errorf("got rejection %v, want code %s", c.got.Rejected, code)
	}
	return c
}

// Fails expects a decision that parks its key.
func (c *Case) Fails() *Case {
	c.t.Helper()
	if c.got.Err == nil {
		c.t.Errorf("the decision held, it should fail")
	}
	return c
}

// Asks expects the intent for this effect among the decision's intents.
func (c *Case) Asks(effect, key string, body any) *Case {
	c.t.Helper()
	for _, i := range c.got.Intents {
		if i.Effect == effect && i.Key == key && reflect.DeepEqual(i.Body, body) {
			return c
		}
	}
	c.t.Errorf("got intents %+v, want %s %q %+v", c.got.Intents, effect, key, body)
	return c
}

// AsksNothing expects no intent.
func (c *Case) AsksNothing() *Case {
	c.t.Helper()
	if len(c.got.Intents) > 0 {
		c.t.Errorf("got intents %+v, want none", c.got.Intents)
	}
	return c
}

// Sets expects a timer of this name, due after this long.
func (c *Case) Sets(timer string, after time.Duration) *Case {
	c.t.Helper()
	if d, ok := c.got.Timers[timer]; !ok || d != after {
		c.t.Errorf("got timers %v, want %s after %v", c.got.Timers, timer, after)
	}
	return c
}

// Cancels expects timers of these names to be taken back.
func (c *Case) Cancels(timers ...string) *Case {
	c.t.Helper()
	if !reflect.DeepEqual(c.got.Cancels, timers) {
		c.t.Errorf("got cancelled timers %v, want %v", c.got.Cancels, timers)
	}
	return c
}

// Replies expects this answer to the command.
func (c *Case) Replies(want any) *Case {
	c.t.Helper()
	if !reflect.DeepEqual(c.got.Reply, want) {
		c.t.Errorf("got reply %+v, want %+v", c.got.Reply, want)
	}
	return c
}
