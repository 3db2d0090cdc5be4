package streamtest_test

import (
	"testing"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// A key is a string type that says what kind of thing it names.
type Customer string

func (Customer) Kind() string     { return "customer" }
func (c Customer) String() string { return string(c) }

// Facts are in the past tense, commands are not. Both say whom they are about.
type (
	Wish struct {
		Customer Customer
		SKU      string
	}
	Wished struct {
		Customer Customer
		SKU      string
	}
	Filled struct {
		Customer Customer
		Wishes   int
	}
)

func (w Wish) Key() streams.Key   { return w.Customer }
func (w Wished) Key() streams.Key { return w.Customer }
func (f Filled) Key() streams.Key { return f.Customer }

// The state, and the only place where it changes.
type Wishlist struct{ SKUs []string }

func (l Wishlist) evolve(e streams.Event) Wishlist {
	if w, ok := e.(Wished); ok {
		l.SKUs = append(l.SKUs, w.SKU)
	}
	return l
}

// A decision: pure, of the state and the input, and of nothing else.
func (l Wishlist) wish(w Wish, _ streams.Input) streams.Decision {
	if len(l.SKUs) == 2 {
		return streams.Reject(streams.Conflict, "full", "%s has two wishes already", w.Customer)
	}
	d := streams.Emit(Wished(w)).Reply(len(l.SKUs) + 1)
	if len(l.SKUs) == 1 {
		d = d.Emit(Filled{w.Customer, 2})
	}
	return d
}

// What it decides about, and all that it may emit.
var Wishlists = streams.Define("wishlist", Customer(""), Wishlist.evolve,
	streams.OnCommand("wish", Wishlist.wish, Wished{}, Filled{}))

func TestWishlist(t *testing.T) {
	tea, cup := Wished{"ada", "tea"}, Wished{"ada", "cup"}
	streamtest.Given(t, Wishlists).When(Wish{"ada", "tea"}).Then(tea).Replies(1)
	streamtest.Given(t, Wishlists, tea).When(Wish{"ada", "cup"}).Then(cup, Filled{"ada", 2})
	streamtest.Given(t, Wishlists, tea, cup).When(Wish{"ada", "jam"}).Rejected("full")
}
