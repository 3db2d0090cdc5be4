package projectiontest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// shop writes what happens to orders, with all that a log may have of trouble.
type shop struct {
	orders, payments [2]*writer
	log              []*kgo.Record
}

// Shop makes the records of n orders, at most 300, without producing them: of
// every state, with what other lanes say about them, repeats, events from
// outside, sagas that others end or begin once more, and records that are no events.
func (l *Log) Shop(n int) []*kgo.Record {
	var s shop
	for i := range int32(2) {
		s.orders[i], s.payments[i] = l.writer("order", i), l.writer("payment", i)
	}
	for i := range n {
		s.order(i)
	}
	return s.log
}

func (s *shop) order(i int) {
	id := event.OrderID(fmt.Sprintf("o%03d", i))
	c := "c-" + string(id)
	if i%10 == 9 {
		c = fmt.Sprintf("c-o%03d", i-1) // another placement of the same correlation
	}
	s.emit(i, c, placed(string(id), []string{"ada", "bob"}[i%2]), event.HoldRequested{Order: id, SKU: event.SKU(fmt.Sprint("S", i%7)), Quantity: 1})
	s.pay(i, c, id)
	switch i % 3 {
	case 0:
		s.emit(i, c, event.OrderConfirmed{Order: id}, event.OrderReleased{Order: id}, event.OrderShipped{Order: id, Carrier: "post", Tracking: fmt.Sprint("T", i)},
			event.OrderClosed{Order: id, Outcome: event.Fulfilled})
	case 1:
		s.emit(i, c, event.OrderDelayed{Order: id}, event.OrderDelayed{Order: id})
		s.emit(i, "cancel-"+string(id), event.OrderCancelled{Order: id, Reason: "regret"}, event.OrderClosed{Order: id, Outcome: event.Cancelled})
	}
	if i%4 == 0 {
		s.log = append(s.log, s.log[len(s.log)/2], s.log[len(s.log)-1])
	}
	if i%6 == 0 {
		x := outside("dock", fmt.Sprint("d", i), fmt.Sprint("S", i%7))
		s.log = append(s.log, x, x)
	}
	if i%9 == 0 {
		s.log = append(s.log, &kgo.Record{Topic: "order.order", Partition: int32(i % partitions), Key: []byte("x"), Value: fmt.Append(nil, "hello ", i)})
	}
}

func (s *shop) pay(i int, correlation string, id event.OrderID) {
	w := s.payments[i%2]
	w.at = s.orders[i%2].at
	paid := event.PaymentAuthorised{Order: id}
	switch i % 5 {
	case 0: // not paid
	case 1:
		s.log = append(s.log, w.record("pay-"+string(id), paid), w.record(correlation, paid))
	default:
		s.log = append(s.log, w.record(correlation, paid))
	}
}

func (s *shop) emit(i int, correlation string, events ...streams.Event) {
	for _, e := range events {
		s.log = append(s.log, s.orders[i%2].record(correlation, e))
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

// CaughtUp waits until the log has been read to its end, also while the store is
// away.
func (l *Log) CaughtUp(t testing.TB, m *projection.Model) {
	t.Helper()
	if err := l.reached(m); err != nil {
		t.Fatal(err)
	}
}

func (l *Log) reached(m *projection.Model) error {
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
func (l *Log) Behind(m projection.Store) (string, error) {
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
	orders := a.orders()
	correlations := map[string]bool{}
	for _, x := range a.sagas() {
		correlations[x.Correlation] = true
	}
	for _, o := range orders {
		a.ask("order", o.ID)(m.Order(ctx, o.ID))
		events, err := m.History(ctx, o.ID)
		a.ask("history", o.ID)(events, err)
		for _, e := range events {
			correlations[e.Correlation] = true
		}
		a.holds(events[len(events)-1])
		a.ask("first events", o.Correlation, o.ID)(m.FirstEvents(ctx, o.Correlation, o.ID, 4))
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
	a.ask("counts")(m.Counts(ctx))
	a.ask("passages")(m.Passages(ctx, noon.Add(10*time.Millisecond), 100))
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

func (a *asker) orders() (out []projection.Order) {
	for _, q := range []projection.OrderQuery{{}, {Customer: "ada"}, {State: "placed"}, {Customer: "bob", State: "cancelled"}} {
		for page, first := "", true; first || page != ""; first = false {
			p, err := a.m.Orders(ctx, q.Customer, q.State, page)
			a.ask(q, page)(p, err)
			if page = p.Next; q.Customer+q.State == "" {
				out = append(out, p.Items...)
			}
		}
	}
	return out
}

func (a *asker) sagas() (out []projection.Saga) {
	for _, f := range []projection.SagaFilter{{}, {State: projection.Running}, {State: projection.Ended, Name: Payment.Name}} {
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
