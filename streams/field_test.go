package streams_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/streams"
)

type ofAccount struct {
	ID account `json:"id"`
}

func (o ofAccount) Key() streams.Key { return o.ID }

type contact struct {
	Mail  string `json:"mail" weir:"personal"`
	Phone string `json:"phone" weir:"required"`
	Notes string
}

type tagged struct {
	Notes string `json:"Notes"`
}

type untagged struct{ Notes string }

type guest struct {
	ofAccount
	contact
	Home  home `json:"home"`
	Spoon int  `json:"-"`
	knife int
}

// Fields are what encoding/json takes them for, however they are embedded.
func TestFieldsAreThoseOfJSON(t *testing.T) {
	for _, v := range []any{
		guest{knife: 1},
		struct{ ofAccount }{},
		struct { // the outer one hides the embedded one
			contact
			Mail int `json:"mail"`
		}{},
		struct { // two of one name, neither outer: none
			contact
			untagged
		}{},
		struct { // or the one that is tagged
			contact
			tagged
			untagged
		}{},
		struct { // it has a name of its own
			contact `json:"reach"`
		}{},
		struct {
			account `json:"id"`
		}{},
		struct{ contact *contact }{},
		struct{ N1, N2 string }{},
	} {
		b, err := json.Marshal(v)
		var want map[string]any
		if err != nil || json.Unmarshal(b, &want) != nil {
			t.Fatalf("%s: %v", b, err)
		}
		var got []string
		for name, f := range streams.Fields(reflect.TypeOf(v)) {
			got = append(got, name)
			reflect.ValueOf(v).FieldByIndex(f.Index) // there is one
		}
		slices.Sort(got)
		if names := slices.Sorted(maps.Keys(want)); !slices.Equal(got, names) {
			t.Errorf("%T: fields %q, JSON has %q", v, got, names)
		}
	}
	type loop struct {
		Name string
		Next *loop
	}
	for range streams.Fields(reflect.TypeFor[loop]()) {
		break
	}
	for name := range streams.Fields(reflect.TypeFor[struct{ *contact }]()) {
		t.Errorf("field %s of what may be nil", name)
	}
}

// What an embedded struct declares as personal is hidden, as its own.
func TestEmbeddedFieldsAreHidden(t *testing.T) {
	v, err := streams.NewVocabulary(streams.NewFact[guest]("guest.came"))
	if err != nil {
		t.Fatal(err)
	}
	got := v.ShowEvent("guest.came", 1, []byte(`{"id":"acc-1","mail":"ada@example.org","phone":"555","Spoon":"gold"}`))
	for text, shown := range map[string]bool{"acc-1": true, "555": true, "ada": false, "gold": false} {
		if strings.Contains(got, text) != shown {
			t.Errorf("%s is shown: %v, want %v: %s", text, !shown, shown, got)
		}
	}
}

type hiding struct {
	ofAccount
	contact `weir:"personal"`
}

type asksOddly struct {
	ofAccount
	Mail string `json:"mail" weir:"persnal"`
}

// Tags that nobody heeds are refused: on what JSON flattens, and in the bodies of commands.
func TestTagsThatNobodyHeedsAreRefused(t *testing.T) {
	_, err := streams.NewVocabulary(streams.NewFact[hiding]("guest.hid"))
	if err == nil || !strings.Contains(err.Error(), "tag them") {
		t.Errorf("a tag of an embedded struct: %v", err)
	}
	v, err := streams.NewVocabulary()
	if err != nil {
		t.Fatal(err)
	}
	d := define("d", onCommand[asksOddly]("ask-oddly"))
	_, err = streams.NewTopology(v, []streams.Service{service("s", d)})
	if err == nil || !strings.Contains(err.Error(), "persnal") {
		t.Errorf("a misspelt tag of a command: %v", err)
	}
}

// A rule that nobody could hold a value to is refused, whatever else the tag says.
func TestRulesFitTheirFields(t *testing.T) {
	type fine struct {
		Text  *string        `weir:"required,min=3,enum=abc|abd"`
		Texts []string       `weir:"max=3,enum=a|b"`
		Whole *int8          `weir:"min=-3,max=3"`
		Yes   bool           `weir:"required"`
		Home  home           `weir:"required,personal"`
		By    map[string]int `weir:"required,personal"`
		Stars int            `weir:"min=1,max=5"`
		Debt  int            `weir:"max=-1"`
		Maybe *int           `weir:"min=1"`
	}
	required := map[string]bool{"Text": true, "Yes": true, "Home": true, "By": true, "Stars": true, "Debt": true}
	for name, f := range streams.Fields(reflect.TypeFor[fine]()) {
		if rule, err := streams.Rule(f); err != nil || rule.Required != required[name] {
			t.Errorf("%s: %+v, %v", name, rule, err)
		}
	}
	type odd struct {
		Float  float64        `weir:"max=10"`
		Uint   *uint8         `weir:"min=10"`
		Yes    bool           `weir:"min=1"`
		By     map[string]int `weir:"max=1"`
		Pair   [2]int         `weir:"max=1"`
		Bytes  []byte         `weir:"max=3"`
		Any    any            `weir:"max=3"`
		Home   home           `weir:"max=3"`
		Number int            `weir:"enum=1|2"`
		Wholes []int          `weir:"enum=1|2"`
		None   string         `weir:"min=3,max=2"`
	}
	for name, f := range streams.Fields(reflect.TypeFor[odd]()) {
		if _, err := streams.Rule(f); err == nil || !strings.Contains(err.Error(), "field "+name+" of type") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := streams.NewVocabulary(streams.NewFact[oddGuest]("guest.odd"))
	if err == nil || !strings.Contains(err.Error(), "min= and max= bound") {
		t.Errorf("an event with a rule that nobody heeds: %v", err)
	}
}

type oddGuest struct {
	ofAccount
	Size float64 `json:"size" weir:"max=3"`
}
