package streams_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// copyOld lets front work, keeps a copy of its store, lets it work on, and puts
// the copy in its place.
func copyOld(t *testing.T, c *streamtest.Cluster) {
	t.Helper()
	n := c.Start("front")
	c.Start("back")
	book(t.Context(), t, c, 0, 20)
	time.Sleep(5 * time.Second)
	n.Stop()
	file := filepath.Join(c.Dir, "front.db")
	copied, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n = c.Start("front")
	book(t.Context(), t, c, 20, 40)
	time.Sleep(10 * time.Second)
	n.Stop()
	_ = os.Remove(file + "-wal") // there if it was not emptied
	if err := os.WriteFile(file, copied, 0o600); err != nil {
		t.Fatal(err)
	}
}

// forgetWord removes from the control topic what it keeps of lanes.
func forgetWord(t *testing.T, c *streamtest.Cluster) {
	t.Helper()
	for _, r := range readAll(t, c, kgo.ReadCommitted(), streams.ControlTopic) {
		if string(r.Key) != "front" && string(r.Key) != "platform" {
			produce(t, c, &kgo.Record{Topic: streams.ControlTopic, Key: r.Key})
		}
	}
}

// An old copy is known by each witness alone, and none of them expires: offsets
// of a group do, a week after the last commit.
func TestEachWitnessKnowsAnOldCopy(t *testing.T) {
	forget := map[string]func(t *testing.T, cl *kgo.Client, c *streamtest.Cluster){
		"the group's offsets": func(t *testing.T, cl *kgo.Client, _ *streamtest.Cluster) {
			if _, err := kadm.NewClient(cl).DeleteGroups(t.Context(), streams.MirrorGroup("front")); err != nil {
				t.Fatal(err)
			}
		},
		"the control topic's word": func(t *testing.T, _ *kgo.Client, c *streamtest.Cluster) { forgetWord(t, c) },
		"the control topic's word, and old records are there again": func(t *testing.T, _ *kgo.Client, c *streamtest.Cluster) {
			old := map[int32]*kgo.Record{}
			for _, r := range readAll(t, c, kgo.ReadCommitted(), "teller.account") {
				if old[r.Partition] == nil {
					old[r.Partition] = r
				}
			}
			for _, r := range old {
				produce(t, c, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers})
			}
			forgetWord(t, c)
		},
		"the last records": func(t *testing.T, cl *kgo.Client, _ *streamtest.Cluster) {
			adm := kadm.NewClient(cl)
			ends, err := adm.ListEndOffsets(t.Context(), "teller.account", "teller.branch", streams.DeadTopic("front"))
			if err == nil {
				_, err = adm.DeleteRecords(t.Context(), ends.Offsets())
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, f := range forget {
		t.Run("without "+name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
				copyOld(t, c)
				cl, err := kgo.NewClient(c.Client()...)
				if err != nil {
					t.Fatal(err)
				}
				defer cl.Close()
				f(t, cl, c)
				n := c.Start("front")
				time.Sleep(20 * time.Second)
				for _, l := range n.Lanes() {
					if l.State != streams.LaneHalted {
						t.Errorf("front/%d is %s on an old copy: %v", l.Lane, l.State, l.Err)
					}
				}
			})
		})
	}
}

// A lane that is claimed again by who owned it asks the witnesses again: meanwhile
// the store may have become an older copy of itself in a way that its owner's own
// memory does not tell, as what another owner has handed out it has not seen.
func TestWitnessesAreAskedAgainOnEachClaim(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("front")
		c.Start("back")
		book(t.Context(), t, c, 0, 20)
		time.Sleep(10 * time.Second)
		s := c.OpenStore("front")
		defer s.Close()
		// Another owner claims each lane, hands out what this one never sees, and is
		// gone; of its store only the claim is left.
		for lane := range c.Partitions {
			cur, err := s.Claim(t.Context(), lane)
			if err != nil {
				t.Fatal(err)
			}
			known := [3]int64{cur.Epoch, cur.Rev, cur.LastSeq}
			known[lane%3] += 50 // one of them is enough
			word := fmt.Sprintf(`{"partitions":%d,"incarnation":%q,"epoch":%d,"rev":%d,"last":%d}`,
				c.Partitions, cur.Incarnation, known[0], known[1], known[2])
			produce(t, c, &kgo.Record{Topic: streams.ControlTopic, Key: fmt.Appendf(nil, "lane front/%d", lane), Value: []byte(word)})
		}
		time.Sleep(2 * time.Minute)
		for _, l := range n.Lanes() {
			if l.State != streams.LaneHalted || !strings.Contains(l.Err.Error(), "the store is an old copy") {
				t.Errorf("front/%d is %s: %v", l.Lane, l.State, l.Err)
			}
		}
	})
}

// A store whose newest commits are lost for good goes on under another name, and
// readers take what comes.
func TestRenewedStoreGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		copyOld(t, c)
		s := c.OpenStore("front")
		info, err := s.(streams.Renewer).Renew(t.Context())
		if err == nil {
			err = streams.AcceptStore(t.Context(), c.Client(), "front", info)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if have, ok, err := streams.StoreOf(t.Context(), c.Client(), "front"); have != info.Incarnation || !ok || err != nil {
			t.Errorf("the platform knows %q, not %q: %v", have, info.Incarnation, err)
		}
		before := count(t, c, "teller.account")
		c.Start("front")
		book(t.Context(), t, c, 40, 60)
		time.Sleep(20 * time.Second)
		if n := count(t, c, "teller.account"); n != before+20 {
			t.Errorf("%d events, want %d", n, before+20)
		}
		for _, l := range c.Lanes() {
			if l.State != streams.LaneRunning {
				t.Errorf("%s/%d is %s: %v", l.Service, l.Lane, l.State, l.Err)
			}
		}
		if got := fleetTotals(t, c); !strings.Contains(got, "in 60") {
			t.Errorf("followers have taken %s, want 60", got)
		}
	})
}

// Older news of a zombie, written over an owner's, do not stay, though the owner has
// nothing new to say.
func TestTheWitnessesWordIsRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("front")
		c.Start("back")
		book(t.Context(), t, c, 0, 20)
		time.Sleep(10 * time.Second)
		word := func() map[int32]int64 {
			t.Helper()
			w, err := streams.Control(t.Context(), c.Client(), "front", c.Partitions)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		before := word()
		forgetWord(t, c)
		if w := word(); len(w) > 0 || len(before) == 0 {
			t.Fatalf("known are %v, and were %v", w, before)
		}
		time.Sleep(11 * time.Minute)
		if w := word(); !maps.Equal(w, before) {
			t.Errorf("known are %v, want %v", w, before)
		}
	})
}

// After a graceful stop everybody outside knows how far the service has come.
func TestWhatIsKnownOfADrainedService(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		front, back := c.Start("front"), c.Start("back")
		book(t.Context(), t, c, 0, 20)
		time.Sleep(1900 * time.Millisecond) // not yet mirrored by the clock
		book(t.Context(), t, c, 20, 40)
		front.Stop()
		time.Sleep(time.Second)
		back.Stop()
		for _, service := range []string{"front", "back"} {
			s := c.OpenStore(service)
			known, err := streams.Control(t.Context(), c.Client(), service, c.Partitions)
			if err != nil {
				t.Fatal(err)
			}
			for lane := range c.Partitions {
				cur, err := s.Cursor(t.Context(), lane)
				if err != nil {
					t.Fatal(err)
				}
				if known[lane] != cur.LastSeq {
					t.Errorf("%s/%d has handed out %d sequences, %d are known", service, lane, cur.LastSeq, known[lane])
				}
				for topic, pos := range cur.Inputs {
					if o := c.Broker.GroupInfo(streams.MirrorGroup(service)).Commits[topic][lane].Offset; o != pos.Offset {
						t.Errorf("%s/%d has read %s up to %d, mirrored is %d", service, lane, topic, pos.Offset, o)
					}
				}
			}
			s.Close()
		}
	})
}

// One id is one command: another key or name under it is a conflict, also where
// the body is the same.
func TestOneIDTwoCommands(t *testing.T) {
	inTheater(t, func(t *testing.T, c *streamtest.Cluster, _ *slow) {
		c.Start("stage")
		k := neighbours(1, 2)
		cmd, err := streams.NewCommand("c-1", "act", act{Account: k[0], Do: "x"})
		if err != nil {
			t.Fatal(err)
		}
		send := func(change func(*streams.Command)) streams.ReplyStatus {
			t.Helper()
			other := cmd
			change(&other)
			for {
				if r, err := c.Commands.Send(t.Context(), "stage", 1, other); err == nil {
					return r.Status
				}
				time.Sleep(time.Second) // no lane yet
			}
		}
		for _, x := range []struct {
			what   string
			change func(*streams.Command)
			want   streams.ReplyStatus
		}{
			{"the first", func(*streams.Command) {}, streams.ReplyDone},
			{"the same", func(*streams.Command) {}, streams.ReplyDone},
			{"another key", func(c *streams.Command) { c.Key = string(k[1]) }, streams.ReplyConflict},
			{"another name", func(c *streams.Command) { c.Name = "play" }, streams.ReplyConflict},
			{"another body", func(c *streams.Command) { c.Body = []byte(`{"account":"` + string(k[0]) + `","do":"y"}`) }, streams.ReplyConflict},
		} {
			if got := send(x.change); got != x.want {
				t.Errorf("%s: %s, want %s", x.what, got, x.want)
			}
		}
	})
}

// births counts the clients that are made.
type births struct{ atomic.Int64 }

func (b *births) OnNewClient(*kgo.Client) { b.Add(1) }

// Who writes in a lane's name mutes it: readers take what it writes for repeats.
// The lane finds that out by itself, at the tenth look as at the first, and makes
// no client for each look.
func TestSomebodyWritesInALanesName(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		var made births
		n := c.Start("front", func(cfg *streams.Config) { cfg.Client = append(cfg.Client, kgo.WithHooks(&made)) })
		c.Start("back")
		book(t.Context(), t, c, 0, 20)
		time.Sleep(time.Minute)
		before := made.Load()
		book(t.Context(), t, c, 20, 40)
		time.Sleep(5 * time.Minute)
		if more := made.Load() - before; before == 0 || more > 0 {
			t.Errorf("%d clients were made in five minutes of looks, after %d", more, before)
		}
		recs := readAll(t, c, kgo.ReadCommitted(), "teller.account")
		r := recs[len(recs)-1]
		e, err := streams.ReadEnvelope(r)
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.Prev, e.Seq = "forged", e.Seq, 999_999
		produce(t, c, e.Record(r.Topic, r.Partition))
		time.Sleep(time.Minute)
		l := n.Lanes()[r.Partition]
		if l.State != streams.LaneHalted || l.Err == nil || !strings.Contains(l.Err.Error(), "writes in its name") {
			t.Errorf("the lane is %s: %v", l.State, l.Err)
		}
		for _, other := range n.Lanes() {
			if other.Lane != r.Partition && other.State != streams.LaneRunning {
				t.Errorf("lane %d is %s: %v", other.Lane, other.State, other.Err)
			}
		}
	})
}
