package streams_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/weirstream/weir/streams"
)

// Three shapes of one fact, as years change it.
type movedV1 struct{ Who, Where string }
type movedV2 struct {
	Who  account
	City string
}
type moved struct {
	Account account  `json:"account"`
	Cities  []string `json:"cities"`
}

func (m moved) Key() streams.Key { return m.Account }

func up1(m movedV1) movedV2 { return movedV2{account(m.Who), m.Where} }
func up2(m movedV2) moved   { return moved{m.Who, strings.Split(m.City, ",")} }

func TestUpcastersChain(t *testing.T) {
	v, err := streams.NewVocabulary(streams.NewFact[moved]("moved", streams.Upcast(2, up2), streams.Upcast(1, up1)))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := v.Fact("moved")
	if f.Version != 3 {
		t.Errorf("version %d, want 3", f.Version)
	}
	for version, data := range map[int]string{1: `{"Who":"a","Where":"Ulm,Graz"}`, 2: `{"Who":"a","City":"Ulm,Graz"}`, 3: `{"account":"a","cities":["Ulm","Graz"]}`} {
		e, err := f.Decode(version, []byte(data))
		if m, ok := e.(moved); err != nil || !ok || m.Account != "a" || strings.Join(m.Cities, " ") != "Ulm Graz" {
			t.Errorf("version %d: %#v %v", version, e, err)
		}
		if _, err := f.Decode(version, []byte(`{"`)); err == nil || !strings.Contains(err.Error(), "moved v") {
			t.Errorf("damaged data of version %d: %v", version, err)
		}
	}
	var newer *streams.NewerVersionError
	if _, err := f.Decode(4, []byte(`{}`)); !errors.As(err, &newer) || newer.Got != 4 || newer.Has != 3 || !strings.Contains(err.Error(), "upgrade consumers") {
		t.Errorf("version 4: %v", err)
	}
	for _, version := range []int{0, -1} {
		if _, err := f.Decode(version, []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "no upcaster") {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// A pure failure is an error, which parks; a panic would end the process.
func TestUpcasterPanics(t *testing.T) {
	v, err := streams.NewVocabulary(streams.NewFact[moved]("moved", streams.Upcast(1, func(m movedV1) moved { return moved{account(m.Who[5:]), nil} })))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := v.Fact("moved")
	if _, err := f.Decode(1, []byte(`{"Who":"me"}`)); err == nil || !strings.Contains(err.Error(), "moved v1 cannot be read: panic") {
		t.Errorf("got %v", err)
	}
}

// People read words, those of the name if nobody has said others.
func TestFactsHaveWords(t *testing.T) {
	plain := streams.NewFact[moved]("account.moved-out")
	said := streams.NewFact[moved]("account.moved", streams.Words("the account moved", "has to move the account"))
	for _, c := range []struct{ got, want string }{
		{plain.Happened, "account moved out"}, {plain.ToDo, "has to bring about account.moved-out"},
		{said.Happened, "the account moved"}, {said.ToDo, "has to move the account"},
	} {
		if c.got != c.want {
			t.Errorf("it reads %q, want %q", c.got, c.want)
		}
	}
	for _, words := range [][2]string{{"", "has to move"}, {"it moved", ""}, {"it moved", "moves"}, {"it moved", "has to "}} {
		_, err := streams.NewVocabulary(streams.NewFact[moved]("account.moved", streams.Words(words[0], words[1])))
		if err == nil || !strings.Contains(err.Error(), "streams.Words") {
			t.Errorf("the words %q are taken: %v", words, err)
		}
	}
}

func TestVocabularyErrors(t *testing.T) {
	type again moved
	for name, x := range map[string]struct {
		facts []streams.Fact
		want  string
	}{
		"name twice":       {[]streams.Fact{streams.NewFact[moved]("x"), streams.NewFact[bonus]("x")}, `event name "x" is registered for streams_test.moved and for streams_test.bonus: rename one`},
		"type twice":       {[]streams.Fact{streams.NewFact[moved]("x"), streams.NewFact[moved]("y")}, `moved is registered as "x" and as "y": keep one`},
		"no name":          {[]streams.Fact{streams.NewFact[moved]("")}, `moved is called "": use lower case`},
		"bad name":         {[]streams.Fact{streams.NewFact[moved]("Moved House")}, `"Moved House": use lower case`},
		"missing upcaster": {[]streams.Fact{streams.NewFact[moved]("x", streams.Upcast(2, up2))}, `"x" is at version 3 but has no upcaster from version 1: declare streams.Upcast(1, …)`},
		"upcaster twice":   {[]streams.Fact{streams.NewFact[moved]("x", streams.Upcast(1, up1), streams.Upcast(2, up2), streams.Upcast(2, up2))}, `"x" has a second upcaster from version 2`},
		"upcaster from 0":  {[]streams.Fact{streams.NewFact[moved]("x", streams.Upcast(0, up2))}, "below 1"},
		"broken chain":     {[]streams.Fact{streams.NewFact[moved]("x", streams.Upcast(1, up1), streams.Upcast(2, func(movedV1) moved { return moved{} }))}, "upcaster from version 1 makes streams_test.movedV2, but version 2 is streams_test.movedV1"},
		"wrong end":        {[]streams.Fact{streams.NewFact[moved]("x", streams.Upcast(1, func(movedV1) again { return again{} }))}, "but version 2 is streams_test.moved"},
	} {
		if _, err := streams.NewVocabulary(x.facts...); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %q", name, err, x.want)
		}
	}
}
