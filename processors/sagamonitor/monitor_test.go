package sagamonitor_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/processors/sagamonitor"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// The saga of these tests: an order waits for its payment, and is closed.
var saga = streams.Saga{
	Name: "small", Starts: event.OrderPlaced{}, Ends: []streams.Event{event.OrderClosed{}}, Within: time.Minute,
	Once: []streams.Event{event.PaymentCaptured{}}, Answers: []streams.Event{event.PaymentAuthorised{}, event.OrderCancelled{}},
	Undo: []streams.Event{event.OrderCancelled{}, event.PaymentVoided{}},
}

// accounts are its money: what is set aside, and what was captured.
var accounts = []business.Money{
	{Name: "held", Title: "Held", Into: []business.MoneyFrom{business.From(func(e event.PaymentAuthorised) business.Sum { return e.Amount })},
		Out: []streams.Event{event.PaymentCaptured{}, event.PaymentVoided{}}},
	{Name: "taken", Title: "Taken", Into: []business.MoneyFrom{business.From(func(e event.PaymentCaptured) business.Sum { return e.Amount })}},
}

// small is a topology of what the saga needs, and no more.
func small() (*streams.Topology, error) {
	type state struct{}
	fold := func(s state, _ streams.Event) state { return s }
	order := streams.Define("order", event.OrderID(""), fold,
		streams.OnCommand("place-order", nothing[state, event.OrderPlaced], event.OrderPlaced{}),
		streams.On(nothing[state, event.PaymentCaptured], event.OrderClosed{}),
		streams.OnTimer("confirm-by", nothing[state, int], event.OrderCancelled{}),
		streams.On(nothing[state, event.PaymentVoided], event.OrderClosed{}))
	payment := streams.Define("payment", event.OrderID(""), fold,
		streams.On(nothing[state, event.OrderPlaced], event.PaymentAuthorised{}, event.PaymentCaptured{}),
		streams.On(nothing[state, event.OrderCancelled], event.PaymentVoided{}))
	v, err := event.Vocabulary()
	if err != nil {
		return nil, err
	}
	return streams.NewTopology(v, []streams.Service{{Name: "orders", Deciders: []*streams.Decider{order}}, {Name: "payments", Deciders: []*streams.Decider{payment}}})
}

func nothing[S, E any](S, E, streams.Input) streams.Decision { return streams.Nothing() }

type watched struct {
	t   *testing.T
	m   *sagamonitor.Monitor
	reg *prometheus.Registry
	now time.Time
	n   int
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{t: t, reg: prometheus.NewRegistry(), now: time.Unix(1_700_000_000, 0)}
	top, err := small()
	if err != nil {
		t.Fatal(err)
	}
	if w.m, err = sagamonitor.New(&business.Business{Sagas: []streams.Saga{saga}, Money: accounts}, top,
		telemetry.NewInstruments(w.reg), func() time.Time { return w.now }); err != nil {
		t.Fatal(err)
	}
	return w
}

// event makes the next one, so many seconds after the beginning of time.
func (w *watched) event(order, typ, decider, causation string, second int, data any) sagamonitor.Event {
	w.t.Helper()
	b, err := json.Marshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	w.n++
	return sagamonitor.Event{ID: fmt.Sprintf("%s-%s-%d", order, typ, w.n), Type: typ, Correlation: order, Causation: causation, Decider: decider, Version: 1,
		Time: time.Unix(1_700_000_000+int64(second), 0), Data: b}
}

func (w *watched) placed(order string) sagamonitor.Event {
	return w.event(order, "order.placed", "order", "click", 0, event.OrderPlaced{})
}

func (w *watched) authorised(order string, minor int64) sagamonitor.Event {
	return w.authorisedIn(order, minor, "GBP")
}

func (w *watched) authorisedIn(order string, minor int64, currency string) sagamonitor.Event {
	return w.event(order, "payment.authorised", "payment", "outcome", 2,
		event.PaymentAuthorised{Amount: event.Money{Minor: minor, Currency: currency}})
}

func (w *watched) captured(order string, minor int64, currency string) sagamonitor.Event {
	return w.event(order, "payment.captured", "payment", "outcome", 3,
		event.PaymentCaptured{Amount: event.Money{Minor: minor, Currency: currency}})
}

// value is the sum of the series of a metric whose labels hold all of these; of
// a histogram, how many values it took.
func (w *watched) value(name string, labels ...string) (n, sum float64) {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			all := ""
			for _, l := range m.GetLabel() {
				all += l.GetName() + "=" + l.GetValue() + " "
			}
			match := f.GetName() == name
			for _, l := range labels {
				match = match && strings.Contains(all, l)
			}
			if match {
				n += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				sum += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return n, sum
}

func (w *watched) want(n float64, name string, labels ...string) {
	w.t.Helper()
	if got, _ := w.value(name, labels...); got != n {
		w.t.Errorf("%s%v is %v, want %v", name, labels, got, n)
	}
}

func TestASagaIsMeasured(t *testing.T) {
	w := watch(t)
	placed, authorised := w.placed("o-1"), w.authorised("o-1", 500)
	captured := w.captured("o-1", 500, "GBP")
	w.m.Observe([]sagamonitor.Event{placed, authorised})
	w.m.Sweep()
	w.want(1, telemetry.SagasRunning)
	w.want(5, telemetry.MoneyHeld, "account=held ", "currency=GBP ")
	w.m.Observe([]sagamonitor.Event{captured, captured, w.event("o-1", "order.closed", "order", captured.ID, 4, event.OrderClosed{})})
	w.m.Sweep()
	w.want(0, telemetry.SagasRunning)
	w.want(0, telemetry.MoneyHeld)
	w.want(5, telemetry.MoneyMoved, "account=taken ", "currency=GBP ")
	w.want(5, telemetry.MoneyMoved)
	w.want(1, telemetry.SagasStarted)
	w.want(1, telemetry.SagasEnded, "compensated=false ", "in_time=true ")
	w.want(1, telemetry.SagasEnded)
	w.want(0, telemetry.SagasOverdue)
	w.want(0, telemetry.DuplicateEffects)
	if n, sum := w.value(telemetry.SagaAnswer); n != 1 || sum != 2 {
		t.Errorf("answered %v times, after %v s", n, sum)
	}
	for typ, seconds := range map[string][2]float64{"order.placed": {0, 0}, "payment.authorised": {2, 2}, "payment.captured": {3, 3}, "order.closed": {4, 1}} {
		if n, sum := w.value(telemetry.SagaEventSeconds, typ); n != 1 || sum != seconds[0] {
			t.Errorf("%s came %v times, after %v s in all, want %v", typ, n, sum, seconds[0])
		}
		if n, sum := w.value(telemetry.SagaStepSeconds, typ); n != 1 || sum != seconds[1] {
			t.Errorf("the step to %s took place %v times, and %v s, want %v", typ, n, sum, seconds[1])
		}
	}
}

// Topics are read in any order: what comes of an event may be read before it.
func TestEventsInAnyOrder(t *testing.T) {
	w := watch(t)
	placed, authorised := w.placed("o-1"), w.authorised("o-1", 500)
	captured := w.event("o-1", "payment.captured", "payment", "outcome", 3, event.PaymentCaptured{})
	closed := w.event("o-1", "order.closed", "order", captured.ID, 4, event.OrderClosed{})
	w.m.Observe([]sagamonitor.Event{authorised, closed})
	w.want(0, telemetry.SagasStarted)
	w.m.Observe([]sagamonitor.Event{placed})
	w.want(1, telemetry.SagasEnded)
	w.m.Observe([]sagamonitor.Event{captured})
	if n, sum := w.value(telemetry.SagaStepSeconds); n != 4 || sum != 6 {
		t.Errorf("%v steps took %v s", n, sum)
	}
}

func TestWhatIsTakenBack(t *testing.T) {
	w := watch(t)
	cancelled := w.event("o-1", "order.cancelled", "order", "timer", 30, event.OrderCancelled{})
	voided := w.event("o-1", "payment.voided", "payment", cancelled.ID, 31, event.PaymentVoided{})
	w.m.Observe([]sagamonitor.Event{w.placed("o-1"), w.authorised("o-1", 7), cancelled, voided,
		w.event("o-1", "order.closed", "order", voided.ID, 32, event.OrderClosed{})})
	w.m.Sweep()
	w.want(0, telemetry.MoneyHeld)
	w.want(0, telemetry.MoneyMoved)
	w.want(1, telemetry.SagasEnded, "compensated=true ", "in_time=true ")
	w.want(3, telemetry.SagaStepSeconds, "undo=true ")
	w.want(1, telemetry.SagaAnswer) // the first one
	if _, sum := w.value(telemetry.SagaStepSeconds, "order.cancelled"); sum != 30 {
		t.Errorf("the deadline acted after %v s", sum)
	}
}

// A saga whose time is over is counted once, whenever it ends, and if it never does.
func TestOverdueOnce(t *testing.T) {
	w := watch(t)
	w.m.Observe([]sagamonitor.Event{w.placed("o-1"), w.placed("o-2"), w.placed("o-3")})
	w.m.Observe([]sagamonitor.Event{w.event("o-3", "order.closed", "order", "x", 61, event.OrderClosed{})}) // late, before anybody looked
	w.want(1, telemetry.SagasOverdue)
	w.now = w.now.Add(2 * time.Minute)
	w.m.Sweep()
	w.m.Sweep()
	w.want(3, telemetry.SagasOverdue)
	w.want(2, telemetry.SagasLate)
	w.want(120, telemetry.SagaOldest)
	w.m.Observe([]sagamonitor.Event{w.event("o-1", "order.closed", "order", "x", 121, event.OrderClosed{})})
	w.m.Sweep()
	w.want(3, telemetry.SagasOverdue)
	w.want(1, telemetry.SagasLate)
	w.want(2, telemetry.SagasEnded, "in_time=false ")
	w.want(2, telemetry.SagasEnded)
}

func TestDuplicateEffects(t *testing.T) {
	w := watch(t)
	twice := func() sagamonitor.Event {
		return w.event("o-1", "payment.captured", "payment", "outcome", 3, event.PaymentCaptured{})
	}
	w.want(0, telemetry.DuplicateEffects) // there is a series already: Prometheus sees it grow
	w.m.Observe([]sagamonitor.Event{w.placed("o-1"), w.authorised("o-1", 5), w.authorised("o-1", 5), twice()})
	w.want(0, telemetry.DuplicateEffects)
	w.m.Observe([]sagamonitor.Event{twice()})
	w.want(1, telemetry.DuplicateEffects, "payment.captured")
	w.m.Observe([]sagamonitor.Event{w.event("o-1", "order.closed", "order", "x", 4, event.OrderClosed{}), twice()}) // after the end too
	w.want(2, telemetry.DuplicateEffects)
}

// A process that takes over knows the sagas under way, and does not count again.
func TestRestore(t *testing.T) {
	w := watch(t)
	w.m.Restore([]sagamonitor.Event{w.placed("o-1"), w.authorised("o-1", 500)})
	w.m.Sweep()
	w.want(1, telemetry.SagasRunning)
	w.want(5, telemetry.MoneyHeld)
	w.want(0, telemetry.SagasStarted)
	w.want(0, telemetry.SagaStepSeconds)
	w.m.Observe([]sagamonitor.Event{w.event("o-1", "order.closed", "order", "x", 4, event.OrderClosed{})})
	w.want(1, telemetry.SagasEnded)
}

// Figures are in units of the currency, of which some have no minor units and some have
// three; what is no currency makes no series.
func TestMoneyByCurrency(t *testing.T) {
	w := watch(t)
	for i, currency := range []string{"GBP", "JPY", "KWD", "gbp", "ZZZ", ""} {
		order := fmt.Sprint("o-", i)
		w.m.Observe([]sagamonitor.Event{w.placed(order), w.authorisedIn(order, 1234, currency)})
	}
	w.m.Sweep()
	w.want(12.34, telemetry.MoneyHeld, "currency=GBP ")
	w.want(1234, telemetry.MoneyHeld, "currency=JPY ")
	w.want(1.234, telemetry.MoneyHeld, "currency=KWD ")
	for _, none := range []string{"gbp", "ZZZ", ""} {
		w.want(0, telemetry.MoneyHeld, "currency="+none+" ")
	}
}

// Into adds, Out takes all that the same saga has put in, whichever is read first, and
// nothing of another saga's. What a saga holds that has ended is held by nobody.
func TestMoneyFollowsTheSaga(t *testing.T) {
	w := watch(t)
	first, captured := w.authorised("o-1", 200), w.captured("o-1", 500, "GBP")
	w.m.Observe([]sagamonitor.Event{w.placed("o-1"), w.placed("o-2"), captured, first, first, w.authorised("o-2", 100),
		w.authorised("o-2", 50)})
	w.m.Sweep()
	w.want(1.5, telemetry.MoneyHeld)
	w.want(5, telemetry.MoneyMoved)
	w.m.Observe([]sagamonitor.Event{w.event("o-2", "order.closed", "order", "x", 4, event.OrderClosed{})})
	w.m.Sweep()
	w.want(0, telemetry.MoneyHeld)
}

// A currency is seen from its first money on, however short that stays.
func TestMoneyThatIsGoneAtOnce(t *testing.T) {
	w := watch(t)
	w.m.Observe([]sagamonitor.Event{w.placed("o-1"), w.authorised("o-1", 200), w.captured("o-1", 200, "GBP")})
	w.m.Sweep()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == telemetry.MoneyHeld && len(f.GetMetric()) == 1 && f.GetMetric()[0].GetGauge().GetValue() == 0 {
			return
		}
	}
	t.Error("nobody knows that there was money")
}

// An event may tell less than nothing: a counter that was made to fall would end the process.
func TestMoneyBelowZero(t *testing.T) {
	w := watch(t)
	w.m.Observe([]sagamonitor.Event{w.placed("o-1"), w.captured("o-1", -500, "GBP"), w.captured("o-1", 300, "GBP")})
	w.want(3, telemetry.MoneyMoved)
}

// What cannot be read as the event moves nothing, and stops nothing.
func TestMoneyThatCannotBeRead(t *testing.T) {
	w := watch(t)
	odd := w.authorised("o-1", 1)
	odd.Data = []byte(`{"amount":"much"}`)
	w.m.Observe([]sagamonitor.Event{w.placed("o-1"), odd})
	w.m.Sweep()
	w.want(0, telemetry.MoneyHeld)
	w.want(1, telemetry.SagasRunning)
}

// What does not belong to a saga takes no memory, and what has ended is forgotten.
func TestMemoryIsBounded(t *testing.T) {
	w := watch(t)
	w.m.Observe([]sagamonitor.Event{w.event("delivery", "stock.received", "", "", 0, event.StockReceived{})})
	w.m.Observe([]sagamonitor.Event{w.placed("o-1"), w.event("o-1", "order.closed", "order", "x", 4, event.OrderClosed{}),
		w.event("nowhere", "payment.captured", "payment", "x", 4, event.PaymentCaptured{})})
	w.now = w.now.Add(11 * time.Minute)
	w.m.Sweep()
	if n := w.m.Followed(); n != 0 {
		t.Errorf("%d sagas are remembered", n)
	}
}
