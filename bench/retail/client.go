package retail

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
)

// command is an invoice as the gateway takes it. The data set knows neither
// addresses nor cards: mail goes to the reserved domain that never resolves.
func (o *Order) command() order.PlaceOrder {
	c := order.PlaceOrder{Order: event.OrderID(o.ID), Customer: o.Customer, Email: o.Customer + "@retail.invalid",
		ShipTo: event.Address{Name: "Customer " + o.Customer, Country: o.Country}, Card: "tok-retail"}
	for _, l := range o.Lines {
		c.Lines = append(c.Lines, event.Line{SKU: event.SKU(l.SKU), Quantity: l.Quantity, Unit: l.Price})
	}
	return c
}

// place posts an order until it is taken or refused.
func (l *loader) place(ctx context.Context, o *Order) error {
	body, err := json.Marshal(o.command())
	if err != nil {
		return fmt.Errorf("invoice %s cannot be encoded: %w", o.Invoice, err)
	}
	if err := pause(ctx, l.turn(time.Now())); err != nil {
		return err
	}
	l.note(o, unknown) // from now on it may be there
	status, answer, err := l.ask(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL+"/v1/orders", bytes.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", l.digest+"-"+o.ID)
		}
		return req, err
	})
	switch {
	case err == nil && status == http.StatusCreated:
		l.note(o, taken)
		return nil
	case err == nil:
		l.note(o, refused)
		return fmt.Errorf("invoice %s was not placed: the gateway refused it with %d: %.300s", o.ID, status, answer)
	case ctx.Err() != nil || errors.Is(err, ErrUnreachable):
		return err // told once, of all
	}
	return fmt.Errorf("invoice %s was not placed: %w", o.ID, err)
}

// look asks what an order has become. An order that the read model does not
// have yet is as good as open.
func (l *loader) look(ctx context.Context, o *Order) (v placed, err error) {
	status, answer, err := l.ask(ctx, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/v1/orders/"+url.PathEscape(o.ID), nil)
	})
	switch {
	case err != nil:
	case status == http.StatusNotFound:
		return v, nil
	case status != http.StatusOK:
		err = fmt.Errorf("the gateway answered %d: %.300s", status, answer)
	default:
		err = json.Unmarshal(answer, &v)
	}
	if ctx.Err() != nil || errors.Is(err, ErrUnreachable) {
		return placed{}, err
	}
	if err != nil {
		return placed{}, fmt.Errorf("order %s cannot be followed: %w", o.ID, err)
	}
	return v, nil
}

// turn is how long to wait for the rate's next slot.
func (l *loader) turn(now time.Time) time.Duration {
	if l.Rate <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next.Before(now) {
		l.next = now
	}
	wait := l.next.Sub(now)
	l.next = l.next.Add(time.Duration(float64(time.Second) / l.Rate))
	return wait
}

// ErrUnreachable says that the gateway did not answer, or that nobody is there.
var ErrUnreachable = errors.New("the gateway gave no answer")

// answered notes that the gateway gave an answer.
func (l *loader) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = time.Now()
}

// silent is for how long nobody was answered.
func (l *loader) silent() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.heard)
}

// greet finds out soon whether a gateway is there at all.
func (l *loader) greet(ctx context.Context) error {
	u, err := url.Parse(l.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ErrNoURL
	}
	ctx, cancel := context.WithTimeoutCause(ctx, min(greetTime, l.Patience), fmt.Errorf("%w within %s", ErrUnreachable, min(greetTime, l.Patience)))
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/readyz", nil)
		if err != nil {
			return ErrNoURL
		}
		status, answer, _, err := l.once(req)
		if err == nil && (status == http.StatusOK || status == http.StatusServiceUnavailable) && json.Valid(answer) {
			l.answered()
			return nil // not ready yet is a matter of patience
		}
		if err == nil {
			err = fmt.Errorf("what answers there with %d is no weir", status)
		}
		if e := pause(ctx, greetPause); e != nil {
			return errors.Join(e, err)
		}
	}
}

// How long a gateway is waited for at the beginning.
const (
	greetTime  = 5 * time.Second
	greetPause = 200 * time.Millisecond
)

// ErrNoURL says that the gateway's address is none.
var ErrNoURL = errors.New("the gateway's address is no URL that begins with http:// or https:// and names a host")

// Bounds of the pause before a request is sent again.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// ask sends a request until the answer is definite: broken connections, 429
// and 502 to 504 are tried again, as the Idempotency-Key makes repeats one.
func (l *loader) ask(ctx context.Context, request func() (*http.Request, error)) (int, []byte, error) {
	began := time.Now()
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		req, err := request()
		if err != nil {
			return 0, nil, err
		}
		status, answer, after, err := l.once(req)
		if err == nil && !again(status) {
			l.answered()
			return status, answer, nil
		}
		if ctx.Err() != nil {
			return 0, nil, errors.Join(context.Cause(ctx), err)
		}
		if min(l.silent(), time.Since(began)) > l.Patience {
			return 0, nil, fmt.Errorf("%w for %s: %w", ErrUnreachable, l.Patience, cmp.Or(err, fmt.Errorf("it answers %d", status)))
		}
		// Spread, so that those who were refused together do not come together.
		if err := pause(ctx, max(after, wait/2+rand.N(wait))); err != nil {
			return 0, nil, err
		}
	}
}

func again(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

func (l *loader) once(req *http.Request) (status int, answer []byte, after time.Duration, err error) {
	res, err := l.Client.Do(req)
	if err != nil {
		return 0, nil, 0, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // none, or a date: our own pause will do
	return res.StatusCode, answer, min(time.Duration(max(seconds, 0))*time.Second, longestPause), err
}

// pause sleeps, or fails when ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
