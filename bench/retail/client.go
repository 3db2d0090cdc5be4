package retail

import (
	"bytes"
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
	c := order.PlaceOrder{Order: event.OrderID(o.Invoice), Customer: o.Customer, Email: o.Customer + "@retail.invalid",
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
	status, answer, err := l.ask(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL+"/v1/orders", bytes.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", l.digest+"-"+o.Invoice)
		}
		return req, err
	})
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("the gateway refused it with %d: %.300s", status, answer)
	}
	if err != nil {
		return fmt.Errorf("invoice %s was not placed: %w", o.Invoice, err)
	}
	return nil
}

// look asks what an order has become. An order that the read model does not
// have yet is as good as open.
func (l *loader) look(ctx context.Context, o *Order) (v placed, err error) {
	status, answer, err := l.ask(ctx, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/v1/orders/"+url.PathEscape(o.Invoice), nil)
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
	if err != nil {
		return placed{}, fmt.Errorf("order %s cannot be followed: %w", o.Invoice, err)
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

// Bounds of the pause before a request is sent again.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// ask sends a request until the answer is definite: broken connections, 429
// and 502 to 504 are tried again, as the Idempotency-Key makes repeats one.
func (l *loader) ask(ctx context.Context, request func() (*http.Request, error)) (int, []byte, error) {
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		req, err := request()
		if err != nil {
			return 0, nil, err
		}
		status, answer, after, err := l.once(req)
		if err == nil && !again(status) {
			return status, answer, nil
		}
		if ctx.Err() != nil {
			return 0, nil, errors.Join(context.Cause(ctx), err)
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
