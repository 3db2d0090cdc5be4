package event

import "github.com/weirstream/weir/streams"

// MailAddressed notes where an order's mail will go.
type MailAddressed struct {
	Order OrderID `json:"order"`
	Email string  `json:"email" weir:"personal"`
}

// MailAsked notes that the mail about an order is on its way to the relay.
type MailAsked struct {
	Order   OrderID `json:"order"`
	Subject string  `json:"subject"`
}

// MailSent says that the relay took the mail.
type MailSent struct {
	Order OrderID `json:"order"`
}

// MailRefused says that the customer will not be told: there is no address, or
// the relay will never take it.
type MailRefused struct {
	Order  OrderID `json:"order"`
	Reason string  `json:"reason"`
}

// Key is the order.
func (e MailAddressed) Key() streams.Key { return e.Order }

// Key is the order.
func (e MailAsked) Key() streams.Key { return e.Order }

// Key is the order.
func (e MailSent) Key() streams.Key { return e.Order }

// Key is the order.
func (e MailRefused) Key() streams.Key { return e.Order }

var notificationFacts = []streams.Fact{
	streams.NewFact[MailAddressed]("mail.addressed", streams.Private()),
	streams.NewFact[MailAsked]("mail.asked", streams.Private()),
	streams.NewFact[MailSent]("mail.sent"),
	streams.NewFact[MailRefused]("mail.refused"),
}
