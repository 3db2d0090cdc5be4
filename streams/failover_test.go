package streams_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
	"github.com/weirstream/weir/streams/streamtest"
)

// A database fails over under a running service, to a replica that lags: from one
// call to the next the store is an older copy of itself (PostgreSQL with
// asynchronous replication does that in every failover that loses something).
// What was handed out since would be handed out again: every lane has to halt, also
// those that have nothing to do.
func TestStoreFailsOverToAnOlderCopy(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		first := c.OpenStore("front")
		s := &promoted{now: first}
		n := c.StartOn("front", s)
		defer func() {
			c.Close()
			_ = first.Close()
			if o := s.st(); o != first {
				_ = o.Close()
			}
		}()
		c.Start("back")
		sum := book(ctx, t, c, 0, 20)
		time.Sleep(5 * time.Second)
		s.mu.Lock() // nothing is under way: the copy is whole
		copied := map[string][]byte{}
		for _, f := range []string{"front.db", "front.db-wal"} {
			if b, err := os.ReadFile(filepath.Join(c.Dir, f)); err == nil {
				copied[f] = b
			}
		}
		s.mu.Unlock()
		sum += book(ctx, t, c, 20, 40) // answered, published, mirrored for ten seconds
		time.Sleep(10 * time.Second)
		want(t, c, sum, 40)
		dir := t.TempDir()
		for f, b := range copied {
			if err := os.WriteFile(filepath.Join(dir, f), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		old, err := sqlite.Open(filepath.Join(dir, "front.db"), sqlite.WithoutSync())
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.now = old
		s.mu.Unlock()
		answered := int64(0)
		for i := range 20 {
			cmd, _ := streams.NewCommand("after-"+string(rune('a'+i)), "deposit", deposit{account("acc-" + string(rune('0'+i%7))), "br-1", 1000})
			limited, stop := context.WithTimeout(ctx, time.Second)
			r, err := c.Send(limited, cmd)
			stop()
			if err == nil && r.Status == streams.ReplyDone {
				answered++
			}
		}
		time.Sleep(10 * time.Second)
		for _, l := range n.Lanes() {
			if l.State != streams.LaneHalted {
				t.Errorf("front/%d is %s on an older copy of its store: %v", l.Lane, l.State, l.Err)
			}
		}
		want(t, c, sum+answered*1000, 40+answered)
	})
}

// promoted is a store behind a name that can be pointed to another one.
type promoted struct {
	mu  sync.RWMutex
	now streams.Store
}

func (s *promoted) st() streams.Store { s.mu.RLock(); defer s.mu.RUnlock(); return s.now }
func (s *promoted) Info(ctx context.Context, p int32) (streams.StoreInfo, error) {
	return s.st().Info(ctx, p)
}
func (s *promoted) Claim(ctx context.Context, l int32) (*streams.Cursor, error) {
	return s.st().Claim(ctx, l)
}
func (s *promoted) Cursor(ctx context.Context, l int32) (*streams.Cursor, error) {
	return s.st().Cursor(ctx, l)
}
func (s *promoted) Commit(ctx context.Context, l int32, tx *streams.Tx) error {
	return s.st().Commit(ctx, l, tx)
}
func (s *promoted) Load(ctx context.Context, l int32, ids []streams.StreamID) ([]streams.Snapshot, error) {
	return s.st().Load(ctx, l, ids)
}
func (s *promoted) Events(ctx context.Context, l int32, id streams.StreamID, after int64, f func(streams.StoredEvent) error) error {
	return s.st().Events(ctx, l, id, after, f)
}
func (s *promoted) Outbox(ctx context.Context, l int32, after int64, n int, f func(streams.StoredEvent) error) error {
	return s.st().Outbox(ctx, l, after, n, f)
}
func (s *promoted) Replies(ctx context.Context, l int32, ids []string) ([]streams.Reply, error) {
	return s.st().Replies(ctx, l, ids)
}
func (s *promoted) Externals(ctx context.Context, l int32, ids []streams.ExternalID) ([]streams.ExternalID, error) {
	return s.st().Externals(ctx, l, ids)
}
func (s *promoted) Timers(ctx context.Context, l int32, due time.Time, n int) ([]streams.Timer, error) {
	return s.st().Timers(ctx, l, due, n)
}
func (s *promoted) NextTimer(ctx context.Context, l int32) (time.Time, bool, error) {
	return s.st().NextTimer(ctx, l)
}
func (s *promoted) Effects(ctx context.Context, l int32, after int64, n int) ([]streams.PendingEffect, error) {
	return s.st().Effects(ctx, l, after, n)
}
func (s *promoted) Parked(ctx context.Context, l int32, id streams.StreamID, after int64, n int) ([]streams.ParkedInput, error) {
	return s.st().Parked(ctx, l, id, after, n)
}
func (s *promoted) Inputs(ctx context.Context, l int32, after int64, f func(streams.InputRow) error) error {
	return s.st().Inputs(ctx, l, after, f)
}
func (s *promoted) Expire(ctx context.Context, before time.Time) error {
	return s.st().Expire(ctx, before)
}
func (s *promoted) Close() error { return s.st().Close() }
