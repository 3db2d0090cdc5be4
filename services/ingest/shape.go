package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/weirstream/weir/streams"
)

// keyOf decodes data as its type and returns the key. Data of the type's
// present version must have its shape: all fields, and no other. Data of an
// older version must pass the upcasters.
func keyOf(f *streams.Fact, version int, data []byte) (string, error) {
	if version == f.Version {
		if err := checkShape(f.Type, data); err != nil {
			return "", fmt.Errorf("data of %s does not have its shape: %w", f.Name, err)
		}
	}
	e, err := f.Decode(version, data)
	if err != nil {
		return "", err
	}
	if c, ok := e.(checker); ok {
		if err := c.Check(); err != nil {
			return "", fmt.Errorf("data of %s is refused: %w", f.Name, err)
		}
	}
	key := e.Key().String()
	if err := streams.CheckKey(key); err != nil {
		return "", fmt.Errorf("data of %s: %w", f.Name, err)
	}
	return key, nil
}

// checker is an event that knows which values make no sense.
type checker interface{ Check() error }

func checkShape(t reflect.Type, data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(reflect.New(t).Interface()); err != nil {
		return err
	}
	return complete(t, data, "")
}

// complete reports a field that is missing, null or spelled in another case,
// which encoding/json takes for a zero or for the field. Fields marked
// omitempty or omitzero may be missing.
func complete(t reflect.Type, data []byte, path string) error {
	switch t.Kind() {
	case reflect.Pointer:
		if string(data) == "null" {
			return nil
		}
		return complete(t.Elem(), data, path)
	case reflect.Slice, reflect.Array:
		return completeList(t, data, path)
	case reflect.Struct:
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return nil // its own decoding decides
		}
		return completeObject(t, data, path)
	}
	return nil
}

func completeList(t reflect.Type, data []byte, path string) error {
	var items []json.RawMessage
	if json.Unmarshal(data, &items) != nil {
		return nil // bytes in base64
	}
	for i, item := range items {
		if err := complete(t.Elem(), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func completeObject(t reflect.Type, data []byte, path string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return fmt.Errorf("%s is not an object", strings.TrimPrefix("data"+path, "."))
	}
	known := 0
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		raw, ok := fields[name]
		if !ok && strings.Contains(options, "omit") {
			continue
		}
		if !ok || string(raw) == "null" && f.Type.Kind() != reflect.Pointer {
			return fmt.Errorf("field %q is missing", strings.TrimPrefix(path+"."+name, "."))
		}
		known++
		if err := complete(f.Type, raw, path+"."+name); err != nil {
			return err
		}
	}
	if known < len(fields) {
		return fmt.Errorf("%s has a field twice, in two spellings", strings.TrimPrefix("data"+path, "."))
	}
	return nil
}
