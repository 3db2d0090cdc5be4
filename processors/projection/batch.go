package projection

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// run is one Run: the cursors as committed, and what it needs to move them.
type run struct {
	store   *Store
	cfg     Config
	kinds   map[string]string // of the keys, by topic
	orders  map[string]*streams.Fact
	sagas   sagaTypes
	cursors map[place]cursor
	seen    map[source]int64
	stmts   map[string]*sql.Stmt
}

const (
	writeHistory = `INSERT INTO history (id, type, version, source, kind, key, orderid, correlation, causation, time,
		lane, seq, topic, partition, offset, traceparent, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	writeCorrelation = `INSERT INTO correlations VALUES (?1, 1, ?2, ?3) ON CONFLICT DO UPDATE SET events = events + 1,
		last = iif(last_at <= ?3, ?2, last), last_at = max(last_at, ?3)`
	writeSkipped  = `INSERT INTO skipped VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	writeExternal = `INSERT INTO externals VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	dropExternals = `DELETE FROM externals WHERE at < ?`
	writeSeen     = `INSERT INTO seen (topic, lane, partition, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq`
	addCursor     = `INSERT INTO cursors (topic, partition, topic_id, next) VALUES (?, ?, ?, ?)`
	moveCursor    = `UPDATE cursors SET next = ? WHERE topic = ? AND partition = ? AND topic_id = ? AND next = ?`
)

func (s *Store) newRun(cfg Config) (*run, error) {
	if cfg.Topology == nil || cfg.Partitions < 1 {
		return nil, errors.New("the read model needs a topology and a partition count")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Window == 0 {
		cfg.Window = 7 * 24 * time.Hour
	}
	r := &run{store: s, cfg: cfg, kinds: map[string]string{}, orders: orderFacts(cfg.Topology.Vocabulary), cursors: map[place]cursor{}, seen: map[source]int64{}, stmts: map[string]*sql.Stmt{}}
	for _, t := range cfg.Topology.Topics() {
		r.kinds[t.Name] = t.Kind
	}
	var err error
	if r.sagas, err = readSagas(cfg.Topology.Vocabulary, cfg.Sagas); err != nil {
		return nil, err
	}
	// Prepared before any transaction takes the only connection.
	queries := append([]string{writeHistory, writeCorrelation, writeSkipped, writeExternal, dropExternals, writeSeen, addCursor, moveCursor}, sagaWrites...)
	for _, q := range append(queries, orderWrites()...) {
		if r.stmts[q], err = s.write.Prepare(q); err != nil {
			r.close()
			return nil, fmt.Errorf("the read model's statement cannot be prepared: %w", err)
		}
	}
	return r, nil
}

func (r *run) close() {
	for _, st := range r.stmts {
		if st != nil {
			_ = st.Close() // nothing is lost with it
		}
	}
}

// batch is one transaction: rows and cursors together.
type batch struct {
	*run
	ctx   context.Context
	tx    *sql.Tx
	at    time.Time
	moved map[place]int64
	seqs  map[source]int64
}

// take applies what was fetched in one transaction.
func (r *run) take(ctx context.Context, fetches kgo.Fetches) error {
	if fetches.NumRecords() == 0 {
		r.store.stats.record(r.cfg.Now(), fetches)
		return nil
	}
	tx, err := r.store.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("the read model cannot be written: %w", err)
	}
	defer tx.Rollback()
	b := &batch{run: r, ctx: ctx, tx: tx, at: r.cfg.Now(), moved: map[place]int64{}, seqs: map[source]int64{}}
	for it := fetches.RecordIter(); !it.Done(); {
		if err := b.record(it.Next()); err != nil {
			return err
		}
	}
	if err := b.finish(); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("the read model cannot be written: %w", err)
	}
	b.keep()
	r.store.stats.record(b.at, fetches)
	r.store.notify()
	return nil
}

func (b *batch) exec(query string, args ...any) (sql.Result, error) {
	res, err := b.tx.StmtContext(b.ctx, b.stmts[query]).ExecContext(b.ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("the read model cannot be written: %w", err)
	}
	return res, nil
}

// record applies one record, or passes over it.
func (b *batch) record(rec *kgo.Record) error {
	at := place{rec.Topic, rec.Partition}
	b.moved[at] = rec.Offset + 1
	e, err := streams.ReadEnvelope(rec)
	if err != nil {
		return b.skip(rec, err)
	}
	if e.ReplayID != "" {
		return nil
	}
	again, err := b.repeated(rec, &e)
	if again || err != nil {
		return err
	}
	if !json.Valid(e.Data) {
		return b.skip(rec, fmt.Errorf("the data of %s %s is not JSON", e.Type, e.ID))
	}
	err = b.event(rec, &e)
	var bad *dataError
	if errors.As(err, &bad) {
		return b.skip(rec, bad.err)
	}
	return err
}

// repeated tells a record that was applied before, and halts at a hole.
func (b *batch) repeated(rec *kgo.Record, e *streams.Envelope) (bool, error) {
	if e.Lane == "" {
		res, err := b.exec(writeExternal, e.Source, e.ID, nanos(b.at))
		if err != nil {
			return false, err
		}
		n, err := res.RowsAffected()
		return n == 0, err
	}
	k := source{place{rec.Topic, rec.Partition}, e.Lane}
	seen, ok := b.seqs[k]
	if !ok {
		seen = b.seen[k]
	}
	if e.Seq <= seen {
		return true, nil
	}
	if e.Prev > seen {
		return false, &HoleError{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset, Lane: e.Lane, Seen: seen, Prev: e.Prev, Seq: e.Seq}
	}
	b.seqs[k] = e.Seq
	return false, nil
}

// skip leaves a note of a record that is not an event of ours: it stops nobody.
func (b *batch) skip(rec *kgo.Record, reason error) error {
	_, err := b.exec(writeSkipped, rec.Topic, rec.Partition, rec.Offset, nanos(b.at), reason.Error())
	return err
}

// event writes an event's rows. What it means for an order is applied first,
// so that an event whose data does not fit its type leaves no row.
func (b *batch) event(rec *kgo.Record, e *streams.Envelope) error {
	if err := b.order(e); err != nil {
		return err
	}
	kind := b.kinds[rec.Topic]
	if _, err := b.exec(writeHistory, e.ID, e.Type, e.Version, e.Source, kind, e.Key, orderOf(kind, e), e.Correlation, e.Causation, nanos(e.Time),
		string(e.Lane), e.Seq, rec.Topic, rec.Partition, rec.Offset, e.Traceparent, withoutPersons(e.Data)); err != nil {
		return err
	}
	if _, err := b.exec(writeCorrelation, e.Correlation, e.Type, nanos(e.Time)); err != nil {
		return err
	}
	return b.saga(kind, e)
}

// finish writes the cursors: beside the rows, or not at all.
func (b *batch) finish() error {
	for at, next := range b.moved {
		if err := b.move(at, b.cursors[at], next); err != nil {
			return err
		}
	}
	for k, seq := range b.seqs {
		if _, err := b.exec(writeSeen, k.topic, string(k.lane), k.partition, seq); err != nil {
			return err
		}
	}
	_, err := b.exec(dropExternals, nanos(b.at.Add(-b.cfg.Window)))
	return err
}

// move compares and swaps: another process with the same file must not apply
// the same events twice.
func (b *batch) move(at place, c cursor, next int64) error {
	if !c.stored {
		_, err := b.exec(addCursor, at.topic, at.partition, c.id, next)
		return err
	}
	res, err := b.exec(moveCursor, next, at.topic, at.partition, c.id, c.next)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("the cursor of %s/%d is not at %d any more: another process writes this read model; stop one of them", at.topic, at.partition, c.next), err)
	}
	return nil
}

// keep makes the committed positions the ones to go on from.
func (b *batch) keep() {
	for at, next := range b.moved {
		b.cursors[at] = cursor{id: b.cursors[at].id, next: next, stored: true}
	}
	for k, seq := range b.seqs {
		b.seen[k] = seq
	}
}
