package shop_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/notification"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

func TestEverySagaIsPerformedByTheServices(t *testing.T) {
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shop.Business.Sagas {
		if err := s.Check(topology); err != nil {
			t.Error(err)
		}
	}
}

// A reaction that the saga does not tell is a step that nobody watches.
func TestPlaceOrderTellsEveryReaction(t *testing.T) {
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{"shelf stock.received": true} // a delivery is no part of an order
	takesPart := map[string]bool{}
	for _, st := range shop.PlaceOrder.Steps(topology) {
		told[st.By+" "+st.On+st.After], takesPart[st.By] = true, true
	}
	for _, part := range []string{"order", "claim", "shelf", "payment", "shipment", "message"} {
		if !takesPart[part] {
			t.Errorf("%s takes no part", part)
		}
	}
	for _, s := range topology.Services {
		for _, d := range s.Deciders {
			for _, r := range topology.Reactions(d) {
				if r.Kind != streams.OutcomeInput && takesPart[d.Name] && !told[d.Name+" "+r.Input] {
					t.Errorf("%s reacts to %s, which place-order does not tell", d.Name, r.Input)
				}
			}
		}
	}
}

func TestCheckMissesAServiceThatIsLeftOut(t *testing.T) {
	without := *shop.Business
	without.Services = slices.DeleteFunc(slices.Clone(without.Services), func(s business.Service) bool { return s.Name == notification.Service.Name })
	if _, err := without.Topology(); err == nil || !strings.Contains(err.Error(), "mail.sent, which nobody produces") {
		t.Errorf("a topology without notification gave %v", err)
	}
	// Check itself, against what is left of the topology.
	whole, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	whole.Services = slices.DeleteFunc(slices.Clone(whole.Services), func(s streams.Service) bool { return s.Name == notification.Service.Name })
	if err := shop.PlaceOrder.Check(whole); err == nil || !strings.Contains(err.Error(), "may have once mail.sent, which no step") {
		t.Errorf("Check without notification gave %v", err)
	}
}

func TestCheckFindsAnEventThatNoStepEmits(t *testing.T) {
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	s := shop.PlaceOrder
	s.Ends = []streams.Event{event.StockAdded{}}
	if err := s.Check(topology); err == nil || !strings.Contains(err.Error(), "ends with stock.added, which no step") {
		t.Errorf("a saga that never ends gave %v", err)
	}
}
