package edge_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/weirstream/weir/services/gateway/edge"
)

type part struct {
	Name string `json:"name" weir:"required"`
	Kind kindOf `json:"kind"`
}

type kindOf string

func (kindOf) Kind() string     { return "kind" }
func (k kindOf) String() string { return string(k) }

type ruled struct {
	Number *int            `json:"number" weir:"min=3,max=5"`
	Stars  int             `json:"stars" weir:"min=0,max=5"`
	Yes    *bool           `json:"yes" weir:"required"`
	Text   string          `json:"text" weir:"min=2,max=4"`
	Colour *string         `json:"colour" weir:"enum=red|blue"`
	Tags   []string        `json:"tags" weir:"max=2,enum=a|b"`
	Parts  []part          `json:"parts"`
	Best   *part           `json:"best"`
	Raw    json.RawMessage `json:"raw"`
}

// Rules hold for what is there, at every level, and presence is not the zero value.
func TestRulesHoldForWhatIsThere(t *testing.T) {
	for body, want := range map[string]string{
		`{"yes":false}`:           "",
		`{}`:                      "yes is missing",
		``:                        "yes is missing",
		`{"yes":null}`:            "yes is missing",
		`{"yes":true,"number":2}`: "number has 2, below the least of 3",
		`{"yes":true,"number":3,"stars":0,"text":"ab"}`:   "",
		`{"yes":true,"stars":6}`:                          "stars has 6, above the bound of 5",
		`{"yes":true,"text":""}`:                          "text has 0 bytes, below",
		`{"yes":true,"text":"abcde"}`:                     "text has 5 bytes, above",
		`{"yes":true,"colour":"red","tags":["a","b"]}`:    "",
		`{"yes":true,"colour":""}`:                        "colour is none of red, blue",
		`{"yes":true,"tags":["a","c"]}`:                   "tags[1] is none of a, b",
		`{"yes":true,"tags":["a","a","a"]}`:               "tags has 3 items, above",
		`{"yes":true,"parts":[{"name":"x"},{}]}`:          "parts[1].name is missing",
		`{"yes":true,"parts":[{"name":""}]}`:              "parts[0].name is empty",
		`{"yes":true,"parts":[null]}`:                     "parts[0] is null",
		`{"yes":true,"best":{}}`:                          "best.name is missing",
		`{"yes":true,"best":null}`:                        "",
		`{"yes":true,"best":{"name":"x","kind":".."}}`:    "best.kind: nothing may be called",
		`{"yes":true,"raw":[1e999,null,{"name":1e9999}]}`: "",
	} {
		var v ruled
		if body != "" {
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatal(err)
			}
		}
		err := edge.CheckRules(reflect.ValueOf(v), []byte(body))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	if err := edge.CheckRules(reflect.ValueOf(ruled{}), nil, "yes"); err != nil {
		t.Errorf("what stands elsewhere: %v", err)
	}
}

func TestUnknownFieldsSayWhere(t *testing.T) {
	for body, want := range map[string]string{
		`{"parts":[{"name":"x"},{"nmae":"x"}]}`: `unknown field "parts[1].nmae": there are name, kind`,
		`{"best":{"NAME":"x"}}`:                 "best.NAME is not spelt",
	} {
		if err := edge.CheckFields(reflect.TypeFor[ruled](), []byte(body), false); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}
