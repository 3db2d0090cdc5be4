package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// Rule 1: what a decider tells one kind of key travels on one topic.
func TestTopicsArePerKindOfKey(t *testing.T) {
	var got []string
	for _, tp := range fleet(t).Topics() {
		got = append(got, tp.Name)
	}
	want := []string{"external.account", "follower.account", "office.branch", "teller.account", "teller.branch"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Rule 12: an event that could be committed and never published parks its key.
func TestUnpublishableEventParks(t *testing.T) {
	for name, bad := range map[string]bonus{
		"too large":  {Account: "acc-3", Amount: 1, Pad: 1 << 20},
		"NUL in key": {Account: "acc-3", Amount: 1, Branch: "a\x00b"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
				ctx := context.Background()
				n := c.Start("front")
				c.Start("back")
				sum := book(ctx, t, c, 0, 7)
				post(ctx, t, c, "bad", bad)
				post(ctx, t, c, "good", bonus{Account: "acc-4", Amount: 100})
				want(t, c, sum+100, 8)
				if left, err := n.DropParked(ctx, streams.StreamID{Decider: "teller", Key: "acc-3"}); err != nil || left != 0 {
					t.Errorf("drop: %d left, %v", left, err)
				}
				sum += book(ctx, t, c, 7, 14)
				want(t, c, sum+100, 15)
			})
		})
	}
}

// Rule 11: the cursor knows the topic by its id.
func TestTopicMadeAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("back")
		part := streams.Partition("acc-1", 4)
		awaitState(t, n, part, streams.LaneRunning)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		cl, err := kgo.NewClient(c.Client()...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if _, err := kadm.NewClient(cl).DeleteTopics(context.Background(), "teller.account"); err != nil {
			t.Fatal(err)
		}
		n = c.Start("back") // makes the topic again
		if s := awaitState(t, n, part, streams.LaneHalted); !strings.Contains(fmt.Sprint(s.Err), "made again") {
			t.Errorf("halted with %v", s.Err)
		}
	})
}

// Rule 8: a store put back from an old copy stops.
func TestOldCopyOfTheStoreHalts(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("back")
		front := c.Start("front")
		awaitState(t, n, 0, streams.LaneRunning)
		book(context.Background(), t, c, 0, 20)
		time.Sleep(5 * time.Second)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(c.Dir, "back.db")
		copied, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n = c.Start("back")
		book(context.Background(), t, c, 20, 40)
		time.Sleep(10 * time.Second)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, copied, 0o600); err != nil {
			t.Fatal(err)
		}
		n = c.Start("back")
		part := streams.Partition("acc-1", 4)
		if s := awaitState(t, n, part, streams.LaneHalted); !strings.Contains(fmt.Sprint(s.Err), "old copy") {
			t.Errorf("halted with %v", s.Err)
		}
		if err := front.Stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// Rule 13: the stored inputs, decided again, give the stored events.
func TestInputRows(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		n := c.Start("front")
		c.Start("back")
		sum := book(ctx, t, c, 0, 20)
		post(ctx, t, c, "b-1", bonus{Account: "acc-3", Amount: 100})
		want(t, c, sum+100, 21)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		s := c.OpenStore("front")
		defer s.Close()
		var commands, events int
		last := time.Time{}
		for lane := range c.Partitions {
			last = time.Time{}
			err := s.Inputs(ctx, lane, 0, func(r streams.InputRow) error {
				if r.At.Before(last) {
					t.Errorf("lane %d: admission time went back", lane)
				}
				last = r.At
				entries, err := streams.DecodeInputs(r.Entries)
				for _, e := range entries {
					switch e.Kind {
					case streams.CommandInput:
						var d deposit
						if err := json.Unmarshal(e.Body, &d); err != nil || d.Amount == 0 || e.Stream.Key != d.Account.String() {
							t.Errorf("command %s: %s %v", e.ID, e.Body, err)
						}
						commands++
					case streams.EventInput:
						if e.Topic != "external.account" {
							t.Errorf("event from %s", e.Topic)
						}
						events++
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if commands != 20 || events != 1 {
			t.Errorf("%d commands and %d events in the rows of inputs, want 20 and 1", commands, events)
		}
	})
}

// Rule 15: the lane's clock does not follow the machine's back.
func TestClockNeverGoesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("front")
		book(context.Background(), t, c, 0, 7)
		n.Kill()
		c.Start("front", func(cfg *streams.Config) { cfg.Now = func() time.Time { return time.Now().Add(-time.Hour) } })
		book(context.Background(), t, c, 7, 14)
		s := c.OpenStore("front")
		defer s.Close()
		for lane := range c.Partitions {
			last := time.Time{}
			err := s.Outbox(context.Background(), lane, 0, 1000, func(e streams.StoredEvent) error {
				env, err := e.Envelope()
				if env.Time.Before(last) {
					t.Errorf("lane %d: event %d is of %v, the one before of %v", lane, e.Seq, env.Time, last)
				}
				last = env.Time
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Rule 20: a snapshot of another version of the state is not decoded, but
// folded again from the events.
func TestStateVersionFoldsAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("front")
		book(context.Background(), t, c, 0, 14)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		type renamed struct{ Sum, Number int64 } // what Balance and N are called now
		newer := streams.Define("teller", account(""), func(s renamed, e streams.Event) renamed {
			if d, ok := e.(deposited); ok {
				s.Sum, s.Number = d.Balance, d.N
			}
			return s
		}, streams.StateVersion[renamed](2),
			streams.OnCommand("deposit", func(s renamed, d deposit, _ streams.Input) streams.Decision {
				return streams.Emit(deposited{d.Account, d.Amount, s.Sum + d.Amount, s.Number + 1, ""}).Reply(s)
			}, deposited{}, taken{}))
		v, err := streams.NewVocabulary(fleetFacts...)
		if err != nil {
			t.Fatal(err)
		}
		top, err := streams.NewTopology(v, []streams.Service{{Name: "front", Deciders: []*streams.Decider{newer}}, back})
		if err != nil {
			t.Fatal(err)
		}
		c.Start("front", func(cfg *streams.Config) { cfg.Topology = top })
		cmd, _ := streams.NewCommand("v2", "deposit", deposit{"acc-3", "br-0", 1})
		r, err := c.Send(context.Background(), cmd)
		if err != nil || string(r.Body) != `{"Sum":15,"Number":2}` { // deposits 3 and 10: 4 + 11
			t.Errorf("state after the change: %s %v", r.Body, err)
		}
	})
}

// Rule 10: what is published again is what was published, byte for byte.
func TestRecordSurvivesStore(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		n := c.Start("front")
		book(ctx, t, c, 0, 20)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		published := map[string]*kgo.Record{}
		cl, err := kgo.NewClient(append(c.Client(), kgo.ConsumeTopics("teller.account", "teller.branch"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		for len(published) < 40 {
			cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				e, err := streams.ReadEnvelope(r)
				if err != nil {
					t.Fatal(err)
				}
				published[fmt.Sprint(e.Lane, e.Seq)] = r
			})
		}
		s := c.OpenStore("front")
		defer s.Close()
		for lane := range c.Partitions {
			err := s.Outbox(ctx, lane, 0, 1000, func(e streams.StoredEvent) error {
				r, err := e.KafkaRecord()
				if err != nil {
					return err
				}
				env, err := streams.ReadEnvelope(r)
				p := published[fmt.Sprint(env.Lane, env.Seq)]
				if p == nil || p.Topic != r.Topic || p.Partition != r.Partition || string(p.Key) != string(r.Key) || string(p.Value) != string(r.Value) || fmt.Sprint(p.Headers) != fmt.Sprint(r.Headers) {
					t.Errorf("stored %v\npublished %v", r, p)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What is lost for good stops a lane until a person accepts it, and then no longer.
func TestALossIsAccepted(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, c *streamtest.Cluster, adm *kadm.Client){
		"truncated": func(t *testing.T, c *streamtest.Cluster, adm *kadm.Client) {
			ends, err := adm.ListEndOffsets(t.Context(), "teller.account")
			if err == nil {
				_, err = adm.DeleteRecords(t.Context(), ends.Offsets())
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"made anew": func(t *testing.T, c *streamtest.Cluster, adm *kadm.Client) {
			if _, err := adm.DeleteTopics(t.Context(), "teller.account"); err != nil {
				t.Fatal(err)
			}
			forever := "-1"
			if _, err := adm.CreateTopic(t.Context(), 4, 1, map[string]*string{"retention.ms": &forever, "retention.bytes": &forever}, "teller.account"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
				front, back := c.Start("front"), c.Start("back")
				book(t.Context(), t, c, 0, 50)
				time.Sleep(5 * time.Second)
				back.Stop()
				book(t.Context(), t, c, 50, 100) // never read
				time.Sleep(5 * time.Second)
				front.Stop()
				cl, err := kgo.NewClient(c.Client()...)
				if err != nil {
					t.Fatal(err)
				}
				defer cl.Close()
				lose(t, c, kadm.NewClient(cl))
				c.Start("front")
				back = c.Start("back")
				book(t.Context(), t, c, 100, 150)
				time.Sleep(10 * time.Second)
				halted := func() (n int) {
					for _, l := range back.Lanes() {
						if l.State == streams.LaneHalted {
							n++
						}
					}
					return n
				}
				if halted() == 0 {
					t.Fatal("no lane of back minds the loss")
				}
				back = acceptsOnlyItsOwn(t, c, back)
				for range 3 { // a hole may follow the one that is accepted
					for _, l := range back.Lanes() {
						if l.State == streams.LaneHalted {
							if err := back.AcceptLoss(t.Context(), l.Lane); err != nil {
								t.Error(err)
							}
						}
					}
					time.Sleep(10 * time.Second)
				}
				if n := halted(); n > 0 {
					t.Errorf("%d lanes are halted still: %+v", n, back.Lanes())
				}
				short, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				if err := back.AcceptLoss(short, 0); err == nil {
					t.Error("a lane that runs accepts a loss")
				}
			})
		})
	}
}

// acceptsOnlyItsOwn has another owner claim a halted lane: who is fenced accepts
// nothing in its name. It returns another instance, to which the lanes are left.
func acceptsOnlyItsOwn(t *testing.T, c *streamtest.Cluster, back *streamtest.Node) *streamtest.Node {
	t.Helper()
	s := c.OpenStore("back")
	defer s.Close()
	for _, l := range back.Lanes() {
		if l.State != streams.LaneHalted {
			continue
		}
		theirs, err := s.Claim(t.Context(), l.Lane)
		if err != nil {
			t.Fatal(err)
		}
		if err := back.AcceptLoss(t.Context(), l.Lane); !errors.Is(err, streams.ErrFenced) {
			t.Errorf("back/%d accepts in another's name: %v", l.Lane, err)
		}
		if now, err := s.Cursor(t.Context(), l.Lane); err != nil || now.Rev != theirs.Rev {
			t.Errorf("back/%d was moved to %d, and its owner is at %d (%v)", l.Lane, now.Rev, theirs.Rev, err)
		}
	}
	back.Kill()
	back = c.Start("back")
	time.Sleep(20 * time.Second)
	return back
}
