package ingest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/ingest"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
)

// register runs the service whose lanes keep sources and ids, until the test ends.
func register(t *testing.T, top *streams.Topology, broker *kfake.Cluster) streams.Commands {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithoutSync())
	if err != nil {
		t.Fatal(err)
	}
	commands := streams.NewCommands()
	i, err := streams.NewInstance(streams.Config{Topology: top, Partitions: partitions, Commands: commands,
		Client: []kgo.Opt{kgo.SeedBrokers(broker.ListenAddrs()...)}}, top.Services[0].Name, store)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	waits := func(l streams.LaneStatus) bool { return l.State != streams.LaneRunning }
	for lanes := i.Lanes(); len(lanes) < partitions || slices.ContainsFunc(lanes, waits); lanes = i.Lanes() {
		select {
		case err := <-ended:
			ended <- nil
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return commands
}

// A source and an id are one event's: whoever sends another under them is told,
// in one batch and in another, on the same shelf and on another.
func TestOneNameTwoEvents(t *testing.T) {
	h := newHouse(t)
	event := func(source, id, sku string, n int) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":%q,"type":"stock.received","data":{"sku":%q,"quantity":%d}}`, id, source, sku, n)
	}
	batch := func(events ...string) []ingest.Status {
		t.Helper()
		var out []ingest.Status
		for _, r := range h.post("application/cloudevents-batch+json", "["+strings.Join(events, ",")+"]").Results {
			out = append(out, r.Status)
		}
		return out
	}
	const ok, no = ingest.Accepted, ingest.Conflict
	for _, x := range []struct {
		events []string
		want   []ingest.Status
	}{
		{[]string{event("/a", "1", "mug", 1), event("/a", "1", "mug", 100), event("/b", "1", "mug", 100)}, []ingest.Status{ok, no, ok}},
		{[]string{event("/a", "1", "cup", 1), event("/a", "1", "jar", 1), event("/a", "1", "mug", 1)}, []ingest.Status{no, no, ok}},
	} {
		if got := batch(x.events...); !slices.Equal(got, x.want) {
			t.Errorf("%v: %v, want %v", x.events, got, x.want)
		}
	}
	if r := h.post("application/cloudevents+json", event("/a", "1", "tin", 1)); r.status != 409 || !strings.Contains(r.Detail, "id of its own") {
		t.Errorf("%d %s", r.status, r.Detail)
	}
	h.records(3) // the repeat is on the log again: its readers tell it
}
