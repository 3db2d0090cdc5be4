package payment_test

import (
	"testing"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/payment"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

const id event.OrderID = "key-1" // the key of an outcome under test

type events = []streams.Event

func given(t *testing.T, history ...streams.Event) *streamtest.Case {
	t.Helper()
	return streamtest.Given(t, payment.Service.Deciders[0], history...)
}

func asked(step string) payment.Asked { return payment.Asked{Order: id, Step: step} }
func noted(note string) payment.Noted { return payment.Noted{Order: id, Note: note} }

var (
	total      = event.Money{Minor: 1650, Currency: "EUR"}
	nothing    = event.Money{Currency: "EUR"}
	placed     = event.OrderPlaced{Order: id, Total: total, Card: "tok-1"}
	reserved   = event.StockReserved{Order: id}
	confirmed  = event.OrderConfirmed{Order: id, Total: total}
	cancelled  = event.OrderCancelled{Order: id, Reason: "why not"}
	due        = payment.Due{Order: id, Amount: total, Card: "tok-1"}
	authorised = event.PaymentAuthorised{Order: id, Amount: total, Authorisation: "A1"}
	declined   = event.PaymentDeclined{Order: id, Reason: "poor"}
	captured   = event.PaymentCaptured{Order: id, Amount: total, Capture: "C1"}
	unCaptured = event.PaymentCaptureRefused{Order: id, Reason: "expired"}
	voided     = event.PaymentVoided{Order: id, Amount: total}
	neverTaken = event.PaymentVoided{Order: id, Amount: nothing}
	refunded   = event.PaymentRefunded{Order: id, Amount: total}

	authorising = events{due, asked("authorise")}
	isOurs      = events{due, asked("authorise"), authorised}
	capturing   = append(isOurs[:3:3], asked("capture"))
	paid        = append(capturing[:4:4], captured)

	yes = payment.Answer{Done: true, ID: "A1"}
	got = payment.Answer{Done: true, ID: "C1"}
	no  = payment.Answer{Reason: "poor"}

	toAuthorise = payment.Ask{Order: id, Amount: total, Card: "tok-1"}
	toCapture   = payment.Ask{Order: id, Amount: total, Of: "A1"}
	toRefund    = payment.Ask{Order: id, Amount: total, Of: "C1"}
)

func TestAuthorisesWhenAmountAndStockAreThere(t *testing.T) {
	given(t).When(placed).Then(due).AsksNothing()
	given(t, due).When(reserved).Then(asked("authorise")).Asks("authorise", "key-1/authorise", toAuthorise)
	given(t).When(reserved).Then(noted("reserved")).AsksNothing()
	given(t, noted("reserved")).When(placed).Then(due, asked("authorise")).Asks("authorise", "key-1/authorise", toAuthorise)

	t.Run("once", func(t *testing.T) {
		given(t, due).When(placed).Then().AsksNothing()
		given(t, noted("reserved")).When(reserved).Then()
		given(t, authorising...).When(reserved).Then().AsksNothing()
		given(t, isOurs...).When(placed).Then().AsksNothing()
	})
	t.Run("answer", func(t *testing.T) {
		given(t, authorising...).WhenOutcome("authorise", yes).Then(authorised).AsksNothing()
		given(t, authorising...).WhenOutcome("authorise", no).Then(declined).AsksNothing()
		given(t, isOurs...).WhenOutcome("authorise", yes).Then()
	})
}

func TestCaptures(t *testing.T) {
	given(t, isOurs...).When(confirmed).Then(asked("capture")).Asks("capture", "key-1/capture", toCapture)
	given(t, capturing...).When(confirmed).Then().AsksNothing()
	given(t, capturing...).WhenOutcome("capture", got).Then(captured).AsksNothing()
	given(t, capturing...).WhenOutcome("capture", payment.Answer{Reason: "expired"}).Then(unCaptured).AsksNothing()
	given(t, paid...).WhenOutcome("capture", got).Then()
}

func TestCancelAtEveryStep(t *testing.T) {
	t.Run("before anything was asked", func(t *testing.T) {
		given(t).When(cancelled).Then(event.PaymentVoided{Order: id})
		given(t, due).When(cancelled).Then(neverTaken).AsksNothing()
		given(t, noted("reserved")).When(cancelled).Then(event.PaymentVoided{Order: id})
		given(t, due, neverTaken).When(reserved).Then().AsksNothing()
		given(t, event.PaymentVoided{Order: id}).When(placed).Then().AsksNothing()
	})
	t.Run("declined", func(t *testing.T) {
		given(t, append(authorising, declined)...).When(cancelled).Then(neverTaken).AsksNothing()
		given(t, append(authorising, declined, neverTaken)...).When(cancelled).Then()
	})
	t.Run("authorisation in doubt, and late", func(t *testing.T) {
		given(t, authorising...).When(cancelled).Then(noted("cancelled")).AsksNothing()
		doubt := append(authorising[:2:2], noted("cancelled"))
		given(t, doubt...).When(cancelled).Then().AsksNothing()
		given(t, doubt...).WhenOutcome("authorise", yes).Then(authorised, asked("void")).Asks("void", "key-1/void", toCapture)
		given(t, doubt...).WhenOutcome("authorise", no).Then(declined, neverTaken).AsksNothing()
		given(t, append(doubt, authorised, asked("void"))...).When(confirmed).Then().AsksNothing()
	})
	t.Run("authorised", func(t *testing.T) {
		given(t, isOurs...).When(cancelled).Then(asked("void")).Asks("void", "key-1/void", toCapture)
		voiding := append(isOurs[:3:3], asked("void"))
		given(t, voiding...).When(cancelled).Then().AsksNothing()
		given(t, voiding...).WhenOutcome("void", payment.Answer{Done: true, ID: "V1"}).Then(voided)
		given(t, append(voiding, voided)...).WhenOutcome("void", payment.Answer{Done: true, ID: "V1"}).Then()
		given(t, append(voiding, voided)...).When(cancelled).Then().AsksNothing()
	})
	t.Run("capture in doubt", func(t *testing.T) {
		given(t, capturing...).When(cancelled).Then(noted("cancelled")).AsksNothing()
		doubt := append(capturing[:4:4], noted("cancelled"))
		given(t, doubt...).WhenOutcome("capture", got).Then(captured, asked("refund")).Asks("refund", "key-1/refund", toRefund)
		given(t, doubt...).WhenOutcome("capture", payment.Answer{Reason: "expired"}).Then(unCaptured, asked("void")).Asks("void", "key-1/void", toCapture)
	})
	t.Run("capture refused", func(t *testing.T) {
		given(t, append(capturing[:4:4], unCaptured)...).When(cancelled).Then(asked("void")).Asks("void", "key-1/void", toCapture)
	})
	t.Run("captured", func(t *testing.T) {
		given(t, paid...).When(cancelled).Then(asked("refund")).Asks("refund", "key-1/refund", toRefund)
		refunding := append(paid[:5:5], asked("refund"))
		given(t, refunding...).When(cancelled).Then().AsksNothing()
		given(t, refunding...).WhenOutcome("refund", payment.Answer{Done: true, ID: "R1"}).Then(refunded)
		given(t, append(refunding, refunded)...).When(cancelled).Then().AsksNothing()
	})
}
