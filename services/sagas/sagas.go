// Package sagas declares the choreographies of the business. Nobody executes
// them: services react to events, and a saga says what must come of that, to be
// checked against the services, drawn, watched and measured.
package sagas

import (
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/inventory"
	"github.com/weirstream/weir/services/notification"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/payment"
	"github.com/weirstream/weir/services/shipping"
	"github.com/weirstream/weir/streams"
)

// All lists every saga of the business.
func All() []streams.Saga { return []streams.Saga{PlaceOrder} }

// Services lists every service that decides.
func Services() []streams.Service {
	return []streams.Service{order.Service, inventory.Service, payment.Service, shipping.Service, notification.Service}
}

// Topology is all services and their vocabulary, checked as a whole.
func Topology(pipelines ...streams.Pipeline) (*streams.Topology, error) {
	v, err := event.Vocabulary()
	if err != nil {
		return nil, err
	}
	return streams.NewTopology(v, Services(), pipelines...)
}
