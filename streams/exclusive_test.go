package streams_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// One of several runs; when it stops, another begins; an error ends its own.
func TestRunExclusive(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		var running, turns, most atomic.Int64
		fail := make(chan error)
		work := func(ctx context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			turns.Add(1)
			select {
			case <-ctx.Done():
				return nil
			case err := <-fail:
				return err
			}
		}
		start := func() (stop func() error) {
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() {
				ended <- streams.RunExclusive(ctx, streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: 1}, "lonely", work)
			}()
			return func() error { cancel(); return <-ended }
		}
		await := func(n int64) {
			t.Helper()
			for range 600 {
				if turns.Load() == n && running.Load() == 1 {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Fatalf("%d turns, %d run; want turn %d", turns.Load(), running.Load(), n)
		}
		stopA := start()
		await(1)
		stopB := start()
		time.Sleep(20 * time.Second)
		await(1)
		if err := stopA(); err != nil {
			t.Error(err)
		}
		await(2)
		broken := errors.New("broken")
		fail <- broken
		time.Sleep(time.Second)
		if err := stopB(); !errors.Is(err, broken) {
			t.Errorf("got error %v, want that of what ran", err)
		}
		if most.Load() != 1 {
			t.Errorf("%d ran at once", most.Load())
		}
	})
}
