package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// The actor does as it is told, so that a test can tell it to do wrong. Its
// shadow follows the same instructions in the same service.

type act struct {
	Account account `json:"account"`
	Do      string  `json:"do"`
	N       int64   `json:"n"`
	Text    string  `json:"text"`
}

func (a act) Key() streams.Key { return a.Account }

type acted struct {
	Account account `json:"account"`
	What    string  `json:"what"`
}

func (a acted) Key() streams.Key { return a.Account }

type shadowed struct {
	Account account `json:"account"`
	What    string  `json:"what"`
}

func (s shadowed) Key() streams.Key { return s.Account }

type actorLog struct{ Log []string }

func (s actorLog) evolve(e streams.Event) actorLog {
	switch e := e.(type) {
	case acted:
		if e.What == "poison" {
			panic("evolve cannot")
		}
		s.Log = append(s.Log, e.What)
	case shadowed:
		s.Log = append(s.Log, e.What)
	}
	return s
}

// scribble does what a decision may not: it writes into what it shares with
// the state that it was given a copy of.
func (s actorLog) scribble() {
	for i := range s.Log {
		s.Log[i] = "scribbled"
	}
}

// slow is the actor's outside: it answers when it is let.
type slow struct {
	mu   sync.Mutex
	open chan struct{}
	max  int
	now  int
}

func newSlow() *slow { return &slow{open: make(chan struct{})} }

func (o *slow) call(ctx context.Context, _ streams.Transports, _ string, i string) (string, error) {
	o.mu.Lock()
	o.now++
	o.max = max(o.max, o.now)
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.now--
		o.mu.Unlock()
	}()
	select {
	case <-o.open:
		return "answer to " + i, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func theater(t testing.TB, o *slow) *streams.Topology {
	t.Helper()
	key := func(s string) string {
		if s == "no key" {
			panic("no key for that")
		}
		return s
	}
	ask := streams.NewEffect("ask", "phone", time.Minute, key, o.call)
	unknown := streams.NewEffect("unknown", "phone", time.Minute, key, o.call)
	do := func(s actorLog, a act, _ streams.Input) streams.Decision {
		switch what, after := streams.Emit(acted{a.Account, a.Do + a.Text}), time.Duration(a.N)*time.Second; a.Do {
		case "emit undeclared":
			return streams.Emit(followed{Account: a.Account})
		case "emit nothing":
			return streams.Emit(nil)
		case "set undeclared":
			return what.After("nobody", after, "")
		case "set another type":
			return what.After("bell", after, 42)
		case "cancel undeclared":
			return what.Cancel("nobody")
		case "reject oddly":
			return streams.Reject("weird", "no", "no")
		case "reject in words":
			return streams.Reject(streams.Conflict, `a <b> "code"`, "no")
		case "ask undeclared":
			return what.Do(unknown.With("x"))
		case "ask", "ask badly":
			return what.Do(ask.With(a.Text))
		case "ask without an effect":
			return what.Do(streams.Intent{})
		case "reply to an event":
			return what.Reply("hello")
		case "fail":
			return streams.Fail(errors.New("I cannot"))
		case "panic":
			panic("I shall not")
		case "scribble and panic":
			s.scribble()
			panic("look what I did")
		case "scribble and reject":
			s.scribble()
			return streams.Reject(streams.Conflict, "unwanted", "not me")
		case "reject":
			return streams.Reject(streams.Conflict, "unwanted", "not %s", a.Text)
		case "set":
			return what.After("bell", after, a.Text)
		case "set both":
			return what.After("bell", after, "stop gong").After("gong", after+time.Second, "")
		case "set twice":
			return what.After("bell", after, "first").After("bell", 2*after, "second")
		case "set and cancel":
			return what.Cancel("bell").After("bell", after, a.Text)
		case "cancel":
			return what.Cancel("bell")
		default:
			return what
		}
	}
	actor := streams.Define("actor", account(""), actorLog.evolve,
		streams.On(do, acted{}).Asks(ask), streams.OnCommand("act", do, acted{}).Asks(ask),
		streams.OnTimer("bell", func(_ actorLog, text string, in streams.Input) streams.Decision {
			d := streams.Emit(acted{account(in.Key), "rang " + text})
			if text == "stop gong" {
				d = d.Cancel("gong")
			}
			return d
		}, acted{}),
		streams.OnTimer("gong", func(_ actorLog, _ string, in streams.Input) streams.Decision {
			return streams.Emit(acted{account(in.Key), "gong"})
		}, acted{}),
		streams.OnOutcome(ask, func(_ actorLog, text string, in streams.Input) streams.Decision {
			return streams.Emit(acted{account(in.Key), text})
		}, acted{}))
	shadow := streams.Define("shadow", account(""), actorLog.evolve, streams.On(func(_ actorLog, a act, _ streams.Input) streams.Decision {
		return streams.Emit(shadowed{a.Account, a.Do})
	}, shadowed{}))
	late := streams.Define("late", account(""), actorLog.evolve, streams.OnNew(func(_ actorLog, e shadowed, _ streams.Input) streams.Decision {
		return streams.Emit(seenLate(e))
	}, seenLate{}))
	v, err := streams.NewVocabulary(streams.NewFact[act]("act", streams.External()), streams.NewFact[acted]("actor.acted"), streams.NewFact[shadowed]("shadow.shadowed"),
		streams.NewFact[seenLate]("late.seen"), streams.NewFact[followed]("followed"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{service("stage", actor, shadow), service("latecomers", late)})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

type seenLate struct {
	Account account `json:"account"`
	What    string  `json:"what"`
}

func (s seenLate) Key() streams.Key { return s.Account }

func inTheater(t *testing.T, f func(t *testing.T, c *streamtest.Cluster, o *slow)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := newSlow()
		c := streamtest.NewCluster(t, theater(t, o), 4)
		f(t, c, o)
		c.Close()
	})
}

var actID int

// tell posts instructions as ingestion would.
func tell(t *testing.T, c *streamtest.Cluster, acts ...act) {
	t.Helper()
	for _, a := range acts {
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		actID++
		e := streams.Envelope{ID: fmt.Sprint("act-", actID), Type: "act", Source: "test", Time: time.Now(), Key: string(a.Account), Data: data}
		produce(t, c, e.Record("external.account", streams.Partition(string(a.Account), c.Partitions)))
	}
}

// logOf reads what a decider's key went through.
func logOf(t *testing.T, c *streamtest.Cluster, service, decider string, key account) string {
	t.Helper()
	s := c.OpenStore(service)
	defer s.Close()
	snaps, err := s.Load(context.Background(), streams.Partition(string(key), c.Partitions), []streams.StreamID{{Decider: decider, Key: string(key)}})
	if err != nil {
		t.Fatal(err)
	}
	var l struct{ Log []string }
	for _, sn := range snaps {
		if err := json.Unmarshal(sn.State, &l); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(l.Log, ", ")
}

// parkedOf reads a key's parked rows.
func parkedOf(t *testing.T, c *streamtest.Cluster, decider string, key account) []streams.ParkedInput {
	t.Helper()
	s := c.OpenStore("stage")
	defer s.Close()
	rows, err := s.Parked(context.Background(), streams.Partition(string(key), c.Partitions), streams.StreamID{Decider: decider, Key: string(key)}, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// neighbours are keys that live on one lane.
func neighbours(lane int32, n int) (out []account) {
	for i := 0; len(out) < n; i++ {
		if k := fmt.Sprint("key-", i); streams.Partition(k, 4) == lane {
			out = append(out, account(k))
		}
	}
	return out
}
