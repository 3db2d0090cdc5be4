package projectiontest

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
)

var lifeCases = []testCase{
	{"ALoansLife", aLoansLife},
	{"PersonsAreNotKept", personsAreNotKept},
	{"AnotherCorrelationEndsASaga", anotherCorrelationEndsASaga},
	{"AnEndBeforeItsStart", anEndBeforeItsStart},
	{"TheOrderBetweenTopicsChangesNothing", theOrderBetweenTopicsChangesNothing},
}

func aLoansLife(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"), CopyWanted{Title: "A", Loan: "o1", Copies: 2},
		Approved{Loan: "o1"}, Ready{Loan: "o1"}, Fetched{Loan: "o1", Desk: "north", Slip: "T1"})
	pay := l.Writer("till", 0)
	pay.Emit("c1", DepositPaid{Loan: "o1"})
	readAll(p, s, l.Config(), w.last, pay.last)

	o, err := s.Document(ctx, Loans, "o1")
	if err != nil {
		p.Fatal(err)
	}
	want := map[string]any{"member": "ada", "email": "ada@example.org", "titles": int64(1), "deposit": projection.Money{Minor: 510, Currency: "GBP"},
		"correlation": "c1", "desk": "north", "slip": "T1", "reason": "", "outcome": "", "asked_at": noon.Add(time.Millisecond), "approved_at": noon.Add(3 * time.Millisecond),
		"ready_at": noon.Add(4 * time.Millisecond), "fetched_at": noon.Add(5 * time.Millisecond), "delayed_at": time.Time{}, "withdrawn_at": time.Time{}, "closed_at": time.Time{}}
	if o.Key != "o1" || o.State != "fetched" || o.Correlation != "c1" || !o.Begun.Equal(noon.Add(time.Millisecond)) || !reflect.DeepEqual(o.Values, want) {
		p.Errorf("the loan is %+v", o)
	}
	h, err := s.History(ctx, "loan", "o1")
	if err != nil || len(h) != 6 {
		p.Fatalf("history has %d events, want 6 (%v)", len(h), err)
	}
	if h[0].Type != "loan.asked" || h[0].Traceparent == "" || h[0].Lane != string(w.lane) || h[0].Seq != 1 || h[0].Kind != "loan" {
		p.Errorf("first event is %+v", h[0])
	}
	sagas, err := s.Saga(ctx, "c1")
	if err != nil || len(sagas) != 1 || sagas[0].State != projection.Running || sagas[0].Events != 6 || sagas[0].Due.Sub(sagas[0].Started) != time.Hour {
		p.Errorf("sagas are %+v (%v)", sagas, err)
	}

	w.Emit("c1", Closed{Loan: "o1", Outcome: "returned"})
	readAll(p, s, l.Config(), w.last)
	if o, _ := s.Document(ctx, Loans, "o1"); o.Values["closed_at"] == (time.Time{}) || o.Values["outcome"] != "returned" || o.State != "fetched" {
		p.Errorf("the closed loan is %+v", o)
	}
	if sagas, _ := s.Saga(ctx, "c1"); sagas[0].State != projection.Ended || sagas[0].EndedBy != "loan.closed" {
		p.Errorf("ended saga is %+v", sagas)
	}
	if n, err := s.Counts(ctx, Loans); err != nil || !reflect.DeepEqual(n, map[string]int64{"fetched": 1}) {
		p.Errorf("counts are %v (%v)", n, err)
	}
}

func personsAreNotKept(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"))
	readAll(p, s, l.Config(), w.last)
	h, err := s.History(ctx, "loan", "o1")
	if err != nil || len(h) != 1 {
		p.Fatal(h, err)
	}
	for _, secret := range []string{"ada@example.org", "Mill Lane", "tok_1"} {
		if bytes.Contains(h[0].Data, []byte(secret)) {
			p.Errorf("the history holds %q: %s", secret, h[0].Data)
		}
	}
	if !bytes.Contains(h[0].Data, []byte(`"member":"ada"`)) {
		p.Errorf("the history lost the rest: %s", h[0].Data)
	}
}

// A withdrawal is a saga of its own, and still ends the lending.
func anotherCorrelationEndsASaga(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("ask", asked("o1", "ada"))
	w.Emit("withdraw", Withdrawn{Loan: "o1", Reason: "regret"}, Closed{Loan: "o1", Outcome: "withdrawn"})
	w.Emit("other", asked("o2", "ada"))
	readAll(p, s, l.Config(), w.last)
	ended, err := s.Sagas(ctx, projection.SagaFilter{Name: "lend", State: projection.Ended})
	if err != nil || len(ended.Items) != 1 || ended.Items[0].Correlation != "ask" {
		p.Errorf("ended are %+v (%v)", ended, err)
	}
	running, err := s.Sagas(ctx, projection.SagaFilter{State: projection.Running})
	if err != nil || len(running.Items) != 1 || running.Items[0].Correlation != "other" {
		p.Errorf("running are %+v (%v)", running, err)
	}
	if h, _ := s.History(ctx, "loan", "o1"); len(h) != 3 {
		p.Errorf("history has %d events, want those of both correlations: 3", len(h))
	}
}

// An end on another topic may be read before the start, under the saga's
// correlation or, about the same thing, under another.
func anEndBeforeItsStart(p *place) {
	for _, correlation := range []string{"c1", "other"} {
		l, s := NewLog(p), p.another()
		w, pay := l.Writer("desk", 0), l.Writer("till", 0)
		pay.Emit("other", DepositPaid{Loan: "o1"}) // before the start: ends nothing
		pay.At = noon.Add(time.Second)
		pay.Emit(correlation, DepositPaid{Loan: "o1"})
		pay.Emit("later", DepositPaid{Loan: "o1"})
		readAll(p, s, l.Config(Deposit), pay.last)
		w.At = w.At.Add(time.Millisecond)
		w.Emit("c1", asked("o1", "ada"))
		readAll(p, s, l.Config(Deposit), w.last)
		x, err := s.Saga(ctx, "c1")
		if err != nil || len(x) != 2 || x[0].Name != "deposit" || x[0].State != projection.Ended || !x[0].Ended.Equal(noon.Add(time.Second+time.Millisecond)) {
			p.Errorf("ended under %s: %+v (%v)", correlation, x, err)
		}
	}
}

// Whatever order topics are read in, the rows come out the same.
func theOrderBetweenTopicsChangesNothing(p *place) {
	recs := NewLog(p).Lend(25)
	topics := map[string][]*kgo.Record{}
	for _, r := range recs {
		topics[r.Topic] = append(topics[r.Topic], r)
	}
	var first []string
	for round := range 4 {
		l, s := NewLog(p), p.another()
		stop := Start(p, s, l.Config(Deposit))
		left := map[string][]*kgo.Record{}
		for topic, recs := range topics {
			left[topic] = recs
		}
		for len(left) > 0 {
			for topic, recs := range left { // in any order
				n := 1 + rand.IntN(len(recs))
				l.Produce(recs[:n]...)
				if left[topic] = recs[n:]; n == len(recs) {
					delete(left, topic)
				}
			}
		}
		l.CaughtUp(p, s)
		if err := stop(); err != nil {
			p.Fatal(err)
		}
		if got := Answers(p, s); round == 0 {
			first = got
		} else if Differ(p, first, got); p.Failed() {
			return
		}
	}
}
