package projectiontest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// spoiled is a lane's record with something in its envelope that it did not say.
func (w *Writer) spoiled(correlation string, e streams.Event, spoil func(*streams.Envelope)) *kgo.Record {
	rec := w.Record(correlation, e)
	env, err := streams.ReadEnvelope(rec)
	if err != nil {
		w.log.t.Fatal(err)
	}
	spoil(&env)
	return env.Record(rec.Topic, rec.Partition)
}

// What no row can keep is noted by its place, and the lane's next event is not
// taken for one after a hole.
func whatNoRowCanKeepIsSetAside(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"))
	delayed := Delayed{Loan: "o1"}
	for _, spoil := range []func(*streams.Envelope){
		func(e *streams.Envelope) { e.ID = "a\x00b" },
		func(e *streams.Envelope) { e.ID = "a\xffb" },
		func(e *streams.Envelope) { e.Source = "a\x00b" },
		func(e *streams.Envelope) { e.Key = "a\x00b" },
		func(e *streams.Envelope) { e.Correlation = "\x00" },
		func(e *streams.Envelope) { e.Causation = strings.Repeat("x", 20_000) },
		func(e *streams.Envelope) { e.Traceparent = "\xff" },
		func(e *streams.Envelope) { e.Time = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
		func(e *streams.Envelope) { e.Time = time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		l.Produce(w.spoiled("c1", delayed, spoil))
	}
	l.Produce(w.spoiled("c1", CopyWanted{Title: "A", Loan: "o1"}, func(e *streams.Envelope) { e.Data = []byte(`{"loan":"a\u0000b"}`) }))
	odd := `$where.a/"'%00 #` + "\u202e😀"
	w.Emit(odd, Delayed{Loan: LoanID(odd)}, Approved{Loan: "o1"})
	x := outside("$a.b/c", "$d.e", "$.s")
	l.Produce(x)
	stop := Start(p, s, l.Config())
	l.CaughtUp(p, s)
	if err := stop(); err != nil {
		p.Fatal(err)
	}
	skips, err := s.Skips(ctx)
	if err != nil || len(skips) != 10 || slices.ContainsFunc(skips, func(x projection.Skipped) bool { return x.Reason == "" }) {
		p.Errorf("set aside are %+v, want 10 (%v)", skips, err)
	}
	if o, err := s.Document(ctx, Loans, "o1"); err != nil || o.State != "approved" {
		p.Errorf("the loan is %+v (%v)", o, err)
	}
	for of, want := range map[string]int{"c1": 1, odd: 2, "$a.b/c#$d.e": 1} {
		if h, err := s.Events(ctx, of); err != nil || len(h) != want {
			p.Errorf("%q has %d events, want %d (%v)", of, len(h), want, err)
		}
	}
	if h, err := s.History(ctx, "loan", odd); err != nil || len(h) != 1 {
		p.Errorf("%q has %d events, want 1 (%v)", odd, len(h), err)
	}
}

// Whatever a person wrote into a field, the document is there.
func whatAPersonWroteIsKept(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "a\x00b"))
	for id, member := range map[string]string{"o2": `"a\ud800b"`, "o3": "\"a\xffb\"", "o4": `"a\u202e😀\r\n$x.y"`} {
		rec := w.Record("c-"+id, asked(id, "HERE"))
		rec.Value = bytes.ReplaceAll(rec.Value, []byte(`"HERE"`), []byte(member))
		l.Produce(rec)
	}
	large := asked("o5", "ada")
	large.Deposit.Minor = 9007199254740993
	largest := asked("o6", "ada")
	largest.Deposit.Minor = 9223372036854775807
	w.Emit("c5", large, largest)
	l.CatchUp(p, s, l.Config())
	for id, want := range map[string]string{"o1": "a\ufffdb", "o2": "a\ufffdb", "o3": "a\ufffdb", "o4": "a\u202e😀\r\n$x.y"} {
		if o, err := s.Document(ctx, Loans, id); err != nil || o.Values["member"] != want {
			p.Errorf("%s is of member %q, want %q (%v)", id, o.Values["member"], want, err)
		}
		if h, err := s.History(ctx, "loan", id); err != nil || len(h) != 1 {
			p.Errorf("%s has %d events, want 1 (%v)", id, len(h), err)
		}
	}
	for id, want := range map[string]int64{"o5": 9007199254740993, "o6": 9223372036854775807} {
		if o, err := s.Document(ctx, Loans, id); err != nil || o.Values["deposit"] != (projection.Money{Minor: want, Currency: "GBP"}) {
			p.Errorf("%s has a deposit of %v, want %d (%v)", id, o.Values["deposit"], want, err)
		}
	}
	if page, err := s.Documents(ctx, Loans, map[string]string{"member": "a\x00b"}, ""); err == nil && len(page.Items) != 0 { // a store may refuse the question
		p.Errorf("a member whom nobody is has loans: %+v", page)
	}
}

// failing is a store that fails as it is told.
type failing struct {
	projection.Store
	write func(*projection.Batch) error
	ping  func() error
	tried atomic.Int32
}

func (f *failing) Write(ctx context.Context, b *projection.Batch) error {
	f.tried.Add(1)
	if err := f.write(b); err != nil {
		return err
	}
	return f.Store.Write(ctx, b)
}

func (f *failing) Ping(ctx context.Context) error {
	if f.ping != nil {
		return f.ping()
	}
	return f.Store.Ping(ctx)
}

// The store refuses a record, and says so, or fails at it again and again: that
// record is set aside, and all others are in the rows once.
func aRecordThatTheStoreRefuses(p *place) {
	for _, kind := range []error{projection.ErrRefused, projection.ErrUnclear} {
		l, s := NewLog(p), p.another()
		f := &failing{Store: s.Store}
		poison := func(id string) bool { return id == "desk/0/i1-3" || id == "desk/0/i1-7" }
		f.write = func(b *projection.Batch) error {
			if slices.ContainsFunc(b.Events, func(e projection.Event) bool { return poison(e.ID) }) {
				return kind
			}
			return nil
		}
		w := l.Writer("desk", 0)
		w.Emit("c1", asked("o1", "ada"), Approved{Loan: "o1"}, Delayed{Loan: "o1"}, Ready{Loan: "o1"},
			CopyWanted{Title: "A", Loan: "o1"}, Fetched{Loan: "o1"}, Closed{Loan: "o1"})
		l.Produce(outside("dock", "d0", "A"), outside("dock", "d0", "A"))
		w.Emit("c2", asked("o2", "ada"))
		cfg := l.Config()
		told := map[string]int{}
		var n atomic.Int64
		cfg.Now = func() time.Time { return noon.Add(-time.Hour) } // all that comes is news
		cfg.Written = func(events []projection.Event) {
			for _, e := range events {
				told[e.ID]++
			}
			n.Add(int64(len(events)))
		}
		for _, events := range []int64{7, 8, 9} { // and a restart goes on from there
			l.catchUpWith(p, projection.New(f), cfg, func() bool { return n.Load() >= events })
			w.Emit("c2", Approved{Loan: "o2"})
		}
		l.CatchUp(p, projection.New(f), l.Config())
		skips, err := s.Skips(ctx)
		if err != nil || len(skips) != 2 || !strings.Contains(skips[0].Reason, "set aside") {
			p.Errorf("%v: set aside are %+v, want 2 (%v)", kind, skips, err)
		}
		for of, want := range map[string]int{"c1": 5, "c2": 4, "dock#d0": 1} {
			if h, err := s.Events(ctx, of); err != nil || len(h) != want {
				p.Errorf("%v: %s has %d events, want %d (%v)", kind, of, len(h), want, err)
			}
		}
		if x, err := s.Saga(ctx, "c1"); err != nil || x[0].Events != 5 || x[0].State != projection.Running {
			p.Errorf("%v: the saga is %+v (%v)", kind, x, err)
		}
		for id, n := range told {
			if n != 1 || poison(id) {
				p.Errorf("%v: %s was told %d times", kind, id, n)
			}
		}
		if len(told) != 9 {
			p.Errorf("%v: %d events were told, want 9", kind, len(told))
		}
	}
}

// Failures that the store does not explain cost no record: neither while it
// answers nothing else, nor if they are over soon.
func aStoreThatFailsForAWhile(p *place) {
	l, s := NewLog(p), p.model()
	f := &failing{Store: s.Store, ping: func() error { return projection.ErrUnavailable }}
	f.write = func(*projection.Batch) error {
		switch n := f.tried.Load(); {
		case n <= 3:
			return projection.ErrUnclear
		case n <= 4:
			f.ping = nil
			return projection.ErrUnclear
		case n <= 5:
			return projection.ErrUnavailable
		}
		return nil
	}
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"), Approved{Loan: "o1"})
	l.CatchUp(p, projection.New(f), l.Config())
	if skips, err := s.Skips(ctx); err != nil || len(skips) != 0 {
		p.Errorf("set aside are %+v (%v)", skips, err)
	}
	if h, err := s.Events(ctx, "c1"); err != nil || len(h) != 2 {
		p.Errorf("%d events, want 2 (%v)", len(h), err)
	}
}

// A store that answers questions and takes nothing is not poisoned by a record:
// the run ends and says so, and no record is set aside.
func aStoreThatTakesNothing(p *place) {
	l, s := NewLog(p), p.model()
	f := &failing{Store: s.Store, write: func(*projection.Batch) error { return projection.ErrUnclear }}
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"), Approved{Loan: "o1"})
	if err := failure(p, projection.New(f), l.Config()); !strings.Contains(err.Error(), "cannot be written") || !errors.Is(err, projection.ErrUnclear) {
		p.Errorf("stopped with %v", err)
	}
	l.CatchUp(p, s, l.Config())
	if skips, err := s.Skips(ctx); err != nil || len(skips) != 0 {
		p.Errorf("set aside are %+v (%v)", skips, err)
	}
	if h, err := s.Events(ctx, "c1"); err != nil || len(h) != 2 {
		p.Errorf("%d events, want 2 (%v)", len(h), err)
	}
}

// Who posts an event chooses its id, its correlation and its data: none of them
// takes it into the saga or the history of a loan.
func anEventFromOutsideJoinsNoSaga(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"))
	for _, e := range []streams.Envelope{{ID: "c1"}, {ID: "x", Correlation: "c1"}, {ID: "o1"}, {ID: "y", Correlation: "o1"}, {ID: "c1", Source: "c1"}} {
		e.Type, e.Key, e.Time, e.Data = "copy.donated", "A", noon, []byte(`{"title":"A","copies":1,"loan":"o1"}`)
		if e.Source == "" {
			e.Source = "/mallory"
		}
		l.Produce(e.Record("external.title", streams.Partition("A", Partitions)))
	}
	l.CatchUp(p, s, l.Config())
	h, err := s.History(ctx, "loan", "o1")
	if err != nil || len(h) != 1 {
		p.Errorf("the loan's history has %d events, want its own (%v)", len(h), err)
	}
	first, err := s.FirstEvents(ctx, "c1", "loan", "o1", 10)
	if err != nil || len(first) != 1 {
		p.Errorf("the saga's first events are %+v (%v)", first, err)
	}
	if x, err := s.Saga(ctx, "c1"); err != nil || len(x) != 1 || x[0].Events != 1 || x[0].Last != "loan.asked" {
		p.Errorf("the saga is %+v (%v)", x, err)
	}
	if own, err := s.Events(ctx, "/mallory#c1"); err != nil || len(own) != 2 {
		p.Errorf("%d events under what their source says, want 2 (%v)", len(own), err)
	}
}

// A topic that is made anew under a run stops it: its client would wait for the
// old one for ever.
func aTopicMadeAnewUnderARun(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"))
	c, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(c, l.Config()) }()
	l.CaughtUp(p, s)
	if _, err := l.admin().DeleteTopic(ctx, "desk.loan"); err != nil {
		p.Fatal(err)
	}
	if _, err := l.admin().CreateTopic(ctx, Partitions, 1, nil, "desk.loan"); err != nil {
		p.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "deleted and made again") {
		p.Errorf("ended with %v", err)
	}
}
