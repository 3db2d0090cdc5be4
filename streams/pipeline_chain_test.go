package streams_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// Three pipelines in a row: what a deposit becomes, becomes, and becomes.
type (
	onceOn   struct{ Account account }
	twiceOn  struct{ Account account }
	thriceOn struct{ Account account }
	arrived  struct{ Account account }
)

func (x onceOn) Key() streams.Key   { return x.Account }
func (x twiceOn) Key() streams.Key  { return x.Account }
func (x thriceOn) Key() streams.Key { return x.Account }
func (x arrived) Key() streams.Key  { return x.Account }

func chainTopology(t *testing.T) *streams.Topology {
	t.Helper()
	goal := streams.Define("goal", account(""), func(n total, _ streams.Event) total { return total{N: n.N + 1} },
		streams.On(func(_ total, e thriceOn, _ streams.Input) streams.Decision { return streams.Emit(arrived(e)) },
			arrived{}))
	v, err := streams.NewVocabulary(append(fleetFacts[:len(fleetFacts):len(fleetFacts)],
		streams.NewFact[onceOn]("a.passed"), streams.NewFact[twiceOn]("b.passed"),
		streams.NewFact[thriceOn]("c.passed"), streams.NewFact[arrived]("goal.arrived"))...)
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{front, back,
		{Name: "goals", Deciders: []*streams.Decider{goal}}},
		streams.Pipeline{Name: "a", On: []streams.Event{deposited{}}, Emits: []streams.Event{onceOn{}},
			Step: func(e streams.Event) ([]streams.Event, error) {
				return []streams.Event{onceOn{e.(deposited).Account}, onceOn{e.(deposited).Account}}, nil
			}},
		streams.Pipeline{Name: "b", On: []streams.Event{onceOn{}}, Emits: []streams.Event{twiceOn{}},
			Step: func(e streams.Event) ([]streams.Event, error) {
				return []streams.Event{twiceOn(e.(onceOn))}, nil
			}},
		streams.Pipeline{Name: "c", On: []streams.Event{twiceOn{}}, Emits: []streams.Event{thriceOn{}},
			Step: func(e streams.Event) ([]streams.Event, error) {
				return []streams.Event{thriceOn(e.(twiceOn)), thriceOn(e.(twiceOn))}, nil
			}})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// However many pipelines there are in a row, what they make of a repeat is one,
// and of what is none is none; also of a lane's trillionth event.
func TestPipelinesInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, chainTopology(t), 4)
		c.Start("goals")
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			i, err := streams.NewPipelineInstance(streams.Config{Topology: c.Topology, Client: c.Client(),
				Partitions: c.Partitions}, name)
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() {
				if err := i.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(10 * time.Second)
		part := streams.Partition("acc-1", 4)
		for _, n := range []int64{1, 2, 1, 2, 1e12, 1e12 + 1, 1e12, math.MaxInt64 / 4} {
			e := streams.Envelope{ID: fmt.Sprint(n), Type: "teller.deposited", Version: 1, Source: "/front",
				Time: time.Now(), Key: "acc-1",
				Data: []byte(`{"account":"acc-1","amount":1,"balance":0,"n":1}`), Lane: streams.NewLane("front", part,
					"first"), Seq: n}
			produce(t, c, e.Record("teller.account", part))
		}
		time.Sleep(20 * time.Second)
		stop()
		running.Wait()
		s := c.OpenStore("goals")
		defer s.Close()
		snaps, err := s.Load(context.Background(), part, []streams.StreamID{{Decider: "goal", Key: "acc-1"}})
		var got total
		if err == nil && len(snaps) == 1 {
			err = json.Unmarshal(snaps[0].State, &got)
		}
		if err != nil || got.N != 4*2*2 {
			t.Errorf("%d arrived of four deposits, each of which becomes four (%v)", got.N, err)
		}
		if dead := readAll(t, c, kgo.ReadCommitted(), streams.DeadTopic("a")); len(dead) != 1 {
			t.Errorf("%d deposits of a number that is too high are in the dead letters, want one", len(dead))
		}
		c.Close()
	})
}
