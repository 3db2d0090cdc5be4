package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/weirstream/weir/streams"
)

// CheckRules reports the first member that its field's tag (streams.FieldRule) does not
// allow. v was decoded of data, an object or nothing; besides are members of it that were
// given elsewhere.
func CheckRules(v reflect.Value, data []byte, besides ...string) error {
	given := map[string]any{}
	if len(data) > 0 {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber() // any fits
		if err := d.Decode(&given); err != nil {
			return err
		}
	}
	for _, name := range besides {
		given[name] = true
	}
	return checkGiven(v, given, "")
}

// checkGiven checks what was given of a value. null gives nothing.
func checkGiven(v reflect.Value, given any, path string) error {
	v = pointedAt(v)
	switch {
	case reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[json.Unmarshaler]()): // its own decoding decides
	case v.Kind() == reflect.Slice:
		items, _ := given.([]any)
		return checkItems(v, items, path)
	case v.Kind() == reflect.Struct:
		members, _ := given.(map[string]any)
		return checkMembers(v, members, path)
	case v.Kind() == reflect.String:
		if _, ok := v.Interface().(streams.Key); ok && v.Len() > 0 {
			if err := streams.CheckName(v.String()); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return nil
}

func checkItems(v reflect.Value, items []any, path string) error {
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item == nil {
			return fmt.Errorf("%s is null: leave it out", at)
		}
		if err := checkGiven(v.Index(i), item, at); err != nil {
			return err
		}
	}
	return nil
}

func checkMembers(v reflect.Value, members map[string]any, path string) error {
	for called, f := range streams.Fields(v.Type()) {
		rule, err := streams.Rule(f)
		if err != nil {
			return err
		}
		at := strings.TrimPrefix(path+"."+called, ".")
		switch given := members[called]; {
		case given == nil && rule.Required:
			return fmt.Errorf("%s is missing", at)
		case given == nil:
		default:
			if err := checkRule(rule, v.FieldByIndex(f.Index), at); err != nil {
				return err
			}
			if err := checkGiven(v.FieldByIndex(f.Index), given, at); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkRule(rule streams.FieldRule, v reflect.Value, at string) error {
	v = pointedAt(v)
	size, unit := int64(0), ""
	switch {
	case v.Kind() == reflect.String:
		size, unit = int64(v.Len()), " bytes"
	case v.Kind() == reflect.Slice:
		size, unit = int64(v.Len()), " items"
	case v.CanInt():
		size = v.Int()
	default:
		return nil
	}
	switch {
	case rule.Required && unit != "" && size == 0:
		return fmt.Errorf("%s is empty", at)
	case rule.Min != nil && size < *rule.Min:
		return fmt.Errorf("%s has %d%s, below the least of %d", at, size, unit, *rule.Min)
	case rule.Max != nil && size > *rule.Max:
		return fmt.Errorf("%s has %d%s, above the bound of %d", at, size, unit, *rule.Max)
	case rule.Enum != nil && v.Kind() == reflect.String:
		return checkEnum(rule.Enum, v, at)
	case rule.Enum != nil:
		for i := range v.Len() {
			if err := checkEnum(rule.Enum, v.Index(i), fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkEnum(enum []string, v reflect.Value, at string) error {
	if !slices.Contains(enum, v.String()) {
		return fmt.Errorf("%s is none of %s", at, strings.Join(enum, ", "))
	}
	return nil
}

func pointedAt(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v
}
