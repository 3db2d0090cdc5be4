package inventory_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/inventory"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

const id event.OrderID = "o-1"

type events = []streams.Event

func claim(t *testing.T, history ...streams.Event) *streamtest.Case {
	t.Helper()
	return streamtest.Given(t, inventory.Service.Deciders[0], history...)
}

func shelf(t *testing.T, history ...streams.Event) *streamtest.Case {
	t.Helper()
	return streamtest.Given(t, inventory.Service.Deciders[1], history...)
}

func ask(sku event.SKU, n int64) event.HoldRequested {
	return event.HoldRequested{SKU: sku, Order: id, Quantity: n}
}

func held(sku event.SKU, n int64) event.StockHeld {
	return event.StockHeld{Order: id, SKU: sku, Quantity: n}
}

func back(sku event.SKU) event.HoldReleased       { return event.HoldReleased{SKU: sku, Order: id} }
func claimed(sku event.SKU) inventory.LineClaimed { return inventory.LineClaimed{Order: id, SKU: sku} }

func line(sku event.SKU, n int64) event.Line { return event.Line{SKU: sku, Quantity: n} }

var (
	reserved  = event.StockReserved{Order: id}
	released  = event.StockReleased{Order: id}
	gone      = event.StockShipped{Order: id}
	rejected  = event.StockRejected{Order: id, SKU: "jug"}
	cancelled = event.OrderCancelled{Order: id, Reason: "why not"}
	sent      = event.ShipmentDispatched{Order: id, Carrier: "post", Tracking: "T1"}
)

func TestClaimSumsLinesOfOneSKU(t *testing.T) {
	o := event.OrderPlaced{Order: id, Lines: []event.Line{line("mug", 2), line("jug", 1), line("mug", 3)}}
	claim(t).When(o).Then(ask("mug", 5), ask("jug", 1))
	claim(t, ask("mug", 5), ask("jug", 1)).When(o).Then()
	claim(t, released).When(o).Then()
}

func TestClaimIsAllOrNone(t *testing.T) {
	asked := events{ask("mug", 5), ask("jug", 1)}
	claim(t, asked...).When(held("mug", 5)).Then(claimed("mug"))
	claim(t, append(asked, claimed("mug"))...).When(held("mug", 5)).Then()
	claim(t, append(asked, claimed("mug"))...).When(held("jug", 1)).Then(claimed("jug"), reserved)
	claim(t, append(asked, claimed("jug"))...).When(held("mug", 5)).Then(claimed("mug"), reserved)
	claim(t, asked...).When(held("cup", 1)).Then()

	t.Run("short gives everything back once", func(t *testing.T) {
		claim(t, append(asked, claimed("mug"))...).When(event.StockShort{Order: id, SKU: "jug"}).Then(rejected, back("mug"), back("jug"))
		short := append(asked, rejected, back("mug"), back("jug"))
		claim(t, short...).When(event.StockShort{Order: id, SKU: "mug"}).Then()
		claim(t, short...).When(held("mug", 5)).Then()
		claim(t, short...).When(cancelled).Then(released)
		claim(t, append(short, released)...).When(cancelled).Then()
	})
}

func TestClaimOf675Lines(t *testing.T) {
	o := event.OrderPlaced{Order: id}
	var asked, claims, backs events
	for i := range 675 {
		sku := event.SKU(fmt.Sprintf("sku-%03d", i))
		o.Lines = append(o.Lines, line(sku, int64(i+1)))
		asked, claims, backs = append(asked, ask(sku, int64(i+1))), append(claims, claimed(sku)), append(backs, back(sku))
	}
	claim(t).When(o).Then(asked...)
	nearly := append(asked[:675:675], claims[:674]...)
	claim(t, nearly...).When(held("sku-674", 675)).Then(claims[674], reserved)
	claim(t, nearly...).When(event.StockShort{Order: id, SKU: "sku-674"}).
		Then(append(events{event.StockRejected{Order: id, SKU: "sku-674"}}, backs...)...)
}

func TestClaimOfACancelledOrder(t *testing.T) {
	for name, history := range map[string]events{
		"nothing held": {ask("mug", 5), ask("jug", 1)},
		"some held":    {ask("mug", 5), ask("jug", 1), claimed("mug")},
		"all held":     {ask("mug", 5), ask("jug", 1), claimed("mug"), claimed("jug"), reserved},
	} {
		t.Run(name, func(t *testing.T) {
			claim(t, history...).When(cancelled).Then(back("mug"), back("jug"), released)
			after := append(history, back("mug"), back("jug"), released)
			claim(t, after...).When(cancelled).Then()
			claim(t, after...).When(held("jug", 1)).Then()
			claim(t, after...).When(event.StockShort{Order: id, SKU: "jug"}).Then()
		})
	}
	claim(t).When(cancelled).Then(released)
}

func TestClaimShips(t *testing.T) {
	all := events{ask("mug", 5), claimed("mug"), reserved}
	claim(t, all...).When(sent).Then(event.HoldShipped{SKU: "mug", Order: id, Quantity: 5}, gone)
	claim(t, append(all, gone)...).When(sent).Then()
	t.Run("what contradicts the claim stops loudly", func(t *testing.T) {
		claim(t, all[:1]...).When(sent).Fails()
		claim(t, append(all, back("mug"), released)...).When(sent).Fails()
		claim(t, append(all, gone)...).When(cancelled).Fails()
	})
}

func TestShelfReceives(t *testing.T) {
	shelf(t).When(event.StockReceived{SKU: "mug", Quantity: 7}).Then(event.StockAdded{SKU: "mug", Quantity: 7})
	shelf(t).When(event.StockReceived{SKU: "mug", Quantity: 0}).Rejected("invalid-quantity")
	shelf(t).When(event.StockReceived{SKU: "mug", Quantity: -3}).Rejected("invalid-quantity")
	shelf(t, event.StockAdded{SKU: "mug", Quantity: 7}).When(event.StockReceived{SKU: "mug", Quantity: math.MaxInt64}).Rejected("invalid-quantity")
}

func TestShelfNeverSellsTwice(t *testing.T) {
	added := event.StockAdded{SKU: "mug", Quantity: 7}
	other := event.StockHeld{Order: "o-2", SKU: "mug", Quantity: 4}
	short := event.StockShort{Order: id, SKU: "mug", Quantity: 4, Available: 3}
	shelf(t, added).When(ask("mug", 7)).Then(held("mug", 7))
	shelf(t, added, other).When(ask("mug", 3)).Then(held("mug", 3))
	shelf(t, added, other).When(ask("mug", 4)).Then(short)
	shelf(t, added, held("mug", 7)).When(ask("mug", 7)).Then()
	shelf(t, added).When(ask("mug", 0)).Then(event.StockShort{Order: id, SKU: "mug", Available: 7})

	t.Run("freed units can be held again, drawn ones cannot", func(t *testing.T) {
		freed := event.StockFreed{SKU: "mug", Order: "o-2", Quantity: 4}
		drawn := event.StockDrawn{SKU: "mug", Order: "o-2", Quantity: 4}
		release := event.HoldReleased{SKU: "mug", Order: "o-2"}
		shipped := event.HoldShipped{SKU: "mug", Order: "o-2", Quantity: 4}
		shelf(t, added, other).When(release).Then(freed)
		shelf(t, added, other, freed).When(release).Then()
		shelf(t, added, other, freed).When(ask("mug", 7)).Then(held("mug", 7))
		shelf(t, added, other).When(shipped).Then(drawn)
		shelf(t, added, other, drawn).When(shipped).Then()
		shelf(t, added, other, drawn).When(release).Then()
		shelf(t, added, other, drawn).When(ask("mug", 4)).Then(short)
	})
	t.Run("a release of what was short frees nothing", func(t *testing.T) {
		shelf(t, added, other, short).When(back("mug")).Then()
	})
}

func TestUntrackedIsMadeToOrder(t *testing.T) {
	made := held("mug", 9)
	made.MadeToOrder = true
	shelf(t).When(ask("mug", 9)).Then(made)
	t.Run("and never counts against what arrives later", func(t *testing.T) {
		added := event.StockAdded{SKU: "mug", Quantity: 2}
		two := event.HoldRequested{SKU: "mug", Order: "o-2", Quantity: 2}
		two2 := event.StockHeld{Order: "o-2", SKU: "mug", Quantity: 2}
		shelf(t, made, added).When(two).Then(two2)
		shelf(t, made, added, event.StockDrawn{SKU: "mug", Order: id, Quantity: 9}).When(two).Then(two2)
		shelf(t, made, added, event.StockFreed{SKU: "mug", Order: id, Quantity: 9}).When(two).Then(two2)
		shelf(t, made, added).When(event.HoldRequested{SKU: "mug", Order: "o-2", Quantity: 3}).
			Then(event.StockShort{Order: "o-2", SKU: "mug", Quantity: 3, Available: 2})
	})
}
