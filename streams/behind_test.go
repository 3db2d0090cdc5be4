package streams_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// A service that is not there cannot keep it from being known how far it is
// behind, and for how long.
func TestBehindIsSeenFromOutside(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		cfg := streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}
		if err := streams.MakeTopics(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		w, err := streams.NewWatcher(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		look := func() (records int64, age time.Duration) {
			t.Helper()
			all, err := w.Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range all {
				if b.Service == "stage" && b.Topic == "external.account" {
					records, age = b.Records, b.Age
				}
			}
			return records, age
		}
		want := func(when string, records int64, age time.Duration) {
			t.Helper()
			if n, a := look(); n != records || a.Round(time.Second) != age {
				t.Errorf("%s: %d records behind for %v, want %d for %v", when, n, a, records, age)
			}
		}
		want("before anything happens", 0, 0)
		n := c.Start("stage")
		key := neighbours(2, 1)[0]
		tell(t, c, act{Account: key, Do: "a"})
		time.Sleep(10 * time.Second)
		want("when all is taken", 0, 0)
		n.Kill()
		time.Sleep(time.Minute) // idle is not late
		want("when it is dead and idle", 0, 0)
		tell(t, c, act{Account: key, Do: "b"}, act{Account: key, Do: "c"})
		want("at once, as it may have taken them since its cursor was mirrored", 0, 0)
		time.Sleep(20 * time.Second)
		tell(t, c, act{Account: key, Do: "d"})
		want("later", 3, 20*time.Second)
		c.Start("stage")
		time.Sleep(20 * time.Second)
		want("when it is back", 0, 0)
	})
}

// A pipeline has nobody who measures it but from outside.
func TestAPipelineIsSeenBehind(t *testing.T) {
	inWatch(t, false, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
		c.Start("front")
		w, err := streams.NewWatcher(streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		want := func(when string, records int64) {
			t.Helper()
			all, err := w.Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(all, func(b streams.Behind) bool {
				return b.Service == "watch" && b.Topic == "teller.account" && b.Records == records
			}) {
				t.Errorf("%s: want %d records behind, got %+v", when, records, all)
			}
		}
		book(t.Context(), t, c, 0, 20)
		time.Sleep(5 * time.Second) // published
		want("at once", 0)
		time.Sleep(5 * time.Second)
		want("before it has begun", 20)
		p := runPipe(c)
		time.Sleep(10 * time.Second)
		want("when all is passed on", 0)
		p.end(t)
	})
}

// How old a record is that is no longer on the log is not known: a reader that
// begins before it is not a week behind for that.
func TestTheAgeOfWhatIsGoneIsNotKnown(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		cfg := streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}
		if err := streams.MakeTopics(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		key := neighbours(2, 1)[0]
		part := streams.Partition(string(key), c.Partitions)
		tell(t, c, act{Account: key, Do: "a"}, act{Account: key, Do: "b"})
		time.Sleep(20 * time.Second)
		tell(t, c, act{Account: key, Do: "c"})
		time.Sleep(15 * time.Second)
		look := func(next int64) (b streams.Behind) {
			t.Helper()
			w, err := streams.NewReaderWatcher(cfg, "reader", func(context.Context) (map[string]map[int32]int64, error) {
				return map[string]map[int32]int64{"external.account": {part: next}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			all, err := w.Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range all {
				if x.Topic == "external.account" {
					b = x
				}
			}
			return b
		}
		if b := look(0); b.Records != 3 || b.Older || b.Age < 30*time.Second || b.Age > time.Minute {
			t.Errorf("while all is there: %+v", b)
		}
		var gone kadm.Offsets
		gone.AddOffset("external.account", part, 2, -1)
		if _, err := administer(t, c).DeleteRecords(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		if b := look(0); b.Records != 3 || !b.Older || b.Age > time.Minute {
			t.Errorf("when the first are gone: %+v", b)
		}
		if b := look(2); b.Records != 1 || b.Older || b.Age < 10*time.Second || b.Age > 20*time.Second {
			t.Errorf("of who has read those: %+v", b)
		}
	})
}

// Who stands in a topic that is gone has read nothing of the one in its place,
// however short that is.
func TestATopicMadeAnewIsSeenBehind(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		cfg := streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions}
		n := c.Start("stage")
		key := neighbours(2, 1)[0]
		tell(t, c, act{Account: key, Do: "a"}, act{Account: key, Do: "b"}, act{Account: key, Do: "c"})
		time.Sleep(10 * time.Second)
		w, err := streams.NewWatcher(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		want := func(records int64, age time.Duration) {
			t.Helper()
			all, err := w.Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range all {
				if b.Service == "stage" && b.Topic == "external.account" && (b.Records != records || b.Age.Round(time.Second) != age) {
					t.Errorf("%d records behind for %v, want %d for %v", b.Records, b.Age, records, age)
				}
			}
		}
		want(0, 0)
		n.Kill()
		adm := administer(t, c)
		cursors, err := adm.FetchOffsets(t.Context(), streams.MirrorGroup("stage"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := adm.DeleteTopics(t.Context(), "external.account"); err != nil {
			t.Fatal(err)
		}
		if err := streams.MakeTopics(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if _, err := adm.CommitOffsets(t.Context(), streams.MirrorGroup("stage"), cursors.Offsets()); err != nil { // who runs on goes on saying so
			t.Fatal(err)
		}
		tell(t, c, act{Account: key, Do: "d"})
		want(0, 0)
		time.Sleep(20 * time.Second)
		want(1, 20*time.Second)
	})
}
