// Package shop is the business: the list of its services, and what they do together.
// Everything that runs, shows and watches it renders from Business.
package shop

import (
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/inventory"
	"github.com/weirstream/weir/services/notification"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/payment"
	"github.com/weirstream/weir/services/review"
	"github.com/weirstream/weir/services/shipping"
	"github.com/weirstream/weir/services/shop/books"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Business is the shop.
var Business = &business.Business{
	Name: "shop", Title: "Weir's shop", Owner: "checkout",
	About:    "Orders are placed as commands, and go from the click to the door: stock is claimed, money is set aside and taken, parcels leave, and customers hear of it.",
	Facts:    event.Facts,
	Services: []business.Service{order.Service, inventory.Service, payment.Service, shipping.Service, notification.Service, review.Service},
	Sagas:    []streams.Saga{PlaceOrder, review.Moderation},
	Money:    []business.Money{held, taken},
	Customer: &customer,
	Books:    books.New, Invariants: books.Invariants,
}

var (
	held = business.Money{Name: "held", Title: "Money held",
		About: "Money set aside and neither captured nor given back. It rises while nothing is sold: captures or voids wait.",
		Into:  []business.MoneyFrom{business.From(func(e event.PaymentAuthorised) business.Sum { return e.Amount })},
		Out:   []streams.Event{event.PaymentCaptured{}, event.PaymentVoided{}}}
	taken = business.Money{Name: "taken", Title: "Money taken",
		About: "Money captured in an hour, at the pace of now. It falls while orders come: payments or shipments wait.",
		Into:  []business.MoneyFrom{business.From(func(e event.PaymentCaptured) business.Sum { return e.Amount })}}
)
