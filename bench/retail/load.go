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
}

func (f *File) report() Report {
	r := Report{Orders: len(f.Orders), Currency: Currency, InvoicesWithoutLines: f.InvoicesWithoutLines, LinesUnsellable: f.LinesUnsellable,
		Cancellations: f.Cancellations, CancellationLines: f.CancellationLines, Malformed: f.Malformed, Unused: f.Unused}
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

	mu   sync.Mutex
	next time.Time // when the rate lets the next order go
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
	sum := sha256.Sum256(b)
	l := &loader{Options: o, digest: hex.EncodeToString(sum[:8]), bar: newBar(o.Progress, len(file.Orders))}
	defer l.bar.end()
	r := file.report()
	err = l.load(ctx, file.Orders, &r)
	return r, err
}

// load places all orders, then follows them to their ends.
func (l *loader) load(ctx context.Context, orders []Order, r *Report) error {
	open := make([]*Order, len(orders))
	for i := range orders {
		open[i] = &orders[i]
	}
	open, refused := l.round(ctx, "placed", open, func(o *Order) (bool, error) { return true, l.place(ctx, o) })
	var wrong []error
	for waiting := open; len(waiting) > 0 && ctx.Err() == nil; {
		var errs []error
		var mu sync.Mutex
		_, errs = l.round(ctx, "closed", waiting, func(o *Order) (bool, error) {
			v, err := l.look(ctx, o)
			if err == nil && v.Closed {
				mu.Lock()
				defer mu.Unlock()
				r.count(v)
			}
			return v.Closed, err
		})
		wrong = append(wrong, errs...)
	}
	return nil
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
