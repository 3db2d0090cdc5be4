// Package sqlite keeps a service's lanes in one SQLite file: the embedded event
// store. It needs no server and no cgo.
//
// Several processes may open the same file; SQLite's lock serialises their
// commits and the cursors' epochs fence their lanes. The file must be on a local
// disk: the write-ahead log does not work over NFS.
//
// In a testing/synctest bubble, open the store inside the bubble, so that its
// channels belong to it.
package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirstream/weir/streams"
)

// Store is a streams.Store in an SQLite file.
type Store struct {
	path        string
	incarnation string
	queue       chan *request
	readers     chan *conn    // idle ones; nil stands for one not opened yet
	closing     chan struct{} // closed when Close begins
	closed      chan struct{} // closed when all is done and closeErr is set
	copies      chan struct{} // asks for a checkpoint beside the writer
	copied      chan struct{} // closed when no more of them are made
	restart     chan struct{} // a checkpoint is done: the writer begins the log anew
	closeOnce   sync.Once
	closeErr    error
	kinds       atomic.Pointer[kindSet]
	opts        options
	file        os.FileInfo // of path, when it was opened
}

var _ streams.Store = (*Store)(nil)

type options struct {
	synchronous string
	busy        time.Duration
	cacheKB     int
	readers     int
	walLimit    int64
}

// Option changes how a store is opened.
type Option func(*options)

// WithoutSync leaves writes in the operating system's hands: a killed process
// loses nothing, but a power failure loses what was committed last. For tests
// under virtual time only.
func WithoutSync() Option { return func(o *options) { o.synchronous = "OFF" } }

// WithBusyTimeout is how long to wait while another process writes; 10 s if not
// given.
func WithBusyTimeout(d time.Duration) Option { return func(o *options) { o.busy = d } }

// WithCache bounds the pages that the writer keeps in memory, in bytes; 32 MB if
// not given. Each of the readers keeps an eighth of it.
func WithCache(bytes int) Option { return func(o *options) { o.cacheKB = bytes >> 10 } }

// WithWALLimit is the size in bytes that the write-ahead log may reach before
// it is emptied and cut; 64 MB if not given.
func WithWALLimit(bytes int64) Option { return func(o *options) { o.walLimit = bytes } }

// Open opens the store in a file, and makes it if it is not there. Its directory
// must exist.
func Open(path string, opts ...Option) (*Store, error) {
	s := &Store{
		path:    path,
		queue:   make(chan *request),
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
		copies:  make(chan struct{}, 1),
		copied:  make(chan struct{}),
		restart: make(chan struct{}, 1),
		opts:    options{synchronous: "FULL", busy: 10 * time.Second, cacheKB: 32 << 10, readers: 4, walLimit: 64 << 20},
	}
	for _, o := range opts {
		o(&s.opts)
	}
	s.kinds.Store(newKindSet())
	w, err := newWriter(s)
	if err != nil {
		return nil, s.explain("open", err)
	}
	if err := s.noteFile(); err != nil {
		return nil, s.explain("open", errors.Join(err, w.close()))
	}
	s.readers = make(chan *conn, s.opts.readers)
	for range s.opts.readers {
		s.readers <- nil
	}
	go w.run()
	go s.copyLog()
	return s, nil
}

// Close finishes the commits that were handed over, then refuses everything.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	<-s.closed
	return s.explain("close", s.closeErr)
}

// Info returns the store's identity and records the partition count; 0 only
// asks.
func (s *Store) Info(ctx context.Context, partitions int32) (streams.StoreInfo, error) {
	if partitions < 0 {
		return streams.StoreInfo{}, s.explain("info", fmt.Errorf("%d partitions: give the platform's count, 1 and up", partitions))
	}
	var made int32
	err := s.do(ctx, "info", func(w *writer) error {
		if partitions > 0 {
			if _, err := w.exec("UPDATE store SET partitions=? WHERE partitions=0", int64(partitions)); err != nil {
				return err
			}
		}
		return w.query("SELECT partitions FROM store", nil, func(r []driver.Value) error {
			made = int32(num(r[0]))
			return nil
		})
	})
	if err != nil {
		return streams.StoreInfo{}, err
	}
	if partitions > 0 && made != partitions {
		return streams.StoreInfo{}, s.explain("info", fmt.Errorf("the store was made for %d partitions and the platform has %d, so keys would change lanes: "+
			"start with %[1]d, or drain the platform and migrate into a new store", made, partitions))
	}
	return streams.StoreInfo{Incarnation: s.incarnation, Partitions: made}, nil
}

// Claim takes ownership of a lane.
func (s *Store) Claim(ctx context.Context, lane int32) (*streams.Cursor, error) {
	var c *streams.Cursor
	err := s.do(ctx, "claim", func(w *writer) error {
		if err := errors.Join(checkLane(lane), s.sameFile()); err != nil {
			return err
		}
		_, err := w.exec("INSERT INTO cursors VALUES(?,1,1,0,0,NULL) ON CONFLICT(lane) DO UPDATE SET epoch=epoch+1, rev=rev+1", int64(lane))
		if err != nil {
			return err
		}
		c, err = readCursor(w.conn, lane, s.incarnation)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Cursor reads a lane's cursor. That of a lane never claimed has epoch 0.
func (s *Store) Cursor(ctx context.Context, lane int32) (c *streams.Cursor, err error) {
	if err := s.sameFile(); err != nil { // before a reader opens what is there now
		return nil, s.explain("read the cursor", err)
	}
	err = s.read(ctx, "read the cursor", func(r *conn) error {
		c, err = readCursor(r, lane, s.incarnation)
		return err
	})
	return c, err
}

func readCursor(r *conn, lane int32, incarnation string) (*streams.Cursor, error) {
	c := &streams.Cursor{Lane: lane, Incarnation: incarnation, Now: time.Now()}
	var maps []byte
	err := r.query("SELECT epoch,rev,last_seq,published,maps FROM cursors WHERE lane=?", []driver.Value{int64(lane)},
		func(row []driver.Value) error {
			c.Epoch, c.Rev, c.LastSeq, c.Published = num(row[0]), num(row[1]), num(row[2]), num(row[3])
			maps = blob(row[4])
			return nil
		})
	if err != nil {
		return nil, err
	}
	if err := c.UnmarshalMaps(maps); err != nil {
		return nil, fmt.Errorf("cursor of lane %d: %w", lane, err)
	}
	return c, nil
}

// Commit applies tx whole or not at all, together with what other lanes have
// pending. When ctx ends first the commit may still be done: the caller must not
// change tx, and asks Cursor. Events of a stream whose snapshot is not in the
// same tx are kept, but Events then reads the whole lane to find them.
func (s *Store) Commit(ctx context.Context, lane int32, tx *streams.Tx) error {
	return s.send(ctx, &request{what: "commit", lane: lane, tx: tx})
}
