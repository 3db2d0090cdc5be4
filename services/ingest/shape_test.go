package ingest

import (
	"reflect"
	"strings"
	"testing"
)

type weighed struct {
	Grams int    `json:"grams" weir:"min=1"`
	Scale string `json:"scale,omitempty" weir:"enum=a|b"`
}

// What is posted keeps the rules of its type, as its description says.
func TestRulesOfEventsHold(t *testing.T) {
	for data, want := range map[string]string{`{"grams":1}`: "", `{"grams":0}`: "grams has 0, below", `{"grams":2,"scale":"c"}`: "scale is none of"} {
		err := checkShape(reflect.TypeFor[weighed](), []byte(data))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
	}
}
