package sagas_test

import (
	"strings"
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/notification"
	"github.com/weirstream/weir/services/sagas"
	"github.com/weirstream/weir/streams"
)

func TestEverySagaIsPerformedByTheServices(t *testing.T) {
	topology, err := sagas.Topology()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sagas.All() {
		if err := s.Check(topology); err != nil {
			t.Error(err)
		}
	}
}

// A reaction that the saga does not tell is a step that nobody watches.
func TestPlaceOrderTellsEveryReaction(t *testing.T) {
	topology, err := sagas.Topology()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{"shelf stock.received": true} // a delivery is no part of an order
	for _, st := range sagas.PlaceOrder.Steps(topology) {
		told[st.By+" "+st.On+st.After] = true
	}
	for _, s := range topology.Services {
		for _, d := range s.Deciders {
			for _, r := range topology.Reactions(d) {
				if r.Kind != streams.OutcomeInput && !told[d.Name+" "+r.Input] {
					t.Errorf("%s reacts to %s, which place-order does not tell", d.Name, r.Input)
				}
			}
		}
	}
}

func TestCheckMissesAServiceThatIsLeftOut(t *testing.T) {
	v, err := event.Vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	var without []streams.Service
	for _, s := range sagas.Services() {
		if s.Name != notification.Service.Name {
			without = append(without, s)
		}
	}
	if _, err := streams.NewTopology(v, without); err == nil || !strings.Contains(err.Error(), "mail.sent, which nobody produces") {
		t.Errorf("a topology without notification gave %v", err)
	}
	// Check itself, against what is left of the topology.
	whole, err := sagas.Topology()
	if err != nil {
		t.Fatal(err)
	}
	whole.Services = without
	if err := sagas.PlaceOrder.Check(whole); err == nil || !strings.Contains(err.Error(), "may have once mail.sent, which no step") {
		t.Errorf("Check without notification gave %v", err)
	}
}

func TestCheckFindsAnEventThatNoStepEmits(t *testing.T) {
	topology, err := sagas.Topology()
	if err != nil {
		t.Fatal(err)
	}
	s := sagas.PlaceOrder
	s.Ends = []streams.Event{event.StockAdded{}}
	if err := s.Check(topology); err == nil || !strings.Contains(err.Error(), "ends with stock.added, which no step") {
		t.Errorf("a saga that never ends gave %v", err)
	}
}
