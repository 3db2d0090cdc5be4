// Package review decides who may say what about a product: each buyer once, about what was delivered.
// What nobody of the shop has read counts in no rating, and who shows reviews asks for state=published.
package review

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// ReviewID names what one customer may say about one product.
type ReviewID string

func (ReviewID) Kind() string      { return "review" }
func (id ReviewID) String() string { return string(id) }

// IDOf is the one review of a customer and a product, however often it was bought.
func IDOf(customer string, product event.SKU) ReviewID {
	sum := sha256.Sum256([]byte(customer + "\x00" + string(product)))
	return ReviewID("r-" + hex.EncodeToString(sum[:13]))
}

// of is what is about one review.
type of struct {
	Review ReviewID `json:"review"`
}

// Key is the review.
func (e of) Key() streams.Key { return e.Review }

// Bought notes what an order brings, until it is delivered.
type Bought struct {
	Order    event.OrderID `json:"order"`
	Customer string        `json:"customer"`
	Products []event.SKU   `json:"products"` // each once
}

// Key is the order.
func (e Bought) Key() streams.Key { return e.Order }

// Invited says that a customer got a product, and may review it.
type Invited struct {
	of
	Customer string    `json:"customer"`
	Product  event.SKU `json:"product"`
}

// Noted notes an invitation in its review.
type Noted Invited

// Written says what a customer thinks. Nobody else has read it yet.
type Written struct {
	of
	Product event.SKU `json:"product"`
	Stars   int       `json:"stars"`
	Text    string    `json:"text"`
}

// Published says that a review may be shown, Refused that it never will; InTime that it was
// read in time, Overdue that it was not.
type (
	Published struct {
		of
		Product event.SKU `json:"product"`
		Stars   int       `json:"stars"`
	}
	Refused struct {
		of
		Reason string `json:"reason"`
	}
	InTime  struct{ of }
	Overdue struct{ of }
)

// purchase is what is known of an order.
type purchase struct {
	Customer string      `json:"customer,omitempty"`
	Products []event.SKU `json:"products,omitempty"` // gone when it is over
}

func (p purchase) evolve(e streams.Event) purchase {
	b, _ := e.(Bought) // what comes after it ends it
	return purchase{b.Customer, b.Products}
}

func bought(p purchase, e event.OrderPlaced, _ streams.Input) streams.Decision {
	if p.Customer != "" {
		return streams.Nothing()
	}
	var products []event.SKU
	for _, l := range e.Lines {
		products = append(products, l.SKU)
	}
	slices.Sort(products)
	return streams.Emit(Bought{e.Order, e.Customer, slices.Compact(products)})
}

func delivered(p purchase, e event.OrderClosed, _ streams.Input) streams.Decision {
	if e.Outcome != event.Fulfilled {
		return streams.Nothing()
	}
	var d streams.Decision
	for _, product := range p.Products {
		d = d.Emit(Invited{of{IDOf(p.Customer, product)}, p.Customer, product})
	}
	return d
}

// state is where a review stands.
type state struct {
	Product event.SKU `json:"product,omitempty"` // of the invitation
	Stars   int       `json:"stars,omitempty"`   // once it is written
	Overdue bool      `json:"overdue,omitempty"`
	Read    string    `json:"read,omitempty"` // "published" or "refused"
}

func (s state) evolve(e streams.Event) state {
	switch e := e.(type) {
	case Noted:
		s.Product = e.Product
	case Written:
		s.Stars = e.Stars
	case Published:
		s.Read = "published"
	case Refused:
		s.Read = "refused"
	case Overdue:
		s.Overdue = true
	}
	return s
}

func invited(s state, e Invited, _ streams.Input) streams.Decision {
	if s.Product != "" {
		return streams.Nothing() // bought again
	}
	return streams.Emit(Noted(e))
}

func write(s state, c Write, _ streams.Input) streams.Decision {
	switch {
	case s.Product == "":
		return streams.Reject(streams.Forbidden, "not-delivered", "there is no invitation %s: who got the product may review it", c.Review)
	case s.Stars != 0:
		return streams.Reject(streams.Conflict, "written-already", "review %s is written: it stays as it is", c.Review)
	}
	return streams.Emit(Written{c.of, s.Product, c.Stars, c.Text}).After("read-by", ReadBy, c.Review).Reply(Reply{c.of, "written"})
}

func moderate(s state, c Moderate, _ streams.Input) streams.Decision {
	switch {
	case s.Stars == 0:
		return streams.Reject(streams.Missing, "not-written", "there is no review %s to moderate", c.Review)
	case s.Read != "" && (s.Read == "published") != c.Publish:
		return streams.Reject(streams.Conflict, "moderated-already", "review %s is %s already", c.Review, s.Read)
	case s.Read != "":
		return streams.Nothing().Reply(Reply{c.of, s.Read})
	}
	end, reply := streams.Event(Refused{c.of, c.Reason}), Reply{c.of, "refused"}
	if c.Publish {
		end, reply = Published{c.of, s.Product, s.Stars}, Reply{c.of, "published"}
	}
	d := streams.Emit(end).Cancel("read-by").Reply(reply)
	if s.Overdue {
		return d
	}
	return d.Emit(InTime{c.of})
}

func overdue(s state, id ReviewID, _ streams.Input) streams.Decision {
	if s.Read != "" {
		return streams.Nothing()
	}
	return streams.Emit(Overdue{of{id}})
}
