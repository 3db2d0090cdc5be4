package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weirstream/weir/streams"
)

// buffers keeps the messages' memory between commits.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// keptBuffer is the size of a buffer that is not kept: few commits are larger.
const keptBuffer = 4 << 20

// Commit applies tx whole or not at all, in one round trip, or two if streams go
// on that were begun before. A commit that
// certainly was not done for a reason that passes (a deadlock, no connection) is
// tried again; after any other error it may have been done, and the caller asks
// Cursor.
func (s *Store) Commit(ctx context.Context, lane int32, tx *streams.Tx) error {
	if err := checkTx(lane, tx); err != nil {
		return s.explain(ctx, "commit", err)
	}
	err := s.do(ctx, refused, func(ctx context.Context, c *pgxpool.Conn) error {
		if err := s.prepare(ctx, c.Conn()); err != nil {
			return err
		}
		buf := buffers.Get().(*[]byte)
		p := &pipeline{ctx: ctx, conn: c.Conn(), names: s.service.prefix, buf: (*buf)[:0]}
		err := apply(p, lane, tx)
		if cap(p.buf) < keptBuffer {
			*buf = p.buf
		}
		buffers.Put(buf)
		return err
	})
	return s.explain(ctx, "commit", judge(err, lane, tx))
}

// judge tells a fenced commit from one that failed.
func judge(err error, lane int32, tx *streams.Tx) error {
	var f failure
	if !errors.As(err, &f) {
		return err
	}
	switch c := code(err); {
	case f.st == moveCursor && c == divisionByZero:
		err = fmt.Errorf("epoch %d, rev %d is not what is stored: %w", tx.Cursor.Epoch, tx.Cursor.Rev, streams.ErrFenced)
	case f.st == swapSnapshots && c == divisionByZero, f.st == addSnapshots && c == uniqueViolation:
		err = fmt.Errorf("a stream is not at the version that its snapshot replaces: %w", streams.ErrFenced)
	}
	return fmt.Errorf("lane %d: %w", lane, err)
}

// apply writes a transaction. What can refuse it comes first: the cursor, then the
// snapshots' versions. The cursor's row is also the lock under which all of a
// lane's rows are changed.
func apply(p *pipeline, lane int32, tx *streams.Tx) error {
	c := tx.Cursor
	p.run(moveCursor, int4(lane), int8(c.Epoch), int8(c.Rev), int8(c.LastSeq), int8(c.Published), c.MarshalMaps())
	h := newHeads(tx)
	if err := putSnapshots(p, lane, tx.Snapshots, h); err != nil {
		return err
	}
	copyEvents(p, lane, tx.Events, h)
	changeTimers(p, lane, tx)
	changeEffects(p, lane, tx)
	changeParked(p, lane, tx)
	putReplies(p, lane, tx.Replies)
	putExternals(p, lane, tx.Externals)
	if r := tx.Inputs; r != nil {
		p.copy(copyInputs, 4, 1, func(int) { p.int32(lane); p.int64(r.Rev); p.at(r.At); p.bytes(r.Entries) })
	}
	return p.commit()
}

// heads are the sequences of the streams' last events, by the streams' places
// among the transaction's snapshots. Streams without a snapshot have none.
type heads struct {
	places map[streams.StreamID]int
	before []int64 // what is stored; then, as events are written, the last of these
	after  []int64 // what this transaction leaves; 0 where it has no event
}

func newHeads(tx *streams.Tx) *heads {
	n := len(tx.Snapshots)
	h := &heads{places: make(map[streams.StreamID]int, n), before: make([]int64, n), after: make([]int64, n)}
	for i := range tx.Snapshots {
		h.places[tx.Snapshots[i].Stream] = i
	}
	for i := range tx.Events {
		if place, ok := h.places[tx.Events[i].Stream]; ok {
			h.after[place] = tx.Events[i].Seq
		}
	}
	return h
}

// link is the sequence of the stream's event before this one.
func (h *heads) link(e *streams.StoredEvent) int64 {
	place, ok := h.places[e.Stream]
	if !ok {
		return 0
	}
	before := h.before[place]
	h.before[place] = e.Seq
	return before
}

// An UPDATE that finds no row is no error, and would not stop what follows it:
// dividing by the number of rows is one.
var moveCursor = prepared("weir_cursor", `WITH moved AS (
	UPDATE weir.cursors SET rev=rev+1, last_seq=$4, published=$5, maps=$6 WHERE lane=$1 AND epoch=$2 AND rev=$3 RETURNING 1)
	SELECT 1/count(*) FROM moved`)

// What joins unnested parameters to a table looks up each in turn, and changes rows
// by their place (ctid). Left to choose, the planner reads all of a lane's rows
// for each parameter: it knows neither how many parameters come nor what a table,
// empty when it made the plan, grows to. OFFSET 0 keeps it from rewriting.

var swapSnapshots = prepared("weir_swap", `WITH swapped AS (
	UPDATE weir.snapshots s SET version=w.version, state_version=w.state_version, state=w.state,
		head=CASE w.head WHEN 0 THEN s.head ELSE w.head END, head_before=s.head
	FROM unnest($2::text[],$3::bytea[],$4::bigint[],$5::bigint[],$6::int[],$7::bytea[],$8::bigint[])
		WITH ORDINALITY AS w(decider,key,prev,version,state_version,state,head,i)
		CROSS JOIN LATERAL (SELECT ctid FROM weir.snapshots WHERE lane=$1 AND decider=w.decider AND key=w.key OFFSET 0) AS at
	WHERE s.ctid=at.ctid AND s.version=w.prev RETURNING w.i,s.head_before)
	SELECT array_agg(head_before ORDER BY i), 1/(count(*)=cardinality($4))::int FROM swapped`)

var addSnapshots = prepared("weir_begin", "COPY weir.snapshots FROM STDIN (FORMAT binary)")

// putSnapshots compares every snapshot's Prev with what is stored. A stream without
// a row is at version 0.
func putSnapshots(p *pipeline, lane int32, ss []streams.Snapshot, h *heads) error {
	var fresh, old []int
	for i := range ss {
		if ss[i].Prev == 0 {
			fresh = append(fresh, i)
		} else {
			old = append(old, i)
		}
	}
	p.copy(addSnapshots, 8, len(fresh), func(i int) {
		sn := &ss[fresh[i]]
		p.int32(lane)
		p.text(sn.Stream.Decider)
		p.text(sn.Stream.Key)
		p.int64(sn.Version)
		p.int64(h.after[fresh[i]])
		p.int64(0)
		p.int32(int32(sn.StateVersion))
		p.bytes(sn.State)
	})
	if len(old) == 0 {
		return nil
	}
	column := func(oid uint32, element func(b []byte, i int) []byte) []byte {
		return array(oid, len(old), func(b []byte, i int) []byte { return element(b, old[i]) })
	}
	p.run(swapSnapshots, int4(lane),
		column(oidText, func(b []byte, i int) []byte { return appendBytes(b, ss[i].Stream.Decider) }),
		column(oidBytea, func(b []byte, i int) []byte { return appendBytes(b, ss[i].Stream.Key) }),
		column(oidInt8, func(b []byte, i int) []byte { return appendInt64(b, ss[i].Prev) }),
		column(oidInt8, func(b []byte, i int) []byte { return appendInt64(b, ss[i].Version) }),
		column(oidInt4, func(b []byte, i int) []byte { return appendInt32(b, int32(ss[i].StateVersion)) }),
		column(oidBytea, func(b []byte, i int) []byte { return appendBytes(b, ss[i].State) }),
		column(oidInt8, func(b []byte, i int) []byte { return appendInt64(b, h.after[i]) }))
	if err := p.ask(); err != nil {
		return err
	}
	for i, seq := range int8s(p.row) {
		h.before[old[i]] = seq
	}
	return nil
}

var addEvents = prepared("weir_events", "COPY weir.events FROM STDIN (FORMAT binary)")

func copyEvents(p *pipeline, lane int32, es []streams.StoredEvent, h *heads) {
	p.copy(addEvents, 12, len(es), func(i int) {
		e := &es[i]
		p.int32(lane)
		p.int64(e.Seq)
		p.text(e.Stream.Decider)
		p.text(e.Stream.Key)
		p.int64(e.Version)
		p.int64(h.link(e))
		p.text(e.Type)
		p.int32(int32(e.TypeVer))
		p.text(e.Topic)
		p.int32(e.Partition)
		p.text(e.Key)
		p.bytes(e.Record)
	})
}

var (
	cancelTimers = prepared("weir_cancel", `DELETE FROM weir.timers WHERE ctid=ANY(ARRAY(
		SELECT at.ctid FROM unnest($2::text[],$3::bytea[],$4::bytea[]) AS w(decider,key,name)
		CROSS JOIN LATERAL (SELECT ctid FROM weir.timers WHERE lane=$1 AND decider=w.decider AND key=w.key AND name=w.name OFFSET 0) AS at))`)
	addTimers = prepared("weir_timers", "COPY weir.timers FROM STDIN (FORMAT binary)")
)

func changeTimers(p *pipeline, lane int32, tx *streams.Tx) {
	gone := tx.Cancel[:len(tx.Cancel):len(tx.Cancel)]
	for i := range tx.Timers {
		gone = append(gone, streams.TimerKey{Stream: tx.Timers[i].Stream, Name: tx.Timers[i].Name})
	}
	if n := len(gone); n > 0 {
		p.run(cancelTimers, int4(lane),
			array(oidText, n, func(b []byte, i int) []byte { return appendBytes(b, gone[i].Stream.Decider) }),
			array(oidBytea, n, func(b []byte, i int) []byte { return appendBytes(b, gone[i].Stream.Key) }),
			array(oidBytea, n, func(b []byte, i int) []byte { return appendBytes(b, gone[i].Name) }))
	}
	p.copy(addTimers, 10, len(tx.Timers), func(i int) {
		t := &tx.Timers[i]
		p.int32(lane)
		p.text(t.Stream.Decider)
		p.text(t.Stream.Key)
		p.text(t.Name)
		p.text(t.ID)
		p.at(t.Due)
		p.bytes(t.Body)
		p.origin(t.Origin)
	})
}

func (p *pipeline) origin(o streams.Origin) {
	p.text(o.Correlation)
	p.text(o.Causation)
	p.text(o.Traceparent)
}

var (
	addEffects    = prepared("weir_effects", "COPY weir.effects FROM STDIN (FORMAT binary)")
	removeEffects = prepared("weir_done", "DELETE FROM weir.effects WHERE lane=$1 AND seq=ANY($2)")
	addParked     = prepared("weir_parked", "COPY weir.parked FROM STDIN (FORMAT binary)")
	removeParked  = prepared("weir_unparked", "DELETE FROM weir.parked WHERE lane=$1 AND seq=ANY($2)")
)

func (p *pipeline) remove(st statement, lane int32, seqs []int64) {
	if len(seqs) > 0 {
		p.run(st, int4(lane), array(oidInt8, len(seqs), func(b []byte, i int) []byte { return appendInt64(b, seqs[i]) }))
	}
}

func changeEffects(p *pipeline, lane int32, tx *streams.Tx) {
	p.copy(addEffects, 11, len(tx.Effects), func(i int) {
		e := &tx.Effects[i]
		p.int32(lane)
		p.int64(e.Seq)
		p.text(e.Stream.Decider)
		p.text(e.Stream.Key)
		p.text(e.ID)
		p.text(e.Effect)
		p.text(e.Key)
		p.bytes(e.Body)
		p.origin(e.Origin)
	})
	p.remove(removeEffects, lane, tx.Done)
}

func changeParked(p *pipeline, lane int32, tx *streams.Tx) {
	p.remove(removeParked, lane, tx.Unparked)
	p.copy(addParked, 17, len(tx.Parked), func(i int) {
		r := &tx.Parked[i]
		p.int32(lane)
		p.int64(r.Seq)
		p.text(r.Stream.Decider)
		p.text(r.Stream.Key)
		p.text(string(r.Kind))
		p.text(r.ID)
		p.text(r.Name)
		p.int32(int32(r.TypeVer))
		p.bytes(r.Body)
		p.origin(r.Origin)
		p.text(r.From)
		p.at(r.At)
		p.text(r.Reason)
		p.text(r.Stack)
		p.text(r.Source)
	})
}

var (
	removeReplies   = prepared("weir_reply", "DELETE FROM weir.replies WHERE lane=$1 AND id=ANY($2)")
	addReplies      = prepared("weir_replies", "COPY weir.replies FROM STDIN (FORMAT binary)")
	removeExternals = prepared("weir_external", `DELETE FROM weir.externals WHERE ctid=ANY(ARRAY(
		SELECT at.ctid FROM unnest($2::bytea[],$3::bytea[]) AS w(source,id)
		CROSS JOIN LATERAL (SELECT ctid FROM weir.externals WHERE lane=$1 AND source=w.source AND id=w.id OFFSET 0) AS at))`)
	addExternals = prepared("weir_externals", "COPY weir.externals FROM STDIN (FORMAT binary)")
	copyInputs   = prepared("weir_inputs", "COPY weir.inputs FROM STDIN (FORMAT binary)")
)

// putReplies replaces those that are there.
func putReplies(p *pipeline, lane int32, rs []streams.Reply) {
	if n := len(rs); n > 0 {
		p.run(removeReplies, int4(lane), array(oidBytea, n, func(b []byte, i int) []byte { return appendBytes(b, rs[i].ID) }))
	}
	p.copy(addReplies, 7, len(rs), func(i int) {
		r := &rs[i]
		p.int32(lane)
		p.text(r.ID)
		p.text(r.Digest)
		p.text(string(r.Status))
		p.bytes(r.Body)
		p.text(r.Token)
		p.at(r.At)
	})
}

// putExternals replaces those that are there.
func putExternals(p *pipeline, lane int32, xs []streams.ExternalID) {
	if n := len(xs); n > 0 {
		p.run(removeExternals, int4(lane),
			array(oidBytea, n, func(b []byte, i int) []byte { return appendBytes(b, xs[i].Source) }),
			array(oidBytea, n, func(b []byte, i int) []byte { return appendBytes(b, xs[i].ID) }))
	}
	p.copy(addExternals, 5, len(xs), func(i int) {
		p.int32(lane)
		p.text(xs[i].Source)
		p.text(xs[i].ID)
		p.at(xs[i].At)
		p.text(xs[i].Digest)
	})
}

func int4(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
func int8(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func checkLane(lane int32) error {
	if lane < 0 {
		return fmt.Errorf("lane %d: lanes go from 0", lane)
	}
	return nil
}

// checkTx refuses rows that could not be found again: every read is above a
// sequence, and 0 is below the first.
func checkTx(lane int32, tx *streams.Tx) error {
	if err := checkLane(lane); err != nil {
		return err
	}
	low := int64(1)
	for i := range tx.Events {
		low = min(low, tx.Events[i].Seq)
	}
	for i := range tx.Effects {
		low = min(low, tx.Effects[i].Seq)
	}
	for i := range tx.Parked {
		low = min(low, tx.Parked[i].Seq)
	}
	for i := range tx.Snapshots {
		low = min(low, tx.Snapshots[i].Version)
	}
	if tx.Inputs != nil {
		low = min(low, tx.Inputs.Rev)
	}
	if low < 1 {
		return fmt.Errorf("lane %d: a row has sequence or version %d: they go from 1", lane, low)
	}
	return nil
}

// nanos keeps a time; the zero time, which has no nanoseconds, is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
