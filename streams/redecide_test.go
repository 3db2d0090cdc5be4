package streams_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// recordsOf reads one partition of a topic, by offset.
func recordsOf(t *testing.T, c *streamtest.Cluster, topic string, partition int32, n int) []*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(append(c.Client(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var out []*kgo.Record
	for len(out) < n {
		f := cl.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		out = append(out, f.Records()...)
	}
	return out
}

// stageHistory plays a short evening in one lane, with everything in it that a
// decision can do, and returns how to decide it again.
func stageHistory(t *testing.T, c *streamtest.Cluster, o *slow) (streams.RedecideConfig, func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	close(o.open)
	n := c.Start("stage")
	k := neighbours(1, 3)
	acts := []act{{Account: k[0], Do: "a"}, {Account: k[0], Do: "ask", Text: "x"}, {Account: k[0], Do: "set", N: 3}, {Account: k[0], Do: "reject"}, {Account: k[1], Do: "set", N: 60},
		{Account: k[1], Do: "fail"}, {Account: k[1], Do: "behind"}, {Account: k[2], Do: "b"}, {Account: k[2], Do: "poison"}, {Account: k[2], Do: "c"}, {Account: k[0], Do: "d"}}
	tell(t, c, acts...)
	time.Sleep(10 * time.Second)
	if left, err := n.DropParked(ctx, streams.StreamID{Decider: "actor", Key: string(k[2])}); err != nil || left != 0 {
		t.Fatalf("drop: %d left, %v", left, err)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	recs := recordsOf(t, c, "external.account", 1, len(acts))
	s := c.OpenStore("stage")
	return streams.RedecideConfig{Topology: c.Topology, Service: "stage", Partitions: c.Partitions, Lane: 1, Store: s,
		Record: func(topic string, offset int64) (*kgo.Record, error) {
			if topic != "external.account" || offset >= int64(len(recs)) {
				return nil, errors.New("no such record")
			}
			return recs[offset], nil
		}}, func() { s.Close() }
}

// A lane's history, decided again, is what is stored: byte for byte but for
// trace contexts, and the stacks of panics.
func TestRedecide(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, o *slow) {
		cfg, done := stageHistory(t, c, o)
		defer done()
		var stored []streams.StoredEvent
		if err := cfg.Store.Outbox(t.Context(), 1, 0, math.MaxInt, func(e streams.StoredEvent) error { stored = append(stored, e); return nil }); err != nil {
			t.Fatal(err)
		}
		var events []streams.StoredEvent
		states := map[streams.StreamID]streams.Snapshot{}
		timers, asked, done2, parked, dropped := 0, 0, 0, 0, 0
		err := streams.Redecide(t.Context(), cfg, func(d streams.Redecided) error {
			events = append(events, d.Tx.Events...)
			for _, s := range d.Tx.Snapshots {
				states[s.Stream] = s
			}
			timers, asked, done2 = timers+len(d.Tx.Timers), asked+len(d.Tx.Effects), done2+len(d.Tx.Done)
			parked += len(d.Tx.Parked) - len(d.Tx.Unparked)
			if d.Dropped {
				dropped++
			}
			if d.Tx.Cursor != nil || d.Tx.Inputs != nil || (d.Input.Topic == "") != (d.Record == nil) {
				t.Errorf("%+v", d)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(timers, asked, done2, parked, dropped); got != "2 1 1 2 1" {
			t.Errorf("timers, effects, outcomes, parked, dropped: %s", got)
		}
		if len(events) != len(stored) {
			t.Fatalf("%d events follow, %d are stored", len(events), len(stored))
		}
		for i := range events {
			w, g := stored[i], events[i]
			same := bytes.Equal(w.Record, g.Record) || w.Type == streams.ParkedType && bytes.Contains(g.Record, []byte("evolve cannot"))
			if w.Record, g.Record = nil, nil; fmt.Sprint(w) != fmt.Sprint(g) || !same {
				t.Errorf("event %d is stored as\n%+v\nand follows as\n%+v (records equal: %v)", i, w, g, same)
			}
		}
		for id, want := range states {
			got, err := cfg.Store.Load(t.Context(), 1, []streams.StreamID{id})
			if err != nil || len(got) != 1 || got[0].Version != want.Version || !bytes.Equal(got[0].State, want.State) {
				t.Errorf("%v: stored %+v, follows %+v (%v)", id, got, want, err)
			}
		}
	})
}

// What cannot follow ends the work and is named; so do errors of the caller's.
func TestRedecideContradictions(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, o *slow) {
		good, done := stageHistory(t, c, o)
		defer done()
		none := func(streams.Redecided) error { return nil }
		astray := func(err error, says string) {
			t.Helper()
			var e *streams.ContradictionError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), says) || e.Rev == 0 {
				t.Errorf("%v, want a contradiction: %s", err, says)
			}
		}
		cfg := good
		cfg.Failed = func(decider, id string, attempt int) (string, bool) {
			return "it was so", decider == "shadow" && attempt == 1
		}
		failed := 0
		if err := streams.Redecide(t.Context(), cfg, func(d streams.Redecided) error {
			for _, p := range d.Tx.Parked {
				if p.Stream.Decider == "shadow" && p.Reason == "it was so" {
					failed++
				}
			}
			return nil
		}); err != nil || failed != 3 { // the first of each key; the others wait
			t.Errorf("%d shadows failed as told: %v", failed, err)
		}
		cfg.Failed = func(decider, id string, attempt int) (string, bool) { return "", false }
		cfg.Record = func(_ string, offset int64) (*kgo.Record, error) {
			if offset == 8 { // no poison: nothing to drop
				offset = 7
			}
			return good.Record("external.account", offset)
		}
		astray(streams.Redecide(t.Context(), cfg, none), "is not parked behind it")
		cfg.Record = func(string, int64) (*kgo.Record, error) { return &kgo.Record{Topic: "x"}, nil }
		astray(streams.Redecide(t.Context(), cfg, none), "is not a CloudEvent")
		broken := errors.New("broken")
		cfg.Record = func(string, int64) (*kgo.Record, error) { return nil, broken }
		if err := streams.Redecide(t.Context(), cfg, none); !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		seen := 0
		good.Until = 1
		if err := streams.Redecide(t.Context(), good, func(streams.Redecided) error { seen++; return broken }); err != nil || seen != 0 {
			t.Errorf("%d inputs up to the claim: %v", seen, err)
		}
		good.Until = 0
		if err := streams.Redecide(t.Context(), good, func(streams.Redecided) error { seen++; return broken }); !errors.Is(err, broken) || seen != 1 {
			t.Errorf("%d inputs: %v", seen, err)
		}
		good.Service = "nobody"
		if err := streams.Redecide(t.Context(), good, none); err == nil {
			t.Error("a service that is nowhere")
		}
	})
}
