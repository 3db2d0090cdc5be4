package analyticstest

import (
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// The suite reads the log of a ferry: travellers book crossings at its harbour, and pay
// its purser.

// CrossingID, TravellerID and HarbourID name what a ferry's events are about.
type (
	CrossingID  string
	TravellerID string
	HarbourID   string
)

// Kind is "crossing".
func (CrossingID) Kind() string { return "crossing" }

func (id CrossingID) String() string { return string(id) }

// Kind is "traveller".
func (TravellerID) Kind() string { return "traveller" }

func (id TravellerID) String() string { return string(id) }

// Kind is "harbour".
func (HarbourID) Kind() string { return "harbour" }

func (id HarbourID) String() string { return string(id) }

// Coins are money.
type Coins struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// Amount is the money's parts.
func (c Coins) Amount() (minor int64, currency string) { return c.Minor, c.Currency }

// Route is where a ferry goes.
type Route struct {
	From  string  `json:"from"`
	To    string  `json:"to"`
	Miles float64 `json:"miles"`
}

// Cabin is a part of what is booked.
type Cabin struct {
	Deck  string `json:"deck"`
	Beds  int    `json:"beds"`
	Fare  Coins  `json:"fare"`
	Guest string `json:"guest" weir:"personal"`
}

// What happens to crossings and fares, and what others tell.
type (
	Booked struct {
		Crossing  CrossingID        `json:"crossing"`
		Traveller TravellerID       `json:"traveller"`
		Name      string            `json:"name" weir:"personal"`
		Contact   map[string]string `json:"contact" weir:"personal"`
		Route     Route             `json:"route"`
		Back      *Route            `json:"back"`
		Fare      Coins             `json:"fare"`
		Cabins    []Cabin           `json:"cabins"`
		Notes     []string          `json:"notes"`
		Loads     []float64         `json:"loads"`
		Night     bool              `json:"night"`
		Departs   time.Time         `json:"departs"`
	}
	Boarded struct {
		Crossing CrossingID `json:"crossing"`
		Gate     string     `json:"gate"`
	}
	Arrived struct {
		Crossing CrossingID `json:"crossing"`
		Late     int64      `json:"late"`
	}
	FarePaid struct {
		Crossing  CrossingID  `json:"crossing"`
		Traveller TravellerID `json:"traveller"`
		Beds      int64       `json:"beds"`
		Fare      Coins       `json:"fare"`
	}
	WeatherTold struct {
		Harbour HarbourID `json:"harbour"`
		Wind    float64   `json:"wind"`
	}
)

// Key is the crossing.
func (e Booked) Key() streams.Key { return e.Crossing }

// Key is the crossing.
func (e Boarded) Key() streams.Key { return e.Crossing }

// Key is the crossing.
func (e Arrived) Key() streams.Key { return e.Crossing }

// Key is the crossing.
func (e FarePaid) Key() streams.Key { return e.Crossing }

// Key is the harbour.
func (e WeatherTold) Key() streams.Key { return e.Harbour }

// Of crossing.boarded there was an earlier declaration, and there is one that nobody may
// go on with.
type (
	boardedEarlier struct {
		Crossing CrossingID `json:"crossing"`
	}
	boardedOdd struct {
		Crossing CrossingID `json:"crossing"`
		Gate     int64      `json:"gate"`
	}
)

func (e boardedEarlier) Key() streams.Key { return e.Crossing }
func (e boardedOdd) Key() streams.Key     { return e.Crossing }

// crossings is a view of a key's own events.
func crossings(boarded business.Source) *business.View {
	return &business.View{Name: "crossings", One: "crossing", Key: CrossingID(""), Path: "/v1/crossings", Title: "Crossing",
		Begins: []streams.Event{Booked{}}, States: []string{"booked", "boarded", "arrived"},
		Fields: []business.Field{{Name: "name", Kind: business.Text, Personal: true}},
		From: []business.Source{
			business.On(func(e Booked, m business.Moment) business.Set {
				return business.Set{"booked_at": m.At, "traveller": string(e.Traveller), "name": e.Name, "fare": e.Fare, "cabins": len(e.Cabins)}
			}),
			boarded,
			business.Takes[Arrived]("arrived_at", "late"),
		}}
}

// travellers is one of what the events of other keys say.
func travellers() *business.View {
	return &business.View{Name: "travellers", One: "traveller", Key: TravellerID(""), Path: "/v1/travellers", Title: "Traveller",
		Begins: []streams.Event{Booked{}},
		From: []business.Source{
			business.OnOther(func(e Booked, m business.Moment) (TravellerID, business.Set) {
				return e.Traveller, business.Set{"crossings": business.Plus(1), "booked_at": m.At}
			}),
			business.OnOther(func(e FarePaid, m business.Moment) (TravellerID, business.Set) {
				return e.Traveller, business.Set{"beds": business.Plus(e.Beds), "paid_at": m.At}
			}),
		}}
}

// ferry is the business.
func ferry() *business.Business {
	return ferryWith(Boarded{}, streams.NewFact[Boarded]("crossing.boarded"), business.Takes[Boarded]("boarded_at", "gate"))
}

func ferryWith(boarded streams.Event, fact streams.Fact, takes business.Source) *business.Business {
	type none struct{}
	keep := func(s none, _ streams.Event) none { return s }
	harbour := streams.Define("harbour", CrossingID(""), keep,
		streams.OnCommand("book-crossing", func(none, Booked, streams.Input) streams.Decision { return streams.Nothing() }, Booked{}, boarded, Arrived{}))
	purser := streams.Define("purser", CrossingID(""), keep,
		streams.On(func(none, Booked, streams.Input) streams.Decision { return streams.Nothing() }, FarePaid{}))
	return &business.Business{Name: "ferry", Title: "Ferry", Owner: "harbour",
		Facts: []streams.Fact{streams.NewFact[Booked]("crossing.booked"), fact, streams.NewFact[Arrived]("crossing.arrived"),
			streams.NewFact[FarePaid]("fare.paid"), streams.NewFact[WeatherTold]("weather.told", streams.External())},
		Services: []business.Service{{Name: "harbour", Deciders: []*streams.Decider{harbour}, Views: []*business.View{crossings(takes), travellers()}},
			{Name: "purser", Deciders: []*streams.Decider{purser}}},
		Sagas: []streams.Saga{{Name: "cross", Starts: Booked{}, Ends: []streams.Event{Arrived{}}, Within: time.Hour}}}
}

func schemaOf(t testing.TB, b *business.Business) *analytics.Schema {
	t.Helper()
	top, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	s, err := analytics.NewSchema(b, top)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
