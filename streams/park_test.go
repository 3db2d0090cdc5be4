package streams_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// Rule 17: what a decision does not declare, or cannot do, parks its key with a
// reason that says what to do; the shadow of the same key is not touched.
func TestWrongDecisionsPark(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		c.Start("stage")
		wrong := map[string]string{
			"emit undeclared":       "emitted streams_test.followed, which it does not declare: add it",
			"emit nothing":          "emitted <nil>",
			"set undeclared":        `set timer "nobody", which it does not declare: add streams.OnTimer`,
			"set another type":      `set timer "bell" with a int, declared with string`,
			"cancel undeclared":     `cancelled timer "nobody", which it does not declare`,
			"ask undeclared":        `asked for effect "unknown", whose outcome it does not declare: add streams.OnOutcome`,
			"ask without an effect": "panicked",
			"reject oddly":          `rejected with the class "weird", which there is not: take "invalid", "missing", "conflict" or "forbidden"`,
			"reject in words":       `rejected with the code "a <b> \"code\"": use lower case letters, digits and dashes`,
			"reply to an event":     "replied to what is no command",
			"fail":                  "actor cannot decide on act: I cannot",
			"panic":                 "actor panicked on act: I shall not",
			"poison":                "evolve of actor panicked: evolve cannot",
		}
		bad := map[string]string{"two\nlines": "no header can carry it", " padded": "no header can carry it", "": "key is empty", "no key": "no key for that"}
		keys := map[account]string{}
		for do, reason := range wrong {
			key := account("k-" + do)
			keys[key] = reason
			tell(t, c, act{Account: key, Do: "first"}, act{Account: key, Do: do}, act{Account: key, Do: "after"})
		}
		for text, reason := range bad {
			key := account(fmt.Sprintf("bad-%q", text))
			keys[key] = reason
			tell(t, c, act{Account: key, Do: "first"}, act{Account: key, Do: "ask badly", Text: text}, act{Account: key, Do: "after"})
		}
		time.Sleep(10 * time.Second)
		for key, reason := range keys {
			rows := parkedOf(t, c, "actor", key)
			if len(rows) != 2 || !strings.Contains(rows[0].Reason, reason) || rows[1].Reason != "" {
				t.Errorf("%s: %d rows %+v, want %q", key, len(rows), rows, reason)
			}
			if got := logOf(t, c, "stage", "actor", key); got != "first" {
				t.Errorf("%s went on: %s", key, got)
			}
			if got := logOf(t, c, "stage", "shadow", key); strings.Count(got, ",") != 2 {
				t.Errorf("the shadow of %s did not: %s", key, got)
			}
		}
		if dead := count(t, c, streams.DeadTopic("stage")); dead != int64(len(keys)) {
			t.Errorf("%d reports of dead letters, want %d", dead, len(keys))
		}
		for _, l := range c.Lanes() {
			if l.State != streams.LaneRunning {
				t.Errorf("%+v", l)
			}
		}
	})
}

// The poison path: an evolve that panics damages the lane's memory, so the
// lane lives again, and what else was in the batch is decided all the same.
func TestPoison(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		k := neighbours(2, 3)
		if err := streams.MakeTopics(ctx, streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}); err != nil {
			t.Fatal(err)
		}
		tell(t, c, act{Account: k[0], Do: "a"}, act{Account: k[1], Do: "a"}, act{Account: k[0], Do: "poison"}, act{Account: k[1], Do: "b"},
			act{Account: k[2], Do: "poison"}, act{Account: k[0], Do: "c"}, act{Account: k[1], Do: "c"}) // one batch: they are there first
		n := c.Start("stage")
		time.Sleep(10 * time.Second)
		if got := logOf(t, c, "stage", "actor", k[1]); got != "a, b, c" {
			t.Errorf("a neighbour's log: %s", got)
		}
		id := streams.StreamID{Decider: "actor", Key: string(k[0])}
		if left, err := n.RetryParked(ctx, id); err == nil || !strings.Contains(err.Error(), "evolve cannot") {
			t.Errorf("retried poison: %d left, %v", left, err)
		}
		time.Sleep(time.Second)
		if rows := parkedOf(t, c, "actor", k[0]); len(rows) != 2 {
			t.Errorf("after the retry: %+v", rows)
		}
		if left, err := n.DropParked(ctx, id); err != nil || left != 0 {
			t.Errorf("drop: %d left, %v", left, err)
		}
		if got := logOf(t, c, "stage", "actor", k[0]); got != "a, c" {
			t.Errorf("after the drop: %s", got)
		}
		if rows := parkedOf(t, c, "actor", k[2]); len(rows) != 1 {
			t.Errorf("the other key: %+v", rows)
		}
		n.Kill()
		c.Start("stage")
		tell(t, c, act{Account: k[1], Do: "d"}, act{Account: k[2], Do: "d"})
		time.Sleep(20 * time.Second)
		if got := logOf(t, c, "stage", "actor", k[1]); got != "a, b, c, d" {
			t.Errorf("after a restart: %s", got)
		}
	})
}

// A decision that writes into its state and then fails or refuses leaves
// nothing behind, whether the state was changed earlier in the batch or not.
func TestFailedDecisionLeavesTheStateAlone(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		ctx := t.Context()
		k := neighbours(2, 2)
		if err := streams.MakeTopics(ctx, streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}); err != nil {
			t.Fatal(err)
		}
		say := func(key account, what ...string) {
			for _, do := range what {
				tell(t, c, act{Account: key, Do: do})
			}
		}
		say(k[0], "a", "scribble and reject", "b", "scribble and panic", "c") // one batch: they are there first
		n := c.Start("stage")
		time.Sleep(10 * time.Second)
		for _, what := range []string{"a", "scribble and reject", "b", "scribble and panic", "c"} {
			say(k[1], what)
			time.Sleep(3 * time.Second)
		}
		for _, key := range k {
			if left, err := n.DropParked(ctx, streams.StreamID{Decider: "actor", Key: string(key)}); err != nil || left != 0 {
				t.Errorf("drop: %d left, %v", left, err)
			}
			if got := logOf(t, c, "stage", "actor", key); got != "a, b, c" {
				t.Errorf("%s: %s, want a, b, c", key, got)
			}
		}
		say(k[0], "scribble and reject")
		time.Sleep(3 * time.Second)
		say(k[0], "scribble and reject", "d")
		time.Sleep(3 * time.Second)
		if got := logOf(t, c, "stage", "actor", k[0]); got != "a, b, c, d" {
			t.Errorf("at the end: %s", got)
		}
	})
}

// Rule 4: a record whose data is about another key than the record's own is
// nobody's: not decided, and neither key waits.
func TestDataOfAnotherKeyIsMisplaced(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		c.Start("stage")
		k := neighbours(2, 2)
		data, err := json.Marshal(act{Account: k[1], Do: "wrong"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		e := streams.Envelope{ID: "wrong", Type: "act", Source: "test", Time: time.Now(), Key: string(k[0]), Data: data}
		produce(t, c, e.Record("external.account", 2))
		tell(t, c, act{Account: k[0], Do: "a"}, act{Account: k[1], Do: "a"})
		time.Sleep(5 * time.Second)
		for _, key := range k {
			if got := logOf(t, c, "stage", "actor", key) + "; " + logOf(t, c, "stage", "shadow", key); got != "a; a" || len(parkedOf(t, c, "actor", key)) > 0 {
				t.Errorf("%s: %s", key, got)
			}
		}
		dead := readAll(t, c, kgo.ReadCommitted(), streams.DeadTopic("stage"))
		if len(dead) != 1 || !strings.Contains(string(dead[0].Value), string(k[1])) {
			t.Errorf("%d dead letters: %v", len(dead), dead)
		}
	})
}

// An evolve that cannot take the history any more stops its lane, loudly.
func TestFoldPanics(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		k := neighbours(1, 1)[0]
		n := c.Start("stage")
		tell(t, c, act{Account: k, Do: "a"})
		time.Sleep(3 * time.Second)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		type newer struct{ Log []string }
		strict := streams.Define("actor", account(""), func(newer, streams.Event) newer { panic("what is this") }, streams.StateVersion[newer](2),
			streams.On(func(newer, act, streams.Input) streams.Decision { return streams.Nothing() }))
		v, err := streams.NewVocabulary(c.Topology.Vocabulary.Facts()...)
		if err != nil {
			t.Fatal(err)
		}
		top, err := streams.NewTopology(v, []streams.Service{service("stage", strict)})
		if err != nil {
			t.Fatal(err)
		}
		n = c.Start("stage", func(cfg *streams.Config) { cfg.Topology = top })
		tell(t, c, act{Account: k, Do: "b"})
		if s := awaitState(t, n, 1, streams.LaneHalted); !strings.Contains(fmt.Sprint(s.Err), "what is this") {
			t.Errorf("halted with %v", s.Err)
		}
	})
}

// Rule 19: at the bound of parked inputs the lane takes nothing more, and goes
// on when a person has dealt with some. Other lanes do not notice.
func TestParkedBoundPausesTheLane(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		n := c.Start("stage", func(cfg *streams.Config) { cfg.MaxParked, cfg.MaxBatch = 3, 1 })
		k, far := neighbours(2, 2), neighbours(3, 1)[0]
		tell(t, c, act{Account: k[0], Do: "fail"}, act{Account: k[0], Do: "b"}, act{Account: k[0], Do: "c"})
		time.Sleep(3 * time.Second)
		tell(t, c, act{Account: k[1], Do: "waits"}, act{Account: far, Do: "flows"})
		limited, stop := context.WithTimeout(ctx, 5*time.Second)
		cmd, _ := streams.NewCommand("cmd", "act", act{Account: k[1], Do: "asked"})
		if r, err := c.Send(limited, cmd); err == nil {
			t.Errorf("a paused lane answered %+v", r)
		}
		stop()
		if got := logOf(t, c, "stage", "actor", k[1]) + logOf(t, c, "stage", "actor", far); got != "flows" {
			t.Errorf("while it pauses: %s", got)
		}
		if left, err := n.DropParked(ctx, streams.StreamID{Decider: "actor", Key: string(k[0])}); err != nil || left != 0 {
			t.Errorf("drop: %d left, %v", left, err)
		}
		time.Sleep(3 * time.Second)
		got := logOf(t, c, "stage", "actor", k[1])
		if !strings.Contains(got, "waits") || strings.Count(got, "asked") != 1 || logOf(t, c, "stage", "actor", k[0]) != "b, c" {
			t.Errorf("after the drop: %s; %s", got, logOf(t, c, "stage", "actor", k[0]))
		}
	})
}

// listener keeps what hooks say.
type listener struct {
	mu      sync.Mutex
	lanes   []streams.LaneEvent
	inputs  []streams.InputInfo
	pending int
}

func (l *listener) OnLane(e streams.LaneEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.What == streams.LaneMeasured {
		l.pending = max(l.pending, e.Pending)
		return
	}
	l.lanes = append(l.lanes, e)
}

func (l *listener) OnBatch(b streams.BatchInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inputs = append(l.inputs, b.Inputs...)
}

func (l *listener) changes(service string, lane int32) (out []streams.LaneChange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.lanes {
		if e.Service == service && e.Lane == lane {
			out = append(out, e.What)
		}
	}
	return out
}

// A refusal of an event is counted, and the cursor moves on.
func TestRejectedEvent(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		l := &listener{}
		c.Hooks = []streams.Hook{l}
		c.Start("stage")
		tell(t, c, act{Account: "k", Do: "a"}, act{Account: "k", Do: "reject", Text: "that"}, act{Account: "k", Do: "b"})
		time.Sleep(3 * time.Second)
		if got := logOf(t, c, "stage", "actor", "k"); got != "a, b" {
			t.Errorf("got %s", got)
		}
		var rejected []streams.InputInfo
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, in := range l.inputs {
			if in.Result == "rejected" {
				rejected = append(rejected, in)
			}
		}
		if len(rejected) != 1 || rejected[0].Rejected != "unwanted" || rejected[0].Decider != "actor" || rejected[0].Name != "act" || len(parkedOf(t, c, "actor", "k")) != 0 {
			t.Errorf("%+v", rejected)
		}
	})
}
