package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// The watch is a pipeline behind the fleet's teller: it drops small deposits
// (filter), tells the rest to the account's watcher (map) and, keyed by another
// kind, to the headquarters (route).

type large struct {
	Account account `json:"account"`
	Amount  int64   `json:"amount"`
}

func (l large) Key() streams.Key { return l.Account }

type told struct {
	Branch branch `json:"branch"`
	Amount int64  `json:"amount"`
}

func (x told) Key() streams.Key { return x.Branch }

type watched struct {
	Account account `json:"account"`
	Amount  int64   `json:"amount"`
}

func (w watched) Key() streams.Key { return w.Account }

type summed struct {
	Branch branch `json:"branch"`
	Amount int64  `json:"amount"`
}

func (x summed) Key() streams.Key { return x.Branch }

type total struct{ N, Sum int64 }

// small, unreadable, deadly and strange amounts; the last three are bad.
const least, unreadable, deadly, strange, bad = 10, 33, 44, 45, 3

func watch(e streams.Event) ([]streams.Event, error) {
	d := e.(deposited)
	switch {
	case d.Amount == unreadable:
		return nil, errors.New("an amount that cannot be read")
	case d.Amount == strange: // of which nothing may go out
		return []streams.Event{large{d.Account, d.Amount}, watched{d.Account, d.Amount}}, nil
	case d.Amount == deadly:
		panic("a deadly amount")
	case d.Amount < least:
		return nil, nil
	}
	return []streams.Event{large{d.Account, d.Amount}, told{"head-office", d.Amount}}, nil
}

func watchTopology(t testing.TB, transactional bool) *streams.Topology {
	t.Helper()
	watcher := streams.Define("watcher", account(""), func(s total, e streams.Event) total {
		return total{s.N + 1, s.Sum + e.(watched).Amount}
	}, streams.On(func(_ total, e large, _ streams.Input) streams.Decision { return streams.Emit(watched(e)) }, watched{}))
	hq := streams.Define("hq", branch(""), func(s total, e streams.Event) total {
		return total{s.N + 1, s.Sum + e.(summed).Amount}
	}, streams.On(func(_ total, e told, _ streams.Input) streams.Decision { return streams.Emit(summed(e)) }, summed{}))
	v, err := streams.NewVocabulary(append(fleetFacts[:len(fleetFacts):len(fleetFacts)], streams.NewFact[large]("watch.large"), streams.NewFact[told]("watch.told"),
		streams.NewFact[watched]("watcher.watched"), streams.NewFact[summed]("hq.summed"))...)
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{front, back, {Name: "watchers", Deciders: []*streams.Decider{watcher, hq}}},
		streams.Pipeline{Name: "watch", On: []streams.Event{deposited{}}, Emits: []streams.Event{large{}, told{}}, Step: watch, Transactional: transactional})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// pipeRun runs a pipeline, which must go on by itself whatever happens.
type pipeRun struct {
	*streams.PipelineInstance
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func runPipe(c *streamtest.Cluster) *pipeRun {
	ctx, stop := context.WithCancel(context.Background())
	r := &pipeRun{stop: stop, done: make(chan struct{})}
	cfg := streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions, MaxBatch: 20, Hooks: c.Hooks}
	if r.PipelineInstance, r.err = streams.NewPipelineInstance(cfg, "watch"); r.err != nil {
		close(r.done)
		return r
	}
	go func() {
		defer close(r.done)
		r.err = r.Run(ctx)
	}()
	return r
}

// wantReady wants the pipeline to be ready, or to say why not.
func (r *pipeRun) wantReady(t *testing.T, why string) {
	t.Helper()
	err := r.Ready()
	if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), "pipeline watch: ") || !strings.Contains(err.Error(), why)) {
		t.Errorf("ready: %v, want %q", err, why)
	}
}

func (r *pipeRun) end(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
		t.Errorf("the pipeline ended by itself: %v", r.err)
	default:
	}
	r.stop()
	<-r.done
	if r.err != nil {
		t.Errorf("the pipeline ended with %v", r.err)
	}
	r.wantReady(t, "it is stopped")
}

// laneWatch counts the repeats that the watchers dropped, and what the pipeline
// tells of itself.
type laneWatch struct {
	repeats, begun, ended, failed atomic.Int64
	mu                            sync.Mutex
	passed                        []streams.BatchInfo
}

func (w *laneWatch) OnBatch(b streams.BatchInfo) {
	switch b.Service {
	case "watchers":
		w.repeats.Add(int64(b.Repeats))
	case "watch":
		w.mu.Lock()
		w.passed = append(w.passed, b)
		w.mu.Unlock()
	}
}

// ownSpan is the span of the pipeline's own, in the trace of what it passes on.
func ownSpan(traceparent string) string {
	if len(traceparent) != 55 {
		return traceparent
	}
	return traceparent[:36] + "b7ad6b7169203331" + traceparent[52:]
}

func (w *laneWatch) OnDecide(h streams.Hop) (string, func(streams.BatchInfo, error)) {
	if h.Service != "watch" {
		return h.Origin.Traceparent, nil
	}
	w.begun.Add(1)
	return ownSpan(h.Origin.Traceparent), func(_ streams.BatchInfo, err error) {
		if w.ended.Add(1); err != nil && strings.Contains(err.Error(), "aborted") {
			w.failed.Add(1)
		}
	}
}

func (w *laneWatch) OnFail(h streams.Hop, _ error) string { return h.Origin.Traceparent }

// wantPassed is what the pipeline must have told of deposits 1 … n, each once.
func (w *laneWatch) wantPassed(t *testing.T, n int) {
	t.Helper()
	got := map[string]int{}
	for _, b := range w.passed {
		for _, in := range b.Inputs {
			if in.Decider != "watch" || in.Name != "teller.deposited" || in.Kind != streams.EventInput || in.Age < 0 || in.Origin.Causation == "" {
				t.Errorf("a batch has the input %+v", in)
			}
			got[string(in.Result)]++
		}
		for _, e := range b.Events {
			got[e]++
		}
	}
	passed := n - bad - (least - 1)
	want := map[string]int{"decided": n - bad, "parked": bad, "watch.large": passed, "watch.told": passed}
	if !maps.Equal(got, want) || w.begun.Load() == 0 || w.begun.Load() != w.ended.Load() {
		t.Errorf("told of %v, want %v; %d were begun, %d ended", got, want, w.begun.Load(), w.ended.Load())
	}
}

func watchTotals(t *testing.T, c *streamtest.Cluster) (accounts, branches total) {
	t.Helper()
	s := c.OpenStore("watchers")
	defer s.Close()
	read := func(decider, key string, sum *total) {
		snaps, err := s.Load(context.Background(), streams.Partition(key, c.Partitions), []streams.StreamID{{Decider: decider, Key: key}})
		if err != nil {
			t.Fatal(err)
		}
		for _, sn := range snaps {
			var x total
			if err := json.Unmarshal(sn.State, &x); err != nil {
				t.Fatal(err)
			}
			sum.N, sum.Sum = sum.N+x.N, sum.Sum+x.Sum
		}
	}
	for n := range 7 {
		read("watcher", fmt.Sprint("acc-", n), &accounts)
	}
	read("hq", "head-office", &branches)
	return accounts, branches
}

// wantWatched is what of deposits 1 … n must have arrived.
func wantWatched(t *testing.T, c *streamtest.Cluster, n int64) {
	t.Helper()
	var want total
	for a := int64(least); a <= n; a++ {
		if a != unreadable && a != deadly && a != strange {
			want = total{want.N + 1, want.Sum + a}
		}
	}
	var accounts, branches total
	for range 600 {
		if accounts, branches = watchTotals(t, c); accounts == want && branches == want {
			time.Sleep(5 * time.Second) // and nothing more comes
			if accounts, branches = watchTotals(t, c); accounts == want && branches == want {
				return
			}
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("watchers have %+v, headquarters %+v, want %+v", accounts, branches, want)
}

// readAll reads a topic to its end, as it is read by who wants that isolation.
func readAll(t *testing.T, c *streamtest.Cluster, level kgo.IsolationLevel, topic string) (out []*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(append(c.Client(), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(level))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { out = append(out, r) })
	}
	return out
}

// deadLetters checks the reports about the bad amounts.
func deadLetters(t *testing.T, c *streamtest.Cluster) {
	t.Helper()
	reasons := map[string]string{}
	for _, r := range readAll(t, c, kgo.ReadCommitted(), streams.DeadTopic("watch")) {
		var d streams.DeadLetter
		if err := json.Unmarshal(r.Value, &d); err != nil {
			t.Fatal(err)
		}
		if d.Service != "watch" || d.Name != "teller.deposited" || d.ID == "" || !strings.HasPrefix(d.From, "teller.account/") {
			t.Errorf("dead letter %+v", d)
		}
		reasons[d.ID] = d.Reason
	}
	all := fmt.Sprint(reasons)
	if len(reasons) != bad || !strings.Contains(all, "cannot be read") || !strings.Contains(all, "emitted streams_test.watched, which it does not declare") || !strings.Contains(all, "panicked: a deadly amount") {
		t.Errorf("dead letters: %v", reasons)
	}
}

func inWatch(t *testing.T, transactional bool, f func(t *testing.T, c *streamtest.Cluster, w *laneWatch)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, watchTopology(t, transactional), 4)
		w := &laneWatch{}
		c.Hooks = []streams.Hook{w}
		f(t, c, w)
		c.Close()
	})
}
