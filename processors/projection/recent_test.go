package projection_test

import (
	"testing"
	"time"

	"github.com/weirstream/weir/services/event"
)

func TestWhatIsRecentAndInFlight(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	if f, err := s.InFlight(ctx, noon, 10); err != nil || f.Sagas != 0 || !f.Oldest.IsZero() {
		t.Errorf("an empty read model has %+v in flight (%v)", f, err)
	}
	w := k.writer("order", 0)
	w.emit("c1", placed("o1", "ada"), event.OrderConfirmed{Order: "o1"}, event.OrderClosed{Order: "o1"})
	w.emit("c2", placed("o2", "ada"), event.HoldRequested{SKU: "A", Order: "o2", Quantity: 1})
	w.emit("c3", placed("o3", "ada"), event.OrderCancelled{Order: "o3"})
	w.emit("other", event.OrderDelayed{Order: "o2"})
	readAll(t, s, k.config(), w.last)

	p, err := s.Passages(ctx, noon, 2)
	if err != nil || len(p) != 2 || p[0].State != "cancelled" || p[0].Cancelled.IsZero() || p[1].State != "placed" {
		t.Errorf("the two newest are %+v (%v)", p, err)
	}
	if p, _ = s.Passages(ctx, time.Time{}, 10); len(p) != 3 || !p[2].Closed || p[2].Confirmed.Sub(p[2].Placed) != time.Millisecond {
		t.Errorf("all are %+v", p)
	}
	if f, err := s.InFlight(ctx, noon.Add(2*time.Hour), 10); err != nil || f.Sagas != 2 || f.Late != 2 || f.Oldest != noon.Add(4*time.Millisecond) {
		t.Errorf("in flight is %+v (%v)", f, err)
	}
	if f, _ := s.InFlight(ctx, noon, 1); f.Sagas != 1 || f.Late != 0 {
		t.Errorf("of one that is looked at, %+v is in flight", f)
	}
	if late, err := s.Late(ctx, noon.Add(2*time.Hour), 10); err != nil || len(late) != 2 || late[0].Correlation != "c2" {
		t.Errorf("late are %+v (%v)", late, err)
	}
	if late, _ := s.Late(ctx, noon, 10); len(late) != 0 {
		t.Errorf("in time, %+v are late", late)
	}
	first, err := s.FirstEvents(ctx, "c2", "o2", 10)
	if err != nil || len(first) != 3 || first[2].Type != "order.delayed" {
		t.Errorf("of correlation and order there are %+v (%v)", first, err)
	}
	if first, _ = s.FirstEvents(ctx, "c2", "", 1); len(first) != 1 || first[0].Type != "order.placed" {
		t.Errorf("the first is %+v", first)
	}
}
