package projection

import (
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type parcelID string

func (parcelID) Kind() string      { return "parcel" }
func (id parcelID) String() string { return string(id) }

type sent struct {
	Parcel parcelID `json:"parcel"`
	To     string   `json:"to"`
	Weight int      `json:"weight"`
}

func (e sent) Key() streams.Key { return e.Parcel }

type arrived struct {
	Parcel parcelID `json:"parcel"`
	By     string   `json:"by"`
}

func (e arrived) Key() streams.Key { return e.Parcel }

func parcels() *business.View {
	return &business.View{Name: "parcels", One: "parcel", Key: parcelID(""), Begins: []streams.Event{sent{}},
		States: []string{"sent", "arrived"},
		Fields: []business.Field{
			{Name: "state", Kind: business.State, Filter: true},
			{Name: "there", Kind: business.Flag, Of: "arrived_at"},
			{Name: "to", Kind: business.Text, Filter: true},
			{Name: "by", Kind: business.Text},
			{Name: "mean", Kind: business.Mean, Of: "weight", Per: "pieces"},
			{Name: "whose", Kind: business.Text, Personal: true},
			{Name: "fee", Kind: business.Amount}, {Name: "pieces", Kind: business.Count},
		},
		From: []business.Source{business.Takes[sent]("sent_at", "to", "weight"), business.Takes[arrived]("arrived_at",
			"by")}}
}

// A document as everybody sees it: in the order of its declaration, without what is
// personal and what nothing has said yet; what it begins with is there, even if empty.
func TestJSON(t *testing.T) {
	v, at := parcels(), time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	values := Values(v, func(string) any { return nil })
	values["whose"] = "ada"
	for _, c := range []struct {
		set   map[string]any
		state string
		want  string
	}{
		{nil, "", `{"parcel":"p\"1","there":false,"to":"","pieces":0,"weight":0,"sent_at":"0001-01-01T00:00:00Z"}`},
		{map[string]any{"sent_at": at, "to": "<x>", "weight": int64(3), "pieces": int64(2)}, "sent",
			`{"parcel":"p\"1","state":"sent","there":false,"to":"\u003cx\u003e","mean":1.5,"pieces":2,"weight":3,"sent_at":"2026-01-02T03:04:05.0000006Z"}`},
		{map[string]any{"arrived_at": at, "by": "bob", "fee": Money{0, "EUR"}}, "arrived",
			`{"parcel":"p\"1","state":"arrived","there":true,"to":"\u003cx\u003e","by":"bob","mean":1.5,"fee":{"minor":0,"currency":"EUR"},` +
				`"pieces":2,"weight":3,"sent_at":"2026-01-02T03:04:05.0000006Z","arrived_at":"2026-01-02T03:04:05.0000006Z"}`},
	} {
		for name, value := range c.set {
			values[name] = value
		}
		if got := string(JSON(v, Document{Key: `p"1`, State: c.state, Values: values})); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// What only one of several events sets with which a document begins is missing until it
// is known.
func TestWhatOneBeginningSets(t *testing.T) {
	v := parcels()
	v.Begins = append(v.Begins, arrived{})
	values := Values(v, func(string) any { return nil })
	values["arrived_at"], values["by"] = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "bob"
	const want = `{"parcel":"p","state":"arrived","there":true,"by":"bob","pieces":0,"weight":0,"arrived_at":"2026-01-02T03:04:05Z"}`
	if got := string(JSON(v, Document{Key: "p", State: "arrived", Values: values})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if always := v.Always(); always["sent_at"] || always["arrived_at"] || always["state"] || !always["there"] || !always["pieces"] {
		t.Errorf("always there: %v", always)
	}
}

// Whatever changes what is kept gives another fingerprint, and nothing else does.
func TestFingerprint(t *testing.T) {
	first := Fingerprint([]*business.View{parcels()})
	for what, change := range map[string]func(*business.View){
		"a title": func(v *business.View) { v.Title, v.About, v.Path = "Parcel", "One.", "/v2/parcels" },
		"an enum": func(v *business.View) { v.Fields[2].Enum = []string{"a"} },
	} {
		v := parcels()
		if change(v); Fingerprint([]*business.View{v}) != first {
			t.Errorf("%s changes nothing that is kept", what)
		}
	}
	for what, change := range map[string]func(*business.View){
		"a name":          func(v *business.View) { v.Name = "boxes" },
		"a state":         func(v *business.View) { v.States = v.States[:1] },
		"the sorting":     func(v *business.View) { v.Sort = "weight" },
		"a history":       func(v *business.View) { v.History = true },
		"a filter":        func(v *business.View) { v.Fields[2].Filter = false },
		"a kind":          func(v *business.View) { v.Fields[6].Kind = business.Count },
		"a source":        func(v *business.View) { v.From = v.From[:1] },
		"what it begins":  func(v *business.View) { v.Begins = []streams.Event{arrived{}} },
		"a field's event": func(v *business.View) { v.From[1] = business.Takes[arrived]("arrived_at") },
		"a sum": func(v *business.View) {
			v.From[0] = business.On(func(e sent, m business.Moment) business.Set {
				return business.Set{"sent_at": m.At, "to": e.To, "weight": business.Plus(e.Weight)}
			})
		},
	} {
		v := parcels()
		if change(v); Fingerprint([]*business.View{v}) == first {
			t.Errorf("%s changes what is kept, and not the fingerprint", what)
		}
	}
	other := parcels()
	other.Name = "boxes"
	if a, b := Fingerprint([]*business.View{parcels(), other}), Fingerprint([]*business.View{other,
		parcels()}); a != b || a == first {
		t.Errorf("two views are %s and %s", a, b)
	}
}

// An event's own time and those of other keys are the latest; a time that data hold
// takes the place of the one before. What an event sets has to be what its type sets.
func TestChanges(t *testing.T) {
	v := parcels()
	odd := ""
	v.From[1] = business.On(func(e arrived, m business.Moment) business.Set {
		switch odd {
		case "more":
			return business.Set{"arrived_at": m.At, "due_at": m.At, "by": e.By, "weight": 1}
		case "another":
			return business.Set{"arrived_at": m.At, "due_at": m.At, "by": 7}
		case "year":
			return business.Set{"arrived_at": m.At, "due_at": m.At.AddDate(9000, 0, 0), "by": e.By}
		}
		return business.Set{"arrived_at": m.At, "due_at": time.Time{}, "by": e.By}
	})
	s := viewSource{view: v, from: v.From[1], fields: []string{"arrived_at", "by", "due_at"}}
	env := &streams.Envelope{Key: "p1", Time: time.Unix(5, 0)}
	c, err := s.change(arrived{Parcel: "another", By: "b\x00b"}, env)
	want := []Field{{"f_arrived_at", Latest, int64(5e9)}, {"f_by", Put, "b\ufffdb"}, {"f_due_at", Put, int64(0)}}
	if err != nil || c.Key != "p1" || c.Begins || len(c.Fields) != 3 || c.Fields[0] != want[0] ||
		c.Fields[1] != want[1] || c.Fields[2] != want[2] {
		t.Errorf("the change is %+v (%v)", c, err)
	}
	for _, odd = range []string{"more", "another", "year"} {
		if c, err := s.change(arrived{}, env); err == nil || !strings.Contains(err.Error(), "it sets") {
			t.Errorf("%s: %+v (%v)", odd, c, err)
		}
	}
}
