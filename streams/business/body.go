package business

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
)

// describable refuses the body of a door that holds what its description could not say,
// or nobody would check.
func describable(t reflect.Type, within []reflect.Type) error {
	if slices.Contains(within, t) {
		return nil
	}
	within = append(within, t)
	for _, f := range streams.Fields(t) {
		at := t.String() + "." + f.Name
		if _, options, _ := strings.Cut(f.Tag.Get("json"), ","); slices.Contains(strings.Split(options, ","), "string") {
			return fmt.Errorf("field %s is tagged \",string\" for JSON, which its description cannot say: drop that", at)
		}
		held := heldBy(f.Type)
		switch {
		case held == reflect.TypeFor[time.Time](), held == reflect.TypeFor[json.RawMessage]():
		case decodesItself(held) || !slices.Contains(sayable, held.Kind()):
			return fmt.Errorf("field %s holds a %v, which a door can neither describe nor check: a body is of texts, bools, int, int32, int64, floats, time.Time, json.RawMessage, structs, and lists of them", at, held)
		case held.Kind() == reflect.Struct:
			if err := describable(held, within); err != nil {
				return err
			}
		}
	}
	return nil
}

var sayable = []reflect.Kind{reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64, reflect.Struct}

// heldBy is what lists and pointers lead to.
func heldBy(t reflect.Type) reflect.Type {
	for t != reflect.TypeFor[json.RawMessage]() && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	return t
}

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
