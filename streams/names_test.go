package streams_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

func verifyFleet(t *testing.T, c *streamtest.Cluster) {
	stores := map[string]streams.Store{}
	for _, s := range []string{"front", "back"} {
		st := c.OpenStore(s)
		defer st.Close()
		stores[s] = st
	}
	r, err := verify.Check(context.Background(), verify.Input{Topology: c.Topology, Partitions: c.Partitions, Stores: stores, Client: c.Client(), Complete: true, Settled: true, Decide: true})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() {
		t.Errorf("%v", r)
	}
}

func postFrom(t *testing.T, c *streamtest.Cluster, id, source string, b string, key string) {
	e := streams.Envelope{ID: id, Type: "bonus", Version: 1, Source: source, Time: time.Now(), Key: key, Data: []byte(b)}
	produce(t, c, e.Record("external.account", streams.Partition(key, c.Partitions)))
}

// Two different events from outside, of one id and two sources.
func TestOneIDTwoSources(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("front")
		c.Start("back")
		postFrom(t, c, "1", "/bank", `{"account":"acc-3","amount":100}`, "acc-3")
		postFrom(t, c, "1", "/shop", `{"account":"acc-3","amount":7}`, "acc-3")
		postFrom(t, c, "1", "/till", `{"account":"acc-4","amount":3}`, "acc-4")
		time.Sleep(10 * time.Second)
		ids := map[string]int{}
		for _, r := range readAll(t, c, kgo.ReadCommitted(), "teller.account") {
			e, _ := streams.ReadEnvelope(r)
			ids[e.ID]++
		}
		t.Logf("ids on teller.account: %v", ids)
		want(t, c, 110, 3)
		verifyFleet(t, c)
	})
}

// A second event of one source and id, with another content, is no repeat: it is
// reported, wherever it came from, and has no effect.
func TestOneNameTwoContents(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("front")
		c.Start("back")
		postFrom(t, c, "1", "/bank", `{"account":"acc-3","amount":100}`, "acc-3")
		postFrom(t, c, "1", "/bank", `{ "amount":100, "account":"acc-3"}`, "acc-3") // says the same
		postFrom(t, c, "1", "/bank", `{"account":"acc-3","amount":7}`, "acc-3")
		time.Sleep(10 * time.Second)
		postFrom(t, c, "1", "/bank", `{"account":"acc-3","amount":8}`, "acc-3")
		want(t, c, 100, 1)
		if n := count(t, c, streams.DeadTopic("front")); n != 2 {
			t.Errorf("%d reports of events under a name that was taken, want 2", n)
		}
		verifyFleet(t, c)
	})
}

// What a client calls a request means one content, in whichever lanes, for as
// long as replies are kept, over restarts, and for that client alone.
func TestRegisterOfNames(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		r := streams.NewRegister(c.Commands, c.Topology, c.Partitions)
		take := func(names ...streams.Name) string {
			t.Helper()
			for {
				states, err := r.Take(t.Context(), names)
				if err == nil {
					return fmt.Sprint(states)
				}
				time.Sleep(time.Second) // no lane yet
			}
		}
		for restart := range 2 {
			n := c.Start("front")
			for _, x := range []struct {
				names []streams.Name
				want  string // new, repeated or taken
			}{
				{[]streams.Name{{"ada", "1", "x"}, {"ada", "2", "x"}, {"ada", "1", "x"}, {"bob", "1", "y"}}, []string{"[0 0 1 0]", "[1 1 1 1]"}[restart]},
				{[]streams.Name{{"ada", "1", "z"}, {"ada", "2", "x"}, {"bob", "1", "x"}}, "[2 1 2]"},
				{[]streams.Name{{"eve", fmt.Sprint(restart), "a"}, {"eve", fmt.Sprint(restart), "b"}}, "[0 2]"},
				{nil, "[]"},
			} {
				if got := take(x.names...); got != x.want {
					t.Errorf("start %d: %v: %s, want %s", restart, x.names, got, x.want)
				}
			}
			n.Stop()
		}
	})
}

// Whoever posts an event chooses its id and its correlation: by neither it, or what
// follows from it, comes into a saga of ours.
func TestPostedEventsJoinNoSaga(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("front")
		c.Start("back")
		book(context.Background(), t, c, 0, 1)
		ours := map[string]string{} // correlations by id
		for _, r := range readAll(t, c, kgo.ReadCommitted(), "teller.account") {
			e, err := streams.ReadEnvelope(r)
			if err != nil {
				t.Fatal(err)
			}
			ours[e.ID] = e.Correlation
		}
		n := 0
		for id, saga := range ours {
			for _, e := range []streams.Envelope{{ID: saga}, {ID: id}, {ID: fmt.Sprint("x-", n), Correlation: saga}, {ID: fmt.Sprint("y-", n), Correlation: id}} {
				n++
				e.Type, e.Version, e.Source, e.Time, e.Key, e.Data = "bonus", 1, "/eve", time.Now(), "acc-3", []byte(`{"account":"acc-3","amount":1}`)
				produce(t, c, e.Record("external.account", streams.Partition(e.Key, c.Partitions)))
			}
		}
		time.Sleep(10 * time.Second)
		followed := 0
		for _, topic := range []string{"teller.account", "ledger.branch"} {
			for _, r := range readAll(t, c, kgo.ReadCommitted(), topic) {
				e, err := streams.ReadEnvelope(r)
				if err != nil {
					t.Fatal(err)
				}
				switch foreign := strings.HasPrefix(e.Correlation, "/eve#"); {
				case foreign:
					followed++
				case topic == "teller.account" && ours[e.ID] == "":
					t.Errorf("%s, which followed from a posted event, is in saga %q", e.ID, e.Correlation)
				}
			}
		}
		if n == 0 || followed < n {
			t.Errorf("%d events followed from %d posted ones", followed, n)
		}
		verifyFleet(t, c)
	})
}

// A key that acts on a terminal is nobody's: a command of it is refused, and a
// record that a stranger made is reported and passed over.
func TestUnprintableKeys(t *testing.T) {
	for _, key := range []string{"", "a\x00b", "a\nb", "\x1b[2J", "a\x7f", "a\u0085b", "a\u2028b", "a\u202eb", "a\u2066b", "a\xffb", strings.Repeat("k", 1025)} {
		if streams.CheckKey(key) == nil {
			t.Errorf("%.20q is taken", key)
		}
	}
	for _, key := range []string{".", "..", "a\nb"} {
		if streams.CheckName(key) == nil {
			t.Errorf("something new may be called %q", key)
		}
	}
	if err := errors.Join(streams.CheckName("..."), streams.CheckKey("..")); err != nil { // a log may hold it
		t.Error(err)
	}
	for _, key := range []string{"a/b", "ä-ö 1", "日本", `q"\`, "אבג", "می\u200cخواهم"} {
		if err := streams.CheckKey(key); err != nil {
			t.Error(err)
		}
	}
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("front")
		c.Start("back")
		postFrom(t, c, "1", "/eve", `{"account":"acc\u001b[2J","amount":100}`, "acc\x1b[2J")
		postFrom(t, c, "2", "/eve", `{"account":"acc-3","amount":7}`, "acc-3")
		want(t, c, 7, 1)
		reports := ""
		for _, r := range readAll(t, c, kgo.ReadCommitted(), streams.DeadTopic("front")) {
			reports += string(r.Value) + "\n"
		}
		if strings.Count(reports, "\n") != 1 || !strings.Contains(reports, "control characters") {
			t.Errorf("reported: %q", reports)
		}
	})
}
