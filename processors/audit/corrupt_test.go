package audit_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/verify"
)

// corruption is one thing that is wrong with a good day's books.
type corruption struct {
	what string
	want string // the invariant that tells, with a part of what it says
	says string
	lie  func(*audit.Input)                                     // about what is stored, or known outside
	log  func(to streams.Target, r []*kgo.Record) []*kgo.Record // about the log
}

func gbp(n int64) event.Money { return event.Money{Minor: n, Currency: "GBP"} }

// account changes what the provider says of an order.
func account(id event.OrderID, f func(*audit.Account)) func(*audit.Input) {
	return func(in *audit.Input) {
		a := in.Provider.Orders[id]
		f(&a)
		in.Provider.Orders[id] = a
	}
}

func stored(service string, l liar) func(*audit.Input) {
	return func(in *audit.Input) { of(in, service, l) }
}

var corruptions = []corruption{
	{what: "captured twice", want: audit.Money, says: "more than once", lie: account("good", func(a *audit.Account) { a.Authorised, a.Captured = gbp(2000), gbp(2000) })},
	{what: "not captured", want: audit.Money, says: "was fulfilled and cost", lie: account("good", func(a *audit.Account) { a.Captured, a.Voided = gbp(0), a.Authorised })},
	{what: "captured, then cancelled", want: audit.Money, says: "was not fulfilled", lie: account("short", func(a *audit.Account) { a.Authorised, a.Captured = gbp(2), gbp(2) })},
	{what: "authorisation left hanging", want: audit.Money, says: "neither captured nor voided", lie: account("declined", func(a *audit.Account) { a.Authorised = gbp(250) })},
	{what: "money of nobody's order", want: audit.Money, says: "nobody here knows", lie: account("ghost", func(a *audit.Account) { a.Authorised = gbp(250) })},
	{what: "capture not stored", want: audit.Money, says: "captures of", lie: stored("payment", without("payment.captured"))},

	{what: "shelf emptier than its claims", want: audit.Stock, says: "sold twice", lie: stored("inventory", rewritten("stock.added", `"quantity":9`, `"quantity":2`))},
	{what: "delivery not put on the shelf", want: audit.Stock, says: "were delivered", lie: stored("inventory", rewritten("stock.added", `"quantity":8`, `"quantity":7`))},
	{what: "claim never given up", want: audit.Stock, says: "still holds", lie: stored("inventory", without("stock.freed"))},
	{what: "units that never left", want: audit.Stock, says: "left the shelf", lie: stored("inventory", without("stock.drawn"))},
	{what: "drawn without a hold", want: audit.Stock, says: "gives up", lie: stored("inventory", without("stock.held"))},
	{what: "held twice", want: audit.Stock, says: "is held twice", lie: stored("inventory", again("stock.held"))},
	{what: "shelf remembers something else", want: audit.Stock, says: "remembers", lie: stored("inventory", liar{snapshot: func(s *streams.Snapshot) bool {
		if s.Stream.Decider == "shelf" && s.Stream.Key == "tin" {
			s.State = []byte(`{"tracked":true,"on_hand":7,"shipped":3}`)
		}
		return true
	}})},

	{what: "order never closes", want: audit.Terminal, says: "closed 0 times", lie: stored("order", without("order.closed"))},
	{what: "order closes twice", want: audit.Terminal, says: "closed 2 times", lie: stored("order", again("order.closed"))},
	{what: "closed as something else", want: audit.Terminal, says: "closed as", lie: stored("order", rewritten("order.closed", `"fulfilled"`, `"cancelled"`))},
	{what: "a step is missing", want: audit.Terminal, says: "a step is missing", lie: stored("order", without("order.released"))},
	{what: "acknowledged and lost", want: audit.Terminal, says: "does not exist", lie: func(in *audit.Input) { in.Acknowledged = append(in.Acknowledged, "lost") }},
	{what: "never placed", want: audit.Terminal, says: "never placed", lie: stored("order", without("order.placed"))},
	{what: "timer left", want: audit.Terminal, says: "still set", lie: stored("order", liar{timers: []streams.Timer{{Stream: streams.StreamID{Decider: "order", Key: "good"}, Name: "close-by"}}})},
	{what: "parked input", want: verify.Settled, says: "is parked at", lie: stored("order", liar{parked: []streams.ParkedInput{{Seq: 1, Stream: streams.StreamID{Decider: "order", Key: "good"}, Reason: "broken"}}})},

	{what: "stock not released", want: audit.Compensation, says: "released 0 times", lie: stored("inventory", without("stock.released"))},
	{what: "released twice", want: audit.Compensation, says: "released 2 times", lie: stored("inventory", again("stock.released"))},
	{what: "payment not undone", want: audit.Compensation, says: "voided 0 and refunded 0", lie: stored("payment", without("payment.voided"))},
	{what: "undone though fulfilled", want: audit.Compensation, says: "voided 1 and refunded 0", lie: stored("order", rewritten("order.closed", `"cancelled"`, `"fulfilled"`))},
	{what: "freed twice", want: audit.Compensation, says: "freed 2 times", lie: stored("inventory", again("stock.freed"))},

	{what: "overtaken", want: verify.Order, says: "overtaken", log: first("order.order", func(r []*kgo.Record) []*kgo.Record {
		return append([]*kgo.Record{r[1], r[0]}, r[2:]...)
	})},
	{what: "hole", want: verify.Order, says: "follows", log: first("order.order", func(r []*kgo.Record) []*kgo.Record { return r[1:] })},
	{what: "misplaced", want: verify.Order, says: "belongs to partition", log: func(_ streams.Target, recs []*kgo.Record) []*kgo.Record {
		for _, r := range recs {
			if string(r.Key) == "good" && r.Topic == "order.order" {
				r.Partition = 1 - r.Partition
			}
		}
		return recs
	}},
	{what: "no event at all", want: verify.Order, says: "is not a CloudEvent", log: first("order.order", func(r []*kgo.Record) []*kgo.Record {
		return append(r, &kgo.Record{Topic: r[0].Topic, Partition: r[0].Partition, Key: r[0].Key})
	})},
	{what: "stored with another predecessor", want: verify.Order, says: "is stored as number", lie: stored("order", without("order.confirmed"))},

	{what: "changed on the log", want: verify.Published, says: "differs from", log: first("order.order", func(r []*kgo.Record) []*kgo.Record {
		r[2].Value = append([]byte(nil), strings.Replace(string(r[2].Value), "order", "ordre", 1)...)
		return r
	})},
	{what: "never published", want: verify.Published, says: "is stored and not on", log: first("order.order", func(r []*kgo.Record) []*kgo.Record { return r[:len(r)-1] })},
	{what: "published, not stored", want: verify.Published, says: "stored no such event", log: first("order.order", func(r []*kgo.Record) []*kgo.Record {
		return append(r, renumbered(r[len(r)-1], 1000))
	})},
	{what: "of another store's life", want: verify.Published, says: "does not have", log: first("order.order", func(r []*kgo.Record) []*kgo.Record {
		for i, h := range r[0].Headers {
			if h.Key == "ce_lane" {
				r[0].Headers[i].Value = append([]byte(nil), "order/0/gone"...)
			}
		}
		return r
	})},

	{what: "decided twice", want: verify.Once, says: "a second time", lie: stored("payment", redecided(func(e []streams.InputEntry) []streams.InputEntry { return append(e, e[0]) }))},
	{what: "never decided", want: verify.Once, says: "passed over", lie: stored("payment", redecided(func(e []streams.InputEntry) []streams.InputEntry { return e[1:] }))},
	{what: "command decided twice", want: verify.Once, says: "decided twice about command", lie: stored("order", redecided(func(e []streams.InputEntry) []streams.InputEntry {
		return append(e, e...)
	}))},
	{what: "repeat decided", want: verify.Once, says: "repeats an earlier", log: first("order.order", func(r []*kgo.Record) []*kgo.Record {
		return append([]*kgo.Record{r[0], r[0]}, r[1:]...)
	})},
	{what: "the same event emitted twice", want: verify.Once, says: "has the id", lie: stored("shipping", again("shipment.dispatched"))},
	{what: "input that nobody sent", want: verify.Once, says: "not on the log", lie: stored("payment", redecided(func(e []streams.InputEntry) []streams.InputEntry {
		return append(e, streams.InputEntry{Kind: streams.EventInput, Topic: "order.order", Offset: 1 << 40})
	}))},

	{what: "key took effect twice", want: audit.Effects, says: "took effect 2 times", lie: func(in *audit.Input) { in.Provider.Keys["good/capture"] = audit.Effect{Effects: 2} }},
	{what: "key per attempt", want: audit.Effects, says: "not of an order and a step", lie: func(in *audit.Input) { in.Provider.Keys["good/capture/2"] = audit.Effect{Effects: 1} }},
	{what: "two parcels", want: audit.Effects, says: "has 2 labels", lie: func(in *audit.Input) { in.Carrier.Labels["good"] = []string{"A", "B"} }},
	{what: "parcel of nobody's order", want: audit.Effects, says: "nobody here knows", lie: func(in *audit.Input) { in.Carrier.Labels["ghost"] = []string{"A"} }},
	{what: "mail never sent", want: audit.Effects, says: "has 0 copies", lie: func(in *audit.Input) { clear(in.Mailbox.Mails) }},
	{what: "mail of nobody's order", want: audit.Effects, says: "is no order's", lie: func(in *audit.Input) { in.Mailbox.Mails["<x@weir>"] = audit.Tally{Copies: 1} }},
	{what: "every mail twice", want: audit.Effects, says: "more than once", lie: func(in *audit.Input) {
		for id := range in.Mailbox.Mails {
			in.Mailbox.Mails[id] = audit.Tally{Copies: 2}
		}
	}},
	{what: "effect without outcome", want: verify.Settled, says: "has no outcome", lie: stored("payment", liar{pending: []streams.PendingEffect{{Seq: 1, Effect: "void"}}})},

	{what: "version skipped", want: verify.Replayable, says: "goes from version", lie: stored("payment", without("payment.asked"))},
	{what: "snapshot behind", want: verify.Replayable, says: "the snapshot of", lie: stored("payment", liar{snapshot: func(s *streams.Snapshot) bool { s.Version--; return true }})},
	{what: "snapshot lost", want: verify.Replayable, says: "no snapshot", lie: stored("payment", liar{snapshot: func(*streams.Snapshot) bool { return false }})},
	{what: "unreadable event", want: verify.Replayable, says: "cannot be read", lie: stored("payment", liar{event: func(e streams.StoredEvent) []streams.StoredEvent {
		e.Record = e.Record[:5]
		return []streams.StoredEvent{e}
	}})},

	{what: "decided otherwise", want: verify.Decided, says: "is stored with the data", lie: stored("payment", rewritten("payment.captured", `"amount"`, `"amoumt"`))},
	{what: "event of another saga", want: verify.Story, says: "belongs to saga", lie: stored("order", rewritten("order.confirmed", "ce_correlationid\x04good", "ce_correlationid\x04evil"))},
	{what: "clock went back", want: verify.Timely, says: "its clock went back", lie: stored("order", liar{inputs: func(r streams.InputRow) []streams.InputRow {
		r.At = r.At.Add(-time.Duration(r.Rev) * time.Hour)
		return []streams.InputRow{r}
	}})},
}

// Every invariant is seen failing, by one change to a day that balances.
func TestEachCorruptionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, sim.Faults{}, slog.New(slog.DiscardHandler))
		s.day()
		caught := map[string]bool{}
		var report *audit.Report
		for _, c := range corruptions {
			in, done := s.input(), func() {}
			if c.lie != nil {
				c.lie(&in)
			}
			if c.log != nil {
				in.Client, done = s.forge(c.log)
			}
			r, err := audit.Check(t.Context(), in)
			check(t, err)
			report = r
			if !tells(r, c.want, c.says) {
				t.Errorf("%s: %s", c.what, describe(c.want+" saying "+c.says, r))
			}
			caught[c.want] = true
			done()
		}
		for _, i := range report.Invariants {
			if !caught[i.Name] {
				t.Errorf("no corruption shows that %s can fail", i.Name)
			}
		}
		s.shut()
	})
}

func tells(r *audit.Report, name, says string) bool {
	return slices.ContainsFunc(r.Invariants, func(i audit.Invariant) bool {
		return i.Name == name && slices.ContainsFunc(i.Shown, func(s string) bool { return strings.Contains(s, says) })
	})
}

// A log whose beginning is gone is compared from where it begins, unless it is
// said to be complete.
func TestATrimmedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, sim.Faults{}, slog.New(slog.DiscardHandler))
		s.day()
		adm := s.admin(s.c.Client())
		defer adm.Close()
		del := kadm.Offsets{}
		for to, recs := range s.readAll() {
			del.Add(kadm.Offset{Topic: to.Topic, Partition: to.Partition, At: int64(len(recs)+1) / 2})
		}
		_, err := adm.DeleteRecords(t.Context(), del)
		check(t, err)
		time.Sleep(time.Second)
		for _, complete := range []bool{false, true} {
			in := s.input()
			in.Complete = complete
			r, err := audit.Check(t.Context(), in)
			check(t, err)
			if r.OK() == complete || complete && !tells(r, verify.Published, "do not begin at offset 0") {
				t.Errorf("complete %v:\n%s", complete, r)
			}
		}
		s.shut()
	})
}
