package gateway

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/streams/business"
)

type ruling struct {
	ofThing
	Stars  int      `json:"stars" weir:"min=1,max=5"`
	Yes    bool     `json:"yes" weir:"required"`
	Text   string   `json:"text" weir:"required,max=3"`
	Tags   []string `json:"tags" weir:"max=2,enum=a|b"`
	Number *int     `json:"number" weir:"min=3"`
}

// What the description demands is what the door demands.
func TestTheDescriptionIsEnforced(t *testing.T) {
	c := business.Command{Name: "rule", Path: "/v1/things/{thing}/rule"}
	d := door{Command: c, body: reflect.TypeFor[ruling](), params: c.Params()}
	d.key, _ = business.KeyField(d.body)
	s := schemas{named: object{}, types: map[string]reflect.Type{}}
	schema := s.structure(d.body, true, d.params)
	required := schema["required"].([]string)
	if !slices.Equal(required, []string{"stars", "yes", "text"}) || !d.needsBody() {
		t.Errorf("required are %v", required)
	}
	tags := schema["properties"].(object)["tags"].(object)
	if tags["enum"] != nil || tags["items"].(object)["enum"] == nil || tags["maxItems"] != int64(2) {
		t.Errorf("tags are described as %v", tags)
	}
	full := map[string]any{"stars": 1, "yes": false, "text": "x", "tags": []string{"b"}, "number": 3}
	read := func() string {
		b, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/v1/things/t-1/rule", strings.NewReader(string(b)))
		r.Header.Set("Content-Type", "application/json")
		r.SetPathValue("thing", "t-1")
		if _, p := d.read(httptest.NewRecorder(), r, "id"); p != nil {
			return p.Detail
		}
		return ""
	}
	if got := read(); got != "" {
		t.Error(got)
	}
	for name := range schema["properties"].(object) {
		value := full[name]
		delete(full, name)
		if got := read(); slices.Contains(required, name) != (got == name+" is missing") {
			t.Errorf("without %s: %q", name, got)
		}
		full[name] = value
	}
}

// A body has to be there if anything in it has, and its key is such a thing.
func TestWhoNeedsABody(t *testing.T) {
	type plain struct {
		ofThing
		Size int `json:"size"`
	}
	for _, c := range []struct {
		business.Command
		needs bool
	}{{business.Command{Path: "/v1/things"}, true}, {business.Command{Path: "/v1/things", MakesKey: "t-"}, false}, {business.Command{Path: "/v1/things/{thing}"}, false}} {
		d := door{Command: c.Command, body: reflect.TypeFor[plain](), params: c.Params()}
		d.key, _ = business.KeyField(d.body)
		if d.needsBody() != c.needs {
			t.Errorf("%+v needs a body: %v", c.Command, !c.needs)
		}
	}
}

// A description says of every type what JSON makes of it.
func TestEveryKindIsDescribed(t *testing.T) {
	s := schemas{named: object{}, types: map[string]reflect.Type{}}
	for v, want := range map[any]string{uint8(1): "integer", int16(1): "integer", [2]string{}: "array"} {
		if got := s.of(reflect.TypeOf(v), false); got["type"] != want {
			t.Errorf("%T is %v", v, got)
		}
	}
	if got := s.of(reflect.TypeFor[[]byte](), false); got["type"] != "string" || got["contentEncoding"] != "base64" {
		t.Errorf("bytes are %v", got)
	}
}
