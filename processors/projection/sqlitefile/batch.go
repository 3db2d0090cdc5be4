package sqlitefile

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

const (
	writeSkipped  = `INSERT INTO skipped VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	writeExternal = `INSERT INTO externals VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	dropExternals = `DELETE FROM externals WHERE at < ?`
	writeSeen     = `INSERT INTO seen (topic, lane, partition, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq`
	moveCursor    = `UPDATE cursors SET next = ? WHERE topic = ? AND partition = ? AND next = ?`
)

// Tx is the transaction of one batch: rows and cursors together.
type Tx struct {
	*sql.Tx
	ctx   context.Context
	file  *File
	stmts map[string]*sql.Stmt // those prepared in it, which closes them
}

// Begin begins the transaction of a batch, and refuses one of a writer after whom
// another one has claimed, with projection.ErrFenced.
func (f *File) Begin(ctx context.Context, b *projection.Batch) (*Tx, error) {
	if err := f.Same(); err != nil {
		return nil, err
	}
	tx, err := f.Writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, Failed(f.what+" cannot be written", err)
	}
	t := &Tx{Tx: tx, ctx: ctx, file: f, stmts: map[string]*sql.Stmt{}}
	if err := t.fence(b.Epoch); err != nil {
		tx.Rollback()
		return nil, err
	}
	return t, nil
}

func (t *Tx) fence(epoch int64) error {
	var now int64
	if err := t.QueryRowContext(t.ctx, `SELECT epoch FROM platform`).Scan(&now); err != nil {
		return Failed("the writer of "+t.file.what+" cannot be told", err)
	}
	if now != epoch {
		return fmt.Errorf("epoch %d has become %d: %w", epoch, now, projection.ErrFenced)
	}
	return nil
}

// Exec runs a statement, which it prepares once.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	st, ok := t.stmts[query]
	if !ok {
		var err error
		if st, err = t.PrepareContext(t.ctx, query); err != nil {
			return nil, Failed("a statement of "+t.file.what+" cannot be prepared", err)
		}
		t.stmts[query] = st
	}
	res, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return nil, Failed(t.file.what+" cannot be written", err)
	}
	return res, nil
}

// Keep writes what a batch passes over, the ids of its events from outside, and the cursors.
func (t *Tx) Keep(b *projection.Batch) error {
	for _, x := range b.Skipped {
		if _, err := t.Exec(writeSkipped, x.Topic, x.Partition, x.Offset, projection.Nanos(x.At), x.Reason); err != nil {
			return err
		}
	}
	for _, x := range b.Externals {
		if _, err := t.Exec(writeExternal, x.Source, x.ID, projection.Nanos(x.At)); err != nil {
			return err
		}
	}
	if len(b.Externals) > 0 {
		if _, err := t.Exec(dropExternals, projection.Nanos(b.Forget)); err != nil {
			return err
		}
	}
	for i := range b.Moves {
		if err := t.move(&b.Moves[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) move(m *projection.Move) error {
	res, err := t.Exec(moveCursor, m.Next, m.Topic, m.Partition, m.From)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("the cursor of %s/%d is not at %d: %w", m.Topic, m.Partition, m.From, projection.ErrFenced)
	}
	for lane, seq := range m.Seen {
		if _, err := t.Exec(writeSeen, m.Topic, string(lane), m.Partition, seq); err != nil {
			return err
		}
	}
	return nil
}

// Commit ends it.
func (t *Tx) Commit() error {
	if err := t.Tx.Commit(); err != nil {
		return Failed(t.file.what+" cannot be written", err)
	}
	return nil
}

// Known tells which events from outside were written.
func (f *File) Known(ctx context.Context, ids []streams.ExternalID) (map[streams.ExternalID]bool, error) {
	known := map[streams.ExternalID]bool{}
	for _, id := range ids {
		var n int
		if err := f.Reader.QueryRowContext(ctx, `SELECT count(*) FROM externals WHERE source = ? AND id = ?`, id.Source,
			id.ID).Scan(&n); err != nil {
			return nil, Failed("events from outside cannot be looked for", err)
		}
		if n > 0 {
			known[streams.ExternalID{Source: id.Source, ID: id.ID}] = true
		}
	}
	return known, nil
}
