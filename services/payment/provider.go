package payment

import (
	"errors"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// Ask is what the provider is asked for; the path says which step it is.
type Ask struct {
	Order  event.OrderID `json:"order"`
	Amount event.Money   `json:"amount"`
	Card   string        `json:"card,omitempty"` // to authorise
	Of     string        `json:"of,omitempty"`   // id of what is captured, voided or refunded
}

// Answer is the provider's definite answer to any of them.
type Answer struct {
	Done   bool   `json:"done"`
	ID     string `json:"id,omitempty"`     // of what was done
	Reason string `json:"reason,omitempty"` // of what was not
}

const done, refused, never = 201, 402, 0 // statuses: any other proves nothing about the money

var (
	authorise = call(stepAuthorise, "/v1/authorisations", refused)
	capture   = call(stepCapture, "/v1/captures", refused)
	// The provider cannot refuse to give back: such an answer is asked for again
	// until somebody has put the provider right, or the money would be lost.
	void   = call(stepVoid, "/v1/voids", never)
	refund = call(stepRefund, "/v1/refunds", never)
)

func call(step, path string, no int) *streams.Effect[Ask, Answer] {
	return streams.HTTPCall(step, "provider", 2*time.Second,
		func(a Ask) string { return string(a.Order) + "/" + step },
		func(a Ask) streams.HTTPRequest { return streams.HTTPRequest{Method: "POST", Path: path, Body: a} },
		func(_ Ask, res streams.HTTPResponse) (a Answer, err error) {
			a.Done, err = res.Read(done, no, &a)
			if a.Done && a.ID == "" {
				err = errors.New("no id of what was done: check its address and log")
			}
			a.Reason = event.Clip(a.Reason)
			return a, err
		})
}
