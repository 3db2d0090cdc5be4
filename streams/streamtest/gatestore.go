package streamtest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/weirstream/weir/streams"
)

// gatedStore lets an instance's calls through the gate.
type gatedStore struct {
	now atomic.Pointer[streams.Store] // what the store is, from one call to the next
	g   *gate
}

func newGatedStore(s streams.Store, g *gate) *gatedStore {
	out := &gatedStore{g: g}
	out.now.Store(&s)
	return out
}

func (s *gatedStore) store() streams.Store { return *s.now.Load() }

// write waits as long as the store is slow, and fails while it is busy.
func (s *gatedStore) write() error {
	if err := s.g.pass(); err != nil {
		return err
	}
	s.g.mu.Lock()
	busy, slow := s.g.busy, s.g.slow
	s.g.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow)
	}
	if busy {
		return errBusy
	}
	return s.g.pass()
}

func (s *gatedStore) Claim(ctx context.Context, lane int32) (*streams.Cursor, error) {
	if err := s.write(); err != nil {
		return nil, err
	}
	return s.store().Claim(ctx, lane)
}

func (s *gatedStore) Cursor(ctx context.Context, lane int32) (*streams.Cursor, error) {
	if err := s.g.pass(); err != nil {
		return nil, err
	}
	return s.store().Cursor(ctx, lane)
}

func (s *gatedStore) Commit(ctx context.Context, lane int32, tx *streams.Tx) error {
	if err := s.write(); err != nil {
		return err
	}
	if err := s.store().Commit(ctx, lane, tx); err != nil {
		return err
	}
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	if s.g.doubts > 0 {
		s.g.doubts--
		return errDoubted
	}
	return nil
}

func (s *gatedStore) Info(ctx context.Context, partitions int32) (streams.StoreInfo, error) {
	return s.store().Info(ctx, partitions)
}

func (s *gatedStore) Load(ctx context.Context, lane int32, ids []streams.StreamID) ([]streams.Snapshot, error) {
	return s.store().Load(ctx, lane, ids)
}

func (s *gatedStore) Events(ctx context.Context, lane int32, id streams.StreamID, after int64, f func(streams.StoredEvent) error) error {
	return s.store().Events(ctx, lane, id, after, f)
}

func (s *gatedStore) Outbox(ctx context.Context, lane int32, after int64, limit int, f func(streams.StoredEvent) error) error {
	return s.store().Outbox(ctx, lane, after, limit, f)
}

func (s *gatedStore) Replies(ctx context.Context, lane int32, ids []string) ([]streams.Reply, error) {
	return s.store().Replies(ctx, lane, ids)
}

func (s *gatedStore) Externals(ctx context.Context, lane int32, ids []streams.ExternalID) ([]streams.ExternalID, error) {
	return s.store().Externals(ctx, lane, ids)
}

func (s *gatedStore) Timers(ctx context.Context, lane int32, due time.Time, limit int) ([]streams.Timer, error) {
	return s.store().Timers(ctx, lane, due, limit)
}

func (s *gatedStore) NextTimer(ctx context.Context, lane int32) (time.Time, bool, error) {
	return s.store().NextTimer(ctx, lane)
}

func (s *gatedStore) Effects(ctx context.Context, lane int32, after int64, limit int) ([]streams.PendingEffect, error) {
	return s.store().Effects(ctx, lane, after, limit)
}

func (s *gatedStore) Parked(ctx context.Context, lane int32, id streams.StreamID, after int64, limit int) ([]streams.ParkedInput, error) {
	return s.store().Parked(ctx, lane, id, after, limit)
}

func (s *gatedStore) Inputs(ctx context.Context, lane int32, after int64, f func(streams.InputRow) error) error {
	return s.store().Inputs(ctx, lane, after, f)
}

func (s *gatedStore) Expire(ctx context.Context, before time.Time) error {
	return s.store().Expire(ctx, before)
}

func (s *gatedStore) Close() error {
	return s.store().Close()
}
