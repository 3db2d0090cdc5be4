package projection

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Passage is when an order passed what its customer feels. Times are UTC and
// zero until it happened.
type Passage struct {
	State                        string
	Closed                       bool
	Placed, Confirmed, Cancelled time.Time
}

// Passages are those of the newest orders placed after a time, the newest
// first, at most limit.
func (s *Store) Passages(ctx context.Context, after time.Time, limit int) ([]Passage, error) {
	var out []Passage
	err := each(ctx, s.read, `SELECT state, closed > 0, placed, confirmed, cancelled FROM orders WHERE placed > ? ORDER BY placed DESC LIMIT ?`,
		func(rows *sql.Rows) error {
			var p Passage
			var t [3]int64
			err := rows.Scan(&p.State, &p.Closed, &t[0], &t[1], &t[2])
			p.Placed, p.Confirmed, p.Cancelled = moment(t[0]), moment(t[1]), moment(t[2])
			out = append(out, p)
			return err
		}, max(nanos(after), 0), limit)
	if err != nil {
		return nil, fmt.Errorf("recent orders cannot be read: %w", err)
	}
	return out, nil
}

// InFlight are the sagas that have not ended.
type InFlight struct {
	Sagas  int       // at most the limit that was asked for
	Late   int       // of them, those beyond their declared time
	Oldest time.Time // when the oldest started; zero if none runs
}

// InFlight counts running sagas, the oldest first, at most limit.
func (s *Store) InFlight(ctx context.Context, now time.Time, limit int) (f InFlight, err error) {
	var oldest int64
	err = s.read.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(due < ?), 0), coalesce(min(started), 0) FROM
		(SELECT started, due FROM sagas WHERE ended IS NULL ORDER BY started LIMIT ?)`, nanos(now), limit).Scan(&f.Sagas, &f.Late, &oldest)
	if err != nil {
		return f, fmt.Errorf("running sagas cannot be counted: %w", err)
	}
	f.Oldest = moment(oldest)
	return f, nil
}

// Late lists running sagas that are beyond their declared time, the oldest
// first, at most PageSize. It looks at the oldest limit running ones only.
func (s *Store) Late(ctx context.Context, now time.Time, limit int) ([]Saga, error) {
	return s.sagas(ctx, fmt.Sprintf(` WHERE (s.saga, s.correlation) IN (SELECT saga, correlation FROM
		(SELECT saga, correlation, due FROM sagas WHERE ended IS NULL ORDER BY started LIMIT ?) WHERE due < ?)
		ORDER BY s.started LIMIT %d`, PageSize), limit, nanos(now))
}

// FirstEvents are a correlation's earliest events and, if order is not empty,
// those about that order, earliest first: at most limit of either. It is for
// those who show a history, whose length nobody has bounded.
func (s *Store) FirstEvents(ctx context.Context, correlation, order string, limit int) ([]Entry, error) {
	return s.entries(ctx, fmt.Sprintf(` WHERE n IN (
		SELECT n FROM (SELECT n FROM history WHERE correlation = ?1 ORDER BY time LIMIT %d)
		UNION ALL SELECT n FROM (SELECT n FROM history WHERE orderid = ?2 AND orderid <> '' ORDER BY time LIMIT %d))`, limit, limit), correlation, order)
}
