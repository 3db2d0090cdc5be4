package projectiontest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// days writes what happens at a library, with all that a log may have of trouble.
type days struct {
	desks, tills [2]*Writer
	log          []*kgo.Record
}

// Lend makes the records of n loans, at most 300, without producing them: of
// every state, with what other lanes say about them, repeats, events from
// outside, sagas that others end or begin once more, and records that are no events.
func (l *Log) Lend(n int) []*kgo.Record {
	var d days
	for i := range int32(2) {
		d.desks[i], d.tills[i] = l.Writer("desk", i), l.Writer("till", i)
	}
	for i := range n {
		d.loan(i)
	}
	return d.log
}

func (d *days) loan(i int) {
	id, member := LoanID(fmt.Sprintf("o%03d", i)), []string{"ada", "bob"}[i%2]
	c := "c-" + string(id)
	if i%10 == 9 {
		c = fmt.Sprintf("c-o%03d", i-1) // another loan of the same correlation
	}
	begun := asked(string(id), member)
	begun.Titles = append(begun.Titles, "B", "C")[:1+i%3]
	d.emit(i, c, begun, CopyWanted{Loan: id, Title: TitleID(fmt.Sprint("S", i%7)), Copies: int64(i%4) - 1})
	d.pay(i, c, id, MemberID(member))
	switch i % 3 {
	case 0:
		d.emit(i, c, Approved{Loan: id}, Ready{Loan: id}, Fetched{Loan: id, Desk: "north", Slip: fmt.Sprint("T", i)},
			Closed{Loan: id, Outcome: "returned"})
	case 1:
		d.emit(i, c, Delayed{Loan: id}, Delayed{Loan: id})
		d.emit(i, "withdraw-"+string(id), Withdrawn{Loan: id, Reason: "regret"}, Closed{Loan: id, Outcome: "withdrawn"})
	}
	if i%4 == 0 {
		d.log = append(d.log, d.log[len(d.log)/2], d.log[len(d.log)-1])
	}
	if i%6 == 0 {
		x := outside("dock", fmt.Sprint("d", i), fmt.Sprint("S", i%7))
		d.log = append(d.log, x, x)
	}
	if i%9 == 0 {
		d.log = append(d.log, &kgo.Record{Topic: "desk.loan", Partition: int32(i % Partitions), Key: []byte("x"), Value: fmt.Append(nil, "hello ", i)})
	}
}

func (d *days) pay(i int, correlation string, id LoanID, member MemberID) {
	w := d.tills[i%2]
	w.At = d.desks[i%2].At
	paid := DepositPaid{Loan: id, Member: member, Minor: int64(i)}
	switch i % 5 {
	case 0: // not paid
	case 1:
		d.log = append(d.log, w.Record("pay-"+string(id), paid), w.Record(correlation, paid))
	default:
		d.log = append(d.log, w.Record(correlation, paid))
	}
}

func (d *days) emit(i int, correlation string, events ...streams.Event) {
	for _, e := range events {
		d.log = append(d.log, d.desks[i%2].Record(correlation, e))
	}
}

// CatchUp runs the projection until it has read the log to its end.
func (l *Log) CatchUp(t testing.TB, m *projection.Model, cfg projection.Config) {
	t.Helper()
	stop := Start(t, m, cfg)
	err := l.reached(m)
	if err = errors.Join(err, stop()); err != nil {
		t.Fatal(err)
	}
}

// catchUpWith is CatchUp for who listens as well, which a run that ends may not: it
// ends once all is heard.
func (l *Log) catchUpWith(t testing.TB, m *projection.Model, cfg projection.Config, heard func() bool) {
	t.Helper()
	stop := Start(t, m, cfg)
	err := l.reached(m)
	for end := time.Now().Add(patience); err == nil && !heard() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if err = errors.Join(err, stop()); err != nil {
		t.Fatal(err)
	}
}

// reader is what says how far it has read the log.
type reader interface {
	Offsets(context.Context) (map[string]map[int32]int64, error)
}

// CaughtUp waits until the log has been read to its end, also while the store is
// away.
func (l *Log) CaughtUp(t testing.TB, m reader) {
	t.Helper()
	if err := l.reached(m); err != nil {
		t.Fatal(err)
	}
}

func (l *Log) reached(m reader) error {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		behind, err := l.Behind(m)
		if err == nil && behind == "" {
			return nil
		}
		if err != nil && !errors.Is(err, projection.ErrUnavailable) {
			return err
		}
		if time.Now().After(end) {
			return errors.Join(errors.New(behind), err)
		}
	}
}

// Behind says what the read model has not read yet; nothing at the log's end.
func (l *Log) Behind(m reader) (string, error) {
	ends, err := l.admin().ListEndOffsets(ctx)
	if err = errors.Join(err, ends.Error()); err != nil {
		return "", err
	}
	read, err := m.Offsets(ctx)
	if err != nil {
		return "", err
	}
	for topic, ps := range ends {
		for p, o := range ps {
			if at := read[topic][p]; at < o.Offset {
				return fmt.Sprintf("%s/%d is read up to %d of %d", topic, p, at, o.Offset), nil
			}
		}
	}
	return "", nil
}

// Answers are what the read model says to every question about everything that
// it holds, a line each: of two that have read the same log they are equal.
func Answers(t testing.TB, m *projection.Model) (out []string) {
	t.Helper()
	a := &asker{t: t, m: m}
	correlations := map[string]bool{}
	for _, x := range a.sagas() {
		correlations[x.Correlation] = true
	}
	for _, v := range Views {
		for _, d := range a.documents(v, nil) {
			a.document(v, d, correlations)
		}
		a.ask(v.Name, "counts")(m.Counts(ctx, v))
		a.ask(v.Name, "since")(m.List(ctx, projection.ListQuery{View: v, Since: noon.Add(10 * time.Millisecond), Limit: 100}))
	}
	for _, f := range []map[string]string{{"member": "ada"}, {"state": "asked"}, {"member": "bob", "state": "withdrawn"}} {
		a.documents(Loans, f)
	}
	for _, c := range slices.Sorted(maps.Keys(correlations)) {
		a.ask("events", c)(m.Events(ctx, c))
		if x, err := m.Saga(ctx, c); !errors.Is(err, projection.ErrNotFound) {
			a.ask("saga", c)(x, err)
		}
	}
	for i := range 10 {
		a.ask("from outside", i)(m.Events(ctx, fmt.Sprint("dock#d", 6*i)))
	}
	now := noon.Add(time.Minute + 100*time.Millisecond)
	a.ask("in flight")(m.InFlight(ctx, now, 1000))
	a.ask("in flight of some")(m.InFlight(ctx, now, 5))
	a.ask("late")(m.Late(ctx, now, 1000))
	a.ask("offsets")(m.Offsets(ctx))
	a.skips()
	return a.lines
}

type asker struct {
	t     testing.TB
	m     *projection.Model
	lines []string
}

// ask keeps the answer to a question, which must not fail.
func (a *asker) ask(question ...any) func(answer any, err error) {
	return func(answer any, err error) {
		a.t.Helper()
		b, jerr := json.Marshal(answer)
		if err = errors.Join(err, jerr); err != nil {
			a.t.Fatalf("%v: %v", question, err)
		}
		a.lines = append(a.lines, fmt.Sprint(question, " ", string(b)))
	}
}

// documents asks for all pages of a view.
func (a *asker) documents(v *business.View, filter map[string]string) (out []projection.Document) {
	for page, first := "", true; first || page != ""; first = false {
		p, err := a.m.Documents(ctx, v, filter, page)
		a.ask(v.Name, filter, page)(p, err)
		page, out = p.Next, append(out, p.Items...)
	}
	return out
}

// document asks about one, and notes the correlations of its events.
func (a *asker) document(v *business.View, d projection.Document, correlations map[string]bool) {
	a.ask(v.One, d.Key)(a.m.Document(ctx, v, d.Key))
	a.ask(v.One, d.Key, "for all")(projection.JSON(v, d), nil)
	events, err := a.m.History(ctx, v.Key.Kind(), d.Key)
	a.ask("history", v.One, d.Key)(events, err)
	a.ask("first events", d.Correlation, d.Key)(a.m.FirstEvents(ctx, d.Correlation, v.Key.Kind(), d.Key, 4))
	for _, e := range events {
		correlations[e.Correlation] = true
	}
	if len(events) > 0 {
		a.holds(events[len(events)-1])
	} else if v.History {
		a.t.Errorf("%s %s has no history", v.One, d.Key)
	}
}

func (a *asker) sagas() (out []projection.Saga) {
	for _, f := range []projection.SagaFilter{{}, {State: projection.Running}, {State: projection.Ended, Name: Deposit.Name}} {
		all := f == projection.SagaFilter{}
		for first := true; first || f.Page != ""; first = false {
			p, err := a.m.Sagas(ctx, f)
			a.ask(f)(p, err)
			if f.Page = p.Next; all {
				out = append(out, p.Items...)
			}
		}
	}
	return out
}

func (a *asker) holds(e projection.Entry) {
	if e.Lane == "" {
		return
	}
	t := streams.Token{Source: streams.Source{Topic: e.Topic, Lane: streams.Lane(e.Lane)}, Seq: e.Seq}
	if ok, err := a.m.Holds(ctx, t); !ok || err != nil {
		a.t.Errorf("an event of the history of %s is not held (%v)", e.Key, err)
	}
}

// skips leaves out when records were passed over, which no two runs share.
func (a *asker) skips() {
	a.t.Helper()
	skips, err := a.m.Skips(ctx)
	for i := range skips {
		skips[i].At = time.Time{}
	}
	slices.SortFunc(skips, func(x, y projection.Skipped) int {
		return int(1000*(x.Partition-y.Partition)) + int(x.Offset-y.Offset)
	})
	a.ask("skips")(skips, err)
}

// Differ fails the test where answers are not those that were wanted.
func Differ(t testing.TB, want, got []string) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) {
			t.Fatalf("%d answers, want %d", len(got), len(want))
		}
		if want[i] != got[i] {
			t.Fatalf("answer %d differs:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}
