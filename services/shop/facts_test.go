package shop_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
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

// written is a line of history: a fact as one version of it is on the log.
var written = regexp.MustCompile(`^(\S+) v(\d+) of (\S+)=(\S*) private=\w+ external=\w+\n\t(.*)$`)

// Records are read for years: each version of a fact has the name and JSON that it always
// had, whichever Go type carries it, and what was written is read, by upcasters if it is older.
func TestHistoryStaysReadable(t *testing.T) {
	top, err := shop.Business.Topology()
	check(t, err)
	lines := map[string]string{}
	for _, f := range top.Vocabulary.Facts() {
		v := reflect.New(f.Type).Elem()
		filled(v)
		data, err := json.Marshal(v.Interface())
		check(t, err)
		e, err := f.Decode(f.Version, data)
		check(t, err)
		if !reflect.DeepEqual(e, v.Interface()) {
			t.Errorf("%s: %s is read as %+v", f.Name, data, e)
		}
		lines[fmt.Sprintf("%s v%d", f.Name, f.Version)] = fmt.Sprintf("%s v%d of %s=%s private=%v external=%v\n\t%s",
			f.Name, f.Version, f.Kind, e.Key(), f.Private, f.External, data)
	}
	const file = "testdata/facts.txt"
	history, err := os.ReadFile(file)
	check(t, err)
	for was := range strings.SplitSeq(strings.TrimSpace(string(history)), "\n\n") {
		m := written.FindStringSubmatch(was)
		if m == nil {
			t.Fatalf("this is no line of history:\n%s", was)
		}
		if err := readable(top.Vocabulary, m, lines[m[1]+" v"+m[2]]); err != nil {
			t.Error(err)
		}
		lines[m[1]+" v"+m[2]] = was
	}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&all, "%s\n\n", lines[name])
	}
	switch {
	case t.Failed():
	case *update:
		check(t, os.WriteFile(file, []byte(all.String()), 0o644))
	case all.String() != string(history):
		t.Error("there are facts, or versions of one, that testdata/facts.txt has not: make golden adds them")
	}
}

// readable tells what is wrong with a line of history, beside what is written of the
// same version now, if any.
func readable(v *streams.Vocabulary, was []string, now string) error {
	fact, ok := v.Fact(was[1])
	version, err := strconv.Atoi(was[2])
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("history has\n%s\nand no fact of this name reads it", was[0])
	case now != "" && now != was[0]:
		return fmt.Errorf("history has\n%s\nand now the same version is\n%s\nLet the old type be, write a new one, and declare streams.Upcast(%d, …) from one to the other",
			was[0], now, version)
	}
	e, err := fact.Decode(version, []byte(was[5]))
	if err != nil {
		return fmt.Errorf("history has\n%s\nwhich is not readable: %w", was[0], err)
	}
	if e.Key().Kind() != was[3] || e.Key().String() != was[4] {
		return fmt.Errorf("history has\n%s\nwhich is now of %s %s", was[0], e.Key().Kind(), e.Key())
	}
	return nil
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
