package books_test

import (
	"encoding/json"
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
	"github.com/weirstream/weir/services/shop/books"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
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

// object is a part of a ledger, as JSON has it.
type object = map[string]any

// ledger changes what an endpoint says has happened.
func ledger(endpoint string, f func(keys, books object)) func(*audit.Input) {
	return func(in *audit.Input) {
		var l object
		if err := json.Unmarshal(in.Ledgers[endpoint], &l); err != nil {
			panic(err) // it was just made
		}
		books, _ := l["books"].(object)
		f(l["keys"].(object), books)
		in.Ledgers[endpoint], _ = json.Marshal(l)
	}
}

// account changes what the provider says of an order.
func account(id string, amounts map[string]int64) func(*audit.Input) {
	return ledger("provider", func(_, books object) {
		a, _ := books[id].(object)
		if a == nil {
			a = object{}
			books[id] = a
		}
		for what, minor := range amounts {
			a[what] = gbp(minor)
		}
	})
}

func stored(service string, l liar) func(*audit.Input) {
	return func(in *audit.Input) { of(in, service, l) }
}

var corruptions = []corruption{
	{what: "captured twice", want: books.Money, says: "more than once", lie: account("good", map[string]int64{"authorised": 2000, "captured": 2000})},
	{what: "not captured", want: books.Money, says: "was fulfilled and cost", lie: account("good", map[string]int64{"captured": 0, "voided": 1000})},
	{what: "captured, then cancelled", want: books.Money, says: "was not fulfilled", lie: account("short", map[string]int64{"authorised": 2, "captured": 2})},
	{what: "authorisation left hanging", want: books.Money, says: "neither captured nor voided", lie: account("declined", map[string]int64{"authorised": 250})},
	{what: "money of nobody's order", want: books.Money, says: "nobody here knows", lie: account("ghost", map[string]int64{"authorised": 250})},
	{what: "capture not stored", want: books.Money, says: "captures of", lie: stored("payment", without("payment.captured"))},

	{what: "shelf emptier than its claims", want: books.Stock, says: "sold twice", lie: stored("inventory", rewritten("stock.added", `"quantity":9`, `"quantity":2`))},
	{what: "delivery not put on the shelf", want: books.Stock, says: "were delivered", lie: stored("inventory", rewritten("stock.added", `"quantity":8`, `"quantity":7`))},
	{what: "claim never given up", want: books.Stock, says: "still holds", lie: stored("inventory", without("stock.freed"))},
	{what: "units that never left", want: books.Stock, says: "left the shelf", lie: stored("inventory", without("stock.drawn"))},
	{what: "drawn without a hold", want: books.Stock, says: "gives up", lie: stored("inventory", without("stock.held"))},
	{what: "held twice", want: books.Stock, says: "is held twice", lie: stored("inventory", again("stock.held"))},
	{what: "shelf remembers something else", want: books.Stock, says: "remembers", lie: stored("inventory", liar{snapshot: func(s *streams.Snapshot) bool {
		if s.Stream.Decider == "shelf" && s.Stream.Key == "tin" {
			s.State = []byte(`{"tracked":true,"on_hand":7,"shipped":3}`)
		}
		return true
	}})},

	{what: "order never closes", want: books.Terminal, says: "closed 0 times", lie: stored("order", without("order.closed"))},
	{what: "order closes twice", want: books.Terminal, says: "closed 2 times", lie: stored("order", again("order.closed"))},
	{what: "closed as something else", want: books.Terminal, says: "closed as", lie: stored("order", rewritten("order.closed", `"fulfilled"`, `"cancelled"`))},
	{what: "a step is missing", want: books.Terminal, says: "a step is missing", lie: stored("order", without("order.released"))},
	{what: "acknowledged and lost", want: books.Terminal, says: "does not exist", lie: func(in *audit.Input) { in.Acknowledged = append(in.Acknowledged, event.OrderID("lost")) }},
	{what: "never placed", want: books.Terminal, says: "never placed", lie: stored("order", without("order.placed"))},
	{what: "timer left", want: books.Terminal, says: "still set", lie: stored("order", liar{timers: []streams.Timer{{Stream: streams.StreamID{Decider: "order", Key: "good"}, Name: "close-by"}}})},
	{what: "parked input", want: verify.Settled, says: "is parked at", lie: stored("order", liar{parked: []streams.ParkedInput{{Seq: 1, Stream: streams.StreamID{Decider: "order", Key: "good"}, Reason: "broken"}}})},

	{what: "stock not released", want: books.Compensation, says: "released 0 times", lie: stored("inventory", without("stock.released"))},
	{what: "released twice", want: books.Compensation, says: "released 2 times", lie: stored("inventory", again("stock.released"))},
	{what: "payment not undone", want: books.Compensation, says: "voided 0 and refunded 0", lie: stored("payment", without("payment.voided"))},
	{what: "undone though fulfilled", want: books.Compensation, says: "voided 1 and refunded 0", lie: stored("order", rewritten("order.closed", `"cancelled"`, `"fulfilled"`))},
	{what: "freed twice", want: books.Compensation, says: "freed 2 times", lie: stored("inventory", again("stock.freed"))},

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

	{what: "key took effect twice", want: business.Effects, says: "took effect 2 times", lie: ledger("provider", func(keys, _ object) { keys["good/capture"] = object{"effects": 2} })},
	{what: "key per attempt", want: business.Effects, says: "not of an order and a step", lie: ledger("provider", func(keys, _ object) { keys["good/capture/2"] = object{"effects": 1} })},
	{what: "two parcels", want: business.Effects, says: "has 2 labels", lie: ledger("carrier", func(_, books object) { books["good"] = []string{"A", "B"} })},
	{what: "parcel of nobody's order", want: business.Effects, says: "nobody here knows", lie: ledger("carrier", func(_, books object) { books["ghost"] = []string{"A"} })},
	{what: "mail never sent", want: business.Effects, says: "has 0 copies", lie: ledger("mailbox", func(keys, _ object) { clear(keys) })},
	{what: "mail of nobody's order", want: business.Effects, says: "is no order's", lie: ledger("mailbox", func(keys, _ object) { keys["<x@weir>"] = object{"copies": 1} })},
	{what: "every mail twice", want: business.Effects, says: "more than once", lie: ledger("mailbox", func(keys, _ object) {
		for id := range keys {
			keys[id] = object{"copies": 2}
		}
	})},
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
