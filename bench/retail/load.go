package retail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/weirstream/weir/services/event"
)

// Options say what to load, and whereto. Only File and URL are needed.
type Options struct {
	File        string       // path of the data file
	URL         string       // of the gateway: "http://127.0.0.1:8080"
	Rate        float64      // orders a second; as fast as they are taken if 0
	Concurrency int          // requests at a time; 16 if 0
	Progress    io.Writer    // gets a bar if it is a terminal
	Client      *http.Client // 30 s for a request if nil
	// Patience is for how long nobody may be answered before the load gives up; 2
	// minutes if 0.
	Patience time.Duration
}

// Report is what became of a file.
type Report struct {
	Orders               int      `json:"orders"` // found in the file
	Lines                int      `json:"lines"`  // of those orders
	Confirmed            int      `json:"confirmed"`
	ConfirmedTotalMinor  int64    `json:"confirmed_total_minor"` // in pence, of the confirmed orders
	Currency             string   `json:"currency"`
	Cancelled            int      `json:"cancelled"`
	InvoicesWithoutLines int      `json:"invoices_without_lines"`
	LinesUnsellable      int      `json:"lines_unsellable"`
	Cancellations        int      `json:"cancellations"`
	CancellationLines    int      `json:"cancellation_lines"`
	Malformed            int      `json:"malformed"`
	Unused               []Unused `json:"unused"`

	// What is out of the ordinary.
	Split       []Split `json:"split,omitempty"`       // invoices whose number another has
	Uncountable int     `json:"uncountable,omitempty"` // lines of amounts beyond what can be counted
	Refused     int     `json:"refused,omitempty"`     // orders that the gateway refused
	Open        int     `json:"open,omitempty"`        // orders that were taken, and not closed when the load ended
	Unknown     int     `json:"unknown,omitempty"`     // orders that were sent, and not answered
	NotSent     int     `json:"not_sent,omitempty"`
}

// fate is what is known of an order.
type fate int

const (
	notSent fate = iota
	unknown
	taken
	refused
	closed
)

func (f *File) report() Report {
	r := Report{Orders: len(f.Orders), Currency: Currency, InvoicesWithoutLines: f.InvoicesWithoutLines, LinesUnsellable: f.LinesUnsellable,
		Cancellations: f.Cancellations, CancellationLines: f.CancellationLines, Malformed: f.Malformed, Unused: f.Unused,
		Split: f.Split, Uncountable: f.Uncountable}
	for _, o := range f.Orders {
		r.Lines += len(o.Lines)
	}
	return r
}

// loader is a Load under way.
type loader struct {
	Options
	digest string // of the file: begins every Idempotency-Key
	bar    *bar

	mu    sync.Mutex // of the report and
	next  time.Time  // when the rate lets the next order go
	heard time.Time  // the last answer
	fates map[*Order]fate
}

func (l *loader) note(o *Order, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fates[o] = f
}

// sumUp has the report tell what became of the orders that are not closed.
func (l *loader) sumUp(orders []Order, r *Report) {
	for i := range orders {
		switch l.fates[&orders[i]] {
		case notSent:
			r.NotSent++
		case unknown:
			r.Unknown++
		case taken:
			r.Open++
		case refused:
			r.Refused++
		}
	}
}

// Load places every invoice of a file as an order and waits until each is
// closed; ctx bounds the waiting. Loading a file again changes nothing, so an
// interrupted load is simply started again. An order that is refused or comes
// out with another total is an error, after all others were loaded; the report
// then tells of those.
func Load(ctx context.Context, o Options) (Report, error) {
	b, err := os.ReadFile(o.File)
	if err != nil {
		return Report{}, fmt.Errorf("the data file cannot be read: %w", err)
	}
	file, err := Read(bytes.NewReader(b))
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", o.File, err)
	}
	if o.Concurrency < 1 {
		o.Concurrency = 16
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 30 * time.Second}
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.Patience <= 0 {
		o.Patience = 2 * time.Minute
	}
	sum := sha256.Sum256(b)
	l := &loader{Options: o, fates: map[*Order]fate{}, heard: time.Now(), digest: hex.EncodeToString(sum[:8]), bar: newBar(o.Progress, len(file.Orders))}
	defer l.bar.end()
	r := file.report()
	if err := l.greet(ctx); err != nil {
		r.NotSent = r.Orders
		return r, err
	}
	err = l.load(ctx, file.Orders, &r)
	l.sumUp(file.Orders, &r)
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnreachable)) {
		err = fmt.Errorf("of %d orders %d are closed, %d more were taken, %d were sent and nobody knows whether they were taken, %d were not sent: start again to go on, nothing is placed twice: %w",
			r.Orders, r.Confirmed+r.Cancelled, r.Open, r.Unknown, r.NotSent, err)
	}
	if err == nil && r.Uncountable > 0 {
		err = fmt.Errorf("%d lines were left out, as their amounts are more than can be counted", r.Uncountable)
	}
	return r, err
}

// load places all orders, then follows them to their ends.
func (l *loader) load(ctx context.Context, orders []Order, r *Report) error {
	left := make([]*Order, len(orders))
	for i := range orders {
		left[i] = &orders[i]
	}
	left, errs := l.each(ctx, left, func(o *Order) (bool, error) {
		err := l.place(ctx, o)
		l.bar.step("placed")
		return err == nil, err
	})
	for l.bar.restart(); len(left) > 0 && ctx.Err() == nil; pause(ctx, lookEvery) {
		var more []error
		left, more = l.each(ctx, left, func(o *Order) (bool, error) { return l.follow(ctx, o, r) })
		errs = append(errs, more...)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, err := range errs {
		if errors.Is(err, ErrUnreachable) {
			return err // of all the same
		}
	}
	if n := len(errs); n > 3 {
		errs = append(errs[:3], fmt.Errorf("and %d more", n-3))
	}
	return errors.Join(errs...)
}

// lookEvery is the time between two looks at the orders still open.
const lookEvery = 250 * time.Millisecond

// each calls f for all orders, several at a time, and returns those that f
// keeps.
func (l *loader) each(ctx context.Context, orders []*Order, f func(*Order) (keep bool, err error)) (kept []*Order, errs []error) {
	keep := make([]bool, len(orders))
	failed := make([]error, len(orders))
	work := make(chan int)
	var group sync.WaitGroup
	for range min(l.Concurrency, len(orders)) {
		group.Go(func() {
			for i := range work {
				keep[i], failed[i] = f(orders[i])
			}
		})
	}
	for i := range orders {
		if ctx.Err() == nil {
			work <- i
		}
	}
	close(work)
	group.Wait()
	for i, o := range orders {
		if keep[i] {
			kept = append(kept, o)
		}
		if failed[i] != nil {
			errs = append(errs, failed[i])
		}
	}
	return kept, errs
}

// follow looks at an order, and counts it if it is closed; else it keeps it.
func (l *loader) follow(ctx context.Context, o *Order, r *Report) (keep bool, err error) {
	v, err := l.look(ctx, o)
	if err != nil || !v.Closed {
		return err == nil, err
	}
	l.bar.step("closed")
	l.note(o, closed)
	if v.Total != o.Total {
		return false, fmt.Errorf("order %s came out at %d %s, the invoice says %d %s", o.ID, v.Total.Minor, v.Total.Currency, o.Total.Minor, o.Total.Currency)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.count(v)
	return false, nil
}

// placed is what the gateway says about an order.
type placed struct {
	State       string      `json:"state"`
	Closed      bool        `json:"closed"`
	Total       event.Money `json:"total"`
	ConfirmedAt time.Time   `json:"confirmed_at"`
}

func (r *Report) count(v placed) {
	switch {
	case v.State == "cancelled":
		r.Cancelled++
	case !v.ConfirmedAt.IsZero():
		r.Confirmed++
		r.ConfirmedTotalMinor += v.Total.Minor
	}
}
