package shop_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/shop"
)

// Clients read these members of an order: one that is just placed, and one to which all
// has happened.
func TestMembersOfAnOrder(t *testing.T) {
	v, ok := shop.Business.View("orders")
	if !ok {
		t.Fatal("there is no view of orders")
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	members := func(values map[string]any, state string) []string {
		t.Helper()
		var out map[string]any
		d := projection.Document{Key: "o1", Begun: at, Correlation: "c1", State: state, Values: projection.Values(v,
			func(string) any { return nil })}
		maps.Copy(d.Values, values)
		if err := json.Unmarshal(projection.JSON(v, d), &out); err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(out))
	}
	values := map[string]any{"customer": "", "country": "", "correlation": "c1", "lines": int64(1),
		"total": projection.Money{Minor: 5, Currency: "GBP"}, "placed_at": at}
	placed := []string{"closed", "correlation", "country", "customer", "lines", "order", "placed_at", "state", "total"}
	if got := members(values, "placed"); !reflect.DeepEqual(got, placed) {
		t.Errorf("one that is placed has %v, want %v", got, placed)
	}
	for _, text := range []string{"customer", "country", "outcome", "reason", "carrier", "tracking"} {
		values[text] = "x"
	}
	for _, time := range []string{"delayed_at", "confirmed_at", "released_at", "shipped_at", "cancelled_at",
		"closed_at"} {
		values[time] = at
	}
	all := []string{"cancelled_at", "carrier", "closed", "closed_at", "confirmed_at", "correlation", "country", "customer",
		"delayed_at", "lines", "order", "outcome", "placed_at",
		"reason", "released_at", "shipped_at", "state", "total", "tracking"}
	if got := members(values, "cancelled"); !reflect.DeepEqual(got, all) {
		t.Errorf("one to which all has happened has %v, want %v", got, all)
	}
}
