package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

const orderColumns = `SELECT id, customer, state, outcome, reason, total, currency, lines, carrier, tracking, correlation,
	placed, delayed, confirmed, released, shipped, cancelled, closed FROM orders`

func scanOrder(row interface{ Scan(...any) error }) (o projection.Order, err error) {
	var t [7]int64
	err = row.Scan(&o.ID, &o.Customer, &o.State, &o.Outcome, &o.Reason, &o.Total.Minor, &o.Total.Currency, &o.Lines, &o.Carrier, &o.Tracking, &o.Correlation,
		&t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6])
	for i, p := range []*time.Time{&o.PlacedAt, &o.DelayedAt, &o.ConfirmedAt, &o.ReleasedAt, &o.ShippedAt, &o.CancelledAt, &o.ClosedAt} {
		*p = projection.Moment(t[i])
	}
	o.Closed = t[6] > 0
	return o, err
}

// Order finds an order whose placement has been read.
func (s *Store) Order(ctx context.Context, id string) (projection.Order, error) {
	o, err := scanOrder(s.read.QueryRowContext(ctx, orderColumns+` WHERE id = ? AND placed > 0`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return o, fmt.Errorf("order %q: %w", id, projection.ErrNotFound)
	}
	if err != nil {
		return o, fmt.Errorf("order %q cannot be read: %w", id, err)
	}
	return o, nil
}

// ListOrders lists placed orders, the newest first.
func (s *Store) ListOrders(ctx context.Context, q projection.OrderQuery) ([]projection.Order, error) {
	var w where
	w.and("placed > 0")
	w.equal("customer", q.Customer)
	w.equal("state", q.State)
	if q.After != nil {
		w.and("(placed, id) < (?, ?)", q.After.Placed, q.After.ID)
	}
	items := []projection.Order{}
	err := each(ctx, s.read, orderColumns+w.String()+" ORDER BY placed DESC, id DESC LIMIT ?", func(rows *sql.Rows) error {
		o, err := scanOrder(rows)
		items = append(items, o)
		return err
	}, append(w.args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("orders cannot be listed: %w", err)
	}
	return items, nil
}

// where gathers conditions that all hold.
type where struct {
	conditions []string
	args       []any
}

func (w *where) and(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

func (w *where) equal(column, value string) {
	if value != "" {
		w.and(column+" = ?", value)
	}
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
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

// Passages are those of the newest orders.
func (s *Store) Passages(ctx context.Context, after time.Time, limit int) ([]projection.Passage, error) {
	var out []projection.Passage
	err := each(ctx, s.read, `SELECT state, closed > 0, placed, confirmed, cancelled FROM orders WHERE placed > ? ORDER BY placed DESC, id DESC LIMIT ?`,
		func(rows *sql.Rows) error {
			var p projection.Passage
			var t [3]int64
			err := rows.Scan(&p.State, &p.Closed, &t[0], &t[1], &t[2])
			p.Placed, p.Confirmed, p.Cancelled = projection.Moment(t[0]), projection.Moment(t[1]), projection.Moment(t[2])
			out = append(out, p)
			return err
		}, max(projection.Nanos(after), 0), limit)
	if err != nil {
		return nil, fmt.Errorf("recent orders cannot be read: %w", err)
	}
	return out, nil
}

const entryColumns = `SELECT id, type, version, source, kind, key, correlation, causation, time, lane, seq,
	topic, partition, offset, traceparent, data FROM history`

// byTime is the order of a history: times may be equal, and a lane's own
// sequence then decides.
const byTime = ` ORDER BY time, lane, seq, topic, partition, offset`

// History lists every event about an order, earliest first.
func (s *Store) History(ctx context.Context, order string) ([]projection.Entry, error) {
	return s.entries(ctx, ` WHERE orderid = ?1 AND orderid <> '' UNION ALL `+entryColumns+`
		WHERE orderid = '' AND correlation = (SELECT correlation FROM orders WHERE id = ?1)`, order)
}

// Events lists every event of a correlation, earliest first.
func (s *Store) Events(ctx context.Context, correlation string) ([]projection.Entry, error) {
	return s.entries(ctx, ` WHERE correlation = ?1`, correlation)
}

// FirstEvents are a correlation's earliest events and those about an order.
func (s *Store) FirstEvents(ctx context.Context, correlation, order string, limit int) ([]projection.Entry, error) {
	return s.entries(ctx, ` WHERE n IN (
		SELECT n FROM (SELECT n FROM history WHERE correlation = ?1`+byTime+` LIMIT ?3)
		UNION ALL SELECT n FROM (SELECT n FROM history WHERE orderid = ?2 AND orderid <> ''`+byTime+` LIMIT ?3))`, correlation, order, limit)
}

func (s *Store) entries(ctx context.Context, condition string, args ...any) ([]projection.Entry, error) {
	out := []projection.Entry{}
	err := each(ctx, s.read, entryColumns+condition+byTime, func(rows *sql.Rows) error {
		var e projection.Entry
		var at int64
		var data []byte
		err := rows.Scan(&e.ID, &e.Type, &e.Version, &e.Source, &e.Kind, &e.Key, &e.Correlation, &e.Causation, &at, &e.Lane, &e.Seq,
			&e.Topic, &e.Partition, &e.Offset, &e.Traceparent, &data)
		e.Time, e.Data = projection.Moment(at), data
		out = append(out, e)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("history of %q cannot be read: %w", args[0], err)
	}
	return out, nil
}

// Holds looks for the event itself: the highest sequence of its lane proves
// nothing, as the lane's events lie in several partitions.
func (s *Store) Holds(ctx context.Context, t streams.Token) (ok bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT
		EXISTS (SELECT 1 FROM history WHERE topic = ?1 AND lane = ?2 AND seq = ?3 AND lane <> '')
		OR EXISTS (SELECT 1 FROM seen WHERE topic = ?1 AND lane = ?2 AND pruned >= ?3)`, t.Topic, string(t.Lane), t.Seq).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("the read model cannot look for %s: %w", t, err)
	}
	return ok, nil
}

// Skips lists the latest passed-over records.
func (s *Store) Skips(ctx context.Context) ([]projection.Skipped, error) {
	out := []projection.Skipped{}
	err := each(ctx, s.read, `SELECT topic, partition, offset, at, reason FROM skipped ORDER BY at DESC, topic, partition, offset LIMIT ?`, func(rows *sql.Rows) error {
		var x projection.Skipped
		var at int64
		err := rows.Scan(&x.Topic, &x.Partition, &x.Offset, &at, &x.Reason)
		x.At = projection.Moment(at)
		out = append(out, x)
		return err
	}, projection.PageSize)
	if err != nil {
		return nil, fmt.Errorf("passed-over records cannot be read: %w", err)
	}
	return out, nil
}
