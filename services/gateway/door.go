package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// door is a command that clients may ask for.
type door struct {
	business.Command
	service string
	body    reflect.Type
	key     reflect.StructField // of the body
	params  []string            // fields of the body that stand in the path
	made    *business.View      // of what a success has made; nil if nobody shows it
}

func (g *gateway) newDoor(c business.Command) (door, error) {
	d := door{Command: c, body: c.Body(g.Topology), params: c.Params()}
	var ok bool
	if d.service, _, ok = g.Topology.CommandTarget(c.Name); !ok {
		return d, fmt.Errorf("no decider takes command %q: add its service to the business", c.Name)
	}
	var err error
	if d.key, err = business.KeyField(d.body); err != nil {
		return d, fmt.Errorf("command %q: %w", c.Name, err)
	}
	kind := reflect.Zero(d.body).Interface().(streams.Event).Key().Kind()
	if v, ok := g.Business.ViewOf(kind); ok && c.Success == http.StatusCreated {
		d.made = v
	}
	return d, nil
}

// ask answers a request for the command.
func (g *gateway) ask(d door) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, p := readRequest(r, d.Name)
		if p == nil {
			var body streams.Event
			id := q.commandID(d.Name)
			if body, p = d.read(w, r, id); p == nil {
				g.send(w, r, q, id, d, body)
				return
			}
		}
		p.Write(w)
	}
}

// read makes the command's body of a request: its JSON, what stands in the path, and,
// where the client names no key, one that is the same for the same id.
func (d *door) read(w http.ResponseWriter, r *http.Request, id string) (streams.Event, *edge.Problem) {
	into := reflect.New(d.body)
	if r.ContentLength != 0 || d.needsBody() {
		if p := d.decode(w, r, into.Interface()); p != nil {
			return nil, p
		}
	}
	v := into.Elem()
	for _, name := range d.params {
		field(v, name).SetString(r.PathValue(name))
	}
	if key := v.FieldByIndex(d.key.Index); key.String() == "" && d.MakesKey != "" {
		key.SetString(d.MakesKey + digest(id))
	}
	if err := checkRules(v, ""); err != nil {
		return nil, invalid(err.Error())
	}
	body := v.Interface().(streams.Event)
	if !business.KeyRule.MatchString(body.Key().String()) {
		return nil, invalid(business.JSONName(d.key) + " is not 1 to 128 letters, digits, dots, underscores, tildes and dashes, a letter or digit first")
	}
	return body, nil
}

// needsBody tells whether anything has to be said beside what stands in the path.
func (d *door) needsBody() bool {
	for name, f := range streams.Fields(d.body) {
		if rule, _ := streams.Rule(f); rule.Required && !slices.Contains(d.params, name) {
			return true
		}
	}
	return false
}

// decode reads a JSON object and refuses fields that it does not know, or that stand in
// the path.
func (d *door) decode(w http.ResponseWriter, r *http.Request, into any) *edge.Problem {
	if _, p := edge.MediaType(r, "application/json"); p != nil {
		return p
	}
	b, p := edge.Body(w, r)
	if p != nil {
		return p
	}
	if p := edge.CheckJSON(b); p != nil {
		return p
	}
	if b = bytes.TrimSpace(b); b[0] != '{' {
		return invalid("the body is not a JSON object")
	}
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return invalid("the body does not fit: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	if err := edge.CheckFields(d.body, b, false); err != nil {
		return edge.BadJSON(err.Error())
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(b, &members) // it was read
	for _, name := range d.params {
		if _, ok := members[name]; ok {
			return invalid(fmt.Sprintf("%s stands in the path, and not in the body", name))
		}
	}
	return nil
}

// field finds the field that JSON calls by a name.
func field(v reflect.Value, name string) reflect.Value {
	for called, f := range streams.Fields(v.Type()) {
		if called == name {
			return v.FieldByIndex(f.Index)
		}
	}
	return reflect.Value{}
}

// checkRules reports the first field that its tag does not allow.
func checkRules(v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return checkRules(v.Elem(), path)
	case reflect.Slice:
		for i := range v.Len() {
			if err := checkRules(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Struct:
	default:
		return nil
	}
	for called, f := range streams.Fields(v.Type()) {
		rule, err := streams.Rule(f)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path+"."+called, ".")
		if err := checkRule(rule, v.FieldByIndex(f.Index), name); err != nil {
			return err
		}
		if err := checkRules(v.FieldByIndex(f.Index), name); err != nil {
			return err
		}
	}
	return nil
}

func checkRule(rule streams.FieldRule, v reflect.Value, name string) error {
	size, unit := int64(0), ""
	switch v.Kind() {
	case reflect.String:
		size, unit = int64(v.Len()), " bytes"
	case reflect.Slice, reflect.Map:
		size, unit = int64(v.Len()), " items"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		size = v.Int()
	default:
		return nil
	}
	empty := unit != "" && size == 0
	switch {
	case rule.Required && empty:
		return fmt.Errorf("%s is missing or empty", name)
	case empty:
		return nil
	case rule.Min != nil && size < *rule.Min:
		return fmt.Errorf("%s has %d%s, below the least of %d", name, size, unit, *rule.Min)
	case rule.Max != nil && size > *rule.Max:
		return fmt.Errorf("%s has %d%s, above the bound of %d", name, size, unit, *rule.Max)
	case rule.Enum != nil && !slices.Contains(rule.Enum, v.String()):
		return fmt.Errorf("%s is none of %s", name, strings.Join(rule.Enum, ", "))
	}
	return nil
}

// invalid refuses what the door alone can tell; the decider has codes of its own.
func invalid(detail string) *edge.Problem {
	return &edge.Problem{Code: "invalid-request", Status: http.StatusUnprocessableEntity, Detail: detail}
}

// location is where what a command has made can be read; empty if nowhere.
func (d *door) location(body streams.Event) string {
	if d.made == nil {
		return ""
	}
	return d.made.Path + "/" + url.PathEscape(body.Key().String())
}
