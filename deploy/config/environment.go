package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
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

// outsidePrefix begins the variables of Outside: what follows is an endpoint's name.
const outsidePrefix = "WEIR_OUTSIDE_"

// outsideFromEnvironment reads the addresses of endpoints, whose names are the business's.
func (c *Config) outsideFromEnvironment(environ []string) {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if endpoint, ok := strings.CutPrefix(name, outsidePrefix); ok && endpoint != "" {
			if c.Outside == nil {
				c.Outside = map[string]Secret{}
			}
			c.Outside[strings.ReplaceAll(strings.ToLower(endpoint), "_", "-")] = Secret(value)
		}
	}
}

func (c *Config) fromEnvironment(lookup func(string) (string, bool)) error {
	return each(reflect.ValueOf(c).Elem(), "WEIR", func(name string, v reflect.Value) error {
		s, ok := lookup(name)
		if !ok {
			return nil
		}
		if err := set(v, s); err != nil {
			return fmt.Errorf("configuration: %s cannot be read as %s", name, kindOf(v)) // without the value: it may be a secret
		}
		return nil
	})
}

func kindOf(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a text"
	}
	return "a whole number that fits"
}

// others are variables with our prefix that say nothing about the configuration:
// of this command, of the project's tests and servers, and those that Kubernetes
// makes of a service that is called weir.
var others = regexp.MustCompile(`^WEIR_(URL|GRAFANA_TOKEN|REAL_.*|LOCAL|LOCAL_CACHE|PORTS|BUG|SEEDS?|FROM|COLLECT|SCHEDULE|PATIENCE|SCREENSHOTS|PICTURES|ALERTS|.*_(KILL|MIGRATE)|` +
	`(.*_)?SERVICE_(HOST|PORT.*)|(.*_)?PORT(_[0-9]+_(TCP|UDP|SCTP)(_.*)?)?)$`)

// Reads tells whether a variable says something about the configuration.
func Reads(name string) bool {
	return slices.Contains(Variables(), name) || strings.HasPrefix(name, outsidePrefix)
}

// misspelt finds variables that were meant for us, and that nothing reads: what they
// name would be embedded instead, without a word.
func misspelt(environ []string) error {
	var errs []error
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "WEIR_") && !Reads(name) && !others.MatchString(name) {
			errs = append(errs, fmt.Errorf("configuration: nothing reads the variable %s of the environment: weir config --help lists those there are", name))
		}
	}
	return errors.Join(errs...)
}

// each calls f for every field that holds a value, with its variable's name.
func each(v reflect.Value, name string, f func(string, reflect.Value) error) error {
	switch v.Kind() {
	case reflect.Struct:
	case reflect.Map: // its names are not ours
		return nil
	default:
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
