package main

import "github.com/weirstream/weir/streams"

// A key is a string type that says what kind of thing it names.
type Customer string

func (Customer) Kind() string     { return "customer" }
func (c Customer) String() string { return string(c) }

// Facts are in the past tense, commands are not. Both say whom they are about.
type (
	Wish struct {
		Customer Customer `json:"customer"`
		Thing    string   `json:"thing" weir:"required,max=40"`
	}
	Wished struct {
		Customer Customer `json:"customer"`
		Thing    string   `json:"thing"`
	}
	Filled struct {
		Customer Customer `json:"customer"`
		Wishes   int      `json:"wishes"`
	}
	Answer struct {
		Wishes int `json:"wishes"`
	}
)

func (w Wish) Key() streams.Key   { return w.Customer }
func (w Wished) Key() streams.Key { return w.Customer }
func (f Filled) Key() streams.Key { return f.Customer }

// The state, and the only place where it changes.
type Wishlist struct{ Things []string }

func (l Wishlist) evolve(e streams.Event) Wishlist {
	if w, ok := e.(Wished); ok {
		l.Things = append(l.Things, w.Thing)
	}
	return l
}

// A decision: pure, of the state and the input, and of nothing else.
func (l Wishlist) wish(w Wish, _ streams.Input) streams.Decision {
	if len(l.Things) == 2 {
		return streams.Reject(streams.Conflict, "full", "%s has two wishes already", w.Customer)
	}
	d := streams.Emit(Wished(w)).Reply(Answer{len(l.Things) + 1})
	if len(l.Things) == 1 {
		d = d.Emit(Filled{w.Customer, 2})
	}
	return d
}

// What it decides about, and all that it may emit.
var Wishlists = streams.Define("wishlist", Customer(""), Wishlist.evolve,
	streams.OnCommand("wish", Wishlist.wish, Wished{}, Filled{}))
