package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

const (
	// The latest event is the last one of a history, whatever was read last.
	writeCorrelation = `INSERT INTO correlations VALUES (?1, 1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET events = events + 1,
		last = iif((last_at, last_lane, last_seq, last) < (?3, ?4, ?5, ?2), ?2, last),
		last_lane = iif((last_at, last_lane, last_seq, last) < (?3, ?4, ?5, ?2), ?4, last_lane),
		last_seq = iif((last_at, last_lane, last_seq, last) < (?3, ?4, ?5, ?2), ?5, last_seq), last_at = max(last_at, ?3)`
	writeSkipped  = `INSERT INTO skipped VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	writeExternal = `INSERT INTO externals VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	dropExternals = `DELETE FROM externals WHERE at < ?`
	writeSeen     = `INSERT INTO seen (topic, lane, partition, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq`
	moveCursor    = `UPDATE cursors SET next = ? WHERE topic = ? AND partition = ? AND next = ?`
)

// batch is one transaction: rows and cursors together.
type batch struct {
	ctx     context.Context
	tx      *sql.Tx
	stmts   map[string]*sql.Stmt // those prepared in tx, which closes them
	store   *Store
	upserts map[[2]string]string // of documents, by view and event type
}

// Write applies a batch in one transaction.
func (s *Store) Write(ctx context.Context, w *projection.Batch) error {
	if err := s.sameFile(); err != nil {
		return err
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return failed("the read model cannot be written", err)
	}
	defer tx.Rollback()
	b := &batch{ctx: ctx, tx: tx, stmts: map[string]*sql.Stmt{}, store: s, upserts: map[[2]string]string{}}
	for _, f := range []func(*projection.Batch) error{b.fence, b.events, b.bookkeeping, b.move} {
		if err := f(w); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return failed("the read model cannot be written", err)
	}
	return nil
}

func (b *batch) exec(query string, args ...any) (sql.Result, error) {
	st, ok := b.stmts[query]
	if !ok {
		var err error
		if st, err = b.tx.PrepareContext(b.ctx, query); err != nil {
			return nil, failed("the read model's statement cannot be prepared", err)
		}
		b.stmts[query] = st
	}
	res, err := st.ExecContext(b.ctx, args...)
	if err != nil {
		return nil, failed("the read model cannot be written", err)
	}
	return res, nil
}

// fence refuses a writer after whom another one has claimed.
func (b *batch) fence(w *projection.Batch) error {
	var epoch int64
	if err := b.tx.QueryRowContext(b.ctx, `SELECT epoch FROM platform`).Scan(&epoch); err != nil {
		return failed("the read model's writer cannot be told", err)
	}
	if epoch != w.Epoch {
		return fmt.Errorf("epoch %d has become %d: %w", w.Epoch, epoch, projection.ErrFenced)
	}
	return nil
}

func (b *batch) events(w *projection.Batch) error {
	for i := range w.Events {
		if err := b.event(&w.Events[i]); err != nil {
			return err
		}
	}
	return nil
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
	if _, err := b.exec(b.store.history, args...); err != nil {
		return err
	}
	if _, err := b.exec(writeCorrelation, e.Correlation, e.Type, at, e.Lane, e.Seq); err != nil {
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
	_, err := b.exec(q, args...)
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

func (b *batch) bookkeeping(w *projection.Batch) error {
	for _, x := range w.Skipped {
		if _, err := b.exec(writeSkipped, x.Topic, x.Partition, x.Offset, projection.Nanos(x.At),
			x.Reason); err != nil {
			return err
		}
	}
	for _, x := range w.Externals {
		if _, err := b.exec(writeExternal, x.Source, x.ID, projection.Nanos(x.At)); err != nil {
			return err
		}
	}
	if len(w.Externals) == 0 {
		return nil
	}
	_, err := b.exec(dropExternals, projection.Nanos(w.Forget))
	return err
}

// move writes the cursors: beside the rows, or not at all.
func (b *batch) move(w *projection.Batch) error {
	for _, m := range w.Moves {
		res, err := b.exec(moveCursor, m.Next, m.Topic, m.Partition, m.From)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("the cursor of %s/%d is not at %d: %w", m.Topic, m.Partition, m.From,
				projection.ErrFenced)
		}
		for lane, seq := range m.Seen {
			if _, err := b.exec(writeSeen, m.Topic, string(lane), m.Partition, seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// Known tells which events from outside were written.
func (s *Store) Known(ctx context.Context, ids []streams.ExternalID) (map[streams.ExternalID]bool, error) {
	known := map[streams.ExternalID]bool{}
	for _, id := range ids {
		var n int
		if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM externals WHERE source = ? AND id = ?`, id.Source,
			id.ID).Scan(&n); err != nil {
			return nil, failed("events from outside cannot be looked for", err)
		}
		if n > 0 {
			known[streams.ExternalID{Source: id.Source, ID: id.ID}] = true
		}
	}
	return known, nil
}

// Prune removes what is from before a time, in one transaction.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	t := projection.Nanos(before)
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return failed("history cannot be pruned", err)
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
			return failed("history cannot be pruned", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return failed("history cannot be pruned", err)
	}
	return nil
}
