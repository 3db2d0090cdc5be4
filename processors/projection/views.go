package projection

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// meaning is what events of one type say about documents, and whom they name.
type meaning struct {
	fact    *streams.Fact
	sources []viewSource
	names   []named
}

// viewSource is what a view takes from a type of event.
type viewSource struct {
	view   *business.View
	from   business.Source
	begins bool
	fields []string // that it sets
}

// named is a field of an event whose value is a key.
type named struct {
	field, kind string
	of          reflect.Type
}

// meanings are those of all registered types that mean something, by their names.
func meanings(b *business.Business, v *streams.Vocabulary) map[string]*meaning {
	out := map[string]*meaning{}
	kinds, _ := HistoryKinds(b.Views())
	for i := range v.Facts() {
		f := &v.Facts()[i]
		others := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k == f.Kind }) // which is the key's
		out[f.Name] = &meaning{fact: f, names: namedBy(f.Type, others)}
	}
	for _, view := range b.Views() {
		for _, from := range view.From {
			if f, ok := v.FactOf(from.Event); ok {
				_, set := from.Apply(from.Event, business.Moment{})
				m := out[f.Name]
				m.sources = append(m.sources, viewSource{view, from, view.BegunBy(from), slices.Sorted(maps.Keys(set))})
			}
		}
	}
	return out
}

// namedBy are the fields of a type that hold a key of one of the kinds: the first of
// each kind, as an event is about one key of a kind.
func namedBy(t reflect.Type, kinds []string) (out []named) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for name, f := range streams.Fields(t) {
		key, ok := reflect.Zero(f.Type).Interface().(streams.Key)
		if !ok || f.Type.Kind() == reflect.Pointer {
			continue
		}
		kind := key.Kind()
		if slices.Contains(kinds, kind) && !slices.ContainsFunc(out, func(n named) bool { return n.kind == kind }) {
			out = append(out, named{name, kind, f.Type})
		}
	}
	return out
}

// about says which keys of the kinds whose history can be asked for an event is about:
// its own, and those that fields of an event of ours name. What comes from outside is
// about its key alone. Data are read field by field: what they hold beside, and in
// which version, is no matter.
func (r *Reading) about(kind string, e *streams.Envelope) (map[string]string, error) {
	out := map[string]string{}
	var data map[string]json.RawMessage
	if m := r.meanings[e.Type]; m != nil && !m.fact.External && len(m.names) > 0 && json.Unmarshal(e.Data, &data) == nil {
		for _, n := range m.names {
			key := reflect.New(n.of)
			if json.Unmarshal(data[n.field], key.Interface()) != nil {
				continue
			}
			if name := key.Elem().Interface().(streams.Key).String(); name != "" {
				out[n.kind] = name
			}
		}
	}
	for k, name := range out {
		if err := keepable(name); err != nil && k != kind {
			return nil, &dataError{fmt.Errorf("the %s that it is about %w", k, err)}
		}
	}
	if slices.Contains(r.histories, kind) {
		out[kind] = e.Key
	}
	return out, nil
}

// dataError is data that does not fit its type: the record is noted, and
// stops nobody.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }

// decode reads the value of an event. Types that no view is made of are not even decoded,
// unless all are asked for.
func (r *Reading) decode(e *streams.Envelope) (streams.Event, error) {
	m := r.meanings[e.Type]
	if m == nil || len(m.sources) == 0 && !r.all {
		return nil, nil
	}
	v, err := m.fact.Decode(e.Version, e.Data)
	var newer *streams.NewerVersionError
	switch {
	case errors.As(err, &newer):
		return nil, err
	case err != nil:
		return nil, &dataError{err}
	}
	return v, nil
}

// changes are what an event says about documents.
func (r *Reading) changes(v streams.Event, e *streams.Envelope) (out []Change, err error) {
	m := r.meanings[e.Type]
	if m == nil {
		return nil, nil
	}
	for _, s := range m.sources {
		c, err := s.change(v, e)
		if err != nil {
			return nil, &dataError{fmt.Errorf("view %s cannot take %s: %w", s.view.Name, e.Type, err)}
		}
		if c.Key != "" {
			out = append(out, c)
		}
	}
	return out, nil
}

// change applies one event. What a view's function does with data that nobody thought
// of must not end the process.
func (s *viewSource) change(v streams.Event, e *streams.Envelope) (c Change, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	key, set := s.from.Apply(v, business.Moment{At: e.Time.UTC(), Correlation: e.Correlation})
	if key = text(key, maxName-len("…")); !s.from.OfOther() {
		key = e.Key // which its partition goes by, whatever the data say
	}
	if !slices.Equal(slices.Sorted(maps.Keys(set)), s.fields) {
		return c, fmt.Errorf("it sets %v, and events of its type %v", slices.Sorted(maps.Keys(set)), s.fields)
	}
	c = Change{View: s.view.Name, Key: key, Begins: s.begins}
	for _, name := range s.fields {
		if err := c.set(s.view, name, set[name]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// set adds a value as stores keep it.
func (c *Change) set(view *business.View, name string, value any) error {
	column, op := ColumnOf(name), Put
	f, _ := view.Field(name)
	is := func(k business.Kind, kept any) error {
		if f.Kind != k {
			return fmt.Errorf("it sets %q, a %s, to a %T", name, f.Kind, value)
		}
		c.Fields = append(c.Fields, Field{column, op, kept})
		return nil
	}
	switch x := value.(type) {
	case string:
		return is(business.Text, text(x, maxText))
	case int:
		return is(business.Count, int64(x))
	case int64:
		return is(business.Count, x)
	case business.Plus:
		op = Add
		return is(business.Count, int64(x))
	case time.Time:
		if y := x.Year(); !x.IsZero() && (y < minYear || y > maxYear) {
			return fmt.Errorf("it sets %q to %s, out of the years %d to %d", name, x.Format(time.RFC3339), minYear,
				maxYear)
		}
		if shapeOf(view).latest[name] {
			op = Latest
		}
		return is(business.Time, Nanos(x))
	case business.Sum:
		minor, currency := x.Amount()
		if err := is(business.Amount, minor); err != nil {
			return err
		}
		c.Fields = append(c.Fields, Field{CurrencyOf(name), op, text(currency, maxText)})
		return nil
	}
	return fmt.Errorf("it sets %q to a %T, which no field holds", name, value)
}
