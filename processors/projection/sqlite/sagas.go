package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

// An end counts by its correlation, or, where another saga brought it about (a
// withdrawal ends what was begun), by the thing that both are about. Either may
// be read before the start, and the earliest counts.
const (
	startSaga = `INSERT INTO sagas (saga, correlation, subject, started, due) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET subject = excluded.subject, started = excluded.started, due = excluded.due, ended = NULL, ended_by = NULL
		WHERE (excluded.started, excluded.subject) < (started, subject)`
	keepEnd = `INSERT INTO saga_ends (saga, correlation, subject, type, time) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	// One statement for each index, and named: an OR over both, or the planner's
	// preference for the primary key, reads every saga of the name.
	endCorrelation = `UPDATE sagas SET ended = ?3, ended_by = ?4
		WHERE saga = ?1 AND correlation = ?2 AND (ended IS NULL OR (ended, ended_by) > (?3, ?4))`
	endSubject = `UPDATE sagas INDEXED BY sagas_subject SET ended = ?3, ended_by = ?4
		WHERE saga = ?1 AND subject = ?2 AND started <= ?3 AND (ended IS NULL OR (ended, ended_by) > (?3, ?4))`
	endStarted = `UPDATE sagas SET (ended, ended_by) = (SELECT time, type FROM (
			SELECT time, type FROM saga_ends WHERE saga = ?1 AND correlation = ?2
			UNION ALL
			SELECT time, type FROM saga_ends INDEXED BY saga_ends_subject WHERE saga = ?1 AND subject = ?3 AND time >= ?4) ORDER BY time, type LIMIT 1)
		WHERE saga = ?1 AND correlation = ?2 AND ended IS NULL`
)

// sagas notes what an event begins and ends.
func (b *batch) sagas(e *projection.Event) error {
	for _, s := range e.Starts {
		if err := b.start(s, e.Subject(), e); err != nil {
			return err
		}
	}
	for _, name := range e.Ends {
		if err := b.end(name, e.Subject(), e); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) start(s projection.Start, subject string, e *projection.Event) error {
	at := projection.Nanos(e.Time)
	res, err := b.Exec(startSaga, s.Name, e.Correlation, subject, at, projection.Nanos(s.Due))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err // one that began earlier counts
	}
	_, err = b.Exec(endStarted, s.Name, e.Correlation, subject, at)
	return err
}

func (b *batch) end(saga, subject string, e *projection.Event) error {
	at := projection.Nanos(e.Time)
	if _, err := b.Exec(keepEnd, saga, e.Correlation, subject, e.Type, at); err != nil {
		return err
	}
	if _, err := b.Exec(endCorrelation, saga, e.Correlation, at, e.Type); err != nil {
		return err
	}
	_, err := b.Exec(endSubject, saga, subject, at, e.Type)
	return err
}

const sagaColumns = `SELECT s.saga, s.correlation, s.subject, s.started, s.due, coalesce(s.ended, 0), coalesce(s.ended_by, ''),
	coalesce(c.last, ''), coalesce(c.last_at, 0), coalesce(c.events, 0)
	FROM sagas s LEFT JOIN correlations c USING (correlation)`

func (s *Store) sagas(ctx context.Context, condition string, args ...any) ([]projection.Saga, error) {
	out := []projection.Saga{}
	err := sqlitefile.Each(ctx, s.Reader, sagaColumns+condition, func(rows *sql.Rows) error {
		var x projection.Saga
		var t [4]int64
		err := rows.Scan(&x.Name, &x.Correlation, &x.Subject, &t[0], &t[1], &t[2], &x.EndedBy, &x.Last, &t[3], &x.Events)
		x.Started, x.Due, x.Ended, x.LastAt = projection.Moment(t[0]), projection.Moment(t[1]), projection.Moment(t[2]), projection.Moment(t[3])
		x.State = projection.Running
		if t[2] > 0 {
			x.State = projection.Ended
		}
		out = append(out, x)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("sagas cannot be read: %w", err)
	}
	return out, nil
}

// Saga finds the sagas that a correlation began.
func (s *Store) Saga(ctx context.Context, correlation string) ([]projection.Saga, error) {
	out, err := s.sagas(ctx, ` WHERE s.correlation = ? ORDER BY s.started, s.saga`, correlation)
	if err == nil && len(out) == 0 {
		return nil, fmt.Errorf("saga of correlation %q: %w", correlation, projection.ErrNotFound)
	}
	return out, err
}

// ListSagas lists sagas, the newest first.
func (s *Store) ListSagas(ctx context.Context, q projection.SagaQuery) ([]projection.Saga, error) {
	var w where
	w.equal("+s.saga", q.Name) // the plus keeps to the index that has the order
	switch q.State {
	case projection.Running:
		w.and("s.ended IS NULL")
	case projection.Ended:
		w.and("s.ended IS NOT NULL")
	}
	if m := q.After; m != nil {
		w.and("(s.started, s.saga, s.correlation) < (?, ?, ?)", m.Started, m.Name, m.Correlation)
	}
	return s.sagas(ctx, w.String()+" ORDER BY s.started DESC, s.saga DESC, s.correlation DESC LIMIT ?", append(w.args, q.Limit)...)
}

// InFlight counts running sagas.
func (s *Store) InFlight(ctx context.Context, now time.Time, limit int) (f projection.InFlight, err error) {
	var oldest int64
	err = s.Reader.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(due < ?), 0), coalesce(min(started), 0) FROM
		(SELECT started, due FROM sagas WHERE ended IS NULL ORDER BY started, saga, correlation LIMIT ?)`, projection.Nanos(now), limit).Scan(&f.Sagas, &f.Late, &oldest)
	if err != nil {
		return f, fmt.Errorf("running sagas cannot be counted: %w", err)
	}
	f.Oldest = projection.Moment(oldest)
	return f, nil
}

// Late lists running sagas that are beyond their declared time.
func (s *Store) Late(ctx context.Context, now time.Time, limit int) ([]projection.Saga, error) {
	return s.sagas(ctx, ` WHERE (s.saga, s.correlation) IN (SELECT saga, correlation FROM
		(SELECT saga, correlation, due FROM sagas WHERE ended IS NULL ORDER BY started, saga, correlation LIMIT ?) WHERE due < ?)
		ORDER BY s.started, s.saga, s.correlation LIMIT ?`, limit, projection.Nanos(now), projection.PageSize)
}
