// Command wishes is a whole business in two short files, the one of the README.
package main

import (
	"os"

	"github.com/weirstream/weir/deploy/cli"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// All that there is to say of the business: its services with their doors and views.
var wishes = &business.Business{
	Name: "wishes", Title: "Wishlists", About: "Customers wish for two things.", Owner: "wishes-team",
	Services: []business.Service{{
		Name: "wishlists", Deciders: []*streams.Decider{Wishlists},
		Facts: []streams.Fact{streams.NewFact[Wished]("wishlist.wished"), streams.NewFact[Filled]("wishlist.filled")},
		Commands: []business.Command{{Name: "wish", Path: "/v1/wishlists/{customer}/wishes", Success: 201,
			Summary: "Wish for something", Reply: Answer{}, Example: Wish{"ada", "tea"}}},
		Views: []*business.View{{Name: "wishlists", One: "wishlist", Path: "/v1/wishlists", Key: Customer(""), Title: "Wishlist",
			Begins: []streams.Event{Wished{}}, States: []string{"wished", "filled"},
			Fields: []business.Field{{Name: "state", Kind: business.State, Filter: true}},
			From: []business.Source{
				business.On(func(_ Wished, m business.Moment) business.Set {
					return business.Set{"wishes": business.Plus(1), "wished_at": m.At}
				}),
				business.Takes[Filled]("filled_at")}}},
	}},
}

func main() { os.Exit(cli.App{Business: wishes}.Main(os.Args[1:], os.Stdout, os.Stderr)) }
