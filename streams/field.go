package streams

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// FieldRule is what the tag `weir:"…"` of a field says, its parts separated by commas:
//
//	personal         it says who somebody is, or is secret: written wherever the data are, and shown nowhere
//	required         who sends it must not leave it out, nor empty
//	min=1, max=254   of a number; of a text its length in bytes, of a list that of its items
//	enum=a|b|c       the texts that there are
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
	return r, nil
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
		if err := checkTags(f.Type, seen); err != nil {
			return err
		}
	}
	return nil
}
