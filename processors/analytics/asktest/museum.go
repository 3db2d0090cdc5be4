package asktest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// A museum sells visits: seats in rooms.
type (
	visitID string
	roomID  string
)

func (visitID) Kind() string      { return "visit" }
func (id visitID) String() string { return string(id) }
func (roomID) Kind() string       { return "room" }
func (id roomID) String() string  { return string(id) }

type coins struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

func (c coins) Amount() (int64, string) { return c.Minor, c.Currency }

type (
	visit struct {
		Visit visitID `json:"visit"`
	}
	home struct {
		Street string `json:"street" weir:"personal"`
		City   string `json:"city"`
	}
	seats struct {
		Room  string `json:"room"`
		Seats int64  `json:"seats"`
		Each  coins  `json:"each"`
	}
	booked struct {
		visit
		Guest string  `json:"guest"`
		Home  home    `json:"home"`
		Rooms []seats `json:"rooms"`
		Total coins   `json:"total"`
	}
	paid struct {
		visit
		Total coins `json:"total"`
	}
	refused struct {
		visit
		Reason string `json:"reason"`
	}
	came struct {
		visit
		Tour int `json:"tour"`
	}
	rated struct {
		visit
		Stars int `json:"stars"`
	}
	shut struct {
		Room  roomID `json:"room"`
		Seats int64  `json:"seats"`
	}
)

func (v visit) Key() streams.Key { return v.Visit }
func (s shut) Key() streams.Key  { return s.Room }

type none struct{}

func nothing[E any](none, E, streams.Input) streams.Decision { return streams.Nothing() }

// museum is a business with a question of each kind.
func museum() *business.Business {
	visits := &business.View{Name: "visits", One: "visit", Key: visitID(""), Path: "/v1/visits", Title: "Visit", History: true, Begins: []streams.Event{booked{}}, States: []string{"booked", "came"},
		Fields: []business.Field{{Name: "state", Kind: business.State}},
		From: []business.Source{business.On(func(e booked, m business.Moment) business.Set {
			return business.Set{"booked_at": m.At, "city": e.Home.City, "guest": e.Guest, "total": e.Total, "rooms": len(e.Rooms)}
		}), business.Takes[paid]("paid_at"), business.Takes[came]("came_at", "tour"), business.Takes[rated]("rated_at", "stars")}}
	fold := func(s none, _ streams.Event) none { return s }
	desk := streams.Define("desk", visitID(""), fold, streams.OnCommand("book", nothing[booked], booked{}), streams.On(nothing[booked], paid{}, refused{}), streams.On(nothing[paid], came{}), streams.On(nothing[came], rated{}))
	door := streams.Define("door", roomID(""), fold, streams.OnCommand("shut", nothing[shut], shut{}))
	city, room := business.By("city", "visits.city"), business.By("room", "rooms.room")
	return &business.Business{Name: "museum", Title: "A museum", Owner: "keepers",
		Facts: []streams.Fact{streams.NewFact[booked]("visit.booked", streams.Words("the visit was booked", "has to book the visit")), streams.NewFact[paid]("visit.paid"), streams.NewFact[refused]("visit.refused"),
			streams.NewFact[came]("visit.came"), streams.NewFact[rated]("visit.rated"), streams.NewFact[shut]("room.shut")},
		Sagas: []streams.Saga{{Name: "visit", Starts: booked{}, Ends: []streams.Event{refused{}, came{}}, Within: time.Hour, Once: []streams.Event{booked{}, paid{}, refused{}, came{}}}},
		Services: []business.Service{{Name: "desk", Deciders: []*streams.Decider{desk, door}, Views: []*business.View{visits},
			Questions: []business.Question{
				{Name: "income", Title: "Income", About: "What visits bring.", Of: business.Events(paid{}).With(visits), By: []business.Dimension{city, business.By("state", "visits.state"), business.By("stars", "visits.stars")},
					Numbers: []business.Number{business.Total("income", "total"), business.HowMany("visits"), business.Distinct("guests", "visit")}},
				{Name: "rooms", Title: "Rooms", About: "Seats of visits that are paid.", Of: business.EachOf[booked]("rooms").With(visits), Where: []business.Condition{business.Has("visits.paid_at")},
					By: []business.Dimension{room, city}, Top: 2, Numbers: []business.Number{business.Times("income", "rooms.seats", "rooms.each"), business.TotalOf("seats", "rooms.seats"), business.Share("each", "seats", "visits"), business.Distinct("visits", "visit")}},
				{Name: "north", Title: "North", About: "Visits of some cities.", Of: business.Events(booked{}).With(visits), Where: []business.Condition{business.Is("visits.city", "Leeds", "York")},
					By: []business.Dimension{business.By("guest", "guest")}, Numbers: []business.Number{business.HowMany("visits")}},
				{Name: "answers", Title: "Answers", About: "Of the till.", Of: business.Events(paid{}, refused{}), Numbers: []business.Number{business.HowMany("asked"), business.HowMany("paid", paid{}), business.Share("share", "paid", "asked"), business.Total("income", "total", paid{})}},
				{Name: "wait", Title: "Wait", About: "Until guests come.", Of: business.Documents(visits, "booked_at"), Where: []business.Condition{business.Has("paid_at")}, By: []business.Dimension{business.By("city", "city"), business.By("state", "state")},
					Numbers: []business.Number{business.HowMany("visits"), business.Quantiles("wait", "booked_at", "came_at"), business.Total("worth", "total")}},
				{Name: "again", Title: "Again", About: "Who comes again.", Of: business.Events(booked{}).With(visits), Where: []business.Condition{business.Has("visits.paid_at")}, Shape: business.Cohorts, Who: "guest"},
				{Name: "together", Title: "Together", About: "Rooms of one visit.", Of: business.EachOf[booked]("rooms"), Shape: business.Pairs, Item: "rooms.room", Top: 5},
			}}}}
}

var cities = []string{"Leeds", "York", "Århus", "it's 100%?", ""}

// life is what happens in a museum in some months, always the same. Ratings are changed,
// and some events come twice or in another sequence.
func life() (out []Told) {
	chance := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2009, 11, 20, 3, 0, 0, 0, time.UTC)
	for i := range 300 {
		id, corr := visit{visitID(fmt.Sprint("v-", i))}, fmt.Sprint("c-", i)
		at := start.Add(time.Duration(chance.Int64N(int64(120 * 24 * time.Hour))))
		tell := func(e streams.Event) {
			out = append(out, Told{e, at, corr})
			at = at.Add(time.Duration(chance.Int64N(int64(40 * time.Hour))))
		}
		b := booked{visit: id, Guest: fmt.Sprint("g-", chance.IntN(60)), Home: home{"1 Mill Lane", cities[chance.IntN(len(cities))]}}
		currency := []string{"GBP", "JPY", "KWD"}[chance.IntN(3)]
		for range 1 + chance.IntN(4) {
			s := seats{fmt.Sprint("room-", chance.IntN(7)), 1 + chance.Int64N(5), coins{1 + chance.Int64N(2000), currency}}
			b.Rooms, b.Total = append(b.Rooms, s), coins{b.Total.Minor + s.Seats*s.Each.Minor, currency}
		}
		tell(b)
		if chance.IntN(5) == 0 {
			tell(refused{id, "no money"})
			continue
		}
		tell(paid{id, b.Total})
		if chance.IntN(3) > 0 {
			tell(came{id, chance.IntN(3)})
			for range chance.IntN(3) {
				at = at.Truncate(time.Hour) // two of one time
				out = append(out, Told{rated{id, 1 + chance.IntN(5)}, at, corr})
			}
		}
	}
	for i := range 20 {
		out = append(out, Told{shut{roomID(fmt.Sprint("room-", i%7)), 3}, start.Add(time.Duration(i) * time.Hour), fmt.Sprint("c-", i)})
	}
	slices.SortStableFunc(out[:len(out)/2], func(a, b Told) int { return a.At.Compare(b.At) })
	return out
}
