// Package notification tells customers how their orders end.
package notification

import (
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Service is the notification service.
var Service = business.Service{Name: "notification", Deciders: []*streams.Decider{decider}, Facts: facts,
	Endpoints: []business.Endpoint{{Name: "mailbox", What: "mail relay", Protocol: business.SMTP, Refusals: []string{"refused"}}}}

var facts = []streams.Fact{
	streams.NewFact[Addressed]("mail.addressed", streams.Private()),
	streams.NewFact[Asked]("mail.asked", streams.Private()),
}

// Addressed notes where an order's mail will go.
type Addressed struct {
	Order event.OrderID `json:"order"`
	Email string        `json:"email" weir:"personal"`
}

// Asked notes that the mail about an order is on its way to the relay.
type Asked struct {
	Order   event.OrderID `json:"order"`
	Subject string        `json:"subject"`
}

// Key is the order.
func (e Addressed) Key() streams.Key { return e.Order }
func (e Asked) Key() streams.Key     { return e.Order }

var decider = streams.Define("message", event.OrderID(""), evolve,
	streams.On(address, Addressed{}),
	streams.On(tellShipped, Asked{}, event.MailRefused{}).Asks(mail),
	streams.On(tellCancelled, Asked{}, event.MailRefused{}).Asks(mail),
	streams.OnOutcome(mail, mailCame, event.MailSent{}, event.MailRefused{}),
)

type state struct {
	Email string `json:"email,omitempty"` // until it is used
	Asked bool   `json:"asked,omitempty"`
	Done  bool   `json:"done,omitempty"`
}

func evolve(s state, e streams.Event) state {
	switch e := e.(type) {
	case Addressed:
		s.Email = e.Email
	case Asked:
		s.Asked, s.Email = true, ""
	case event.MailSent, event.MailRefused:
		s.Done, s.Email = true, ""
	}
	return s
}

func address(s state, e event.OrderPlaced, _ streams.Input) streams.Decision {
	if e.Email == "" || s != (state{}) {
		return streams.Nothing()
	}
	return streams.Emit(Addressed{Order: e.Order, Email: e.Email})
}

func tellShipped(s state, e event.OrderShipped, _ streams.Input) streams.Decision {
	return s.tell(Mail{Order: e.Order, Subject: "Your order " + string(e.Order) + " is on its way",
		Text: "Good day,\n\n" + e.Carrier + " has your parcel. Its tracking number is " + e.Tracking + ".\n"})
}

func tellCancelled(s state, e event.OrderCancelled, _ streams.Input) streams.Decision {
	return s.tell(Mail{Order: e.Order, Subject: "Your order " + string(e.Order) + " was cancelled",
		Text: "Good day,\n\nyour order was cancelled (" + e.Reason + "). You pay nothing; what you paid comes back.\n"})
}

// tell sends the one mail of an order. Placing and ending an order travel on
// one topic, so an address that is unknown here does not exist.
func (s state) tell(m Mail) streams.Decision {
	switch {
	case s.Asked || s.Done:
		return streams.Nothing()
	case s.Email == "":
		return streams.Emit(event.MailRefused{Order: m.Order, Reason: "the order has no mail address"})
	}
	m.To = s.Email
	return streams.Emit(Asked{Order: m.Order, Subject: m.Subject}).Do(mail.With(m))
}

func mailCame(s state, o streams.MailOutcome, in streams.Input) streams.Decision {
	id := event.OrderID(in.Key)
	switch {
	case !s.Asked || s.Done:
		return streams.Nothing()
	case !o.Accepted:
		return streams.Emit(event.MailRefused{Order: id, Reason: event.Clip(o.Reason)})
	}
	return streams.Emit(event.MailSent{Order: id})
}

// Mail asks for the mail about an order.
type Mail struct {
	Order   event.OrderID `json:"order"`
	To      string        `json:"to"`
	Subject string        `json:"subject"`
	Text    string        `json:"text"`
}

// Sender is the address that customers are written from.
const Sender = "shop@weir.example"

var mail = streams.Mail("mail", "mailbox", 5*time.Second,
	func(m Mail) string { return string(m.Order) + "/mail" },
	func(m Mail) streams.Message {
		return streams.Message{From: Sender, To: m.To, Subject: m.Subject, Text: m.Text}
	})
