package event

import "github.com/weirstream/weir/streams"

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

// Key is the order that the fact is about.
func (e PaymentAuthorised) Key() streams.Key     { return e.Order }
func (e PaymentDeclined) Key() streams.Key       { return e.Order }
func (e PaymentCaptured) Key() streams.Key       { return e.Order }
func (e PaymentCaptureRefused) Key() streams.Key { return e.Order }
func (e PaymentVoided) Key() streams.Key         { return e.Order }
func (e PaymentRefunded) Key() streams.Key       { return e.Order }

var paymentFacts = []streams.Fact{
	streams.NewFact[PaymentAuthorised]("payment.authorised"),
	streams.NewFact[PaymentDeclined]("payment.declined"),
	streams.NewFact[PaymentCaptured]("payment.captured"),
	streams.NewFact[PaymentCaptureRefused]("payment.capture-refused"),
	streams.NewFact[PaymentVoided]("payment.voided"),
	streams.NewFact[PaymentRefunded]("payment.refunded"),
}
