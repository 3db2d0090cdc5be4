// Package sales is what is shown of orders, and asked about them: the view of each, and
// questions about all.
package sales

import (
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Orders are what every order has become.
var Orders = &business.View{Name: "orders", One: "order", Key: event.OrderID(""), Path: "/v1/orders", Title: "Order", History: true,
	About: "What an order has become.", Begins: []streams.Event{event.OrderPlaced{}}, States: []string{"placed", "confirmed", "released", "shipped", "cancelled"},
	Fields: []business.Field{
		{Name: "customer", Kind: business.Text, Filter: true},
		{Name: "state", Kind: business.State, Filter: true},
		{Name: "closed", Kind: business.Flag, Of: "closed_at", About: "Nothing more will happen."},
		{Name: "outcome", Kind: business.Text, Enum: []string{event.Fulfilled, event.Cancelled}, About: "Of a closed order."},
	},
	From: []business.Source{
		business.On(func(e event.OrderPlaced, m business.Moment) business.Set {
			return business.Set{"placed_at": m.At, "customer": e.Customer, "country": e.ShipTo.Country, "total": e.Total, "lines": len(e.Lines), business.Correlation: m.Correlation}
		}),
		business.Takes[event.OrderConfirmed]("confirmed_at"),
		business.Takes[event.OrderReleased]("released_at"),
		business.Takes[event.OrderShipped]("shipped_at", "carrier", "tracking"),
		business.Takes[event.OrderDelayed]("delayed_at"),
		business.Takes[event.OrderCancelled]("cancelled_at", "reason"),
		business.Takes[event.OrderClosed]("closed_at", "outcome"),
	}}

var (
	confirmed = []business.Condition{business.Has("orders.confirmed_at")}
	country   = business.By("country", "orders.country")
	reason    = business.By("reason", "orders.reason")
)

// Questions are about orders.
var Questions = []business.Question{
	{Name: "revenue", Title: "Revenue", About: "Confirmed orders and what they come to, by the time of their confirmation.",
		Of: business.Events(event.OrderConfirmed{}).With(Orders), By: []business.Dimension{country, business.By("customer", "orders.customer")},
		Numbers: []business.Number{business.Total("revenue", "total"), business.HowMany("orders"), business.TotalOf("lines", "lines")}},
	{Name: "products", Title: "Products", About: "What confirmed orders have of each product, by the time when they were placed.",
		Of: business.EachOf[event.OrderPlaced]("lines").With(Orders), Where: confirmed, By: []business.Dimension{business.By("product", "lines.sku"), country},
		Numbers: []business.Number{business.Times("revenue", "lines.quantity", "lines.unit"), business.TotalOf("units", "lines.quantity"), business.Distinct("orders", "order")}},
	{Name: "returning", Title: "Returning customers", About: "How many of those who first ordered in a month ordered again in later ones.",
		Of: business.Events(event.OrderPlaced{}).With(Orders), Where: confirmed, Shape: business.Cohorts, Who: "customer"},
	{Name: "baskets", Title: "Bought together", About: "Which two products confirmed orders have in common: the hundred pairs of the most.",
		Of: business.EachOf[event.OrderPlaced]("lines").With(Orders), Where: confirmed, Shape: business.Pairs, Item: "lines.sku", Top: 100},
	{Name: "cancellations", Title: "Cancellations", About: "Orders that were cancelled, and why.",
		Of: business.Events(event.OrderCancelled{}).With(Orders), By: []business.Dimension{business.By("reason", "reason"), country},
		Numbers: []business.Number{business.HowMany("orders")}},
	{Name: "refunds", Title: "Refunds", About: "Money that went back to customers, and why their orders were cancelled.",
		Of: business.Events(event.PaymentRefunded{}).With(Orders), By: []business.Dimension{reason, country},
		Numbers: []business.Number{business.Total("refunded", "amount"), business.HowMany("orders")}},
	{Name: "delivery", Title: "Delivery", About: "How long orders take until they are shipped, by the time when they were placed.",
		Of: business.Documents(Orders, "placed_at"), By: []business.Dimension{business.By("country", "country"), business.By("state", "state"), business.By("carrier", "carrier")},
		Numbers: []business.Number{business.HowMany("orders"), business.Quantiles("shipped", "placed_at", "shipped_at")}},
}
