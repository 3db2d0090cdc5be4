package sqlite

import (
	"database/sql/driver"
	"fmt"
	"iter"
	"time"

	"github.com/weirstream/weir/streams"
)

// head is what a stream's snapshot row says before a commit, and then the
// sequence of the stream's last event.
type head struct {
	row     driver.Value // NULL for a new stream
	decider int64
	version int64
	seq     int64
}

// apply writes one lane's transaction into the open one. What can refuse it
// comes first: the cursor, then the snapshots' versions.
func (w *writer) apply(lane int32, tx *streams.Tx) error {
	if err := checkTx(lane, tx); err != nil {
		return err
	}
	steps := [...]func(int32, *streams.Tx) error{
		w.moveCursor, w.readHeads, w.addEvents, w.putSnapshots, w.changeTimers,
		w.changeEffects, w.changeParked, w.putReplies, w.putExternals, w.addInputs,
	}
	for _, step := range steps {
		if err := step(lane, tx); err != nil {
			return fmt.Errorf("lane %d: %w", lane, err)
		}
	}
	return nil
}

func (w *writer) moveCursor(lane int32, tx *streams.Tx) error {
	c := tx.Cursor
	n, err := w.exec("UPDATE cursors SET rev=rev+1,last_seq=?,published=?,maps=? WHERE lane=? AND epoch=? AND rev=?",
		c.LastSeq, c.Published, c.MarshalMaps(), int64(lane), c.Epoch, c.Rev)
	if err == nil && n != 1 {
		err = fmt.Errorf("epoch %d, rev %d is not what is stored: %w", c.Epoch, c.Rev, streams.ErrFenced)
	}
	return err
}

var selectHeads = newBulk("WITH w(i,decider,key) AS (VALUES ", "(#,?,?)",
	") SELECT w.i,s.id,s.version,s.head FROM w CROSS JOIN snapshots s WHERE s.lane=? AND s.decider=w.decider AND s.key=w.key")

// readHeads compares every snapshot's Prev with what is stored. A stream without
// a row is at version 0.
func (w *writer) readHeads(lane int32, tx *streams.Tx) error {
	clear(w.heads)
	vals := w.vals[:0]
	for i := range tx.Snapshots {
		id := tx.Snapshots[i].Stream
		decider, err := w.deciderID(id.Decider)
		if err != nil {
			return err
		}
		w.heads[id] = head{decider: decider}
		vals = append(vals, decider, id.Key)
	}
	w.vals = vals
	err := selectHeads.each(vals, func(query string, first int, vals []driver.Value) error {
		return w.query(query, append(vals[:len(vals):len(vals)], int64(lane)), func(r []driver.Value) error {
			id := tx.Snapshots[first+int(num(r[0]))].Stream
			h := w.heads[id]
			h.row, h.version, h.seq = r[1], num(r[2]), num(r[3])
			w.heads[id] = h
			return nil
		})
	})
	if err != nil {
		return err
	}
	return w.checkPrev(tx.Snapshots)
}

func (w *writer) checkPrev(ss []streams.Snapshot) error {
	for i := range ss {
		if h := w.heads[ss[i].Stream]; h.version != ss[i].Prev {
			return fmt.Errorf("%s %q is at version %d, not at %d: %w",
				ss[i].Stream.Decider, ss[i].Stream.Key, h.version, ss[i].Prev, streams.ErrFenced)
		}
	}
	return nil
}

var insertEvents = newBulk("INSERT INTO events VALUES ", "(?,?,?,?,?,?,?,?)", "")

func (w *writer) addEvents(lane int32, tx *streams.Tx) error {
	vals := w.vals[:0]
	for i := range tx.Events {
		e := &tx.Events[i]
		k, err := w.kindID(kind{e.Stream.Decider, e.Type, e.TypeVer, e.Topic})
		if err != nil {
			return err
		}
		var stream driver.Value // NULL where it is the record's key
		if e.Stream.Key != e.Key {
			stream = e.Stream.Key
		}
		vals = append(vals, rowID(lane, e.Seq), k, e.Version, w.link(e), int64(e.Partition), e.Key, stream, e.Record)
	}
	return w.flush(insertEvents, vals)
}

// link is the sequence of the stream's event before this one.
func (w *writer) link(e *streams.StoredEvent) int64 {
	h, ok := w.heads[e.Stream]
	if !ok {
		return 0
	}
	before := h.seq
	h.seq = e.Seq
	w.heads[e.Stream] = h
	return before
}

// flush runs a bulk statement and keeps the slice for the next, but not what
// its values point to.
func (w *writer) flush(b *bulk, vals []driver.Value) error {
	err := w.execBulk(b, vals)
	clear(vals)
	w.vals = vals[:0]
	return err
}

// A stream's row keeps its place: an update finds it by number, touches no
// index, and streams that were begun together share pages.
var putSnapshots = newBulk("INSERT INTO snapshots VALUES ", "(?,?,?,?,?,?,?,?)",
	" ON CONFLICT(id) DO UPDATE SET version=excluded.version,state_version=excluded.state_version,head=excluded.head,state=excluded.state")

func (w *writer) putSnapshots(lane int32, tx *streams.Tx) error {
	vals := w.vals[:0]
	for i := range tx.Snapshots {
		sn := &tx.Snapshots[i]
		h := w.heads[sn.Stream]
		vals = append(vals, h.row, sn.Version, int64(sn.StateVersion), h.seq, int64(lane), h.decider, sn.Stream.Key, sn.State)
	}
	return w.flush(putSnapshots, vals)
}

var putTimers = newBulk("INSERT OR REPLACE INTO timers VALUES ", "(?,?,?,?,?,?,?,?,?,?)", "")

func (w *writer) changeTimers(lane int32, tx *streams.Tx) error {
	for _, t := range tx.Cancel {
		decider, err := w.deciderID(t.Stream.Decider)
		if err != nil {
			return err
		}
		if _, err := w.exec("DELETE FROM timers WHERE lane=? AND decider=? AND key=? AND name=?",
			int64(lane), decider, t.Stream.Key, t.Name); err != nil {
			return err
		}
	}
	vals := w.vals[:0]
	for i := range tx.Timers {
		t := &tx.Timers[i]
		decider, err := w.deciderID(t.Stream.Decider)
		if err != nil {
			return err
		}
		vals = append(vals, int64(lane), decider, t.Stream.Key, t.Name, t.ID, nanos(t.Due), t.Body,
			t.Origin.Correlation, t.Origin.Causation, t.Origin.Traceparent)
	}
	return w.flush(putTimers, vals)
}

var insertEffects = newBulk("INSERT INTO effects VALUES ", "(?,?,?,?,?,?,?,?,?,?)", "")

func (w *writer) changeEffects(lane int32, tx *streams.Tx) error {
	vals := w.vals[:0]
	for i := range tx.Effects {
		e := &tx.Effects[i]
		decider, err := w.deciderID(e.Stream.Decider)
		if err != nil {
			return err
		}
		vals = append(vals, rowID(lane, e.Seq), decider, e.Stream.Key, e.ID, e.Effect, e.Key, e.Body,
			e.Origin.Correlation, e.Origin.Causation, e.Origin.Traceparent)
	}
	if err := w.flush(insertEffects, vals); err != nil {
		return err
	}
	return w.remove("DELETE FROM effects WHERE id=?", lane, tx.Done)
}

func (w *writer) remove(query string, lane int32, seqs []int64) error {
	for _, seq := range seqs {
		if _, err := w.exec(query, rowID(lane, seq)); err != nil {
			return err
		}
	}
	return nil
}

var insertParked = newBulk("INSERT INTO parked VALUES ", "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", "")

func (w *writer) changeParked(lane int32, tx *streams.Tx) error {
	if err := w.remove("DELETE FROM parked WHERE id=?", lane, tx.Unparked); err != nil {
		return err
	}
	vals := w.vals[:0]
	for i := range tx.Parked {
		p := &tx.Parked[i]
		decider, err := w.deciderID(p.Stream.Decider)
		if err != nil {
			return err
		}
		vals = append(vals, rowID(lane, p.Seq), decider, p.Stream.Key, string(p.Kind), p.ID, p.Name, int64(p.TypeVer), p.Body,
			p.Origin.Correlation, p.Origin.Causation, p.Origin.Traceparent, p.From, nanos(p.At), p.Reason, p.Stack, p.Source)
	}
	return w.flush(insertParked, vals)
}

var putReplies = newBulk("INSERT OR REPLACE INTO replies VALUES ", "(?,?,?,?,?,?,?)", "")

func (w *writer) putReplies(lane int32, tx *streams.Tx) error {
	vals := w.vals[:0]
	for i := range tx.Replies {
		r := &tx.Replies[i]
		vals = append(vals, int64(lane), r.ID, r.Digest, string(r.Status), r.Body, r.Token, nanos(r.At))
	}
	return w.flush(putReplies, vals)
}

var putExternals = newBulk("INSERT OR REPLACE INTO externals VALUES ", "(?,?,?,?,?)", "")

func (w *writer) putExternals(lane int32, tx *streams.Tx) error {
	vals := w.vals[:0]
	for i := range tx.Externals {
		x := &tx.Externals[i]
		vals = append(vals, int64(lane), x.Source, x.ID, nanos(x.At), x.Digest)
	}
	return w.flush(putExternals, vals)
}

func (w *writer) addInputs(lane int32, tx *streams.Tx) error {
	if tx.Inputs == nil {
		return nil
	}
	_, err := w.exec("INSERT INTO inputs VALUES(?,?,?)", rowID(lane, tx.Inputs.Rev), nanos(tx.Inputs.At), tx.Inputs.Entries)
	return err
}

func rowID(lane int32, seq int64) int64 { return int64(lane)<<laneBits | seq }

// above is where the rows of a lane begin that follow a sequence.
func above(lane int32, after int64) int64 {
	return rowID(lane, min(max(after, 0), 1<<laneBits-1))
}

func sequence(id int64) int64 { return id & (1<<laneBits - 1) }

func checkLane(lane int32) error {
	if lane < 0 || lane >= 1<<22 {
		return fmt.Errorf("lane %d: lanes go from 0 to %d", lane, 1<<22-1)
	}
	return nil
}

// checkTx refuses sequences that would land in another lane's range.
func checkTx(lane int32, tx *streams.Tx) error {
	if err := checkLane(lane); err != nil {
		return err
	}
	for seq := range sequences(tx) {
		if seq <= 0 || seq >= 1<<laneBits {
			return fmt.Errorf("lane %d: a row has sequence %d: sequences go from 1 to 2^%d", lane, seq, laneBits)
		}
	}
	return nil
}

// sequences are those that a transaction's rows are kept by.
func sequences(tx *streams.Tx) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		ok := true
		for i := 0; ok && i < len(tx.Events); i++ {
			ok = yield(tx.Events[i].Seq)
		}
		for i := 0; ok && i < len(tx.Effects); i++ {
			ok = yield(tx.Effects[i].Seq)
		}
		for i := 0; ok && i < len(tx.Parked); i++ {
			ok = yield(tx.Parked[i].Seq)
		}
		if ok && tx.Inputs != nil {
			yield(tx.Inputs.Rev)
		}
	}
}

// nanos keeps a time; the zero time, which has no nanoseconds, is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(v driver.Value) time.Time {
	if n := num(v); n != 0 {
		return time.Unix(0, n).UTC()
	}
	return time.Time{}
}
