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
	var given []byte
	if r.ContentLength != 0 {
		var p *edge.Problem
		if given, p = d.decode(w, r, into.Interface()); p != nil {
			return nil, p
		}
	}
	v := into.Elem()
	for _, name := range d.params {
		field(v, name).SetString(r.PathValue(name))
	}
	besides := d.params
	if key := v.FieldByIndex(d.key.Index); key.String() == "" && d.MakesKey != "" {
		key.SetString(d.MakesKey + digest(id))
		besides = append(slices.Clone(besides), business.JSONName(d.key))
	}
	if err := edge.CheckRules(v, given, besides...); err != nil {
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
		rule, _ := streams.Rule(f)
		if (rule.Required || slices.Equal(f.Index, d.key.Index)) && !slices.Contains(d.params, name) && !d.makes(f) {
			return true
		}
	}
	return false
}

// makes tells whether a field is the key that the door makes where nobody gives one.
func (d *door) makes(f reflect.StructField) bool {
	return d.MakesKey != "" && slices.Equal(f.Index, d.key.Index)
}

// decode reads a JSON object and refuses fields that it does not know, or that stand in
// the path.
func (d *door) decode(w http.ResponseWriter, r *http.Request, into any) ([]byte, *edge.Problem) {
	if _, p := edge.MediaType(r, "application/json"); p != nil {
		return nil, p
	}
	b, p := edge.Body(w, r)
	if p != nil {
		return nil, p
	}
	if p := edge.CheckJSON(b); p != nil {
		return nil, p
	}
	if b = bytes.TrimSpace(b); b[0] != '{' {
		return nil, invalid("the body is not a JSON object")
	}
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return nil, d.unfit(b, err)
	}
	if err := edge.CheckFields(d.body, b, false); err != nil {
		return nil, edge.BadJSON(err.Error())
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(b, &members) // it was read
	for _, name := range d.params {
		if _, ok := members[name]; ok {
			return nil, invalid(fmt.Sprintf("%s stands in the path, and not in the body", name))
		}
	}
	return b, nil
}

// unfit says why a body cannot be decoded, and where.
func (d *door) unfit(b []byte, err error) *edge.Problem {
	detail := strings.TrimPrefix(err.Error(), "json: ")
	if strings.HasPrefix(detail, "unknown field ") { // which says only its last name
		if at := edge.CheckFields(d.body, b, false); at != nil {
			detail = at.Error()
		}
	}
	return invalid("the body does not fit: " + detail)
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
