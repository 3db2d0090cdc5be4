package streams

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// decodeAs reads JSON. An error says what is wrong in a person's words, and holds
// nothing of the data: they may be a person's, and it is stored and logged.
func decodeAs[E any](data []byte) (e E, err error) {
	if codec.Unmarshal(data, &e) == nil {
		return e, nil
	}
	var again E // by the decoder that knows what was where
	err = json.Unmarshal(data, &again)
	var form *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &form):
		return e, fmt.Errorf("%s holds %s where %s belongs", field(form.Field), article(form.Value), belongs(form.Type))
	case errors.As(err, &syntax):
		return e, fmt.Errorf("they are no JSON from byte %d on", syntax.Offset)
	}
	return e, errors.New("a value is not what its field takes")
}

func field(path string) string {
	if path == "" {
		return "the whole"
	}
	return "field " + path
}

// article says what a JSON value is; a number comes with its digits, which are cut off.
func article(value string) string {
	switch {
	case value == "array" || value == "object":
		return "an " + value
	case len(value) >= 6 && value[:6] == "number":
		return "a number" // that may be too large for it
	}
	return "a " + value
}

func belongs(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return t.String()
}
