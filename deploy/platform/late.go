package platform

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// lateStore is the read model's store, which may be opened only after the rest
// has begun: services take commands without it. Until then it cannot serve.
type lateStore struct {
	opened atomic.Pointer[projection.Store]
}

func (l *lateStore) open(s projection.Store) { l.opened.Store(&s) }

func late[T any](l *lateStore, f func(projection.Store) (T, error)) (answer T, err error) {
	if s := l.opened.Load(); s != nil {
		return f(*s)
	}
	return answer, fmt.Errorf("it is not open: %w", projection.ErrUnavailable)
}

func (l *lateStore) do(f func(projection.Store) error) error {
	_, err := late(l, func(s projection.Store) (struct{}, error) { return struct{}{}, f(s) })
	return err
}

func (l *lateStore) Document(ctx context.Context, v *business.View, key string) (projection.Document, error) {
	return late(l, func(s projection.Store) (projection.Document, error) { return s.Document(ctx, v, key) })
}

func (l *lateStore) List(ctx context.Context, q projection.ListQuery) ([]projection.Document, error) {
	return late(l, func(s projection.Store) ([]projection.Document, error) { return s.List(ctx, q) })
}

func (l *lateStore) Counts(ctx context.Context, v *business.View) (map[string]int64, error) {
	return late(l, func(s projection.Store) (map[string]int64, error) { return s.Counts(ctx, v) })
}

func (l *lateStore) History(ctx context.Context, kind, key string) ([]projection.Entry, error) {
	return late(l, func(s projection.Store) ([]projection.Entry, error) { return s.History(ctx, kind, key) })
}

func (l *lateStore) Events(ctx context.Context, correlation string) ([]projection.Entry, error) {
	return late(l, func(s projection.Store) ([]projection.Entry, error) { return s.Events(ctx, correlation) })
}

func (l *lateStore) FirstEvents(ctx context.Context, correlation, kind, key string, limit int) ([]projection.Entry, error) {
	return late(l, func(s projection.Store) ([]projection.Entry, error) {
		return s.FirstEvents(ctx, correlation, kind, key, limit)
	})
}

func (l *lateStore) Holds(ctx context.Context, t streams.Token) (bool, error) {
	return late(l, func(s projection.Store) (bool, error) { return s.Holds(ctx, t) })
}

func (l *lateStore) Saga(ctx context.Context, correlation string) ([]projection.Saga, error) {
	return late(l, func(s projection.Store) ([]projection.Saga, error) { return s.Saga(ctx, correlation) })
}

func (l *lateStore) ListSagas(ctx context.Context, q projection.SagaQuery) ([]projection.Saga, error) {
	return late(l, func(s projection.Store) ([]projection.Saga, error) { return s.ListSagas(ctx, q) })
}

func (l *lateStore) Late(ctx context.Context, now time.Time, limit int) ([]projection.Saga, error) {
	return late(l, func(s projection.Store) ([]projection.Saga, error) { return s.Late(ctx, now, limit) })
}

func (l *lateStore) InFlight(ctx context.Context, now time.Time, limit int) (projection.InFlight, error) {
	return late(l, func(s projection.Store) (projection.InFlight, error) { return s.InFlight(ctx, now, limit) })
}

func (l *lateStore) Skips(ctx context.Context) ([]projection.Skipped, error) {
	return late(l, func(s projection.Store) ([]projection.Skipped, error) { return s.Skips(ctx) })
}

func (l *lateStore) Offsets(ctx context.Context) (map[string]map[int32]int64, error) {
	return late(l, func(s projection.Store) (map[string]map[int32]int64, error) { return s.Offsets(ctx) })
}

func (l *lateStore) Ping(ctx context.Context) error {
	return l.do(func(s projection.Store) error { return s.Ping(ctx) })
}

func (l *lateStore) Claim(ctx context.Context, partitions int32, read []projection.Cursor) (projection.Claim, error) {
	return late(l, func(s projection.Store) (projection.Claim, error) { return s.Claim(ctx, partitions, read) })
}

func (l *lateStore) Known(ctx context.Context, ids []streams.ExternalID) (map[streams.ExternalID]bool, error) {
	return late(l, func(s projection.Store) (map[streams.ExternalID]bool, error) { return s.Known(ctx, ids) })
}

func (l *lateStore) Write(ctx context.Context, b *projection.Batch) error {
	return l.do(func(s projection.Store) error { return s.Write(ctx, b) })
}

func (l *lateStore) Prune(ctx context.Context, before time.Time) error {
	return l.do(func(s projection.Store) error { return s.Prune(ctx, before) })
}

// Close closes what was opened.
func (l *lateStore) Close() error {
	if s := l.opened.Load(); s != nil {
		return (*s).Close()
	}
	return nil
}
