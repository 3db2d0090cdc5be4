package review

import (
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// ReadBy is how long a review may wait to be read.
const ReadBy = 24 * time.Hour

type emits = []streams.Event

// Service is the review service.
var Service = business.Service{Name: "review", Owner: "community", Facts: facts, Commands: commands, Views: []*business.View{reviews, ratings},
	Deciders: []*streams.Decider{
		streams.Define("purchase", event.OrderID(""), purchase.evolve, streams.On(bought, Bought{}), streams.On(delivered, Invited{})),
		streams.Define("review", ReviewID(""), state.evolve, streams.On(invited, Noted{}), streams.OnCommand("write-review", write, Written{}),
			streams.OnCommand("moderate-review", moderate, Published{}, Refused{}, InTime{}), streams.OnTimer("read-by", overdue, Overdue{}))},
	Objectives: []business.Objective{{Name: "moderation", Alert: "ModerationBurn", About: "Reviews that somebody reads within a day.", Percent: 95,
		Good: emits{InTime{}}, Bad: emits{Overdue{}}}},
	Questions: []business.Question{{Name: "stars", Title: "Stars", About: "What customers think of each product, of reviews that were published.", Of: business.Events(Published{}),
		By: []business.Dimension{business.By("product", "product"), business.By("rating", "stars")}, Numbers: []business.Number{business.HowMany("reviews"), business.TotalOf("stars", "stars"), business.Share("mean", "stars", "reviews")}}}}

// Moderation takes a review from its writer to its readers, or away.
var Moderation = streams.Saga{Name: "moderate-review", Starts: Written{}, Ends: emits{Published{}, Refused{}}, Within: 3 * ReadBy, Once: emits{Written{}, Published{}, Refused{}}}

var facts = []streams.Fact{streams.NewFact[Bought]("review.bought", streams.Private()), streams.NewFact[Noted]("review.noted", streams.Private()),
	streams.NewFact[Invited]("review.invited"), streams.NewFact[Written]("review.written"), streams.NewFact[Published]("review.published"),
	streams.NewFact[Refused]("review.refused"), streams.NewFact[InTime]("review.in-time"), streams.NewFact[Overdue]("review.overdue")}

// Write is refused with "not-delivered", or "written-already".
type Write struct {
	of
	Stars int    `json:"stars" weir:"min=1,max=5"`
	Text  string `json:"text" weir:"max=2000"`
}

// Moderate is refused with "not-written", or "moderated-already" if it was otherwise.
type Moderate struct {
	of
	Publish bool   `json:"publish" weir:"required"`
	Reason  string `json:"reason" weir:"max=254"`
}

// Reply answers both.
type Reply struct {
	of
	State string `json:"state"` // "written", "published" or "refused"
}

var commands = []business.Command{
	{Name: "write-review", Path: "/v1/reviews/{review}", Method: "PUT", Caller: business.Buyer, Summary: "Review a product that was delivered to you", Reply: Reply{},
		Example: Write{of{"r-1"}, 4, "Holds tea."}},
	{Name: "moderate-review", Path: "/v1/reviews/{review}/moderation", Caller: business.Staff, Summary: "Publish a review, or refuse it", Reply: Reply{},
		Example: Moderate{of{"r-1"}, true, ""}},
}

var reviews = &business.View{Name: "reviews", One: "review", Key: ReviewID(""), Path: "/v1/reviews", Title: "Review", About: "What a customer may say, or has said, about a product: to be shown once it is published.",
	Begins: emits{Invited{}}, States: []string{"invited", "written", "published", "refused"},
	Fields: []business.Field{{Name: "customer", Kind: business.Text, Filter: true}, {Name: "product", Kind: business.Text, Filter: true}, {Name: "state", Kind: business.State, Filter: true}},
	From: []business.Source{business.Takes[Invited]("invited_at", "customer", "product"), business.Takes[Written]("written_at", "stars", "text"),
		business.Takes[Published]("published_at"), business.Takes[Refused]("refused_at", "reason"), business.Takes[Overdue]("overdue_at")}}

var ratings = &business.View{Name: "ratings", One: "product", Key: event.SKU(""), Path: "/v1/ratings", Title: "Rating", About: "What customers think of a product.",
	Begins: emits{Published{}}, Sort: "reviews", Fields: []business.Field{{Name: "rating", Kind: business.Mean, Of: "stars", Per: "reviews"}},
	From: []business.Source{business.OnOther(func(e Published, m business.Moment) (event.SKU, business.Set) {
		return e.Product, business.Set{"stars": business.Plus(e.Stars), "reviews": business.Plus(1), "reviewed_at": m.At}
	})}}
