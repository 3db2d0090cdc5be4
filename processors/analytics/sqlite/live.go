package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
	"github.com/weirstream/weir/streams"
)

// Live is a Swappable store: files that follow one another, of which a note beside them,
// NAME.live, says which one answers. Without a note that is NAME.db, the first; those that
// follow are NAME.1.db and so on. What is written anew is the one that comes next, and the
// one before is what was there before the last swap. A swap is the renaming of a new note
// over the old one, and so there is no moment at which it is half done; no file of SQLite
// changes its name, as another would take its -wal for its own.
type Live struct {
	path   string // of the first
	schema *analytics.Schema

	mu      sync.Mutex
	now     *held
	claimed *held // that the writer here has claimed
	closed  bool
}

var _ analytics.Swappable = (*Live)(nil)

// held is a file that is open for as long as somebody uses it.
type held struct {
	*Store
	number int
	users  int
	over   bool // another one answers
}

// OpenLive opens the file that answers, as Open does.
func OpenLive(path string, s *analytics.Schema) (*Live, error) {
	l := &Live{path: path, schema: s}
	n, err := l.current()
	if err != nil {
		return nil, err
	}
	l.now, err = l.open(n)
	return l, err
}

// IsThere tells whether there are files that OpenLive would open, and not make.
func IsThere(path string) bool {
	l := &Live{path: path}
	n, err := l.current()
	return err != nil || isThere(l.file(n))
}

func (l *Live) open(n int) (*held, error) {
	s, err := Open(l.file(n), l.schema)
	if err != nil {
		return nil, err
	}
	return &held{Store: s, number: n}, nil
}

func (l *Live) base() string { return strings.TrimSuffix(l.path, filepath.Ext(l.path)) }
func (l *Live) note() string { return l.base() + ".live" }

// file is the path of the nth.
func (l *Live) file(n int) string {
	if n == 0 {
		return l.path
	}
	return l.base() + "." + strconv.Itoa(n) + filepath.Ext(l.path)
}

// current is the number of the file that answers.
func (l *Live) current() (int, error) {
	b, err := os.ReadFile(l.note())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("which file of analytics answers cannot be read: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s says %.20q, and is to be the number of a file of analytics, as 2 for %s: write that of the newest that is whole into it", l.note(), b, l.file(2))
	}
	return n, nil
}

// use is the file that answers now, until done is called.
func (l *Live) use() (h *held, done func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, errors.New("analytics is closed")
	}
	n, err := l.current()
	if err != nil {
		return nil, nil, err
	}
	if n != l.now.number {
		next, err := l.open(n)
		if err != nil {
			return nil, nil, err
		}
		l.now.over = true
		if err := l.now.release(); err != nil {
			return nil, nil, errors.Join(err, next.Close())
		}
		l.now = next
	}
	h = l.now
	h.users++
	return h, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		h.users--
		_ = h.release() // of a file that nobody writes any more
	}, nil
}

// release closes a file that is over, once nobody uses it.
func (h *held) release() error {
	if !h.over || h.users > 0 {
		return nil
	}
	h.over = false
	return h.Close()
}

// Close ends the store. Its writer must have ended.
func (l *Live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed, l.now.over = true, true
	l.now.users = 0
	return l.now.release()
}

// single is the file behind a store, until done is called.
func single(s analytics.Store) (*Store, func(), error) {
	switch s := s.(type) {
	case *Store:
		return s, func() {}, nil
	case *Live:
		h, done, err := s.use()
		if err != nil {
			return nil, nil, err
		}
		return h.Store, done, nil
	case interface{ Unwrap() analytics.Store }:
		return single(s.Unwrap())
	}
	return nil, nil, fmt.Errorf("a block cannot be carried from a %T into a file of SQLite", s)
}

func on[T any](l *Live, f func(*Store) (T, error)) (T, error) {
	h, done, err := l.use()
	if err != nil {
		var none T
		return none, err
	}
	defer done()
	return f(h.Store)
}

func do(l *Live, f func(*Store) error) error {
	_, err := on(l, func(s *Store) (struct{}, error) { return struct{}{}, f(s) })
	return err
}

// Claim claims the file that answers.
func (l *Live) Claim(ctx context.Context, partitions int32, read []projection.Cursor) (projection.Claim, error) {
	h, done, err := l.use()
	if err != nil {
		return projection.Claim{}, err
	}
	defer done()
	c, err := h.Claim(ctx, partitions, read)
	if err == nil {
		l.mu.Lock()
		l.claimed = h
		l.mu.Unlock()
	}
	return c, err
}

// Write writes into the file that was claimed, if it is the one that answers still.
func (l *Live) Write(ctx context.Context, b *projection.Batch) error {
	h, done, err := l.use()
	if err != nil {
		return err
	}
	defer done()
	l.mu.Lock()
	same := l.claimed == nil || l.claimed == h
	l.mu.Unlock()
	if !same {
		return fmt.Errorf("the tables were swapped for others: %w", projection.ErrFenced)
	}
	return h.Write(ctx, b)
}

// What follows asks the file that answers.

func (l *Live) Ping(ctx context.Context) error {
	return do(l, func(s *Store) error { return s.Ping(ctx) })
}

func (l *Live) Prune(ctx context.Context, before time.Time) error {
	return do(l, func(s *Store) error { return s.Prune(ctx, before) })
}

func (l *Live) Known(ctx context.Context, ids []streams.ExternalID) (map[streams.ExternalID]bool, error) {
	return on(l, func(s *Store) (map[streams.ExternalID]bool, error) { return s.Known(ctx, ids) })
}

func (l *Live) Offsets(ctx context.Context) (map[string]map[int32]int64, error) {
	return on(l, func(s *Store) (map[string]map[int32]int64, error) { return s.Offsets(ctx) })
}

func (l *Live) Dialect() analytics.Dialect { return dialect{l.schema} }

func (l *Live) Select(ctx context.Context, sql string, args []any, most int64) (*analytics.Result, error) {
	return on(l, func(s *Store) (*analytics.Result, error) { return s.Select(ctx, sql, args, most) })
}

func (l *Live) Blocks(ctx context.Context, above int64, limit int) ([]analytics.Written, error) {
	return on(l, func(s *Store) ([]analytics.Written, error) { return s.Blocks(ctx, above, limit) })
}

func (l *Live) Newest(ctx context.Context) (int64, error) {
	return on(l, func(s *Store) (int64, error) { return s.Newest(ctx) })
}

func (l *Live) Counted(ctx context.Context) (map[int64]int64, error) {
	return on(l, func(s *Store) (map[int64]int64, error) { return s.Counted(ctx) })
}

func (l *Live) Sums(ctx context.Context, from, to int64) (map[int64]map[string]analytics.Sum, error) {
	return on(l, func(s *Store) (map[int64]map[string]analytics.Sum, error) { return s.Sums(ctx, from, to) })
}

func (l *Live) RowSums(ctx context.Context, table string, block int64) ([]analytics.RowSum, error) {
	return on(l, func(s *Store) ([]analytics.RowSum, error) { return s.RowSums(ctx, table, block) })
}

func (l *Live) Hours(ctx context.Context, from, to time.Time) (rows, counted map[analytics.Hour]analytics.Sum, err error) {
	err = do(l, func(s *Store) error {
		rows, counted, err = s.Hours(ctx, from, to)
		return err
	})
	return rows, counted, err
}

func (l *Live) Earlier(ctx context.Context, ids []streams.ExternalID, block int64) (map[streams.ExternalID]bool, error) {
	return on(l, func(s *Store) (map[streams.ExternalID]bool, error) { return s.Earlier(ctx, ids, block) })
}

func (l *Live) Note(ctx context.Context, found []analytics.Difference) error {
	return do(l, func(s *Store) error { return s.Note(ctx, found) })
}

func (l *Live) Differences(ctx context.Context, limit int) ([]analytics.Difference, error) {
	return on(l, func(s *Store) ([]analytics.Difference, error) { return s.Differences(ctx, limit) })
}

func (l *Live) Carry(ctx context.Context, from analytics.Store, block int64, w analytics.Written) error {
	return do(l, func(s *Store) error { return s.Carry(ctx, from, block, w) })
}

func (l *Live) Remove(ctx context.Context, topic string, from, to int64) error {
	return do(l, func(s *Store) error { return s.Remove(ctx, topic, from, to) })
}

// File is the file that answers now. It is for those who look into it.
func (l *Live) File() *sqlitefile.File {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now.File
}
