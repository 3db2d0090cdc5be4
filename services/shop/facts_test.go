package shop_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
)

var update = flag.Bool("update", false, "add new facts to testdata/facts.txt; what is there stays")

// filled puts something into every field, so that nothing is left out of the JSON.
func filled(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			filled(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0))
	case reflect.String:
		v.SetString(v.Type().Name())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	default:
		panic("no value for " + v.Type().String())
	}
}

// Records are read for years: each fact's name, version and JSON are as they always
// were, whichever Go type carries them, and what was written is read as the same.
func TestHistoryStaysReadable(t *testing.T) {
	top, err := shop.Business.Topology()
	check(t, err)
	facts := slices.Clone(top.Vocabulary.Facts())
	slices.SortFunc(facts, func(a, b streams.Fact) int { return strings.Compare(a.Name, b.Name) })
	var got bytes.Buffer
	for _, f := range facts {
		v := reflect.New(f.Type).Elem()
		filled(v)
		written, err := json.Marshal(v.Interface())
		check(t, err)
		e, err := f.Decode(f.Version, written)
		check(t, err)
		if !reflect.DeepEqual(e, v.Interface()) {
			t.Errorf("%s: %s is read as %+v", f.Name, written, e)
		}
		fmt.Fprintf(&got, "%s v%d of %s=%s private=%v external=%v\n\t%s\n\n",
			f.Name, f.Version, f.Kind, e.Key(), f.Private, f.External, written)
	}
	const file = "testdata/facts.txt"
	history, err := os.ReadFile(file)
	check(t, err)
	for was := range strings.SplitSeq(string(history), "\n\n") {
		if !strings.Contains(got.String(), strings.TrimSpace(was)+"\n") {
			t.Errorf("history has\n%s\nand that is written and read no more", was)
		}
	}
	if *update && !t.Failed() {
		check(t, os.WriteFile(file, got.Bytes(), 0o644))
	} else if got.String() != string(history) {
		t.Error("there are facts that testdata/facts.txt has not: make golden adds them")
	}
}

func TestFactsAreNamedByContext(t *testing.T) {
	top, err := shop.Business.Topology()
	check(t, err)
	name := regexp.MustCompile(`^[a-z]+\.[a-z]+(-[a-z]+)*$`)
	for _, f := range top.Vocabulary.Facts() {
		if !name.MatchString(f.Name) {
			t.Errorf("%v is called %q: use context.what-happened", f.Type, f.Name)
		}
	}
}

// A field without a snake_case name would leak Go's spelling to every consumer.
func TestFieldsAreSnakeCase(t *testing.T) {
	top, err := shop.Business.Topology()
	check(t, err)
	for _, f := range top.Vocabulary.Facts() {
		for _, bad := range notSnakeCase(f.Type) {
			t.Error(bad)
		}
	}
	type inner struct{ Street string }
	type flat struct {
		inner
		City  string  `json:"City"`
		Homes []inner `json:"homes,omitempty"`
	}
	if bad := notSnakeCase(reflect.TypeFor[flat]()); len(bad) != 3 {
		t.Errorf("found %q, want Street, City and that of homes", bad)
	}
}

var snake = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

func notSnakeCase(t reflect.Type) (bad []string) {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for name, f := range streams.Fields(t) {
		if !snake.MatchString(name) {
			bad = append(bad, fmt.Sprintf("%v.%s has the JSON name %q", t, f.Name, name))
		}
		bad = append(bad, notSnakeCase(f.Type)...)
	}
	return bad
}
