package gateway

import (
	"reflect"
	"slices"
	"testing"

	"github.com/weirstream/weir/streams/business"
)

type (
	Carton  struct{ Size int }
	Problem struct{ Why string }
)

// No two schemas have one name, whatever views and types are called.
func TestSchemasHaveNamesOfTheirOwn(t *testing.T) {
	var views []*business.View
	for _, title := range []string{"Carton", "Carton", "Prob lem", "Täg/<b>", "箱"} {
		views = append(views, &business.View{Name: "boxes", One: "box", Title: title})
	}
	s := newSchemas(views)
	refs := []any{s.of(reflect.TypeFor[Carton](), false)["$ref"], s.of(reflect.TypeFor[Problem](), false)["$ref"], s.of(reflect.TypeFor[Carton](), false)["$ref"]}
	for _, v := range views {
		refs = append(refs, s.view(v)["$ref"])
	}
	const at = "#/components/schemas/"
	want := []any{at + "GatewayCarton", at + "GatewayProblem", at + "GatewayCarton", at + "Carton", at + "Carton2", at + "Problem2", at + "Tgb", at + "boxes"}
	if !slices.Equal(refs, want) {
		t.Errorf("they are called\n%v, want\n%v", refs, want)
	}
	if len(s.named) != 8 || !reflect.DeepEqual(s.named["Problem"], problemSchema) || s.named["GatewayCarton"].(object)["properties"].(object)["Size"] == nil {
		t.Errorf("the schemas are %v", s.named)
	}
	if anonymous := s.of(reflect.TypeFor[struct{ A int }](), false); anonymous["$ref"] != nil || anonymous["properties"] == nil {
		t.Errorf("a type without a name is described as %v", anonymous)
	}
}

// No command and no view can be where the gateway has something of its own.
func TestPathsOfTheGatewayAreReserved(t *testing.T) {
	g := &gateway{Config: Config{Business: &business.Business{}}}
	own, err := g.routes()
	if err != nil || len(own) < 4 {
		t.Fatal(own, err)
	}
	for path := range own {
		if !business.ReservedPath(path) {
			t.Errorf("%s could be a business's: reserve it in streams/business", path)
		}
	}
}
