package edge_test

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirstream/weir/services/gateway/edge"
)

// What two readers could read differently is refused, and the member is named.
func TestAmbiguousJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":1,"a":2}`:                      "a is there twice",
		`{"a":1,"\u0061":2}`:                 "a is there twice",
		`{"a":{"b":[0,{"c":1,"c":1}]}}`:      "a.b[1].c is there twice",
		`[[],[{"x":1},{"x":1,"y":2,"x":3}]]`: "[1][1].x is there twice",
		`{"quantity":1,"Quantity":2}`:        `Quantity and "quantity" differ only in case`,
		`{"sku":1,"\u017fku":2}`:             "differ only in case",
		`{"ſku":1,"SKU":2}`:                  "differ only in case",
		`{"K":1,"\u212a":2}`:                 "differ only in case", // the sign of Kelvin
		`{"":1,"":2}`:                        `[""] is there twice`,
		`{"a.b":{"c d":1,"c d":1}}`:          `["a.b"]["c d"] is there twice`,
		`"\ud800"`:                           "the value holds half of a surrogate pair",
		`{"a":["\udfff"]}`:                   "a[0] holds half",
		`{"a":"\ud800\ud800"}`:               "a holds half",
		`{"a":"\udc00\ud800"}`:               "a holds half",
		`{"a":"\ud83dx\ude00"}`:              "a holds half",
		`{"a":"\\\ud800"}`:                   "a holds half",
		`{"\ud800":1}`:                       "holds half",
		`{"a":"\u0000"}`:                     "a holds a control character",
		`{"a":"\r"}`:                         "a holds a control character",
		"{\"a\":\"\x7f\"}":                   "a holds a control character",
		"{\"a\":\"\u0085\"}":                 "a holds a control character",
		`{"a\n":1}`:                          `["a\n"] has a control character in its name`,
		`{"` + strings.Repeat("n", 5000) + `":{"a":1,"a":1}}`: strings.Repeat("n", 64) + "….a is there twice",
	} {
		if p := edge.CheckJSON([]byte(body)); p == nil || p.Status != 400 || !strings.Contains(p.Detail, want) || len(p.Detail) > 300 {
			t.Errorf("%.60s: %v, want 400 with %q", body, p, want)
		}
	}
	for _, body := range []string{`{}`, ` [ ] `, `0`, `""`, `null`, `{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}`, `{"a":"\ud83d\ude00 \\ud800 \\\\ \" \ufffd` + "\ufffd" + `"}`,
		`{"a":"two\nlines\tand \/","b":-1.5e+300,"c":[true,false,null,{"d":[[]]}],"d":"{\"a\":1,\"a\":[}"}`, `{"a":"אבג \u202b"}`, `{"ß":1,"ss":2,"ẞs":3}`} {
		if p := edge.CheckJSON([]byte(body)); p != nil {
			t.Errorf("%s: %v", body, p)
		}
	}
}

// What CheckJSON lets through, encoding/json reads without a loss.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":1,"A":2}`, `["\ud800\udc00\ud800"]`, `{"a":{"b":"\\\""},"c":[1,2]}`, "{\"\u212a\":1,\"k\":2}", `{"a" : [ "x" , { } ] }`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if edge.CheckJSON(b) != nil {
			return
		}
		var first, second any
		if err := json.Unmarshal(b, &first); err != nil {
			if strings.Contains(err.Error(), "float64") {
				return // a number that none of our types takes
			}
			t.Fatalf("%q passed: %v", b, err)
		}
		again, err := json.Marshal(first)
		if err != nil || json.Unmarshal(again, &second) != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("%q is read as %v and then as %v: %v", b, first, second, err)
		}
		if !utf8.Valid(b) || strings.Count(string(again), `\ufffd`) > 0 {
			t.Fatalf("%q lost a character", b)
		}
		if n := members(first); n != counted(t, b) {
			t.Fatalf("%q has %d members after reading, %d before", b, n, counted(t, b))
		}
	})
}

// members counts those of all objects in v.
func members(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			n += 1 + members(x)
		}
	case []any:
		for _, x := range v {
			n += members(x)
		}
	}
	return n
}

// counted counts the members in the text itself: each has a colon.
func counted(t *testing.T, b []byte) (n int) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case !quoted && b[i] == ':':
			n++
		}
	}
	return n
}

// A long name around many members is not copied for each of them.
func TestLongNamesAreNotCopied(t *testing.T) {
	body := []byte(`{"` + strings.Repeat("n", edge.MaxBody/2) + `":[` + strings.Repeat(`{"m":0},`, edge.MaxBody/20) + `0]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if p := edge.CheckJSON(body); p != nil {
		t.Error(p)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d bytes of memory for %d", grown, len(body))
	}
}

func TestFieldsAreSpeltExactly(t *testing.T) {
	type line struct {
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	}
	type order struct {
		Order string `json:"order"`
		Lines []line `json:"lines"`
		Note  string `json:"note,omitempty"`
		Boss  *line  `json:"boss"`
	}
	type both struct {
		order
		Line line `json:"line"`
	}
	for i, all := range []bool{false, true} { // embedded fields are the struct's own
		body := `{"order":"a","lines":[],"boss":null,"line":{"sku":"b","quantity":1}}`
		err := edge.CheckFields(reflect.TypeFor[both](), []byte(body), all)
		if err != nil {
			t.Error(err)
		}
		err = edge.CheckFields(reflect.TypeFor[both](), []byte(`{"order":"a","boss":null,"line":{"SKU":"b"}}`), all)
		want := []string{"line.SKU is not spelt", `field "lines" is missing`}[i]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	type named struct {
		line `json:"line"`
	}
	if err := edge.CheckFields(reflect.TypeFor[named](), []byte(`{"line":{"sku":"b","quantity":1}}`), true); err != nil {
		t.Error(err)
	}
	for body, want := range map[string][2]string{ // with fields left out, and without
		`{"order":"a","lines":[{"sku":"b","quantity":1}],"boss":null}`: {"", ""},
		`{"order":"a"}`: {"", `field "lines" is missing`},
		`{"order":"a","lines":[{"sku":"b","Quantity":1}],"boss":null}`: {"lines[0].Quantity is not spelt", `field "lines[0].quantity" is missing`},
		`{"order":"a","lines":[],"boss":null,"NOTE":"x"}`:              {"NOTE is not spelt", "NOTE is not spelt"},
		`{"order":"a","lines":[],"boss":{"ſku":"b"}}`:                  {"boss.ſku is not spelt", `field "boss.sku" is missing`},
		`{"order":null,"lines":null,"boss":null}`:                      {"", `field "order" is missing`},
	} {
		for i, all := range []bool{false, true} {
			err := edge.CheckFields(reflect.TypeFor[order](), []byte(body), all)
			if (err == nil) != (want[i] == "") || err != nil && !strings.Contains(err.Error(), want[i]) {
				t.Errorf("%s, all %v: %v, want %q", body, all, err, want[i])
			}
		}
	}
}
