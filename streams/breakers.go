package streams

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// UnusableError says that an outside call got an answer, and none that the
// service can use, or could not be made at all. That is no outage: it concerns
// this call alone, which is made again, less and less often.
type UnusableError struct {
	Err   error
	asked bool // and the other side answered
}

func (e *UnusableError) Error() string { return e.Err.Error() }

func (e *UnusableError) Unwrap() error { return e.Err }

// Unusable marks the error of an effect's call: the other side answered, and the
// answer is of no use.
func Unusable(err error) error { return &UnusableError{err, true} }

func notAsked(err error) error { return &UnusableError{err, false} }

// errHeldBack says that a call was not made, as its endpoint does not answer, or
// does again since a moment.
var errHeldBack = errors.New("held back: the endpoint does not answer")

// breakers holds one circuit breaker per endpoint, shared by a service's lanes.
type breakers struct {
	service string
	hook    HookEffect
	mu      sync.Mutex
	m       map[string]*endpoint
}

func newBreakers(service string, hook HookEffect) *breakers {
	return &breakers{service: service, hook: hook, m: map[string]*endpoint{}}
}

// endpoint lets calls through. One that has been away gets one call, then two,
// then four: all that waited at once would push it over again, and one at a time
// would take for ever.
type endpoint struct {
	breaker *gobreaker.CircuitBreaker[[]byte]

	mu    sync.Mutex
	most  int // calls at once; 0: no limit
	calls int // that are being made
	// The lowest attempt that was held back, and when. It goes before others: who
	// has failed often may be why the breaker is open.
	first   int
	firstAt time.Time
}

// turnTime is how long a call that is held back is waited for: it asks again sooner.
const turnTime = time.Second

func (b *breakers) of(name string) *endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.m[name]; e != nil {
		return e
	}
	e := &endpoint{}
	e.breaker = gobreaker.NewCircuitBreaker[[]byte](gobreaker.Settings{
		Name: name, MaxRequests: 1, Timeout: 2 * time.Second,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 10 },
		IsSuccessful: answered,
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) || unusable(err) && !answered(err) }, // it says nothing of them
		OnStateChange: func(name string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				e.mu.Lock()
				e.most = 1
				e.mu.Unlock()
			}
			if b.hook != nil {
				b.hook.OnBreaker(b.service, name, to.String())
			}
		},
	})
	b.m[name] = e
	return e
}

func unusable(err error) bool {
	var u *UnusableError
	return errors.As(err, &u)
}

func answered(err error) bool {
	var u *UnusableError
	return err == nil || errors.As(err, &u) && u.asked
}

// do makes the nth attempt at a call, unless it is held back.
func (e *endpoint) do(n int, call func() ([]byte, error)) ([]byte, error) {
	if !e.enter(n) {
		return nil, errHeldBack
	}
	body, err := e.breaker.Execute(call)
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		e.leave(0)
		e.wait(n)
		return nil, errHeldBack
	case answered(err):
		e.leave(1)
	default:
		e.leave(-1)
	}
	return body, err
}

func (e *endpoint) enter(n int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.most == 0 {
		e.calls++
		return true
	}
	if time.Since(e.firstAt) < turnTime && n > e.first {
		return false
	}
	if e.calls >= e.most {
		e.first, e.firstAt = n, time.Now()
		return false
	}
	e.firstAt = time.Time{} // others of its kind say so again
	e.calls++
	return true
}

// wait notes a call that the breaker refused.
func (e *endpoint) wait(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.firstAt) >= turnTime || n <= e.first {
		e.first, e.firstAt = n, time.Now()
	}
}

// leave ends a call, and lets one more in for an answer: twice as many, when all
// that were let in have been answered.
func (e *endpoint) leave(more int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.calls--; e.most == 0 {
		return
	}
	if e.most = max(e.most+more, 1); e.most > callsAtOnce {
		e.most = 0
	}
}
