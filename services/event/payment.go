package event

import "github.com/weirstream/weir/streams"

// PaymentDue notes what an order will cost, until its stock is reserved.
type PaymentDue struct {
	Order  OrderID `json:"order"`
	Amount Money   `json:"amount"`
	Card   string  `json:"card" weir:"personal"`
}

// PaymentNoted is bookkeeping: "reserved" (the stock is there before the
// amount is known) or "cancelled" (while the provider's answer is awaited).
type PaymentNoted struct {
	Order OrderID `json:"order"`
	Note  string  `json:"note"`
}

// PaymentAsked notes that the provider is being asked: "authorise", "capture",
// "void" or "refund".
type PaymentAsked struct {
	Order OrderID `json:"order"`
	Step  string  `json:"step"`
}

// PaymentAuthorised says that the provider set the amount aside.
type PaymentAuthorised struct {
	Order         OrderID `json:"order"`
	Amount        Money   `json:"amount"`
	Authorisation string  `json:"authorisation"`
}

// PaymentDeclined is the provider's definite no.
type PaymentDeclined struct {
	Order  OrderID `json:"order"`
	Reason string  `json:"reason"`
}

// PaymentCaptured says that the money is ours.
type PaymentCaptured struct {
	Order   OrderID `json:"order"`
	Amount  Money   `json:"amount"`
	Capture string  `json:"capture"`
}

// PaymentCaptureRefused says that an authorisation could not be turned to money.
type PaymentCaptureRefused struct {
	Order  OrderID `json:"order"`
	Reason string  `json:"reason"`
}

// PaymentVoided says that a cancelled order costs its customer nothing and
// never did. Amount is what had been set aside, 0 if nothing was.
type PaymentVoided struct {
	Order  OrderID `json:"order"`
	Amount Money   `json:"amount"`
}

// PaymentRefunded says that a cancelled order's money went back.
type PaymentRefunded struct {
	Order  OrderID `json:"order"`
	Amount Money   `json:"amount"`
}

// Key is the order.
func (e PaymentDue) Key() streams.Key { return e.Order }

// Key is the order.
func (e PaymentNoted) Key() streams.Key { return e.Order }

// Key is the order.
func (e PaymentAsked) Key() streams.Key { return e.Order }

// Key is the order.
func (e PaymentAuthorised) Key() streams.Key { return e.Order }

// Key is the order.
func (e PaymentDeclined) Key() streams.Key { return e.Order }

// Key is the order.
func (e PaymentCaptured) Key() streams.Key { return e.Order }

// Key is the order.
func (e PaymentCaptureRefused) Key() streams.Key { return e.Order }

// Key is the order.
func (e PaymentVoided) Key() streams.Key { return e.Order }

// Key is the order.
func (e PaymentRefunded) Key() streams.Key { return e.Order }

var paymentFacts = []streams.Fact{
	streams.NewFact[PaymentDue]("payment.due", streams.Private()),
	streams.NewFact[PaymentNoted]("payment.noted", streams.Private()),
	streams.NewFact[PaymentAsked]("payment.asked", streams.Private()),
	streams.NewFact[PaymentAuthorised]("payment.authorised"),
	streams.NewFact[PaymentDeclined]("payment.declined"),
	streams.NewFact[PaymentCaptured]("payment.captured"),
	streams.NewFact[PaymentCaptureRefused]("payment.capture-refused"),
	streams.NewFact[PaymentVoided]("payment.voided"),
	streams.NewFact[PaymentRefunded]("payment.refunded"),
}
