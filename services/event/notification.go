package event

import "github.com/weirstream/weir/streams"

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

// Key is the order that the fact is about.
func (e MailSent) Key() streams.Key    { return e.Order }
func (e MailRefused) Key() streams.Key { return e.Order }

var notificationFacts = []streams.Fact{
	streams.NewFact[MailSent]("mail.sent"),
	streams.NewFact[MailRefused]("mail.refused"),
}
