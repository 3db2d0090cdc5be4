package projection

import (
	"encoding/json"
	"errors"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// States are those of a placed order: the last of them whose field of the same
// name is not 0 is the order's, whatever was read first.
var States = []string{"placed", "confirmed", "released", "shipped", "cancelled"}

// orderFields says what an event sets of its order; nil for nothing. Each event
// sets its own fields, so the order in which topics are read changes nothing.
func orderFields(e streams.Event, env *streams.Envelope) []Field {
	at := Nanos(env.Time)
	switch e := e.(type) {
	case event.OrderPlaced:
		return []Field{{"placed", at}, {"customer", e.Customer}, {"correlation", env.Correlation},
			{"lines", int64(len(e.Lines))}, {"total", e.Total.Minor}, {"currency", e.Total.Currency}}
	case event.OrderConfirmed:
		return []Field{{"confirmed", at}}
	case event.OrderReleased:
		return []Field{{"released", at}}
	case event.OrderShipped:
		return []Field{{"shipped", at}, {"carrier", e.Carrier}, {"tracking", e.Tracking}}
	case event.OrderDelayed:
		return []Field{{"delayed", at}}
	case event.OrderCancelled:
		return []Field{{"cancelled", at}, {"reason", e.Reason}}
	case event.OrderClosed:
		return []Field{{"closed", at}, {"outcome", e.Outcome}}
	}
	return nil
}

// orderTypes are the events that orderFields knows.
var orderTypes = []streams.Event{event.OrderPlaced{}, event.OrderConfirmed{}, event.OrderReleased{}, event.OrderShipped{},
	event.OrderDelayed{}, event.OrderCancelled{}, event.OrderClosed{}}

// orderFacts are the registered ones of orderTypes, by their names.
func orderFacts(v *streams.Vocabulary) map[string]*streams.Fact {
	out := map[string]*streams.Fact{}
	for _, t := range orderTypes {
		if f, ok := v.FactOf(t); ok {
			out[f.Name] = f
		}
	}
	return out
}

// dataError is data that does not fit its type: the record is noted, and
// stops nobody.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }

// order decodes what an event sets of its order. Types of no meaning for orders
// are not even decoded.
func (r *run) order(e *streams.Envelope) ([]Field, error) {
	f, ok := r.orders[e.Type]
	if !ok {
		return nil, nil
	}
	v, err := f.Decode(e.Version, e.Data)
	var newer *streams.NewerVersionError
	if errors.As(err, &newer) {
		return nil, err
	}
	if err != nil {
		return nil, &dataError{err}
	}
	fields := orderFields(v, e)
	for i := range fields {
		if s, ok := fields[i].Value.(string); ok {
			fields[i].Value = text(s, maxText)
		}
	}
	return fields, nil
}

// orderOf names the order that an event is about: its key, or the field that
// events of ours that are keyed by something else carry. What comes from outside
// is about its key alone.
func orderOf(kind string, e *streams.Envelope) string {
	if kind == event.OrderID("").Kind() {
		return e.Key
	}
	if e.Lane == "" {
		return ""
	}
	var d struct {
		Order string `json:"order"`
	}
	_ = json.Unmarshal(e.Data, &d) // an event without the field is about no order
	return d.Order
}

// persons are the fields of events that say who somebody is or how to reach
// and charge them. The read model does not keep them.
var persons = []string{"email", "ship_to", "card"}

// withoutPersons removes the fields from an event's data.
func withoutPersons(data []byte) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return data // no object, no fields
	}
	n := len(fields)
	for _, p := range persons {
		delete(fields, p)
	}
	if len(fields) == n {
		return data
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return []byte("{}")
	}
	return out
}
