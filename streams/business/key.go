package business

import (
	"fmt"
	"reflect"
	"regexp"

	"github.com/weirstream/weir/streams"
)

// KeyRule is what a thing may be called by a client: it stands in paths.
var KeyRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$`)

// KeyField is the field of a body that is its key. Where several are of the key's type,
// the body itself tells which of them it is.
func KeyField(body reflect.Type) (reflect.StructField, error) {
	zero, ok := reflect.Zero(body).Interface().(streams.Event)
	if !ok || body.Kind() != reflect.Struct {
		return reflect.StructField{}, fmt.Errorf("%v is no struct with a key", body)
	}
	var of []reflect.StructField
	for _, f := range streams.Fields(body) {
		if f.Type == reflect.TypeOf(zero.Key()) {
			of = append(of, f)
		}
	}
	switch len(of) {
	case 0:
		return reflect.StructField{}, fmt.Errorf("no field of %v is of the type of its key", body)
	case 1:
		return of[0], nil
	}
	return told(body, of)
}

// told is the field that a body returns as its key, each of them holding its own name.
func told(body reflect.Type, of []reflect.StructField) (f reflect.StructField, err error) {
	unclear := fmt.Errorf("%v has %d fields of the type of its key, and its Key returns none of them as it is: let it return one", body, len(of))
	defer func() {
		if recover() != nil { // of Key, which wants other texts
			err = unclear
		}
	}()
	v := reflect.New(body).Elem()
	for _, f := range of {
		v.FieldByIndex(f.Index).SetString(JSONName(f))
	}
	key := v.Interface().(streams.Event).Key().String()
	for _, f := range of {
		if JSONName(f) == key {
			return f, nil
		}
	}
	return f, unclear
}
