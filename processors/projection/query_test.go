package projection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
)

func TestPagesAreStable(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	const n = 2*projection.PageSize + 7
	for i := range n {
		w.emit("c", placed(fmt.Sprintf("o%03d", i), []string{"ada", "bob"}[i%2]))
	}
	w.emit("c", event.OrderCancelled{Order: "o000", Reason: "regret"})
	stop := start(t, s, k.config())
	await(t, s, w.last.String())
	seen := map[string]bool{}
	last, page := "o999", ""
	for {
		p, err := s.Orders(ctx, "", "", page)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range p.Items {
			if seen[o.ID] || o.ID >= last {
				t.Fatalf("%s comes after %s", o.ID, last)
			}
			seen[o.ID], last = true, o.ID
		}
		if page = p.Next; page == "" {
			break
		}
		w.emit("c", placed(fmt.Sprint("p", len(seen)), "ada")) // newer than any page
		await(t, s, w.last.String())
	}
	if len(seen) != n {
		t.Errorf("%d orders in all pages, want %d", len(seen), n)
	}
	bobs, err := s.Orders(ctx, "bob", "placed", "")
	if err != nil || len(bobs.Items) != projection.PageSize || bobs.Items[0].Customer != "bob" {
		t.Errorf("bob's orders: %d (%v)", len(bobs.Items), err)
	}
	if c, err := s.Orders(ctx, "", "cancelled", ""); err != nil || len(c.Items) != 1 || c.Items[0].Reason != "regret" {
		t.Errorf("cancelled orders are %+v (%v)", c, err)
	}
	if _, err := s.Orders(ctx, "", "", "no-page"); !errors.Is(err, projection.ErrPage) {
		t.Errorf("a damaged page token gives %v", err)
	}
	stats := s.Stats(time.Now().Add(time.Second))
	i := slices.IndexFunc(stats, func(x projection.TopicStats) bool { return x.Topic == "order.order" })
	if i < 0 || stats[i].Records < n || stats[i].PerSecond <= 0 || stats[i].Lag != 0 {
		t.Errorf("stats are %+v", stats)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAwait(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	rec := w.record("c1", placed("o1", "ada"))
	start(t, s, k.config())
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := s.Await(short, w.last.String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before the event: %v", err)
	}
	go func() {
		time.Sleep(20 * time.Millisecond)
		k.produce(rec)
	}()
	await(t, s, w.last.String())
	if _, err := s.Order(ctx, "o1"); err != nil {
		t.Errorf("after Await: %v", err)
	}
	for _, bad := range []string{"", "order.order", "order.order:order/0/i1", "order.order:order/0/i1:x", "order.order:order/0/i1:0", "::1", ":a:1"} {
		if err := s.Await(ctx, bad); !errors.Is(err, projection.ErrToken) {
			t.Errorf("token %q gives %v", bad, err)
		}
	}
}

func TestPrune(t *testing.T) {
	k, s := newKafka(t), fresh(t)
	w := k.writer("order", 0)
	w.emit("done", placed("o1", "ada"), event.OrderClosed{Order: "o1"})
	done := w.last
	w.emit("open", placed("o2", "ada"))
	between := w.at.Add(time.Microsecond)
	w.emit("new", placed("o3", "ada"))
	stop := start(t, s, k.config())
	await(t, s, w.last.String())
	if err := s.Prune(ctx, between); err != nil {
		t.Fatal(err)
	}
	await(t, s, done.String()) // a token of old stays good
	w.emit("new", event.OrderConfirmed{Order: "o3"})
	await(t, s, w.last.String()) // and sequences go on
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"o1": 0, "o2": 0, "o3": 2} {
		if h, err := s.History(ctx, id); err != nil || len(h) != want {
			t.Errorf("%s has %d events, want %d (%v)", id, len(h), want, err)
		}
		if _, err := s.Order(ctx, id); err != nil {
			t.Errorf("an order was pruned: %v", err)
		}
	}
	if _, err := s.Saga(ctx, "done"); !errors.Is(err, projection.ErrNotFound) {
		t.Errorf("an ended saga stays: %v", err)
	}
	if x, err := s.Saga(ctx, "open"); err != nil || x[0].Events != 1 {
		t.Errorf("a running saga went: %+v, %v", x, err)
	}
}
