package streams

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// FieldRule is what the tag `weir:"…"` of a field says, its parts separated by commas:
//
//	personal         it says who somebody is, or is secret: written wherever the data are, and shown nowhere
//	required         who sends it must not leave it out, nor a text or list empty
//	min=1, max=254   of a whole number; of a text its length in bytes, of a list that of its items
//	enum=a|b|c       the texts that there are, also in a list
//
// They hold for what is sent. A number that is left out would be 0: where the bounds
// forbid that, it is required.
type FieldRule struct {
	Personal, Required bool
	Min, Max           *int64
	Enum               []string
}

// Rule reads the tag of a field. Its error names the field and what it does not know.
func Rule(f reflect.StructField) (r FieldRule, err error) {
	tag, ok := f.Tag.Lookup("weir")
	if !ok {
		return r, nil
	}
	for _, part := range strings.Split(tag, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "personal":
			r.Personal = true
		case "required":
			r.Required = true
		case "enum":
			r.Enum = strings.Split(value, "|")
		case "min", "max":
			n, bad := strconv.ParseInt(value, 10, 64)
			if bad != nil {
				return r, fmt.Errorf("field %s has the tag weir:%q: %q is no number", f.Name, tag, value)
			}
			if name == "min" {
				r.Min = &n
			} else {
				r.Max = &n
			}
		default:
			return r, fmt.Errorf("field %s has the tag weir:%q, of which %q means nothing: there are personal, required, min=, max= and enum=", f.Name, tag, part)
		}
	}
	if err := r.fits(f.Type); err != nil {
		return r, fmt.Errorf("field %s of type %v has the tag weir:%q: %w", f.Name, f.Type, tag, err)
	}
	if isWhole(f.Type) && (r.Min != nil && *r.Min > 0 || r.Max != nil && *r.Max < 0) {
		r.Required = true
	}
	return r, nil
}

// fits refuses what nobody could hold a value of the type to.
func (r *FieldRule) fits(t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	list := t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8
	text := t.Kind() == reflect.String
	switch {
	case (r.Min != nil || r.Max != nil) && !list && !text && !isWhole(t):
		return errors.New("min= and max= bound texts, lists and int, int8 to int64: drop them and have the decider check it")
	case r.Enum != nil && !text && !(list && t.Elem().Kind() == reflect.String):
		return errors.New("enum= is of texts and lists of texts: drop it and have the decider check it")
	case r.Min != nil && r.Max != nil && *r.Min > *r.Max:
		return fmt.Errorf("nothing is at least %d and at most %d", *r.Min, *r.Max)
	}
	return nil
}

func isWhole(t reflect.Type) bool { return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 }

// Fields are those that JSON knows of a struct, with its names of them: the fields of
// embedded structs are the struct's own, the outermost of a name and then the tagged one
// hides others, and two that are alike hide one another. Embedded pointers are passed
// over: they may be nil, and whoever has a field reads it.
func Fields(t reflect.Type) iter.Seq2[string, reflect.StructField] {
	known, ok := jsonFields.Load(t)
	if !ok {
		all := candidates(t, nil, nil)
		known = slices.DeleteFunc(slices.Clone(all), func(f candidate) bool {
			return slices.ContainsFunc(all, f.isHiddenBy)
		})
		jsonFields.Store(t, known)
	}
	return func(yield func(string, reflect.StructField) bool) {
		for _, f := range known.([]candidate) {
			if !yield(f.name, f.field) {
				return
			}
		}
	}
}

var jsonFields sync.Map // of types that were asked for: there are as many as are declared

type candidate struct {
	name   string
	tagged bool
	field  reflect.StructField // its index is that from the outermost struct
}

func (c candidate) isHiddenBy(o candidate) bool {
	switch {
	case o.name != c.name || slices.Equal(o.field.Index, c.field.Index):
		return false
	case len(o.field.Index) != len(c.field.Index):
		return len(o.field.Index) < len(c.field.Index)
	}
	return o.tagged || !c.tagged
}

func candidates(t reflect.Type, at []int, within []reflect.Type) (out []candidate) {
	if slices.Contains(within, t) || t.Kind() != reflect.Struct {
		return nil
	}
	within = append(within[:len(within):len(within)], t)
	for i := range t.NumField() {
		f := t.Field(i)
		f.Index = append(at[:len(at):len(at)], i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Tag.Get("json") == "-":
		case flattened(f): // of a pointer come none
			out = append(out, candidates(f.Type, f.Index, within)...)
		case !f.IsExported() && (!f.Anonymous || f.Type.Kind() != reflect.Struct): // as JSON has it
		case name == "":
			out = append(out, candidate{f.Name, false, f})
		default:
			out = append(out, candidate{name, true, f})
		}
	}
	return out
}

// flattened tells whether JSON has the fields of a struct that is embedded for its own.
func flattened(f reflect.StructField) bool {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return f.Anonymous && name == "" && t.Kind() == reflect.Struct
}

// isPersonal reports whether a field is declared so; one whose tag cannot be read is.
func isPersonal(f reflect.StructField) bool {
	r, err := Rule(f)
	return r.Personal || err != nil
}

// checkTags refuses tags of which somebody thought that they mean something.
func checkTags(t reflect.Type, seen map[reflect.Type]bool) error {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		if _, err := Rule(f); err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
		if _, tagged := f.Tag.Lookup("weir"); tagged && flattened(f) {
			return fmt.Errorf("%v: JSON knows no field %s, but those of what is embedded: tag them", t, f.Name)
		}
		if err := checkTags(f.Type, seen); err != nil {
			return err
		}
	}
	return nil
}
