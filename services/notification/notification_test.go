package notification_test

import (
	"strings"
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/notification"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

const id event.OrderID = "key-1" // the key of an outcome under test

func given(t *testing.T, history ...streams.Event) *streamtest.Case {
	t.Helper()
	return streamtest.Given(t, notification.Service.Deciders[0], history...)
}

func TestOneMailForTheEndOfAnOrder(t *testing.T) {
	addressed := notification.Addressed{Order: id, Email: "ada@example.org"}
	shipped := event.OrderShipped{Order: id, Carrier: "post", Tracking: "T1"}
	cancelled := event.OrderCancelled{Order: id, Reason: "out of stock: jug"}
	onItsWay := notification.Asked{Order: id, Subject: "Your order key-1 is on its way"}
	isOff := notification.Asked{Order: id, Subject: "Your order key-1 was cancelled"}

	given(t).When(event.OrderPlaced{Order: id, Email: "ada@example.org"}).Then(addressed)
	given(t, addressed).When(event.OrderPlaced{Order: id, Email: "ada@example.org"}).Then()
	given(t, addressed).When(shipped).Then(onItsWay).Asks("mail", "key-1/mail", notification.Mail{Order: id, To: "ada@example.org",
		Subject: onItsWay.Subject, Text: "Good day,\n\npost has your parcel. Its tracking number is T1.\n"})
	given(t, addressed).When(cancelled).Then(isOff).Asks("mail", "key-1/mail", notification.Mail{Order: id, To: "ada@example.org",
		Subject: isOff.Subject, Text: "Good day,\n\nyour order was cancelled (out of stock: jug). You pay nothing; what you paid comes back.\n"})
	given(t, addressed, onItsWay).When(shipped).Then().AsksNothing()
	given(t, addressed, onItsWay).When(cancelled).Then().AsksNothing()

	t.Run("answer of the relay", func(t *testing.T) {
		given(t, addressed, onItsWay).WhenOutcome("mail", streams.MailOutcome{Accepted: true}).Then(event.MailSent{Order: id})
		given(t, addressed, onItsWay).WhenOutcome("mail", streams.MailOutcome{Reason: "no such box"}).Then(event.MailRefused{Order: id, Reason: "no such box"})
		given(t, addressed, onItsWay).WhenOutcome("mail", streams.MailOutcome{Reason: strings.Repeat("é", 200)}).
			Then(event.MailRefused{Order: id, Reason: strings.Repeat("é", 127)})
		given(t, addressed, onItsWay, event.MailSent{Order: id}).WhenOutcome("mail", streams.MailOutcome{Accepted: true}).Then()
	})
	t.Run("no address", func(t *testing.T) {
		none := event.MailRefused{Order: id, Reason: "the order has no mail address"}
		given(t).When(event.OrderPlaced{Order: id}).Then()
		given(t).When(shipped).Then(none).AsksNothing()
		given(t).When(cancelled).Then(none).AsksNothing()
		given(t, none).When(cancelled).Then()
	})
}
