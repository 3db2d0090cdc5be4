package business

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirstream/weir/streams"
)

// View is a read model: a document for each key, made of what events say. Whatever
// was read first, the documents are the same: an event of the key sets fields that
// no other type of event sets, and one of another key only counts.
type View struct {
	Name  string      // of all documents, plural: "orders". Its tables and its page are called so
	One   string      // of one: "order". Its key has this name in a document
	Key   streams.Key // zero value of the keys' type
	Path  string      // of the list: "/v1/orders". A document is at /v1/orders/{order}
	Title string      // of one, for people: "Order"
	About string
	// Begins are the events of which one has to have been read: before, a key has no
	// document.
	Begins []streams.Event
	// States are those that a document goes through: it is in the last of them whose
	// time is there. Each has a time field, NAME_at, which is not in Fields.
	States []string
	// Fields are those of which there is more to say than what events set; all are shown
	// in the order of All.
	Fields []Field
	From   []Source
	// Sort names the field, a time or a count, of which the greatest comes first in the list;
	// empty: the newest documents come first.
	Sort string
	// History has a document's events at /v1/orders/{order}/history.
	History bool

	once sync.Once
	all  []Field
}

// Kind is what a field holds.
type Kind string

// The kinds of fields.
const (
	Text   Kind = "text"
	Count  Kind = "count"  // a whole number
	Time   Kind = "time"   // of day and date, in UTC; missing until it is known
	Amount Kind = "amount" // money: minor units and their currency
	State  Kind = "state"  // which of the view's states it is in
	Flag   Kind = "flag"   // whether the time field Of is there
	Mean   Kind = "mean"   // Of divided by Per, both counts; missing while Per is 0
)

// Field is a field of a view's documents.
type Field struct {
	Name     string // in JSON
	Kind     Kind
	About    string
	Enum     []string // the texts that there are
	Filter   bool     // clients may ask for the documents with one value; of texts and states that are not Personal
	Personal bool     // kept, and shown to nobody but who it is about
	Of, Per  string   // other fields, of a Flag or a Mean
}

// Moment is what an event says beside its data.
type Moment struct {
	At          time.Time
	Correlation string // of the saga
}

// Set are values of fields, by their names: text, int, int64, time.Time, or what has
// an Amount. A type of event always sets the same names.
type Set map[string]any

// Sum is money in a Set.
type Sum interface {
	Amount() (minor int64, currency string)
}

// Plus is a value in a Set that is added to what is there. Repeats of an event are not
// added again. Sums stop at the ends of int64; beyond them they depend on the order.
type Plus int64

// Source is what one type of event says about documents.
type Source struct {
	Event streams.Event // zero value
	// Of is the key of the document: that of the event, or another one that it names.
	apply func(e streams.Event, m Moment) (key string, set Set)
	other bool     // the key is not the event's
	takes []string // fields of the event, by Takes
	key   reflect.Type
}

// On has an event set fields of the document with its own key.
func On[E streams.Event](set func(e E, m Moment) Set) Source {
	var zero E
	return Source{Event: zero, key: reflect.TypeOf(zero.Key()), apply: func(e streams.Event, m Moment) (string, Set) {
		return e.Key().String(), set(e.(E), m)
	}}
}

// Correlation is the field of a view that Takes fills from the event's saga.
const Correlation = "correlation"

// Takes has an event set the field at to its time, and others to what its data hold
// under the same names: texts, numbers, money, and of lists how long they are.
func Takes[E streams.Event](at string, fields ...string) Source {
	s := On(func(e E, m Moment) Set {
		set := Set{at: m.At}
		for _, name := range fields {
			set[name] = taken(e, name, m)
		}
		return set
	})
	s.takes = fields
	return s
}

// taken is the value that a field of an event has for a view; an error if it has none,
// which fits no field.
func taken(e streams.Event, name string, m Moment) any {
	if name == Correlation {
		return m.Correlation
	}
	f, ok := fieldNamed(reflect.TypeOf(e), name)
	if !ok {
		return fmt.Errorf("%T has no field %q", e, name)
	}
	v := reflect.ValueOf(e).FieldByIndex(f.Index)
	if sum, ok := v.Interface().(Sum); ok {
		return sum
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Slice, reflect.Map:
		return v.Len()
	}
	return v.Interface()
}

// OnOther has an event count for the document with another key, which it names. Events
// of one key may be read in any order: values are of Plus only, and times the latest.
func OnOther[E streams.Event, K streams.Key](set func(e E, m Moment) (K, Set)) Source {
	var zero E
	return Source{Event: zero, key: reflect.TypeFor[K](), other: true, apply: func(e streams.Event, m Moment) (string, Set) {
		key, s := set(e.(E), m)
		return key.String(), s
	}}
}

// Apply says what an event sets, and of which document. Its key is empty if that is none.
func (s Source) Apply(e streams.Event, m Moment) (key string, set Set) { return s.apply(e, m) }

// setByZero are the names that the source sets, with values of a zero event.
func (s Source) setByZero() (set Set, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its function panics on the zero event, which tells what it sets: %v", p)
		}
	}()
	_, set = s.apply(s.Event, Moment{})
	return set, nil
}

// OfOther tells a source whose events have other keys than the documents.
func (s Source) OfOther() bool { return s.other }

// All are the view's fields: those that it declares, then what its events set beside, and
// the times of its states.
func (v *View) All() []Field {
	v.once.Do(func() {
		v.all = slices.Clone(v.Fields)
		has := func(name string) bool {
			return slices.Contains(v.States, strings.TrimSuffix(name, "_at")) || slices.ContainsFunc(v.all, func(f Field) bool { return f.Name == name })
		}
		for _, s := range v.From {
			set, _ := s.setByZero() // checkSources tells of an error
			for _, name := range slices.Sorted(maps.Keys(set)) {
				if !has(name) && kindOf(set[name]) != "" { // checkSources tells what no field holds
					v.all = append(v.all, Field{Name: name, Kind: kindOf(set[name])})
				}
			}
		}
		for _, s := range v.States {
			v.all = append(v.all, Field{Name: StateField(s), Kind: Time})
		}
	})
	return v.all
}

// StateField is the time field of a state.
func StateField(state string) string { return state + "_at" }

// Field finds a field by its name.
func (v *View) Field(name string) (Field, bool) {
	all := v.All()
	i := slices.IndexFunc(all, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return all[i], true
}

// kindOf is the kind of field that holds a value; empty if none does.
func kindOf(value any) Kind {
	switch value.(type) {
	case string:
		return Text
	case int, int64, Plus:
		return Count
	case time.Time:
		return Time
	case Sum:
		return Amount
	}
	return ""
}
