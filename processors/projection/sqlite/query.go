package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// scan reads a document of a view.
func (v *view) scan(row interface{ Scan(...any) error }) (d projection.Document, err error) {
	var begun int64
	at := map[string]any{}
	into := append(make([]any, 0, 4+len(v.columns)), &d.Key, &begun, &d.Correlation, &d.State)
	for _, c := range v.columns {
		if c.Text {
			at[c.Name] = new(string)
		} else {
			at[c.Name] = new(int64)
		}
		into = append(into, at[c.Name])
	}
	if err := row.Scan(into...); err != nil {
		return d, err
	}
	d.Begun = projection.Moment(begun)
	d.Values = projection.Values(v.View, func(column string) any {
		switch p := at[column].(type) {
		case *string:
			return *p
		case *int64:
			return *p
		}
		return nil
	})
	return d, nil
}

// Document finds a document that has begun.
func (s *Store) Document(ctx context.Context, declared *business.View, key string) (d projection.Document, err error) {
	v, err := s.of(declared.Name)
	if err != nil {
		return d, err
	}
	d, err = v.scan(s.Reader.QueryRowContext(ctx, v.document+` WHERE key = ? AND begun IS NOT NULL`, key))
	if errors.Is(err, sql.ErrNoRows) {
		return d, fmt.Errorf("%s %q: %w", v.One, key, projection.ErrNotFound)
	}
	if err != nil {
		return d, fmt.Errorf("%s %q cannot be read: %w", v.One, key, err)
	}
	return d, nil
}

// List lists documents, the greatest first.
func (s *Store) List(ctx context.Context, q projection.ListQuery) ([]projection.Document, error) {
	v, err := s.of(q.View.Name)
	if err != nil {
		return nil, err
	}
	equal, err := q.Equal()
	if err != nil {
		return nil, err
	}
	var w where
	w.and("begun IS NOT NULL")
	for column, value := range equal {
		w.equal(column, value)
	}
	if !q.Since.IsZero() {
		w.and("begun > ?", projection.Nanos(q.Since))
	}
	sort := projection.SortColumn(v.View)
	if q.After != nil {
		w.and("("+sort+", key) < (?, ?)", q.After.At, q.After.Key)
	}
	items := []projection.Document{}
	err = sqlitefile.Each(ctx, s.Reader, v.document+w.String()+" ORDER BY "+sort+" DESC, key DESC LIMIT ?",
		func(rows *sql.Rows) error {
			d, err := v.scan(rows)
			items = append(items, d)
			return err
		}, append(w.args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be listed: %w", v.Name, err)
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

// Counts are the documents by state.
func (s *Store) Counts(ctx context.Context, declared *business.View) (map[string]int64, error) {
	v, err := s.of(declared.Name)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	err = sqlitefile.Each(ctx, s.Reader,
		`SELECT state, count(*) FROM `+projection.Table(v.View)+` WHERE begun IS NOT NULL GROUP BY state`,
		func(rows *sql.Rows) error {
			var state string
			var n int64
			err := rows.Scan(&state, &n)
			out[state] = n
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("%s cannot be counted: %w", v.Name, err)
	}
	return out, nil
}

// entryColumns are those of an entry.
var entryColumns = []string{"id", "type", "version", "source", "kind", "key", "correlation", "causation", "time",
	"lane", "seq",
	"topic", "partition", "offset", "traceparent", "data"}

// byTime is the order of a history: times may be equal, and a lane's own
// sequence then decides.
const byTime = ` ORDER BY time, lane, seq, topic, partition, offset`

// History lists every event about a key, earliest first.
func (s *Store) History(ctx context.Context, kind, key string) ([]projection.Entry, error) {
	v := s.first[kind]
	if v == nil {
		return []projection.Entry{}, nil
	}
	column := about(kind)
	return s.list(ctx, ` WHERE `+column+` = ?1 AND `+column+` <> '' UNION ALL `+s.entries+`
		WHERE `+column+` = '' AND correlation = (SELECT saga FROM `+projection.Table(v.View)+` WHERE key = ?1 AND begun IS NOT NULL)`, key)
}

// Events lists every event of a correlation, earliest first.
func (s *Store) Events(ctx context.Context, correlation string) ([]projection.Entry, error) {
	return s.list(ctx, ` WHERE correlation = ?1`, correlation)
}

// FirstEvents are a correlation's earliest events and those that name a key.
func (s *Store) FirstEvents(ctx context.Context, correlation, kind, key string, limit int) ([]projection.Entry, error) {
	if s.first[kind] == nil || key == "" {
		return s.list(ctx, ` WHERE n IN (SELECT n FROM history WHERE correlation = ?1`+byTime+` LIMIT ?2)`,
			correlation, limit)
	}
	column := about(kind)
	return s.list(ctx, ` WHERE n IN (
		SELECT n FROM (SELECT n FROM history WHERE correlation = ?1`+byTime+` LIMIT ?3)
		UNION ALL SELECT n FROM (SELECT n FROM history WHERE `+column+` = ?2 AND `+column+` <> ''`+byTime+` LIMIT ?3))`, correlation, key, limit)
}

func (s *Store) list(ctx context.Context, condition string, args ...any) ([]projection.Entry, error) {
	out := []projection.Entry{}
	err := sqlitefile.Each(ctx, s.Reader, s.entries+condition+byTime, func(rows *sql.Rows) error {
		var e projection.Entry
		var at int64
		var data []byte
		err := rows.Scan(&e.ID, &e.Type, &e.Version, &e.Source, &e.Kind, &e.Key, &e.Correlation, &e.Causation, &at,
			&e.Lane, &e.Seq,
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
	err = s.Reader.QueryRowContext(ctx, `SELECT
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
	err := sqlitefile.Each(ctx, s.Reader,
		`SELECT topic, partition, offset, at, reason FROM skipped ORDER BY at DESC, topic, partition, offset LIMIT ?`,
		func(rows *sql.Rows) error {
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
