package streams

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// RunExclusive runs f in one process at a time: in the member of the unit's
// group that is given the only partition of its lane topic. When that process
// stops or dies, another's f begins. It returns when ctx ends, or with f's error.
// A member that is cut off may not know yet that it lost its place: what f
// writes has to be fenced.
func RunExclusive(ctx context.Context, cfg Config, unit string, f func(context.Context) error) error {
	cfg.defaults()
	lanes := exclusiveTopic(&cfg, unit)
	if err := makeTopics(ctx, &cfg, lanes); err != nil {
		return fmt.Errorf("unit %s: %w", unit, err)
	}
	if err := shortenSessions(ctx, &cfg, unit); err != nil {
		return fmt.Errorf("unit %s: %w", unit, err)
	}
	t := &turn{f: f, failed: make(chan error, 1)}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	// A rebalance that changes nothing also calls, with no partitions.
	on := func(f func()) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			if len(parts(m)) > 0 {
				f()
			}
		}
	}
	group, err := kgo.NewClient(slices.Concat(cfg.Client, cfg.laneGroup(unit), []kgo.Opt{
		kgo.ClientID(unit), kgo.WithHooks(&putOut{&cfg, end}),
		kgo.OnPartitionsAssigned(on(func() { t.begin(ctx) })), kgo.OnPartitionsRevoked(on(t.end)), kgo.OnPartitionsLost(on(t.end)),
	})...)
	if err != nil {
		return fmt.Errorf("unit %s: %w", unit, err)
	}
	select {
	case <-ctx.Done():
	case err = <-t.failed:
	}
	t.end()
	group.CloseAllowingRebalance()
	t.end() // what was assigned meanwhile
	if why := isPutOut(ctx); why != nil {
		return fmt.Errorf("unit %s: %w", unit, why)
	}
	cfg.leave(unit)
	return err
}

// exclusiveTopic has one partition: only one member of its group has it.
func exclusiveTopic(cfg *Config, unit string) TopicSpec {
	s := eventTopic(cfg, LaneTopic(unit))
	s.Partitions = 1
	return s
}

// turn is a member's time as the one that runs.
type turn struct {
	f      func(context.Context) error
	failed chan error

	mu   sync.Mutex
	stop context.CancelFunc
	done chan struct{}
}

func (t *turn) begin(ctx context.Context) {
	t.end()
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	t.mu.Lock()
	t.stop, t.done = stop, done
	t.mu.Unlock()
	go func() {
		defer close(done)
		if err := t.f(ctx); err != nil && ctx.Err() == nil {
			select {
			case t.failed <- err:
			default: // the first one ends all
			}
		}
	}()
}

// end stops what runs and waits for its end.
func (t *turn) end() {
	t.mu.Lock()
	stop, done := t.stop, t.done
	t.stop, t.done = nil, nil
	t.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}
