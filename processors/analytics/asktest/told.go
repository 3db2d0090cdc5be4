// Package asktest is the suite that questions pass on every analytics.Store: answers about
// what happened in a small business are what plain Go counts over the same events.
package asktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Told is an event as it was told.
type Told struct {
	Event       streams.Event
	At          time.Time
	Correlation string
}

// Keep has a store keep events, in blocks of a few.
func Keep(t testing.TB, store analytics.Store, schema *analytics.Schema, told []Told) {
	t.Helper()
	const topic = "told"
	claim, err := store.Claim(t.Context(), 1, []projection.Cursor{{Topic: topic}})
	if err != nil {
		t.Fatal(err)
	}
	for next := int64(0); next < int64(len(told)); {
		b := &projection.Batch{Epoch: claim.Epoch}
		end := min(next+97, int64(len(told)))
		for i, x := range told[next:end] {
			b.Events = append(b.Events, read(t, schema, x, topic, next+int64(i)))
		}
		b.Moves = []projection.Move{{Topic: topic, From: next, Next: end}}
		if err := store.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		next = end
	}
}

// read is an event as a projection.Run hands it on.
func read(t testing.TB, s *analytics.Schema, x Told, topic string, offset int64) projection.Event {
	f, ok := s.Topology.Vocabulary.FactOf(x.Event)
	if !ok {
		t.Fatalf("%T is no event", x.Event)
	}
	data, err := json.Marshal(x.Event)
	if err != nil {
		t.Fatal(err)
	}
	e := projection.Event{Value: x.Event, Entry: projection.Entry{ID: fmt.Sprint("e", offset), Type: f.Name, Version: f.Version, Source: "teller", Kind: f.Kind, Key: x.Event.Key().String(),
		Correlation: x.Correlation, Time: x.At, Lane: "teller/0/a", Seq: offset + 1, Topic: topic, Offset: offset, Data: s.Topology.Vocabulary.Impersonal(f.Name, f.Version, data)}}
	for _, v := range s.Business.Views() {
		for _, from := range v.From {
			if s.Topology.Name(from.Event) == f.Name {
				e.Changes = append(e.Changes, change(v, from, x))
			}
		}
	}
	return e
}

func change(v *business.View, from business.Source, x Told) projection.Change {
	key, set := from.Apply(x.Event, business.Moment{At: x.At, Correlation: x.Correlation})
	c := projection.Change{View: v.Name, Key: key}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value := set[name]
		switch y := value.(type) {
		case int:
			value = int64(y)
		case business.Plus:
			value = int64(y)
		case time.Time:
			value = projection.Nanos(y)
		case business.Sum:
			minor, currency := y.Amount()
			value = minor
			c.Fields = append(c.Fields, projection.Field{Column: projection.CurrencyOf(name), Value: currency})
		}
		c.Fields = append(c.Fields, projection.Field{Column: projection.ColumnOf(name), Value: value})
	}
	return c
}
