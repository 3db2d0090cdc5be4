package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"time"

	"github.com/weirstream/weir/streams"
)

// maxMerged bounds how many commits share a transaction, and so how long the
// first of them waits for the last.
const maxMerged = 64

// request is one thing for the writer to do: a commit, or do alone.
type request struct {
	what string
	lane int32
	tx   *streams.Tx
	do   func(*writer) error
	done chan error // holds one, as the caller may have gone
}

// writer is the goroutine that writes: SQLite has one writer at a time anyway,
// and merging what lanes have pending shares one fsync among them.
type writer struct {
	*conn
	s        *Store
	fresh    map[kind]int64 // kinds made by the transaction that is open
	heads    map[streams.StreamID]head
	vals     []driver.Value
	walLimit int64
	pages    int // written to the log since it was begun, about
	merged   []*request
}

func newWriter(s *Store) (*writer, error) {
	c, err := dial(s.path, &s.opts, false)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: c, s: s, fresh: map[kind]int64{}, heads: map[streams.StreamID]head{}, walLimit: s.opts.walLimit}
	if err = w.prepareFile(); err == nil {
		err = w.query("SELECT incarnation FROM store", nil, func(r []driver.Value) error {
			s.incarnation = text(r[0])
			return nil
		})
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return w, nil
}

// send hands a request to the writer and waits for its end, or for ctx's.
func (s *Store) send(ctx context.Context, r *request) error {
	r.done = make(chan error, 1)
	select {
	case <-s.closing:
		return s.explain(r.what, ErrClosed)
	default:
	}
	select {
	case s.queue <- r:
	case <-s.closing:
		return s.explain(r.what, ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return s.explain(r.what, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do runs f in a write transaction of its own. When ctx ends first f may still
// run: after an error the caller must not read what f sets.
func (s *Store) do(ctx context.Context, what string, f func(*writer) error) error {
	return s.send(ctx, &request{what: what, do: f})
}

// run serves until the store closes. The queue has no buffer: what is not taken
// here was never accepted, so nothing can be left behind in it.
func (w *writer) run() {
	defer close(w.s.closed)
	for {
		select {
		case r := <-w.s.queue:
			w.serve(r)
		case <-w.s.closing:
			// The last to close folds the log into the file, so the writer.
			<-w.s.copied
			w.s.closeErr = errors.Join(w.s.closeReaders(), w.close())
			return
		}
	}
}

// serve takes what else is pending and writes it together. What must be alone
// comes after the commits that were taken before it.
func (w *writer) serve(r *request) {
	w.merged = w.merged[:0]
	for r != nil && r.do == nil {
		w.merged = append(w.merged, r)
		r = w.pending()
	}
	w.writeMerged()
	if r != nil {
		r.done <- w.transact(func() error { return r.do(w) })
	}
	w.tendLog()
}

// pending is a request that waits by now, or nil.
func (w *writer) pending() *request {
	if len(w.merged) == maxMerged {
		return nil
	}
	select {
	case r := <-w.s.queue:
		return r
	default:
		return nil
	}
}

// writeMerged applies the pending commits in one transaction. If that fails,
// each is applied alone, so that one bad lane does not fail its neighbours. A
// locked file is nobody's fault, and would be waited for again by each.
func (w *writer) writeMerged() {
	rs := w.merged
	w.merged = w.merged[:0]
	if len(rs) == 0 {
		return
	}
	err := w.commit(rs...)
	alone := err != nil && len(rs) > 1 && !isBusy(err)
	for _, r := range rs {
		if alone {
			r.done <- w.commit(r)
		} else {
			r.done <- err
		}
	}
	clear(rs)
}

// commit applies commits in one transaction.
func (w *writer) commit(rs ...*request) error {
	return w.transact(func() error {
		for _, r := range rs {
			if err := w.apply(r.lane, r.tx); err != nil {
				return err
			}
			w.pages += 8 + (len(r.tx.Events)+len(r.tx.Snapshots))/2
		}
		return nil
	})
}

// transact runs f in a transaction that takes the write lock at its beginning:
// one that begins by reading could not wait for another process's commit.
func (w *writer) transact(f func() error) error {
	if _, err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = w.exec("COMMIT")
	}
	if err != nil {
		clear(w.fresh)
		return w.rollback(err)
	}
	w.publishKinds()
	return nil
}

// rollback ends the transaction. SQLite has ended it by itself after some errors
// (a full disk), and says so with an error that means nothing here.
func (w *writer) rollback(cause error) error {
	if _, err := w.exec("ROLLBACK"); err != nil && code(err) != 1 {
		return errors.Join(cause, err)
	}
	return cause
}

// boundWAL empties the write-ahead log when it has grown above its limit, which
// SQLite's own checkpoints do not do while somebody always reads. A reader that
// stays makes it fail; it is tried again when the log has grown as much again.
func (w *writer) boundWAL() {
	st, err := os.Stat(w.s.path + "-wal")
	if err != nil || st.Size() < w.walLimit {
		return
	}
	w.walLimit = st.Size() + w.s.opts.walLimit
	if w.checkpoint() == nil {
		w.walLimit = w.s.opts.walLimit
	}
}

// checkpoint waits for readers only shortly, as every lane waits behind it.
func (w *writer) checkpoint() error {
	defer w.setBusyTimeout(w.s.opts.busy)
	w.setBusyTimeout(250 * time.Millisecond)
	return w.query("PRAGMA wal_checkpoint(TRUNCATE)", nil, func(r []driver.Value) error {
		if num(r[0]) != 0 {
			return errors.New("a reader holds the log")
		}
		return nil
	})
}
