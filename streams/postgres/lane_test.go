//go:build real

package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// The till takes deposits by command, has each receipt printed outside, closes
// itself after a while, and hears of gifts from outside; the branch counts what
// its tills took. Together they use everything that a store keeps.

type till string

func (till) Kind() string     { return "till" }
func (k till) String() string { return string(k) }

type branch string

func (branch) Kind() string     { return "branch" }
func (b branch) String() string { return string(b) }

type deposit struct {
	Till   till
	Amount int64
}

func (d deposit) Key() streams.Key { return d.Till }

type deposited struct {
	Till    till
	Balance int64
}

func (d deposited) Key() streams.Key { return d.Till }

type took struct {
	Branch branch
	Amount int64
}

func (t took) Key() streams.Key { return t.Branch }

type printed struct{ Till till }

func (p printed) Key() streams.Key { return p.Till }

type closed struct{ Till till }

func (c closed) Key() streams.Key { return c.Till }

type gift struct {
	Till   till
	Amount int64
}

func (g gift) Key() streams.Key { return g.Till }

type counted struct {
	Branch branch
	Sum    int64
}

func (c counted) Key() streams.Key { return c.Branch }

type tillState struct{ Balance, Printed, Closed int64 }

func (s tillState) evolve(e streams.Event) tillState {
	switch e := e.(type) {
	case deposited:
		s.Balance = e.Balance
	case printed:
		s.Printed++
	case closed:
		s.Closed++
	}
	return s
}

type branchState struct{ Sum int64 }

func (s branchState) evolve(e streams.Event) branchState {
	s.Sum = e.(counted).Sum
	return s
}

// bank is the topology; its printer fails while it is jammed.
func bank(t *testing.T, jammed *atomic.Bool) *streams.Topology {
	t.Helper()
	receipt := streams.NewEffect("receipt", "printer", time.Second, func(d deposited) string { return fmt.Sprintf("%s/%d", d.Till, d.Balance) },
		func(context.Context, streams.Transports, string, deposited) (string, error) {
			if jammed.Load() {
				return "", errors.New("the printer is jammed")
			}
			return "ok", nil
		})
	take := func(s tillState, k till, amount int64) streams.Decision {
		d := deposited{k, s.Balance + amount}
		return streams.Emit(d, took{"b-" + branch(k[len(k)-1:]), amount}).Do(receipt.With(d)).After("close", time.Second, k)
	}
	tills := streams.Define("till", till(""), tillState.evolve,
		streams.OnCommand("deposit", func(s tillState, d deposit, _ streams.Input) streams.Decision {
			return take(s, d.Till, d.Amount).Reply(s.Balance + d.Amount)
		}, deposited{}, took{}).Asks(receipt),
		streams.On(func(s tillState, g gift, _ streams.Input) streams.Decision { return take(s, g.Till, g.Amount) }, deposited{}, took{}).Asks(receipt),
		streams.OnOutcome(receipt, func(_ tillState, _ string, in streams.Input) streams.Decision {
			return streams.Emit(printed{till(in.Key)})
		}, printed{}),
		streams.OnTimer("close", func(_ tillState, k till, _ streams.Input) streams.Decision { return streams.Emit(closed{k}) }, closed{}))
	branches := streams.Define("branch", branch(""), branchState.evolve,
		streams.On(func(s branchState, x took, _ streams.Input) streams.Decision {
			return streams.Emit(counted{x.Branch, s.Sum + x.Amount})
		}, counted{}))
	v, err := streams.NewVocabulary(streams.NewFact[deposited]("deposited"), streams.NewFact[took]("took"), streams.NewFact[printed]("printed", streams.Private()),
		streams.NewFact[closed]("closed"), streams.NewFact[counted]("counted"), streams.NewFact[gift]("gift", streams.External()))
	if err == nil {
		var top *streams.Topology
		if top, err = streams.NewTopology(v, []streams.Service{{Name: "tills", Deciders: []*streams.Decider{tills}}, {Name: "branches", Deciders: []*streams.Decider{branches}}}); err == nil {
			return top
		}
	}
	t.Fatal(err)
	return nil
}

const tills = 20

// depositor sends the deposits and gifts of a number of rounds, and tells their sum.
type depositor struct {
	t      *testing.T
	c      *streamtest.Cluster
	client *kgo.Client
	round  int
	sum    int64
}

func (d *depositor) rounds(n int) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for range n {
		d.round++
		var wg sync.WaitGroup
		for i := range tills {
			key, amount := till(fmt.Sprint("till-", i)), int64(d.round+i)
			d.sum += 2 * amount
			wg.Go(func() {
				cmd, err := streams.NewCommand(fmt.Sprintf("deposit-%d-%s", d.round, key), "deposit", deposit{key, amount})
				if err == nil {
					_, err = d.c.Send(ctx, cmd)
				}
				if err == nil {
					e := streams.Envelope{ID: fmt.Sprintf("gift-%d-%s\xff\x00", d.round, key), Type: "gift", Source: "/test", Time: time.Now(), Key: key.String(), Data: fmt.Appendf(nil, `{"Till":%q,"Amount":%d}`, key, amount)}
					err = d.client.ProduceSync(ctx, e.Record("external.till", streams.Partition(key.String(), d.c.Partitions))).FirstErr()
				}
				if err != nil {
					d.t.Errorf("round %d, %s: %v", d.round, key, err)
				}
			})
		}
		wg.Wait()
	}
}

// The runtime's own loop on PostgreSQL, while the server restarts and is killed
// and an instance dies: afterwards the books are right.
func TestLanesLiveThroughRestarts(t *testing.T) {
	var jammed atomic.Bool
	c := streamtest.NewCluster(t, bank(t, &jammed), 4)
	stores := map[string]string{"tills": fresh(t), "branches": fresh(t)}
	start := func(service string) *streamtest.Node { return c.StartOn(service, open(t, stores[service])) }
	dying := start("tills")
	start("tills")
	start("branches")
	client, err := kgo.NewClient(append(c.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	d := &depositor{t: t, c: c, client: client}
	d.rounds(3)
	var wg sync.WaitGroup
	wg.Go(func() { d.rounds(60) })
	time.Sleep(200 * time.Millisecond)
	streamtest.Servers(t, "restart", "postgres")
	jammed.Store(true)
	time.Sleep(500 * time.Millisecond)
	streamtest.Servers(t, "kill", "postgres")
	streamtest.Servers(t, "start", "postgres")
	jammed.Store(false)
	dying.Kill()
	start("tills")
	wg.Wait()
	d.rounds(3)
	settled(t, c, stores, d.sum)
}

// settled waits until nothing moves any more, and then wants every invariant to
// hold and the branches to have counted every deposit and gift once.
func settled(t *testing.T, c *streamtest.Cluster, services map[string]string, want int64) {
	t.Helper()
	in := verify.Input{Topology: c.Topology, Partitions: c.Partitions, Stores: map[string]streams.Store{}, Client: c.Client(), Complete: true, Settled: true, Decide: true, Skew: 50 * time.Millisecond}
	for service, name := range services {
		in.Stores[service] = open(t, name)
	}
	var sums map[branch]int64
	in.Event = func(_ string, e streams.Event) {
		if e, ok := e.(counted); ok {
			sums[e.Branch] = e.Sum
		}
	}
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(time.Second) {
		sums = map[branch]int64{}
		r, err := verify.Check(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		got := int64(0)
		for _, sum := range sums {
			got += sum
		}
		if r.OK() && got == want {
			t.Logf("\n%s", r)
			return
		}
		if time.Now().After(end) {
			t.Fatalf("counted %d, want %d\n%s", got, want, r)
		}
	}
}
