package projection

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirstream/weir/services/event"
)

// PageSize is how many orders or sagas a page holds.
const PageSize = 50

// ErrNotFound says that the read model has no such order or saga.
var ErrNotFound = errors.New("not found")

// ErrPage says that a page token was not made by this read model.
var ErrPage = errors.New("the page token is damaged: take the one that the page before answered, or none for the first page")

// Order is what an order has become. Times are UTC and zero until it happened.
type Order struct {
	ID          string      `json:"order"`
	Customer    string      `json:"customer"`
	State       string      `json:"state"`  // placed, confirmed, released, shipped or cancelled
	Closed      bool        `json:"closed"` // nothing more will happen
	Outcome     string      `json:"outcome,omitempty"`
	Reason      string      `json:"reason,omitempty"` // of a cancellation
	Total       event.Money `json:"total"`
	Lines       int         `json:"lines"`
	Carrier     string      `json:"carrier,omitempty"`
	Tracking    string      `json:"tracking,omitempty"`
	Correlation string      `json:"correlation"` // of the saga that the placement began
	PlacedAt    time.Time   `json:"placed_at"`
	DelayedAt   time.Time   `json:"delayed_at,omitzero"`
	ConfirmedAt time.Time   `json:"confirmed_at,omitzero"`
	ReleasedAt  time.Time   `json:"released_at,omitzero"`
	ShippedAt   time.Time   `json:"shipped_at,omitzero"`
	CancelledAt time.Time   `json:"cancelled_at,omitzero"`
	ClosedAt    time.Time   `json:"closed_at,omitzero"`
}

const orderColumns = `SELECT id, customer, state, outcome, reason, total, currency, lines, carrier, tracking, correlation,
	placed, delayed, confirmed, released, shipped, cancelled, closed FROM orders`

func scanOrder(row interface{ Scan(...any) error }) (o Order, err error) {
	var t [7]int64
	err = row.Scan(&o.ID, &o.Customer, &o.State, &o.Outcome, &o.Reason, &o.Total.Minor, &o.Total.Currency, &o.Lines, &o.Carrier, &o.Tracking, &o.Correlation,
		&t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6])
	for i, p := range []*time.Time{&o.PlacedAt, &o.DelayedAt, &o.ConfirmedAt, &o.ReleasedAt, &o.ShippedAt, &o.CancelledAt, &o.ClosedAt} {
		*p = moment(t[i])
	}
	o.Closed = t[6] > 0
	return o, err
}

// Order finds an order whose placement has been read, or fails with ErrNotFound.
func (s *Store) Order(ctx context.Context, id string) (Order, error) {
	o, err := scanOrder(s.read.QueryRowContext(ctx, orderColumns+` WHERE id = ? AND placed > 0`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return o, fmt.Errorf("order %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return o, fmt.Errorf("order %q cannot be read: %w", id, err)
	}
	return o, nil
}

// Page is part of a list. Next is empty on the last page.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // the token of the page after this one
}

// Orders lists orders newest first. Empty filters match all; page is empty or
// the Next of the page before. Orders placed in between shift nothing. A
// damaged page token is ErrPage.
func (s *Store) Orders(ctx context.Context, customer, state, page string) (Page[Order], error) {
	w := where{`placed > 0`}
	var args []any
	w.equal(&args, "customer", customer)
	w.equal(&args, "state", state)
	if page != "" {
		var after orderMark
		if err := readMark(page, &after); err != nil {
			return Page[Order]{}, err
		}
		w = append(w, `(placed, id) < (?, ?)`)
		args = append(args, after.Placed, after.ID)
	}
	query := orderColumns + w.String() + fmt.Sprintf(" ORDER BY placed DESC, id DESC LIMIT %d", PageSize+1)
	items := []Order{}
	err := each(ctx, s.read, query, func(rows *sql.Rows) error {
		o, err := scanOrder(rows)
		items = append(items, o)
		return err
	}, args...)
	if err != nil {
		return Page[Order]{}, fmt.Errorf("orders cannot be listed: %w", err)
	}
	return cut(items, func(o Order) any { return orderMark{nanos(o.PlacedAt), o.ID} }), nil
}

// orderMark is where a page of orders ended.
type orderMark struct {
	Placed int64
	ID     string
}

// cut makes a page of up to PageSize+1 items.
func cut[T any](items []T, mark func(T) any) Page[T] {
	if len(items) <= PageSize {
		return Page[T]{Items: items}
	}
	items = items[:PageSize]
	b, _ := json.Marshal(mark(items[PageSize-1])) // of plain integers and strings
	return Page[T]{Items: items, Next: base64.RawURLEncoding.EncodeToString(b)}
}

func readMark(page string, mark any) error {
	b, err := base64.RawURLEncoding.DecodeString(page)
	if err == nil {
		err = json.Unmarshal(b, mark)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", page, ErrPage)
	}
	return nil
}

// where gathers conditions that all hold.
type where []string

func (w *where) equal(args *[]any, column, value string) {
	if value != "" {
		*w = append(*w, column+" = ?")
		*args = append(*args, value)
	}
}

func (w where) String() string {
	if len(w) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w, " AND ")
}

// Counts are the orders by state.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	err := each(ctx, s.read, `SELECT state, count(*) FROM orders WHERE placed > 0 GROUP BY state`, func(rows *sql.Rows) error {
		var state string
		var n int64
		err := rows.Scan(&state, &n)
		out[state] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("orders cannot be counted: %w", err)
	}
	return out, nil
}
