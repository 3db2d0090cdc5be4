package console_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// What stands still is listed with what it waits for, and what goes on is not.
func TestStuckSagasSayWhy(t *testing.T) {
	h := newHouse(t)
	h.background(h.page.Run)
	reserved := func(order string) []streams.Event {
		id := event.OrderID(order)
		return []streams.Event{placed(order, "ada"), event.HoldRequested{SKU: "A", Order: id, Quantity: 1}, event.StockHeld{Order: id, SKU: "A"}, event.StockReserved{Order: id}}
	}
	h.at = time.Now().Add(-20 * time.Minute)
	h.emit("c-late", under(traceA), reserved("o-late")...)
	h.at = time.Now().Add(-30 * time.Second)
	h.emit("c-silent", "", placed("o-silent", "bob"), event.HoldRequested{SKU: "B", Order: "o-silent", Quantity: 1})
	h.emit("c-parked", "", reserved("o-parked")...)
	h.at = time.Now()
	h.emit("c-new", "", placed("o-new", "ada"))

	_, asked := h.tel.OnEffect(streams.Attempt{Service: "payment", Effect: "authorise", Endpoint: "provider", Origin: streams.Origin{Traceparent: under(traceA)}})
	asked(errors.New("no route"))
	h.export()
	h.tel.OnBreaker("payment", "provider", "open")
	h.tel.OnLane(streams.LaneEvent{Service: "inventory", What: streams.LaneMeasured, Lag: map[string]int64{"claim.sku": 12}, LagAge: 20 * time.Second})
	h.letters = []console.Letter{{Service: "payment", Decider: "payment", Key: "o-x", Kind: "event", Name: "stock.reserved", Reason: "no such currency", At: time.Now().Add(-time.Minute)},
		{Service: "payment", Decider: "payment", Key: "o-x", Kind: "event", Name: "order.cancelled", Correlation: "c-parked", At: time.Now()}}
	time.Sleep(4500 * time.Millisecond) // until it is sampled

	body := h.get("/sagas?state=stuck", 200, "provider has not answered payment", "the circuit breaker is open", "order.cancelled waits behind a parked input of payment o-x", "no such currency", "/dead-letters#k-payment-payment-",
		"inventory has not read 12 records of claim.sku")
	for order, want := range map[string]bool{"o-late": true, "o-silent": true, "o-parked": true, "o-new": false} {
		if strings.Contains(body, "<code>"+order+"<") != want {
			t.Errorf("%s is listed: %v", order, !want)
		}
	}
	if n := strings.Count(body, "asked once"); n != 1 {
		t.Errorf("%d sagas have a call in their trace", n)
	}
	h.get("/sagas/c-late", 200, "provider has not answered payment", "asked once", "must end by")
	if body := h.get("/sagas/c-parked", 200, "waits behind a parked input"); strings.Contains(body, "has not answered") {
		t.Error("who has not decided waits for an answer")
	}
	h.get("/", 200, "1 saga beyond the declared time", "/sagas?state=stuck")

	partition := streams.Partition("B", partitions) // where its stock is asked for
	h.why = []string{"lane order/0 is halted: a hole", "lane inventory/" + string('0'+rune(partition)) + " is halted: the log was cut"}
	h.get("/sagas/c-silent", 200, "lane inventory/"+string('0'+rune(partition))+" is halted", "the log was cut")
	if body := h.get("/sagas/c-silent", 200); strings.Contains(body, "lane order/0 is halted") {
		t.Error("a lane that has nothing to do with the saga is blamed for it")
	}
}
