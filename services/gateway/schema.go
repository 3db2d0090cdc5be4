package gateway

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// object is a part of the description, as JSON has it.
type object = map[string]any

// schemas are the named ones of a description, and the Go types that they are of.
type schemas struct {
	named object
	types map[string]reflect.Type
	views map[*business.View]string // the names of theirs
}

// newSchemas gives the views their names, before any type takes one of them.
func newSchemas(views []*business.View) schemas {
	s := schemas{named: object{"Problem": problemSchema}, types: map[string]reflect.Type{"Problem": nil}, views: map[*business.View]string{}}
	for _, v := range views {
		name := cmp.Or(notInNames.ReplaceAllString(v.Title, ""), v.Name)
		s.views[v] = s.free(name, nil)
		s.types[s.views[v]] = nil
	}
	return s
}

// notInNames is what the name of a schema may not hold.
var notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// free is the name for a schema, or the next one with a number that is not another's.
func (s *schemas) free(name string, t reflect.Type) string {
	for n, first := 2, name; ; n++ {
		if have, taken := s.types[name]; !taken || t != nil && have == t {
			return name
		}
		name = fmt.Sprint(first, n)
	}
}

// ref is a reference to a named schema.
func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// of is the schema of what JSON makes of a type. Whoever reads it may be told more than
// it holds; whoever is asked for it takes nothing else: in.
func (s *schemas) of(t reflect.Type, in bool) object {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{"description": "JSON of any form."}
	case t.Kind() == reflect.String && t.Implements(reflect.TypeFor[streams.Key]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return object{"type": "integer", "format": "int32"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float64, reflect.Float32:
		return object{"type": "number"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": s.of(t.Elem(), in)}
	case reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem(), in), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem(), in)}
	case reflect.Struct:
		if t.Name() == "" {
			return s.structure(t, in, nil)
		}
		return s.name(t, in, func() object { return s.structure(t, in, nil) })
	}
	return object{}
}

// name makes a named schema once, and refers to it.
func (s *schemas) name(t reflect.Type, in bool, make func() object) object {
	name := t.Name()
	if i := strings.IndexByte(name, '['); i >= 0 { // of a generic type
		name = name[:i]
	}
	name = notInNames.ReplaceAllString(name, "")
	if in {
		name += "Request"
	}
	if have, taken := s.types[name]; taken && have != t {
		path := t.PkgPath()
		name = strings.ToUpper(path[strings.LastIndexByte(path, '/')+1:][:1]) + path[strings.LastIndexByte(path, '/')+2:] + name
	}
	if name = s.free(name, t); s.types[name] == nil {
		s.types[name] = t
		s.named[name] = make()
	}
	return ref(name)
}

// structure is the schema of a struct without some of its fields.
func (s *schemas) structure(t reflect.Type, in bool, without []string) object {
	properties, required := object{}, []string{}
	for name, f := range streams.Fields(t) {
		if slices.Contains(without, name) {
			continue
		}
		rule, _ := streams.Rule(f) // the vocabulary has checked it, or the business
		properties[name] = ruled(s.of(f.Type, in), rule)
		if in && rule.Required || !in && !strings.Contains(f.Tag.Get("json"), ",omit") {
			required = append(required, name)
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	if in {
		out["additionalProperties"] = false
	}
	return out
}

// ruled adds to a schema what a field's tag says.
func ruled(schema object, rule streams.FieldRule) object {
	least, most := "", ""
	switch schema["type"] {
	case "string":
		least, most = "minLength", "maxLength"
		if rule.Max != nil {
			schema["description"] = fmt.Sprintf("At most %d bytes in UTF-8.", *rule.Max)
		}
	case "integer":
		least, most = "minimum", "maximum"
	case "array":
		least, most = "minItems", "maxItems"
	default:
		return schema
	}
	if rule.Required && least != "minimum" {
		schema[least] = int64(1)
	}
	if rule.Min != nil {
		schema[least] = *rule.Min
	}
	if rule.Max != nil {
		schema[most] = *rule.Max
	}
	if items, ok := schema["items"].(object); ok && rule.Enum != nil {
		items["enum"] = rule.Enum
	} else if rule.Enum != nil {
		schema["enum"] = rule.Enum
	}
	return schema
}

// view is the schema of a view's documents.
func (s *schemas) view(v *business.View) object {
	properties, required := object{v.One: object{"type": "string"}}, []string{v.One}
	always := v.Always()
	for _, f := range v.All() {
		if f.Personal {
			continue
		}
		schema := s.viewField(v, f)
		if f.About != "" {
			schema["description"] = f.About
		}
		properties[f.Name] = schema
		if always[f.Name] {
			required = append(required, f.Name)
		}
	}
	s.named[s.views[v]] = object{"type": "object", "description": v.About, "properties": properties, "required": required}
	return ref(s.views[v])
}

func (s *schemas) viewField(v *business.View, f business.Field) object {
	schema := object{}
	switch f.Kind {
	case business.Text:
		schema = object{"type": "string"}
		if f.Enum != nil {
			schema["enum"] = f.Enum
		}
	case business.State:
		schema = object{"type": "string", "enum": v.States}
	case business.Count:
		schema = object{"type": "integer", "format": "int64"}
	case business.Time:
		schema = object{"type": "string", "format": "date-time"}
	case business.Flag:
		schema = object{"type": "boolean"}
	case business.Mean:
		schema = object{"type": "number"}
	case business.Amount:
		schema = object{"type": "object", "required": []string{"minor", "currency"}, "properties": object{
			"minor":    object{"type": "integer", "format": "int64", "description": "In the currency's minor unit: 1250 EUR is €12.50."},
			"currency": object{"type": "string", "description": "ISO 4217."}}}
	}
	return schema
}
