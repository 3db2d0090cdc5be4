package gateway_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/services/ingest"
	"github.com/weirstream/weir/services/shop"
)

var update = flag.Bool("update", false, "write the golden files again")

type object = map[string]any

func described(t *testing.T) (raw []byte, doc object) {
	t.Helper()
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = gateway.Describe(shop.Business, top); err == nil {
		err = json.Unmarshal(raw, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw, doc
}

// What is told to others changes when somebody means it to.
func TestGoldenDescription(t *testing.T) {
	raw, _ := described(t)
	path := filepath.Join("testdata", "openapi.json")
	if *update {
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != string(raw) {
		t.Errorf("the description is not that of %s (%v): look at the difference, and make golden", path, err)
	}
}

func TestEveryRouteIsDescribed(t *testing.T) {
	var served, told []string
	served = append(served, "POST "+ingest.Path)
	newHouse(t, func(c *gateway.Config) {
		c.Route = func(pattern string, methods ...string) {
			for _, m := range methods {
				served = append(served, m+" "+pattern)
			}
		}
	})
	_, doc := described(t)
	for path, methods := range doc["paths"].(object) {
		for m := range methods.(object) {
			told = append(told, strings.ToUpper(m)+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(told)
	if !slices.Equal(served, told) {
		t.Errorf("served:\n%s\ndescribed:\n%s", strings.Join(served, "\n"), strings.Join(told, "\n"))
	}
}

// Every reference leads somewhere, and every operation has a name of its own.
func TestTheDescriptionHolds(t *testing.T) {
	_, doc := described(t)
	ids := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case object:
			if r, ok := v["$ref"].(string); ok && !leads(doc, r) {
				t.Errorf("%s leads nowhere", r)
			}
			if id, ok := v["operationId"].(string); ok {
				if ids[id] {
					t.Errorf("two operations are called %s", id)
				}
				ids[id] = true
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	if len(ids) < 9 {
		t.Errorf("only %d operations are described", len(ids))
	}
}

// A body that may not be left out is said to be required, and a list that moves to move.
func TestWhatClientsRelyOnIsSaid(t *testing.T) {
	_, doc := described(t)
	at := func(path, method string) object { return doc["paths"].(object)[path].(object)[method].(object) }
	for path, want := range map[string]bool{"/v1/orders post": true, "/v1/orders/{order}/cancel post": false, "/v1/reviews/{review} put": true, "/v1/reviews/{review}/moderation post": true} {
		p, method, _ := strings.Cut(path, " ")
		if got := at(p, method)["requestBody"].(object)["required"]; got != want {
			t.Errorf("the body of %s is required: %v", path, got)
		}
	}
	if got, _ := at("/v1/ratings", "get")["description"].(string); !strings.Contains(got, "may miss documents whose reviews change") {
		t.Errorf("a list by a count is described as %q", got)
	}
}

func leads(doc object, ref string) bool {
	at := any(doc)
	for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		o, ok := at.(object)
		if at = o[step]; !ok || at == nil {
			return false
		}
	}
	return true
}

// The label of a request's route is the pattern that it took.
func TestTheRouteIsThePattern(t *testing.T) {
	h := newHouse(t)
	for path, want := range map[string]string{"/v1/orders": "/v1/orders", "/v1/orders/o-1": "/v1/orders/{order}", "/v1/orders/o-1/cancel": "/v1/orders/{order}/cancel",
		"/v1/sagas/a%2Fb": "/v1/sagas/{correlation}", "/v1/nowhere": "", "/v1/orders/o-1/cancel/now": ""} {
		r, err := http.NewRequest(http.MethodGet, "http://weir"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.gateway.Pattern(r); got != want {
			t.Errorf("%s takes %q, want %q", path, got, want)
		}
	}
}
