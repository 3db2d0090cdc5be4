package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/weirstream/weir/services/gateway/edge"
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
	if err := streams.CheckName(key); err != nil {
		return "", fmt.Errorf("data of %s: %w", f.Name, err)
	}
	return key, nil
}

// checker is an event that knows which values make no sense.
type checker interface{ Check() error }

func checkShape(t reflect.Type, data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	v := reflect.New(t)
	if err := d.Decode(v.Interface()); err != nil {
		return err
	}
	if err := edge.CheckFields(t, data, true); err != nil {
		return err
	}
	return edge.CheckRules(v.Elem(), data)
}
