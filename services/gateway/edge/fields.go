package edge

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/weirstream/weir/streams"
)

// CheckFields reports a member of data that is not spelt as the field of t that
// encoding/json takes it for, and with all a field that is missing or null; those
// marked omitempty or omitzero may be missing. Of data that were not decoded with
// DisallowUnknownFields it reports what t has no field for, too.
func CheckFields(t reflect.Type, data []byte, all bool) error { return fields{all}.check(t, data, "") }

type fields struct{ all bool }

func (c fields) check(t reflect.Type, data []byte, path string) error {
	switch t.Kind() {
	case reflect.Pointer:
		if string(data) == "null" {
			return nil
		}
		return c.check(t.Elem(), data, path)
	case reflect.Slice, reflect.Array:
		return c.list(t, data, path)
	case reflect.Struct:
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return nil // its own decoding decides
		}
		return c.object(t, data, path)
	}
	return nil
}

func (c fields) list(t reflect.Type, data []byte, path string) error {
	var items []json.RawMessage
	if json.Unmarshal(data, &items) != nil {
		return nil // bytes in base64
	}
	for i, item := range items {
		if err := c.check(t.Elem(), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (c fields) object(t reflect.Type, data []byte, path string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		if !c.all && err == nil {
			return nil // null
		}
		return fmt.Errorf("%s is not an object", strings.TrimPrefix("data"+path, "."))
	}
	for name, f := range streams.Fields(t) {
		raw, ok := members[name]
		delete(members, name)
		switch missing := !ok || string(raw) == "null" && f.Type.Kind() != reflect.Pointer; {
		case !ok && strings.Contains(f.Tag.Get("json"), ",omit"), missing && !c.all:
			continue
		case missing:
			return fmt.Errorf("field %q is missing", strings.TrimPrefix(path+"."+name, "."))
		}
		if err := c.check(f.Type, raw, path+"."+name); err != nil {
			return err
		}
	}
	for name := range members {
		return unknown(t, name, path)
	}
	return nil
}

func unknown(t reflect.Type, name, path string) error {
	at, there := strings.TrimPrefix(path+step(name), "."), []string{}
	for called := range streams.Fields(t) {
		if strings.EqualFold(called, name) {
			return fmt.Errorf("%s is not spelt as the field is: case matters", at)
		}
		there = append(there, called)
	}
	return fmt.Errorf("unknown field \"%s\": there are %s", at, strings.Join(there, ", "))
}
