package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Effect is an outside call, the only way out of the platform: I is the intent
// that a decision asks for, O the outcome that comes back as an input of the
// same key. Effects of one key run one at a time, in the order of their
// intents. A call may be repeated with the same idempotency key until its
// answer is definite; a time-out is never an answer.
type Effect[I, O any] struct{ effect }

type effect struct {
	name     string
	endpoint string        // whose circuit breaker and address it uses
	limit    time.Duration // of one attempt
	intent   reflect.Type
	key      func(intent any) string
	run      func(ctx context.Context, t Transports, key string, intent []byte) (outcome []byte, err error)
}

func (e *effect) itself() *effect { return e }

// Intent is a wish for an effect, made by Effect.With.
type Intent struct {
	effect *effect
	body   any
}

// checkEffectKey reports why a key cannot be sent: it would be asked with for
// ever. It travels in a header, which holds no control characters, and which
// receivers trim.
func checkEffectKey(key string) error {
	if strings.ContainsFunc(key, unicode.IsControl) || strings.TrimSpace(key) != key {
		return fmt.Errorf("its key %q holds control characters or begins or ends with a space: no header can carry it", key)
	}
	return CheckKey(key)
}

// With makes the intent that a decision passes to Do.
func (e *Effect[I, O]) With(intent I) Intent { return Intent{&e.effect, intent} }

// Transports are the ways out: what an effect may use, and nothing else.
type Transports struct {
	HTTP HTTPTransport
	SMTP SMTPTransport
}

// NewEffect makes an effect of a function. key must be made of business
// identity and step ("order-17/authorise"): a restored store would use
// anything else again. call returns an error while the answer is in doubt and
// is asked again; a definite no is an outcome. An error counts against the
// endpoint, which may be away, unless it is marked as Unusable.
func NewEffect[I, O any](name, endpoint string, limit time.Duration, key func(I) string, call func(ctx context.Context, t Transports, key string, intent I) (O, error)) *Effect[I, O] {
	return &Effect[I, O]{effect{name: name, endpoint: endpoint, limit: limit, intent: reflect.TypeFor[I](),
		key: func(i any) string { return key(i.(I)) },
		run: func(ctx context.Context, t Transports, key string, body []byte) ([]byte, error) {
			var i I
			if err := codec.Unmarshal(body, &i); err != nil {
				return nil, notAsked(fmt.Errorf("stored intent of %s cannot be read: %w", name, err))
			}
			o, err := call(ctx, t, key, i)
			if err != nil {
				return nil, err
			}
			out, err := codec.Marshal(o)
			if err != nil {
				return nil, Unusable(fmt.Errorf("outcome of %s cannot be encoded: %w", name, err))
			}
			return out, nil
		}}}
}

// HTTPRequest is what an HTTPCall sends. Body is encoded as JSON; nil sends none.
type HTTPRequest struct {
	Method, Path string
	Body         any
}

// HTTPResponse is a definite answer: any status but 408, 425, 429 and 5xx,
// which the runtime retries without asking.
type HTTPResponse struct {
	Status int
	Body   []byte
}

// Read takes the JSON of an answer that has the status of a yes, or of a definite no,
// and tells which. Any other proves nothing, and is an error. A no of 0: none is taken.
func (r HTTPResponse) Read(yes, no int, into any) (bool, error) {
	if r.Status != yes && r.Status != no {
		var refusal struct {
			Reason string `json:"reason"`
		}
		_ = json.Unmarshal(r.Body, &refusal) // which may be of any form
		return false, fmt.Errorf("status %d (%.200s): check its address and log", r.Status, refusal.Reason)
	}
	if err := json.Unmarshal(r.Body, into); err != nil {
		return false, fmt.Errorf("status %d, and no JSON that fits: %w", r.Status, err)
	}
	return r.Status == yes, nil
}

// HTTPCall is an effect over HTTP. The runtime adds the address of the
// endpoint, the Idempotency-Key and traceparent headers, the time limit, the
// retries and the breaker; request and outcome are pure. An error of outcome says
// that the answer is of no use, and holds up nobody else.
func HTTPCall[I, O any](name, endpoint string, limit time.Duration, key func(I) string, request func(I) HTTPRequest, outcome func(I, HTTPResponse) (O, error)) *Effect[I, O] {
	return NewEffect(name, endpoint, limit, key, func(ctx context.Context, t Transports, key string, i I) (O, error) {
		res, err := t.HTTP.do(ctx, endpoint, key, request(i))
		if err != nil {
			var none O
			return none, err
		}
		o, err := outcome(i, res)
		if err != nil {
			err = Unusable(fmt.Errorf("%s answered %s with %w", endpoint, name, err))
		}
		return o, err
	})
}

// Message is a mail. Its Message-ID derives from the effect's key: SMTP knows
// no idempotency, so a mail may arrive twice, and readers drop the second.
type Message struct {
	From, To, Subject, Text string
}

// MailOutcome is the definite answer of a mail server.
type MailOutcome struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"` // of a permanent refusal (5yz)
}

// Mail is an effect over SMTP.
func Mail[I any](name, endpoint string, limit time.Duration, key func(I) string, compose func(I) Message) *Effect[I, MailOutcome] {
	return NewEffect(name, endpoint, limit, key, func(ctx context.Context, t Transports, key string, i I) (MailOutcome, error) {
		return t.SMTP.send(ctx, endpoint, key, compose(i))
	})
}
