package console

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

func topology(t testing.TB) *streams.Topology {
	t.Helper()
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func overlap(ax, ay, aw, ah, bx, by, bw, bh float64) bool {
	return ax < bx+bw && bx < ax+aw && ay < by+bh && by < ay+ah
}

func checkDrawing(t *testing.T, d drawing, flows []streams.Flow) {
	t.Helper()
	names := map[string]bool{}
	for i, a := range d.Boxes {
		names[a.Name] = true
		if a.X < 0 || a.Y < 0 || a.X+a.W > d.W || a.Y+a.H > d.H {
			t.Errorf("%s lies outside of the picture: %+v of %v × %v", a.Name, a, d.W, d.H)
		}
		for _, b := range d.Boxes[:i] {
			if overlap(a.X, a.Y, a.W, a.H, b.X, b.Y, b.W, b.H) {
				t.Errorf("%s lies on %s", a.Name, b.Name)
			}
		}
	}
	if len(d.Routes) != len(flows) {
		t.Fatalf("%d routes for %d flows", len(d.Routes), len(flows))
	}
	for i, r := range d.Routes {
		if !names[flows[i].From] || !names[flows[i].To] || !strings.HasPrefix(r.Path, "M") || strings.Contains(r.Path, "NaN") {
			t.Errorf("%s → %s is drawn as %q", r.From, r.To, r.Path)
		}
	}
}

func TestTheStreamHasNoOverlap(t *testing.T) {
	top := topology(t)
	inside := func(n string) bool { _, _, ok := top.Decider(n); return ok }
	d := draw(top.Flows(), inside)
	checkDrawing(t, d, top.Flows())
	at := map[string]box{}
	for _, b := range d.Boxes {
		at[b.Name] = b
	}
	if !(at["clients"].X < at["order"].X && at["order"].X < at["payment"].X && at["payment"].X < at["provider"].X && at["external"].X < at["shelf"].X) {
		t.Errorf("who is told does not stand right of who tells: %+v", d.Boxes)
	}
	if !at["carrier"].Outside || at["claim"].Outside {
		t.Error("the outside is not told from the deciders")
	}
}

func TestAnyFlowsAreDrawn(t *testing.T) {
	checkDrawing(t, draw(nil, func(string) bool { return true }), nil)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 2 + r.IntN(8)
		var flows []streams.Flow
		for a := range n {
			for b := range n {
				if r.IntN(4) == 0 { // circles, islands and flows to oneself among them
					flows = append(flows, streams.Flow{From: fmt.Sprint("d", a), To: fmt.Sprint("d", b), Events: []string{"e"}})
				}
			}
		}
		checkDrawing(t, draw(flows, func(string) bool { return true }), flows)
	}
}

// entries are the events of a saga, so many milliseconds after its begin.
func entries(t testing.TB, top *streams.Topology, at map[int][]streams.Event) (out []projection.Entry) {
	t.Helper()
	for _, ms := range slices.Sorted(func(yield func(int) bool) {
		for ms := range at {
			if !yield(ms) {
				return
			}
		}
	}) {
		for _, e := range at[ms] {
			f, _ := top.Vocabulary.FactOf(e)
			topic, _ := top.Topic(f.Name)
			service, _, _ := top.Decider(topic.Writer)
			data, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, projection.Entry{ID: fmt.Sprint("e", len(out)), Type: f.Name, Source: "/" + service.Name + "/" + topic.Writer, Key: e.Key().String(),
				Correlation: "c1", Time: noon.Add(time.Duration(ms) * time.Millisecond), Data: data})
		}
	}
	return out
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func declined(t testing.TB, top *streams.Topology) []projection.Entry {
	out := entries(t, top, map[int][]streams.Event{
		0:    {event.OrderPlaced{Order: "o1"}},
		4:    {event.HoldRequested{SKU: "A", Order: "o1"}, event.HoldRequested{SKU: "B", Order: "o1"}},
		9:    {event.StockHeld{Order: "o1", SKU: "A"}, event.StockHeld{Order: "o1", SKU: "B"}},
		12:   {event.StockReserved{Order: "o1"}},
		1800: {event.PaymentDeclined{Order: "o1", Reason: "card_declined"}},
		1804: {event.OrderCancelled{Order: "o1", Reason: "payment declined: card_declined"}},
		1810: {event.HoldReleased{SKU: "A", Order: "o1"}, event.HoldReleased{SKU: "B", Order: "o1"}},
	})
	cause := map[string]string{} // the order's word, and who follows it
	for i := range out {
		e := &out[i]
		cause[e.Type] = e.ID
		switch e.Type {
		case "order.cancelled":
			e.Causation = cause["payment.declined"]
		case "hold.released":
			e.Causation = cause["order.cancelled"]
		case "payment.declined":
			e.Causation = "answer-of-the-provider"
		}
	}
	return out
}

func TestTimelineTellsWaitsAndCompensations(t *testing.T) {
	top := topology(t)
	s := shapeOf(top, shop.Business.Sagas)
	hops := s.hops(declined(t, top))
	left := []step{{By: "claim", What: "has to release the stock", Now: true}, {By: "message", What: "has to tell the customer", Now: true, Since: noon.Add(1804 * time.Millisecond)}}
	call := telemetry.Span{Kind: "client", Start: noon.Add(20 * time.Millisecond), End: noon.Add(30 * time.Millisecond), Error: "EOF", Attributes: map[string]string{"service.name": "payment", "peer.service": "provider"}}
	again := call
	again.Start, again.End = noon.Add(time.Second), noon.Add(1790*time.Millisecond)
	line := s.drawTimeline(hops, []telemetry.Span{call, again}, left, true, noon.Add(time.Minute), noon.Add(2*time.Second))
	classes := map[string]string{}
	for _, h := range hops {
		classes[h.Type] = h.Class
	}
	for typ, want := range map[string]string{"order.placed": plainHop, "payment.declined": badHop, "order.cancelled": undoHop, "hold.released": undoHop, "hold.requested": plainHop} {
		if classes[typ] != want {
			t.Errorf("%s is %q, want %q", typ, classes[typ], want)
		}
	}
	rows := map[string]timelineRow{}
	for _, r := range line.Rows {
		rows[r.Name] = r
	}
	if p := rows["payment"]; len(p.Waits) != 1 || p.Waits[0].Label != "provider, 2 tries, 1.8 s" || p.Waits[0].W < 100 {
		t.Errorf("the wait for the provider is drawn as %+v", p.Waits)
	}
	if c := rows["inventory · claim"]; c.Marks[0].Label != "hold.requested ×2" || c.Marks[len(c.Marks)-1].Class != "todo" {
		t.Errorf("the claim's marks are %+v", c.Marks)
	}
	if r := rows["shipping · shipment"]; !r.Empty {
		t.Errorf("shipping was not reached: %+v", r)
	}
	if m := rows["notification · message"]; len(m.Waits) != 1 || m.Waits[0].Label != "mailbox, 196 ms so far" {
		t.Errorf("the wait for the mailbox is %+v", m.Waits)
	}
	open := s.drawTimeline(hops[:6], []telemetry.Span{call, again}, []step{{By: "payment", Now: true, Since: noon.Add(12 * time.Millisecond)}}, true, noon.Add(time.Minute), noon.Add(2*time.Second))
	if w := open.Rows[3].Waits; len(w) != 1 || w[0].Label != "provider, 2 tries, 2.0 s so far" {
		t.Errorf("the open wait is %+v", w)
	}
	blind := s.drawTimeline(hops, nil, left, true, noon.Add(time.Minute), noon.Add(2*time.Second))
	if w := blind.Rows[3].Waits; blind.Rows[3].Name != "payment" || len(w) != 1 || w[0].Label != "provider ≤ 1.8 s" {
		t.Errorf("without a trace the wait is %+v", blind.Rows[3])
	}
	checkTexts(t, blind)
	if line.Due == "" || line.NowX <= nameWidth || line.NowX >= line.DueX {
		t.Errorf("now and the deadline are at %v and %v (%s)", line.NowX, line.DueX, line.Due)
	}
	if n := len(line.Ticks); line.Ticks[0].Label != "0" || line.Ticks[n-1].Label != "2.0 s" || line.Ticks[n-2].Label != "+ 14 ms" {
		t.Errorf("the ticks are %v", line.Ticks)
	}
	checkTexts(t, line)
}

// checkTexts finds texts that lie on each other, or outside of the picture.
func checkTexts(t *testing.T, line timeline) {
	t.Helper()
	type text struct {
		label   string
		x, y, w float64
	}
	var texts []text
	for _, r := range line.Rows {
		for _, m := range r.Marks {
			texts = append(texts, text{m.Label, m.X, m.LabelY, m.LabelX - m.X + width(m.Label)})
		}
		for _, w := range r.Waits {
			texts = append(texts, text{w.Label, w.LabelX, w.LabelY, width(w.Label)})
		}
	}
	for i, a := range texts {
		if a.x < nameWidth || a.x+a.w > line.W || a.y > line.H {
			t.Errorf("%q lies outside of the picture: %+v", a.label, a)
		}
		for _, b := range texts[:i] {
			if overlap(a.x, a.y, a.w, markSize, b.x, b.y, b.w, markSize) {
				t.Errorf("%q lies on %q", a.label, b.label)
			}
		}
	}
}

func TestAnyTimelineIsReadable(t *testing.T) {
	top := topology(t)
	s := shapeOf(top, shop.Business.Sagas)
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		at := map[int][]streams.Event{}
		for range 1 + r.IntN(60) {
			ms := r.IntN(1 + r.IntN(100000))
			at[ms] = append(at[ms], reflect.Zero(event.Facts[r.IntN(len(event.Facts))].Type).Interface().(streams.Event))
		}
		for ms, events := range at { // what is not published, or comes from outside, has no decider's topic
			at[ms] = slices.DeleteFunc(events, func(e streams.Event) bool {
				f, _ := top.Vocabulary.FactOf(e)
				topic, ok := top.Topic(f.Name)
				return !ok || topic.Writer == streams.ExternalWriter
			})
		}
		checkTexts(t, s.drawTimeline(s.hops(entries(t, top, at)), nil, nil, seed%2 == 0, noon.Add(time.Hour), noon.Add(100*time.Second)))
	}
	if line := s.drawTimeline(nil, nil, nil, true, noon, noon); len(line.Rows) != 0 {
		t.Error("a saga without events has rows")
	}
}

// A long name has its room, and nothing lies on it.
func TestLongNamesHaveRoom(t *testing.T) {
	s := shapeOf(topology(t), nil)
	by := lineage{"subscriptions-of-all", "subscription-renewals"}
	line := s.drawTimeline([]hop{{Entry: projection.Entry{Type: "e", Time: noon}, By: by, N: 1}}, nil, nil, false, noon, noon)
	if m := line.Rows[len(line.Rows)-1].Marks[0]; m.X < nameWide(by.Name()) || line.Left > m.X {
		t.Errorf("the first mark is at %v, the name ends at %v", m.X, nameWide(by.Name()))
	}
	c := &Console{Config: Config{Topology: topology(t)}}
	for w, want := range map[float64]bool{boxWidth: false, 60: true} {
		if v := c.deciderView(box{Name: "shelf", W: w}, nil, reading{}, reading{}); v.Narrow != want || v.Service != "inventory" {
			t.Errorf("a box of %v is %+v", w, v)
		}
	}
}

func TestWaterfall(t *testing.T) {
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	spans := []telemetry.Span{ // in the order of their ends
		{ID: "b", Parent: "a", Name: "claim order.placed", Start: at(5), End: at(8), Attributes: map[string]string{"service.name": "inventory"}},
		{ID: "d", Parent: "c", Name: "authorise", Kind: "client", Start: at(99), End: at(100), Attributes: map[string]string{"peer.service": "provider", "server.address": "10.0.0.1", "empty": ""}, Error: "no route to ada@example.org " + strings.Repeat("x", 300)},
		{ID: "a", Parent: "elsewhere", Name: "POST /v1/orders", Start: at(0), End: at(4)},
		{ID: "c", Parent: "a", Name: "payment order.placed", Start: at(3), End: at(9), Attributes: map[string]string{"weir.rejected": "no-money"}, Events: []telemetry.SpanEvent{{Name: "tried", At: at(5)}}},
		{ID: "x", Parent: "y", Name: "lost", Start: at(50), End: at(50)},
	}
	w := drawTrace("t", spans, 9)
	var order []string
	for _, r := range w.Rows {
		order = append(order, fmt.Sprint(r.ID, r.Depth))
		if r.X < 0 || r.W < 1 || r.X+r.W > barWidth {
			t.Errorf("span %s lies outside of the picture: %+v", r.ID, r)
		}
	}
	if fmt.Sprint(order) != "[a0 c1 d2 b1 x0]" || w.Failed != 1 || w.Took != "100 ms" || fmt.Sprint(w.Ticks) != "[0 25 ms 50 ms 75 ms 100 ms]" {
		t.Errorf("the spans are %v, %d failed", order, w.Failed)
	}
	if r := w.Rows[2]; r.Class != badHop || strings.Contains(r.Why, "ada@") || !strings.HasPrefix(r.Why, "no route to") || fmt.Sprint(r.Attributes) != "[{peer.service provider} {server.address 10.0.0.1}]" {
		t.Errorf("the failed span is %+v", r)
	}
	if r := w.Rows[1]; r.Why != "refused: no-money" || r.Class == badHop || r.X != 30 || r.W != 60 || r.Events[0].After != "5.0 ms" {
		t.Errorf("the refusal is %+v", r)
	}
	if w := drawTrace("t", spans, 2); len(w.Rows) != 2 || w.Hidden != 3 || w.Spans != 5 || w.Failed != 1 {
		t.Errorf("in short it is %+v", w)
	}
	circle := []telemetry.Span{{ID: "a", Parent: "b", Start: noon, End: noon}, {ID: "b", Parent: "a", Start: noon, End: noon}}
	drawTrace("t", circle, 9) // must end
	if !drawTrace("t", nil, 9).Missing {
		t.Error("a trace without spans is not missing")
	}
}
