package projection

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// columns are what an event sets of an order's row. Each event sets its own,
// so the order in which topics are read changes nothing.
type columns []column

type column struct {
	name  string
	value any
}

// orderEvent says what an event means for an order; nil for nothing.
func orderEvent(e streams.Event, env *streams.Envelope) columns {
	at := nanos(env.Time)
	switch e := e.(type) {
	case event.OrderPlaced:
		return columns{{"placed", at}, {"customer", e.Customer}, {"correlation", env.Correlation},
			{"lines", len(e.Lines)}, {"total", e.Total.Minor}, {"currency", e.Total.Currency}}
	case event.OrderConfirmed:
		return columns{{"confirmed", at}}
	case event.OrderReleased:
		return columns{{"released", at}}
	case event.OrderShipped:
		return columns{{"shipped", at}, {"carrier", e.Carrier}, {"tracking", e.Tracking}}
	case event.OrderDelayed:
		return columns{{"delayed", at}}
	case event.OrderCancelled:
		return columns{{"cancelled", at}, {"reason", e.Reason}}
	case event.OrderClosed:
		return columns{{"closed", at}, {"outcome", e.Outcome}}
	}
	return nil
}

// upsert is the statement for a set of columns after the id.
func (c columns) upsert() string {
	names, sets := make([]string, len(c)), make([]string, len(c))
	for i, x := range c {
		names[i], sets[i] = x.name, x.name+" = excluded."+x.name
	}
	return fmt.Sprintf("INSERT INTO orders (id, %s) VALUES (?%s) ON CONFLICT (id) DO UPDATE SET %s",
		strings.Join(names, ", "), strings.Repeat(", ?", len(c)), strings.Join(sets, ", "))
}

// orderTypes are the events that orderEvent knows.
var orderTypes = []streams.Event{event.OrderPlaced{}, event.OrderConfirmed{}, event.OrderReleased{}, event.OrderShipped{},
	event.OrderDelayed{}, event.OrderCancelled{}, event.OrderClosed{}}

// orderWrites are the statements of every event that changes an order.
func orderWrites() []string {
	set := map[string]bool{}
	for _, e := range orderTypes {
		set[orderEvent(e, &streams.Envelope{}).upsert()] = true
	}
	return slices.Collect(maps.Keys(set))
}

// dataError is data that does not fit its type: the record is noted, and
// stops nobody.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }

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

// order applies an event to its order. Types of no meaning for orders are not
// even decoded.
func (b *batch) order(e *streams.Envelope) error {
	f, ok := b.orders[e.Type]
	if !ok {
		return nil
	}
	v, err := f.Decode(e.Version, e.Data)
	var newer *streams.NewerVersionError
	if errors.As(err, &newer) {
		return err
	}
	if err != nil {
		return &dataError{err}
	}
	set := orderEvent(v, e)
	args := append(make([]any, 0, len(set)+1), e.Key)
	for _, c := range set {
		args = append(args, c.value)
	}
	_, err = b.exec(set.upsert(), args...)
	return err
}

// orderOf names the order that an event is about: its key, or the field that
// events keyed by something else carry.
func orderOf(kind string, e *streams.Envelope) string {
	if kind == event.OrderID("").Kind() {
		return e.Key
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
