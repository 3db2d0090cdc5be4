package streams_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
)

type visitor struct {
	ID      account           `json:"id"`
	Mail    string            `json:"mail" weir:"personal"`
	Lives   home              `json:"lives" weir:"personal"`
	Notes   []note            `json:"notes"`
	Codes   map[string]string `json:"codes"`
	Barcode int64             `json:"barcode"`
	From    *home             `json:"from"`
}

type home struct {
	Street string `json:"street"`
	Door   int    `json:"door"`
}

type note struct {
	Text string `json:"text"`
	By   string `json:"by" weir:"personal"`
}

func (v visitor) Key() streams.Key { return v.ID }

type oldVisitor struct {
	Post string `json:"post" weir:"personal"`
	Was  string `json:"was"`
}

// What fields declare is hidden, and nothing is guessed at: an article's number of 13
// digits is no card. What no type knows is hidden.
func TestDeclaredFieldsAreHidden(t *testing.T) {
	v, err := streams.NewVocabulary(streams.NewFact[visitor]("visitor.came", streams.Upcast(1, func(o oldVisitor) visitor { return visitor{} })))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		version     int
		data        string
		shown, gone []string
	}{
		{"visitor.came", 2, `{"id":"acc-1","MAIL":"ada@example.org","lives":{"street":"Mill Lane","door":7},"notes":[{"text":"4006381333931","by":"bob"}],
			"codes":{"ean":"4111111111111111"},"barcode":4006381333931,"from":{"street":"Far Lane","door":1},"more":"of what nobody knows"}`,
			[]string{"acc-1", `"4006381333931"`, `"barcode": 4006381333931`, "4111111111111111", "Far Lane"}, []string{"ada@", "Mill", "7", "bob", "nobody knows"}},
		{"visitor.came", 1, `{"post":"ada@example.org","was":"here"}`, []string{"here"}, []string{"ada@"}},
		{"visitor.came", 3, `{"id":"acc-1"}`, []string{"id", streams.Masked}, []string{"acc-1"}},
		{"nobody", 1, `{"id":["acc-1",5],"yes":true}`, []string{"id", "true"}, []string{"acc-1", "5"}},
		{"visitor.came", 2, `"ada@example.org"`, []string{streams.Masked}, []string{"ada@"}},
		{"visitor.came", 2, `{"lives":`, []string{"(no JSON)"}, nil},
	} {
		got := v.ShowEvent(c.name, c.version, []byte(c.data))
		for _, s := range c.shown {
			if !strings.Contains(got, s) {
				t.Errorf("%s v%d hides %s: %s", c.name, c.version, s, got)
			}
		}
		for _, s := range c.gone {
			if strings.Contains(got, s) {
				t.Errorf("%s v%d shows %s: %s", c.name, c.version, s, got)
			}
		}
	}
}

type misspelt struct {
	ID    account
	Mails []struct {
		To string `weir:"Personal"`
	}
}

func (v misspelt) Key() streams.Key { return v.ID }

// A tag that hides nothing must not look as if it did.
func TestMisspeltTagIsRefused(t *testing.T) {
	if _, err := streams.NewVocabulary(streams.NewFact[misspelt]("misspelt")); err == nil || !strings.Contains(err.Error(), `"Personal"`) {
		t.Errorf("%v", err)
	}
}

// Why data cannot be read is said in words, and without the data.
func TestWhyDataCannotBeRead(t *testing.T) {
	v, err := streams.NewVocabulary(streams.NewFact[visitor]("visitor.came"))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := v.Fact("visitor.came")
	for data, want := range map[string]string{
		`"poison ada@example.org"`:                 "the whole holds a string where an object belongs",
		`{"barcode":"ada@example.org"}`:            "field barcode holds a string where a whole number belongs",
		`{"lives":{"door":1e99}}`:                  "field lives.door holds a number where a whole number belongs",
		`{"notes":{"by":"ada@example.org"}}`:       "field notes holds an object where an array belongs",
		`{"mail":"ada@example.org","barcode":ada@`: "they are no JSON from byte",
	} {
		_, err := f.Decode(1, []byte(data))
		if err == nil || !strings.Contains(err.Error(), "data of visitor.came v1 cannot be read: "+want) || strings.Contains(err.Error(), "ada@") {
			t.Errorf("%s: %v", data, err)
		}
	}
}

// A parked input's reason may quote its data: what is hidden there is hidden in it.
func TestParkedInputIsShownWithoutPersonalValues(t *testing.T) {
	v, err := streams.NewVocabulary(streams.NewFact[visitor]("visitor.came"))
	if err != nil {
		t.Fatal(err)
	}
	type state struct{}
	d := streams.Define("porter", account(""), func(s state, _ streams.Event) state { return s },
		streams.OnCommand("enter", func(state, visitor, streams.Input) streams.Decision { return streams.Nothing() }))
	top, err := streams.NewTopology(v, []streams.Service{{Name: "porter", Deciders: []*streams.Decider{d}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []streams.ParkedInput{
		{Kind: streams.CommandInput, Name: "enter"}, {Kind: streams.EventInput, Name: "visitor.came", TypeVer: 1}, {Kind: streams.TimerInput, Name: "unheard of"},
	} {
		p.Stream.Decider, p.Body = "porter", []byte(`{"id":"acc-1","mail":"ada@example.org","lives":{"street":"Mill Lane"}}`)
		p.Reason, p.Stack = "no room for ada@example.org at 13 Mill Lane", "main.go: Mill Lane"
		data, reason, stack := top.ShowParked(p)
		if all := data + reason + stack; strings.Contains(all, "ada@") || strings.Contains(all, "Mill") || !strings.HasPrefix(reason, "no room for "+streams.Masked) {
			t.Errorf("%s %s is shown as %s", p.Kind, p.Name, all)
		}
		if strings.Contains(data, "acc-1") == (p.Kind == streams.TimerInput) {
			t.Errorf("%s", data)
		}
	}
}

type loose struct {
	ID   account         `json:"id"`
	Any  any             `json:"any"`
	Raw  json.RawMessage `json:"raw"`
	Time time.Time       `json:"time"`
	N    int64           `json:"n"`
}

func (l loose) Key() streams.Key { return l.ID }

// What is kept for all to read has nothing personal, and nothing that no type knows,
// however it is spelt, repeated or nested.
func TestWhatIsKeptIsImpersonal(t *testing.T) {
	v, err := streams.NewVocabulary(streams.NewFact[loose]("loose.came"),
		streams.NewFact[visitor]("visitor.came", streams.Upcast(1, func(oldVisitor) visitor { return visitor{} })))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		version int
		data    string
		want    string
	}{
		{"visitor.came", 2, `{"id":"acc-1","MAIL":"a@b","lives":{"street":"x"},"notes":[{"text":"<&>","by":"bob"},{"BY":"x"}],"codes":{"a":"b"}}`,
			`{"codes":{"a":"b"},"id":"acc-1","notes":[{"text":"<&>"},{}]}`},
		{"visitor.came", 2, `{"from":{"street":"a","secret":1},"from":{"door":9007199254740993}}`, `{"from":{"door":9007199254740993}}`},
		{"visitor.came", 2, `{"notes":["bob"],"from":"bob","codes":["bob"],"id":{"name":"bob"},"barcode":["4"],"more":1}`,
			`{"barcode":null,"codes":null,"from":null,"id":null,"notes":[null]}`},
		{"visitor.came", 1, `{"post":"a@b","was":"here","id":"acc-1"}`, `{"was":"here"}`},
		{"visitor.came", 3, `{"id":"acc-1"}`, `{}`},
		{"nobody", 1, `{"id":"acc-1"}`, `{}`},
		{"visitor.came", 2, `"ada"`, `null`},
		{"visitor.came", 2, `{"id":`, `{}`},
		{"loose.came", 1, `{"id":"a","any":"ada","raw":"ada","time":"2026-01-02T12:00:00Z","n":-0.10e3}`,
			`{"any":null,"id":"a","n":-0.10e3,"raw":null,"time":"2026-01-02T12:00:00Z"}`},
		{"loose.came", 1, `{"any":{"name":"ada"},"raw":[{"name":"ada"}],"time":{"name":"ada"}}`, `{"any":null,"raw":null,"time":null}`},
		{"visitor.came", 2, `{"maıl":"a@b","ſoon":"x","id":null}`, `{"id":null}`},
	} {
		if got := string(v.Impersonal(c.name, c.version, []byte(c.data))); got != c.want {
			t.Errorf("of %s there is kept\n     %s\nwant %s", c.data, got, c.want)
		}
	}
}
