package sqlite

import "database/sql/driver"

// copyPages is after how many pages of log (8 MB) they are copied to the file.
const copyPages = 2000

// Checkpoints. SQLite's own ones happen inside a commit, which then waits for
// thousands of pages; copying beside the commits alone never ends, as the log
// only begins anew once all of it is copied, and it grows for ever. So a
// connection beside the writer copies what is there, and the writer then
// copies the little that came meanwhile and begins the log anew. From then on
// the log is overwritten: on a file that grows, a sync takes three times as
// long.

// tendLog asks for a checkpoint when the log is long, and begins it anew when
// one is done.
func (w *writer) tendLog() {
	if int64(w.pages) < min(copyPages, w.s.opts.walLimit>>12) {
		return
	}
	w.boundWAL()
	select {
	case <-w.s.restart:
		w.pages = 0
		// A reader that holds the log is no error: the next round comes soon.
		_ = w.query("PRAGMA wal_checkpoint(RESTART)", nil, func([]driver.Value) error { return nil })
	default:
		select {
		case w.s.copies <- struct{}{}:
		default: // asked for already
		}
	}
}

// copyLog makes the checkpoints beside the writer, until the store closes.
func (s *Store) copyLog() {
	defer close(s.copied)
	var c *conn
	defer func() {
		if c != nil {
			_ = c.close() // it wrote nothing of its own
		}
	}()
	for {
		select {
		case <-s.closing:
			return
		case <-s.copies:
		}
		if c == nil {
			var err error
			if c, err = dial(s.path, &s.opts, false); err != nil {
				continue // the writer bounds the log by itself
			}
		}
		if c.query("PRAGMA wal_checkpoint(PASSIVE)", nil, func([]driver.Value) error { return nil }) != nil {
			continue
		}
		select {
		case s.restart <- struct{}{}:
		default:
		}
	}
}
