package streams

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Masked stands for what is not shown.
const Masked = "•••"

// ShowEvent is an event's data for a person to read: JSON without what its type's
// fields declare as personal, and what the type does not know.
func (v *Vocabulary) ShowEvent(name string, version int, data []byte) string {
	text, _ := show(v.typeOf(name, version), data)
	return text
}

// typeOf is what data of a version are read as, or nil.
func (v *Vocabulary) typeOf(name string, version int) reflect.Type {
	f := v.byName[name]
	if f == nil {
		return nil
	}
	if up, ok := f.upcasts[version]; ok {
		return up.from
	}
	if version == f.Version {
		return f.Type
	}
	return nil
}

// ShowParked is a parked input for a person to read: its data as ShowEvent shows
// them, and its reason and stack without the values that are hidden there.
func (t *Topology) ShowParked(p ParkedInput) (data, reason, stack string) {
	as := t.Vocabulary.typeOf(p.Name, p.TypeVer)
	if p.Kind != EventInput {
		as = nil
		if _, d, ok := t.Decider(p.Stream.Decider); ok {
			for _, r := range d.reactions {
				if r.kind == p.Kind && r.name == p.Name {
					as = r.in
				}
			}
		}
	}
	data, hidden := show(as, p.Body)
	reason, stack = p.Reason, p.Stack
	for _, value := range hidden {
		reason, stack = strings.ReplaceAll(reason, value, Masked), strings.ReplaceAll(stack, value, Masked)
	}
	return data, reason, stack
}

// show writes data as a type shows them, and lists the texts that it hides.
func show(t reflect.Type, data []byte) (text string, hidden []string) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "(no JSON)", nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // whoever shows it does
	e.SetIndent("", "  ")
	if e.Encode(mask(t, v, &hidden)) != nil {
		return "(no JSON)", nil
	}
	return strings.TrimSuffix(b.String(), "\n"), hidden
}

// mask is a value without what its type declares as personal. A value of no type, or
// of another form than its type, is hidden: nobody has said what it is.
func mask(t reflect.Type, v any, hidden *[]string) any {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case nil, bool:
		return v
	case map[string]any:
		for k, x := range v {
			v[k] = maskField(t, k, x, hidden)
		}
		return v
	case []any:
		var elem reflect.Type
		if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
			elem = t.Elem()
		}
		for i, x := range v {
			v[i] = mask(elem, x, hidden)
		}
		return v
	}
	if t == nil || t.Kind() == reflect.Struct && !WritesItself(t) {
		return conceal(v, hidden)
	}
	return v
}

func maskField(t reflect.Type, name string, v any, hidden *[]string) any {
	switch {
	case t == nil:
		return mask(nil, v, hidden)
	case t.Kind() == reflect.Map:
		return mask(t.Elem(), v, hidden)
	case t.Kind() != reflect.Struct:
		return mask(nil, v, hidden)
	}
	f, ok := fieldOf(t, name)
	if !ok || f.personal {
		return conceal(v, hidden)
	}
	return mask(f.of, v, hidden)
}

// conceal hides a value, and notes the texts in it.
func conceal(v any, hidden *[]string) any {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			conceal(x, hidden)
		}
	case []any:
		for _, x := range v {
			conceal(x, hidden)
		}
	case string:
		if v == "" {
			return v
		}
		if len(v) >= shortest {
			*hidden = append(*hidden, v)
		}
	case json.Number:
		if len(v) >= shortest {
			*hidden = append(*hidden, v.String())
		}
	}
	return Masked
}

// shortest is the length of a text that is looked for in others: a country's two
// letters are everywhere.
const shortest = 4

// maskedField is what the type of a struct says of one of its fields.
type maskedField struct {
	name     string
	of       reflect.Type
	personal bool
}

// fieldOf is the field that JSON calls by a name, in letters of either case.
func fieldOf(t reflect.Type, name string) (maskedField, bool) {
	all := maskedFields(t)
	i := slices.IndexFunc(all, func(f maskedField) bool { return f.name == name })
	if i < 0 {
		i = slices.IndexFunc(all, func(f maskedField) bool { return strings.EqualFold(f.name, name) })
	}
	if i < 0 {
		return maskedField{}, false
	}
	return all[i], true
}

// maskedFields are all of them: reading the tags each time is most of what masking costs.
func maskedFields(t reflect.Type) (out []maskedField) {
	if known, ok := masked.Load(t); ok {
		return known.([]maskedField)
	}
	for name, f := range Fields(t) {
		out = append(out, maskedField{name, f.Type, isPersonal(f)})
	}
	masked.Store(t, out)
	return out
}

var masked sync.Map // of types that were asked for: there are as many as are declared

var marshaler = reflect.TypeFor[json.Marshaler]()

// WritesItself reports whether a struct chooses its own form, as a time does.
func WritesItself(t reflect.Type) bool {
	return t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)
}

// Impersonal is an event's data as they may be kept for all to read: JSON without what
// its type's fields declare as personal, and without what no type knows.
func (v *Vocabulary) Impersonal(name string, version int, data []byte) []byte {
	var x any
	t := v.typeOf(name, version)
	if t == nil || plain.Unmarshal(data, &x) != nil {
		return []byte("{}")
	}
	b, err := plain.Marshal(impersonal(t, x))
	if err != nil {
		return []byte("{}")
	}
	return b
}

// impersonal is a value with those parts only that its type knows and does not declare
// as personal. A value of another form than its type is null.
func impersonal(t reflect.Type, v any) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case nil, bool:
		return v
	case map[string]any:
		return impersonalFields(t, v)
	case []any:
		if t.Kind() != reflect.Slice && t.Kind() != reflect.Array || WritesItself(t) {
			return nil
		}
		for i, x := range v {
			v[i] = impersonal(t.Elem(), x)
		}
		return v
	}
	if k := t.Kind(); k == reflect.Interface || k == reflect.Map || k == reflect.Struct && !WritesItself(t) || t == reflect.TypeFor[json.RawMessage]() {
		return nil
	}
	return v
}

func impersonalFields(t reflect.Type, v map[string]any) any {
	switch {
	case WritesItself(t) || t.Kind() != reflect.Map && t.Kind() != reflect.Struct:
		return nil
	case t.Kind() == reflect.Map:
		for k, x := range v {
			v[k] = impersonal(t.Elem(), x)
		}
		return v
	}
	for k, x := range v {
		if f, ok := fieldOf(t, k); ok && !f.personal {
			v[k] = impersonal(f.of, x)
		} else {
			delete(v, k)
		}
	}
	return v
}
