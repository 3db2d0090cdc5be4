package gateway

import (
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type thing string

func (thing) Kind() string     { return "thing" }
func (t thing) String() string { return string(t) }

type ofThing struct {
	Thing thing `json:"thing"`
}

func (o ofThing) Key() streams.Key { return o.Thing }

type wishes struct {
	Text string `json:"text" weir:"required,max=5"`
}

type wish struct {
	ofThing
	wishes
	Size int `json:"size"`
}

// A door takes the fields of what its body embeds as the body's own, with their rules.
func TestBodiesMayEmbed(t *testing.T) {
	c := business.Command{Name: "wish", Path: "/v1/things/{thing}/wish"}
	d := door{Command: c, body: reflect.TypeFor[wish](), params: c.Params()}
	var err error
	if d.key, err = business.KeyField(d.body); err != nil || business.JSONName(d.key) != "thing" {
		t.Fatalf("its key is %+v", d.key)
	}
	s := newSchemas(nil)
	schema := s.structure(d.body, true, d.params)
	p := schema["properties"].(object)
	if len(p) != 2 || p["text"].(object)["maxLength"] != int64(5) || p["size"] == nil ||
		!slices.Equal(schema["required"].([]string), []string{"text"}) || !d.needsBody() {
		t.Errorf("its schema is %v", schema)
	}
	for body, want := range map[string]string{
		`{"text":"tea","size":2}`:  "",
		`{"text":"coffee"}`:        "text has 6 bytes",
		`{"size":2}`:               "text is missing",
		`{"Text":"tea"}`:           "Text is not spelt",
		`{"wishes":{}}`:            "unknown field",
		`{"text":"a","thing":"x"}`: "thing stands in the path",
	} {
		r := httptest.NewRequest("POST", "/v1/things/t-1/wish", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.SetPathValue("thing", "t-1")
		got, p := d.read(httptest.NewRecorder(), r, "id")
		switch {
		case want == "" && (p != nil || got != wish{ofThing{"t-1"}, wishes{"tea"}, 2}):
			t.Errorf("%s is read as %+v, %+v", body, got, p)
		case want != "" && (p == nil || !strings.Contains(p.Detail, want)):
			t.Errorf("%s: %+v, want %s", body, p, want)
		}
	}
	path, content, err := c.Request(wish{ofThing{"t-1"}, wishes{"tea"}, 2})
	if path != "/v1/things/t-1/wish" || string(content) != `{"size":2,"text":"tea"}` || err != nil {
		t.Errorf("asked for with %s %s, %v", path, content, err)
	}
}
