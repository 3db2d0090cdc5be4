package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

// The latest event is the last one of a history, whatever was read last.
const writeCorrelation = `INSERT INTO correlations VALUES (?1, 1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET events = events + 1,
	last = iif((last_at, last_lane, last_seq, last) < (?3, ?4, ?5, ?2), ?2, last),
	last_lane = iif((last_at, last_lane, last_seq, last) < (?3, ?4, ?5, ?2), ?4, last_lane),
	last_seq = iif((last_at, last_lane, last_seq, last) < (?3, ?4, ?5, ?2), ?5, last_seq), last_at = max(last_at, ?3)`

// batch is one that is written.
type batch struct {
	*sqlitefile.Tx
	store   *Store
	upserts map[[2]string]string // of documents, by view and event type
}

// Write applies a batch in one transaction.
func (s *Store) Write(ctx context.Context, w *projection.Batch) error {
	tx, err := s.Begin(ctx, w)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	b := &batch{Tx: tx, store: s, upserts: map[[2]string]string{}}
	for i := range w.Events {
		if err := b.event(&w.Events[i]); err != nil {
			return err
		}
	}
	if err := b.Keep(w); err != nil {
		return err
	}
	return b.Commit()
}

func (b *batch) event(e *projection.Event) error {
	for i := range e.Changes {
		if err := b.change(e, &e.Changes[i]); err != nil {
			return err
		}
	}
	at := projection.Nanos(e.Time)
	args := []any{e.ID, e.Type, e.Version, e.Source, e.Kind, e.Key, e.Correlation, e.Causation, at, e.Lane, e.Seq,
		e.Topic, e.Partition, e.Offset, e.Traceparent, []byte(e.Data)}
	for _, k := range b.store.kinds {
		args = append(args, e.About[k])
	}
	if _, err := b.Exec(b.store.history, args...); err != nil {
		return err
	}
	if _, err := b.Exec(writeCorrelation, e.Correlation, e.Type, at, e.Lane, e.Seq); err != nil {
		return err
	}
	return b.sagas(e)
}

func (b *batch) change(e *projection.Event, c *projection.Change) error {
	of := [2]string{c.View, e.Type}
	q, ok := b.upserts[of]
	if !ok {
		v, err := b.store.of(c.View)
		if err != nil {
			return err
		}
		q = upsert(projection.Table(v.View), c)
		b.upserts[of] = q
	}
	args := append(make([]any, 0, len(c.Fields)+3), c.Key)
	if c.Begins {
		args = append(args, projection.Nanos(e.Time), e.Correlation)
	}
	for _, f := range c.Fields {
		args = append(args, f.Value)
	}
	_, err := b.Exec(q, args...)
	return err
}

// joins are what becomes of a column's value, by what an event says with it. Add does
// as projection.Sum, as SQLite makes a real number of what is beyond 64 bits.
var joins = map[projection.Op]string{
	projection.Put: `excluded.%[1]s`,
	projection.Add: `CASE WHEN excluded.%[1]s > 0 AND %[1]s > 9223372036854775807 - excluded.%[1]s THEN 9223372036854775807
		WHEN excluded.%[1]s < 0 AND %[1]s < -9223372036854775807 - 1 - excluded.%[1]s THEN -9223372036854775807 - 1
		ELSE %[1]s + excluded.%[1]s END`,
	projection.Latest: `iif(excluded.%[1]s = 0 OR %[1]s <> 0 AND %[1]s > excluded.%[1]s, %[1]s, excluded.%[1]s)`,
}

// upsert is the statement that changes a document.
func upsert(table string, c *projection.Change) string {
	names, sets := []string{"key"}, []string{}
	if c.Begins {
		const earlier = `begun IS NULL OR (excluded.begun, excluded.saga) < (begun, saga)`
		names = append(names, "begun", "saga")
		sets = append(sets, `begun = iif(`+earlier+`, excluded.begun, begun)`,
			`saga = iif(`+earlier+`, excluded.saga, saga)`)
	}
	for _, f := range c.Fields {
		names = append(names, f.Column)
		sets = append(sets, f.Column+" = "+fmt.Sprintf(joins[f.Op], f.Column))
	}
	do := "NOTHING"
	if len(sets) > 0 {
		do = "UPDATE SET " + strings.Join(sets, ", ")
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT (key) DO %s", table, strings.Join(names, ", "),
		strings.Repeat(", ?", len(names)-1), do)
}

// Prune removes what is from before a time, in one transaction.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	t := projection.Nanos(before)
	tx, err := s.Writer.BeginTx(ctx, nil)
	if err != nil {
		return sqlitefile.Failed("history cannot be pruned", err)
	}
	defer tx.Rollback()
	for _, q := range []string{
		`UPDATE seen SET pruned = max(pruned, old.seq) FROM (SELECT topic, lane, partition, max(seq) AS seq FROM history
			WHERE time < ?1 AND lane <> '' GROUP BY topic, lane, partition) old
			WHERE seen.topic = old.topic AND seen.lane = old.lane AND seen.partition = old.partition`,
		`DELETE FROM history WHERE time < ?1`,
		`DELETE FROM correlations WHERE last_at < ?1 AND NOT EXISTS
			(SELECT 1 FROM sagas s WHERE s.correlation = correlations.correlation AND s.ended IS NULL)`,
		`DELETE FROM sagas WHERE ended < ?1`,
		`DELETE FROM saga_ends WHERE time < ?1`,
		`DELETE FROM skipped WHERE at < ?1`,
	} {
		if _, err := tx.ExecContext(ctx, q, t); err != nil {
			return sqlitefile.Failed("history cannot be pruned", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return sqlitefile.Failed("history cannot be pruned", err)
	}
	return nil
}
