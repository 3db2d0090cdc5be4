package payment

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// limit is how long one call of the provider may take. A call that is cut off
// is in doubt, and asked again with the same key until the answer is definite.
const limit = 2 * time.Second

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

var (
	authorise = call(stepAuthorise, "/v1/authorisations", true)
	capture   = call(stepCapture, "/v1/captures", true)
	// The provider cannot refuse to give back: such an answer is asked for again
	// until somebody has put the provider right, or the money would be lost.
	void   = call(stepVoid, "/v1/voids", false)
	refund = call(stepRefund, "/v1/refunds", false)
)

func call(step, path string, refusable bool) *streams.Effect[Ask, Answer] {
	return streams.HTTPCall(step, "provider", limit,
		func(a Ask) string { return string(a.Order) + "/" + step },
		func(a Ask) streams.HTTPRequest { return streams.HTTPRequest{Method: "POST", Path: path, Body: a} },
		func(_ Ask, res streams.HTTPResponse) (Answer, error) { return read(step, refusable, res) })
}

// read takes 201 for done and 402 for a definite no. Anything else is a fault
// of configuration or code, which proves nothing about the money.
func read(step string, refusable bool, res streams.HTTPResponse) (Answer, error) {
	var body struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal(res.Body, &body); err != nil {
		return Answer{}, fmt.Errorf("provider's answer to %s (status %d) is not JSON: %w", step, res.Status, err)
	}
	switch {
	case res.Status == 201 && body.ID != "":
		return Answer{Done: true, ID: body.ID}, nil
	case res.Status == 402 && refusable:
		return Answer{Reason: event.Clip(body.Reason)}, nil
	}
	return Answer{}, fmt.Errorf("provider answered %s with status %d (%s): check its address and log", step, res.Status, event.Clip(body.Reason))
}
