package projection

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Entry is one event of a history, without the fields of persons.
type Entry struct {
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Version     int             `json:"version"`
	Source      string          `json:"source"` // the decider that emitted it, or who posted it
	Kind        string          `json:"kind"`   // of the key
	Key         string          `json:"key"`
	Correlation string          `json:"correlation"`
	Causation   string          `json:"causation,omitempty"`
	Time        time.Time       `json:"time"`
	Lane        string          `json:"lane,omitempty"`
	Seq         int64           `json:"sequence,omitempty"`
	Topic       string          `json:"topic"`
	Partition   int32           `json:"partition"`
	Offset      int64           `json:"offset"`
	Traceparent string          `json:"traceparent,omitempty"`
	Data        json.RawMessage `json:"data"`
}

const entryColumns = `SELECT id, type, version, source, kind, key, correlation, causation, time, lane, seq,
	topic, partition, offset, traceparent, data FROM history`

// byTime is the order of a history: times may be equal, and a lane's own
// sequence then decides.
const byTime = ` ORDER BY time, lane, seq, topic, partition, offset`

// History lists every event about an order, earliest first: those that name
// it, and those of its placement's saga that name no order. It is empty for an
// order that is not known, or whose events Prune removed.
func (s *Store) History(ctx context.Context, order string) ([]Entry, error) {
	return s.entries(ctx, ` WHERE orderid = ?1 AND orderid <> '' UNION ALL `+entryColumns+`
		WHERE orderid = '' AND correlation = (SELECT correlation FROM orders WHERE id = ?1)`, order)
}

// Events lists every event of a correlation, earliest first.
func (s *Store) Events(ctx context.Context, correlation string) ([]Entry, error) {
	return s.entries(ctx, ` WHERE correlation = ?1`, correlation)
}

func (s *Store) entries(ctx context.Context, condition string, args ...any) ([]Entry, error) {
	out := []Entry{}
	err := each(ctx, s.read, entryColumns+condition+byTime, func(rows *sql.Rows) error {
		var e Entry
		var at int64
		var data []byte
		err := rows.Scan(&e.ID, &e.Type, &e.Version, &e.Source, &e.Kind, &e.Key, &e.Correlation, &e.Causation, &at, &e.Lane, &e.Seq,
			&e.Topic, &e.Partition, &e.Offset, &e.Traceparent, &data)
		e.Time, e.Data = moment(at), data
		out = append(out, e)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("history of %q cannot be read: %w", args[0], err)
	}
	return out, nil
}

// Saga states.
const (
	Running = "running"
	Ended   = "ended"
)

// Saga is one run of a declared saga.
type Saga struct {
	Name        string    `json:"saga"`
	Correlation string    `json:"correlation"`
	Subject     string    `json:"subject"` // kind/key of the event that started it
	State       string    `json:"state"`   // running or ended
	Started     time.Time `json:"started"`
	Due         time.Time `json:"due"` // when its declared time is over
	Ended       time.Time `json:"ended,omitzero"`
	EndedBy     string    `json:"ended_by,omitempty"` // the event's type
	Last        string    `json:"last"`               // type of the correlation's latest event
	LastAt      time.Time `json:"last_at"`
	Events      int64     `json:"events"` // of the correlation
}

const sagaColumns = `SELECT s.saga, s.correlation, s.subject, s.started, s.due, coalesce(s.ended, 0), coalesce(s.ended_by, ''),
	coalesce(c.last, ''), coalesce(c.last_at, 0), coalesce(c.events, 0)
	FROM sagas s LEFT JOIN correlations c USING (correlation)`

func (s *Store) sagas(ctx context.Context, condition string, args ...any) ([]Saga, error) {
	out := []Saga{}
	err := each(ctx, s.read, sagaColumns+condition, func(rows *sql.Rows) error {
		var x Saga
		var t [4]int64
		err := rows.Scan(&x.Name, &x.Correlation, &x.Subject, &t[0], &t[1], &t[2], &x.EndedBy, &x.Last, &t[3], &x.Events)
		x.Started, x.Due, x.Ended, x.LastAt = moment(t[0]), moment(t[1]), moment(t[2]), moment(t[3])
		x.State = Running
		if t[2] > 0 {
			x.State = Ended
		}
		out = append(out, x)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("sagas cannot be read: %w", err)
	}
	return out, nil
}

// Saga finds the sagas that a correlation began, one for each declared saga
// that starts with its first event; ErrNotFound if there is none.
func (s *Store) Saga(ctx context.Context, correlation string) ([]Saga, error) {
	out, err := s.sagas(ctx, ` WHERE s.correlation = ? ORDER BY s.started, s.saga`, correlation)
	if err == nil && len(out) == 0 {
		return nil, fmt.Errorf("saga of correlation %q: %w", correlation, ErrNotFound)
	}
	return out, err
}

// SagaFilter chooses sagas; its zero value chooses all.
type SagaFilter struct {
	Name  string
	State string // Running or Ended
	Page  string // empty, or the Next of the page before
}

// Sagas lists sagas, the newest first. A damaged page token is ErrPage.
func (s *Store) Sagas(ctx context.Context, f SagaFilter) (Page[Saga], error) {
	var w where
	var args []any
	w.equal(&args, "+s.saga", f.Name) // the plus keeps to the index that has the order
	switch f.State {
	case Running:
		w = append(w, "s.ended IS NULL")
	case Ended:
		w = append(w, "s.ended IS NOT NULL")
	}
	if f.Page != "" {
		var m sagaMark
		if err := readMark(f.Page, &m); err != nil {
			return Page[Saga]{}, err
		}
		w = append(w, "(s.started, s.saga, s.correlation) < (?, ?, ?)")
		args = append(args, m.Started, m.Name, m.Correlation)
	}
	items, err := s.sagas(ctx, w.String()+fmt.Sprintf(" ORDER BY s.started DESC, s.saga DESC, s.correlation DESC LIMIT %d", PageSize+1), args...)
	if err != nil {
		return Page[Saga]{}, err
	}
	return cut(items, func(x Saga) any { return sagaMark{nanos(x.Started), x.Name, x.Correlation} }), nil
}

// sagaMark is where a page of sagas ended.
type sagaMark struct {
	Started           int64
	Name, Correlation string
}

// Skipped is a record that was passed over because it is no event of ours.
type Skipped struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	At        time.Time `json:"at"`
	Reason    string    `json:"reason"`
}

// Skips lists the latest passed-over records, at most PageSize.
func (s *Store) Skips(ctx context.Context) ([]Skipped, error) {
	out := []Skipped{}
	err := each(ctx, s.read, fmt.Sprintf(`SELECT topic, partition, offset, at, reason FROM skipped ORDER BY at DESC LIMIT %d`, PageSize), func(rows *sql.Rows) error {
		var x Skipped
		var at int64
		err := rows.Scan(&x.Topic, &x.Partition, &x.Offset, &at, &x.Reason)
		x.At = moment(at)
		out = append(out, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("passed-over records cannot be read: %w", err)
	}
	return out, nil
}
