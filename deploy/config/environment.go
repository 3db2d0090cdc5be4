package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Variables are the environment's names for every field: WEIR_ and the field's
// path in weir.yaml, as in WEIR_KAFKA_SASL_PASSWORD.
func Variables() []string {
	var names []string
	c := Default()
	each(reflect.ValueOf(&c).Elem(), "WEIR", func(name string, _ reflect.Value) error {
		names = append(names, name)
		return nil
	})
	slices.Sort(names)
	return names
}

func (c *Config) fromEnvironment(lookup func(string) (string, bool)) error {
	return each(reflect.ValueOf(c).Elem(), "WEIR", func(name string, v reflect.Value) error {
		s, ok := lookup(name)
		if !ok {
			return nil
		}
		if err := set(v, s); err != nil {
			return fmt.Errorf("configuration: %s is no %s", name, v.Kind()) // without the value: it may be a secret
		}
		return nil
	})
}

// each calls f for every field that holds a value, with its variable's name.
func each(v reflect.Value, name string, f func(string, reflect.Value) error) error {
	if v.Kind() != reflect.Struct {
		return f(name, v)
	}
	for i := range v.NumField() {
		if err := each(v.Field(i), name+"_"+strings.ToUpper(v.Type().Field(i).Tag.Get("yaml")), f); err != nil {
			return err
		}
	}
	return nil
}

func set(v reflect.Value, s string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		v.SetBool(b)
		return err
	case reflect.Int, reflect.Int16, reflect.Int32:
		n, err := strconv.ParseInt(s, 10, v.Type().Bits())
		v.SetInt(n)
		return err
	case reflect.Float64:
		n, err := strconv.ParseFloat(s, 64)
		v.SetFloat(n)
		return err
	case reflect.Slice: // of texts
		v.Set(reflect.ValueOf(strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })))
	default:
		return fmt.Errorf("fields of kind %s cannot be set", v.Kind())
	}
	return nil
}
