package business

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/weirstream/weir/streams"
)

// Command is a command of a decider with its door: how clients ask for it over HTTP.
// Its body is that which the decider takes; rules stand in the tags of its fields
// (streams.FieldRule). A rejection's class alone decides the status of a refusal.
type Command struct {
	Name   string // as the decider calls it
	Method string // POST if empty
	// Path names fields of the body in braces, as JSON does: "/v1/orders/{order}/cancel".
	Path        string
	Success     int    // status of a yes: 200 if 0. 201 comes with the address of what was made
	Caller      Caller // who may ask; Anyone if empty
	Summary     string
	Description string
	Example     streams.Event // a body that is taken
	Reply       any           // a zero value of what the decider replies
	// MakesKey lets a client leave out the field that names the key: it is made of this
	// prefix and a digest of the request's Idempotency-Key, or of chance without one.
	// Empty: the field has to be there.
	MakesKey string
}

// Caller says who may ask for something.
type Caller string

// Who there is.
const (
	Anyone Caller = "anyone"
	Buyer  Caller = "customer" // somebody, about what is theirs
	Staff  Caller = "staff"
)

// Body is the type of a command's body, which its decider takes.
func (c *Command) Body(t *streams.Topology) reflect.Type {
	body, _ := t.CommandBody(c.Name)
	return body
}

// Params are the fields of the body that the path names.
func (c *Command) Params() (out []string) {
	for _, m := range pathParam.FindAllStringSubmatch(c.Path, -1) {
		out = append(out, m[1])
	}
	return out
}

// JSONName is what JSON calls a field.
func JSONName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		return f.Name
	}
	return name
}

func fieldNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	for called, f := range streams.Fields(t) {
		if called == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// checkCommands reports doors that lead nowhere, or that another one stands before.
func (b *Business) checkCommands(t *streams.Topology) (errs []error) {
	seen := map[string]string{}
	for _, s := range b.Services {
		for _, c := range s.Commands {
			bad := func(format string, args ...any) {
				errs = append(errs, fmt.Errorf("command %q of service %q: "+format, append([]any{c.Name, s.Name}, args...)...))
			}
			service, _, ok := t.CommandTarget(c.Name)
			body, _ := t.CommandBody(c.Name)
			switch {
			case !ok || service != s.Name:
				bad("none of its deciders takes it: add streams.OnCommand(%q, …)", c.Name)
				continue
			case !pathRule.MatchString(c.Path):
				bad("its path %q is not of the form /v1/things/{field}", c.Path)
				continue
			case c.Summary == "":
				bad("it needs a summary")
			}
			checkPath(c.Path, bad)
			method := c.Verb()
			if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch}, method) {
				bad("%s is no method of a command", method)
			}
			at := method + " " + pathParam.ReplaceAllString(c.Path, "{}")
			if other := seen[at]; other != "" {
				bad("%s is the door of %s already", at, other)
			}
			seen[at] = c.Name
			c.checkBody(body, bad)
		}
	}
	return errs
}

// Verb is the command's method.
func (c *Command) Verb() string {
	if c.Method == "" {
		return http.MethodPost
	}
	return c.Method
}

func (c *Command) checkBody(body reflect.Type, bad func(string, ...any)) {
	for _, name := range c.Params() {
		if f, ok := fieldNamed(body, name); !ok || f.Type.Kind() != reflect.String {
			bad("its path names %q, and %v has no text called so", name, body)
		}
	}
	if _, err := KeyField(body); err != nil {
		bad("%w", err)
	}
	if c.MakesKey != "" && !KeyRule.MatchString(c.MakesKey+strings.Repeat("0", 26)) { // as long as a digest
		bad("keys that begin with %q cannot stand in a path: let MakesKey begin with a letter or digit, hold letters, digits and ._~- only, and at most 102 of them", c.MakesKey)
	}
	if err := describable(body, nil); err != nil {
		bad("%w", err)
	}
	if c.Example != nil && reflect.TypeOf(c.Example) != body {
		bad("its example is a %T, the decider takes %v", c.Example, body)
	}
	if c.Success != 0 && c.Success != http.StatusOK && c.Success != http.StatusCreated && c.Success != http.StatusAccepted {
		bad("%d is no success: 200, 201 or 202", c.Success)
	}
}

var (
	pathRule  = regexp.MustCompile(`^/v1(/([a-z0-9-]+|\{[a-z_]+\}))+$`)
	pathParam = regexp.MustCompile(`\{([a-z_]+)\}`)
)

// Request is how a client asks for the command over HTTP: the path, and the JSON of what
// does not stand in it.
func (c *Command) Request(body streams.Event) (path string, content []byte, err error) {
	content, err = json.Marshal(body)
	if err != nil {
		return "", nil, fmt.Errorf("body of %s: %w", c.Name, err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(content, &members); err != nil {
		return "", nil, fmt.Errorf("body of %s: %w", c.Name, err)
	}
	path = c.Path
	for _, name := range c.Params() {
		var value string
		if err := json.Unmarshal(members[name], &value); err != nil {
			return "", nil, fmt.Errorf("field %s of %s: %w", name, c.Name, err)
		}
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		delete(members, name)
	}
	content, err = json.Marshal(members)
	return path, content, err
}
