package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// The desk does as it is told, by events from outside and by commands. A tally
// in the same service counts what it is told, and a follower in another one
// follows what it notes.

type account string

func (account) Kind() string     { return "account" }
func (a account) String() string { return string(a) }

type told struct {
	Account account `json:"account"`
	Do      string  `json:"do"`
	Text    string  `json:"text,omitempty"`
}

func (t told) Key() streams.Key { return t.Account }

type noted struct {
	Account account `json:"account"`
	What    string  `json:"what"`
}

func (n noted) Key() streams.Key { return n.Account }

type memo struct {
	Account account `json:"account"`
	What    string  `json:"what"`
}

func (m memo) Key() streams.Key { return m.Account }

type tallied struct {
	Account account `json:"account"`
	N       int     `json:"n"`
}

func (t tallied) Key() streams.Key { return t.Account }

type followed struct {
	Account account `json:"account"`
}

func (f followed) Key() streams.Key { return f.Account }

type deskState struct {
	Notes []string `json:"notes"`
	N     int      `json:"n"`
}

func (s deskState) evolve(e streams.Event) deskState {
	switch e := e.(type) {
	case noted:
		if e.What == "poison" {
			panic("evolve cannot")
		}
		s.Notes = append(s.Notes, e.What)
	case tallied:
		s.N = e.N
	}
	return s
}

// mended and other are code that was deployed later: it takes what failed
// before, and cancels what was not cancelled before.
var mended, other atomic.Bool

var ring = streams.NewEffect("ring", "phone", time.Second, func(text string) string { return "ring/" + text },
	func(_ context.Context, _ streams.Transports, _ string, text string) (string, error) {
		if text == "nobody" {
			return "", errors.New("nobody answers")
		}
		return "answer to " + text, nil
	})

func (s deskState) told(t told, in streams.Input) streams.Decision {
	note := streams.Emit(noted{t.Account, t.Do + t.Text}, memo{t.Account, "memo " + t.Do})
	switch t.Do {
	case "fail":
		if !mended.Load() {
			return streams.Fail(errors.New("I cannot"))
		}
	case "panic":
		panic("I shall not")
	case "reject":
		return streams.Reject(streams.Conflict, "unwanted", "not %s", t.Text)
	case "nothing":
		return streams.Nothing()
	case "set":
		after, err := time.ParseDuration(t.Text)
		if err != nil {
			return streams.Fail(err)
		}
		note = note.After("bell", after, t.Text)
	case "behind":
		if other.Load() {
			note = note.Cancel("bell")
		}
	case "cancel":
		note = note.Cancel("bell")
	case "ask":
		note = note.Do(ring.With(t.Text), ring.With(t.Text+" again"))
	}
	return note
}

func topology(t testing.TB) *streams.Topology {
	t.Helper()
	note := func(_ deskState, text string, in streams.Input) streams.Decision {
		return streams.Emit(noted{account(in.Key), "heard " + text})
	}
	desk := streams.Define("desk", account(""), deskState.evolve,
		streams.On(deskState.told, noted{}, memo{}).Asks(ring),
		streams.OnCommand("tell", func(s deskState, c told, in streams.Input) streams.Decision {
			return s.told(c, in).Reply(len(s.Notes))
		}, noted{}, memo{}).Asks(ring),
		streams.OnTimer("bell", note, noted{}), streams.OnOutcome(ring, note, noted{}))
	tally := streams.Define("tally", account(""), deskState.evolve, streams.On(func(s deskState, t told, _ streams.Input) streams.Decision {
		if t.Do == "nothing" {
			return streams.Nothing()
		}
		return streams.Emit(tallied{t.Account, s.N + 1})
	}, tallied{}))
	follower := streams.Define("follower", account(""), deskState.evolve, streams.On(func(_ deskState, n noted, _ streams.Input) streams.Decision {
		return streams.Emit(followed{n.Account})
	}, followed{}))
	v, err := streams.NewVocabulary(streams.NewFact[told]("told", streams.External()), streams.NewFact[noted]("desk.noted"), streams.NewFact[memo]("desk.memo", streams.Private()),
		streams.NewFact[tallied]("tally.tallied"), streams.NewFact[followed]("follower.followed"))
	check(t, err)
	top, err := streams.NewTopology(v, []streams.Service{{Name: "desks", Deciders: []*streams.Decider{desk, tally}}, {Name: "followers", Deciders: []*streams.Decider{follower}}})
	check(t, err)
	return top
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const partitions = 2

// office is the desk in virtual time, on a log that says when records came.
type office struct {
	t      testing.TB
	c      *streamtest.Cluster
	client *kgo.Client
	desks  *streamtest.Node
	nodes  []*streamtest.Node
	n      int // of events and commands
	stores map[string]streams.Store
}

func open(t testing.TB) *office {
	t.Helper()
	return openOn(t, (*streamtest.Cluster).StampRecords)
}

func openOn(t testing.TB, prepare func(*streamtest.Cluster)) *office {
	t.Helper()
	mended.Store(false)
	other.Store(false)
	o := &office{t: t, c: streamtest.NewCluster(t, topology(t), partitions), stores: map[string]streams.Store{}}
	prepare(o.c)
	var err error
	o.client, err = kgo.NewClient(append(o.c.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1))...)
	check(t, err)
	o.desks = o.c.Start("desks")
	o.nodes = []*streamtest.Node{o.desks, o.c.Start("followers")}
	time.Sleep(3 * time.Second)
	return o
}

// tell posts events, each after the other.
func (o *office) tell(key, do string, text ...string) {
	o.t.Helper()
	t := told{Account: account(key), Do: do}
	if len(text) > 0 {
		t.Text = text[0]
	}
	data, err := json.Marshal(t)
	check(o.t, err)
	o.n++
	e := streams.Envelope{ID: fmt.Sprint("told-", o.n), Type: "told", Source: "/test", Time: time.Now(), Key: key, Data: data}
	check(o.t, o.client.ProduceSync(context.Background(), e.Record("external.account", streams.Partition(key, partitions))).FirstErr())
}

func (o *office) ask(key, do, text string) streams.ReplyStatus {
	o.t.Helper()
	o.n++
	cmd, err := streams.NewCommand(fmt.Sprint("cmd-", o.n), "tell", told{account(key), do, text})
	check(o.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := o.c.Send(ctx, cmd)
	check(o.t, err)
	return r.Status
}

// input is what there is to verify, as if nothing moved any more.
func (o *office) input() verify.Input {
	if len(o.stores) == 0 {
		for _, s := range o.c.Topology.Services {
			o.stores[s.Name] = o.c.OpenStore(s.Name)
		}
	}
	in := verify.Input{Topology: o.c.Topology, Partitions: partitions, Stores: map[string]streams.Store{}, Client: o.c.Client(), Complete: true, Settled: true, Decide: true}
	for name, s := range o.stores {
		in.Stores[name] = s
	}
	return in
}

func (o *office) verify(in verify.Input) *verify.Report {
	o.t.Helper()
	r, err := verify.Check(context.Background(), in)
	check(o.t, err)
	return r
}

// stop drains the services; the broker stays for the check.
func (o *office) stop() {
	o.t.Helper()
	for _, n := range o.nodes {
		check(o.t, n.Stop())
	}
	o.nodes = nil
}

func (o *office) shut() {
	o.t.Helper()
	o.stop()
	o.client.Close()
	for _, s := range o.stores {
		check(o.t, s.Close())
	}
	o.c.Close()
}
