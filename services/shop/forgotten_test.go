package shop_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/sagamonitor"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// forgets has the service of orders lose what it committed while f ran, and go on
// with an older copy of its store that is renewed.
func (s *house) forgets(f func()) {
	s.t.Helper()
	file := filepath.Join(s.c.Dir, "order.db")
	s.stop("order")
	check(s.t, s.stores["order"].Close())
	old, err := os.ReadFile(file)
	check(s.t, err)
	s.stores["order"] = s.c.OpenStore("order")
	s.start("order")
	f()
	s.stop("order")
	check(s.t, s.stores["order"].Close())
	_ = os.Remove(file + "-wal") // there if it was not emptied
	check(s.t, os.WriteFile(file, old, 0o600))
	s.stores["order"] = s.c.OpenStore("order")
	info, err := s.stores["order"].(streams.Renewer).Renew(s.t.Context())
	check(s.t, err)
	check(s.t, streams.AcceptStore(s.t.Context(), s.c.Client(), "order", info))
	check(s.t, s.stores["order"].Close()) // it remembers who it was
	s.stores["order"] = s.c.OpenStore("order")
	s.start("order")
}

// late is how many sagas the monitor calls late, of all that is on the log.
func (s *house) late() float64 {
	s.t.Helper()
	reg := prometheus.NewRegistry()
	m, err := sagamonitor.New(shop.Business, s.c.Topology, telemetry.NewInstruments(reg), time.Now)
	check(s.t, err)
	m.Observe(s.published())
	m.Sweep()
	all, err := reg.Gather()
	check(s.t, err)
	for _, family := range all {
		if family.GetName() == telemetry.SagasLate {
			var all float64
			for _, m := range family.GetMetric() {
				all += m.GetGauge().GetValue()
			}
			return all
		}
	}
	return 0
}

// published is what the monitor hears of: every event on the log.
func (s *house) published() (out []sagamonitor.Event) {
	s.t.Helper()
	var topics []string
	for _, t := range s.c.Topology.Topics() {
		topics = append(topics, t.Name)
	}
	cl, err := kgo.NewClient(append(s.c.Client(), kgo.ConsumeTopics(topics...), kgo.FetchMaxWait(100*time.Millisecond))...)
	check(s.t, err)
	defer cl.Close()
	for quiet := 0; quiet < 5; {
		f := pollFor(s.t, cl, time.Second)
		if quiet++; len(f) > 0 {
			quiet = 0
		}
		for _, r := range f {
			e, err := streams.ReadEnvelope(r)
			check(s.t, err)
			out = append(out, sagamonitor.Event{ID: e.ID, Type: e.Type, Correlation: e.Correlation, Causation: e.Causation, Decider: e.Source,
				Version: e.Version, Time: e.Time, Data: e.Data})
		}
	}
	return out
}

// An order whose beginning its service has forgotten stands still at the others, and
// no timer is left to end it: it is called late, until it is settled. A client who
// sends the same request again has it carried out again, and that settles it.
func TestForgottenOrdersAreCalledLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, 2)
		s.deliver("tin", 9)
		s.place(placing("o-0", line("tin", 1)))
		s.closed("o-0")
		ask := placing("o-1", line("tin", 2))
		s.forgets(func() {
			check(t, s.provider.SetFaults(sim.Faults{Down: true}))
			if r := s.sendAs("ask-1", "place-order", ask); r.Status != streams.ReplyDone {
				t.Fatalf("%s %s", r.Status, r.Body)
			}
			time.Sleep(time.Minute)
		})
		check(t, s.provider.SetFaults(sim.Faults{}))
		if n := s.late(); n != 0 {
			t.Errorf("%v sagas are late after a minute", n)
		}
		time.Sleep(shop.PlaceOrder.Within + time.Minute)
		if n := s.late(); n != 1 {
			t.Errorf("%v sagas are late, want 1: %s", n, s.story()["o-1"])
		}
		if x := s.shelf("tin"); x.Claimed != 2 {
			t.Errorf("shelf of tins: %+v", x)
		}
		if r := s.sendAs("ask-1", "place-order", ask); r.Status != streams.ReplyDone {
			t.Fatalf("%s %s", r.Status, r.Body)
		}
		time.Sleep(30 * time.Minute)
		if o := s.order("o-1"); o.Phase != "cancelled" || !o.Closed || s.shelf("tin").Claimed != 0 {
			t.Errorf("sent again it is %+v, shelf of tins: %+v", o, s.shelf("tin"))
		}
		s.money("o-1", 500, 0, 500, 0)
		if n := s.late(); n != 0 {
			t.Errorf("%v sagas are late when it is settled", n)
		}
	})
}

// An order that was over when it was forgotten, and is asked for again by the same
// request, is charged and sent once all the same. But the others do not answer again,
// so that its deadline cancels it, and what was delivered is refunded: an input that
// does not fit is parked, and calls a person.
func TestAForgottenOrderThatWasOverNeedsAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, 2)
		s.deliver("tin", 9)
		ask := placing("o-1", line("tin", 2))
		s.forgets(func() {
			if r := s.sendAs("ask-1", "place-order", ask); r.Status != streams.ReplyDone {
				t.Fatalf("%s %s", r.Status, r.Body)
			}
			s.closed("o-1")
		})
		if r := s.sendAs("ask-1", "place-order", ask); r.Status != streams.ReplyDone {
			t.Fatalf("%s %s", r.Status, r.Body)
		}
		time.Sleep(time.Hour)
		s.money("o-1", 500, 500, 0, 500)
		if n := len(s.labels("o-1")); n != 1 {
			t.Errorf("%d labels, want 1", n)
		}
		if story := s.story()["o-1"].String(); !strings.Contains(story, "weir.parked 1") {
			t.Errorf("nobody is called: %s", story)
		}
	})
}

func pollFor(t *testing.T, cl *kgo.Client, limit time.Duration) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return cl.PollFetches(ctx).Records()
}
