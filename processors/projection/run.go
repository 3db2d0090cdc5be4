package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// Config is what a Run needs.
type Config struct {
	Client     []kgo.Opt // brokers, dialer, TLS; consuming is set up by Run
	Topology   *streams.Topology
	Partitions int32          // of every event topic
	Sagas      []streams.Saga // to follow
	// TopicWait is how long topics may be missing at the start, as services
	// that start at the same time make them.
	TopicWait time.Duration
	// Window is how long the ids of events from outside are remembered, to
	// tell their repeats; 7 days if 0.
	Window time.Duration
	// Keep is how long events and ended sagas are kept; for ever if 0.
	Keep time.Duration
	// Changed hears, after each write, whose rows it has set, so that caches can
	// drop these orders; optional. It holds up the next write, and a process that
	// dies in between does not tell.
	Changed func(orders []string)
	// Written hears, after each write, which events are in the rows now, each
	// once; optional. It holds up the next write.
	Written func(events []Event)
	Now     func() time.Time // time.Now if nil
	Log     *slog.Logger     // of outages of the store; discards if nil
}

// batchRecords bounds the records of one write.
const batchRecords = 1000

// spacing is the least time between the beginnings of two writes. A write
// touches a page of nearly every index, few records or many: without it the
// read model would cost as much as all services together.
const spacing = 50 * time.Millisecond

// HoleError is an event that the log has lost: the writer's previous event
// into this partition was never read.
type HoleError struct {
	Topic           string
	Partition       int32
	Offset          int64
	Lane            streams.Lane
	Seen, Prev, Seq int64
}

func (e *HoleError) Error() string {
	return fmt.Sprintf("hole in %s/%d at offset %d: lane %s wrote sequence %d after %d, but only %d was read: an event is missing from the log; publish the lane's outbox again from sequence %d, or restore the topic",
		e.Topic, e.Partition, e.Offset, e.Lane, e.Seq, e.Prev, e.Seen, e.Seen+1)
}

// Run reads every event topic into the store until ctx ends, which is no
// error. Trouble with the broker waits, and so does a store that is
// ErrUnavailable: the rows lag, and catch up. It stops with an error on what
// cannot be proven in order: a *HoleError, a truncated, lost or replaced topic,
// a *streams.NewerVersionError, another partition count, ErrFenced.
func (m *Model) Run(ctx context.Context, cfg Config) error {
	if !m.busy.CompareAndSwap(false, true) {
		return errors.New("the read model is being written already: one Run at a time")
	}
	defer m.busy.Store(false)
	r, err := m.newRun(cfg)
	if err != nil {
		return err
	}
	beside, stop := context.WithCancel(ctx)
	var pruning sync.WaitGroup
	pruning.Go(func() { r.prune(beside) })
	err = r.consume(ctx)
	stop()
	pruning.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// prune removes, until ctx ends, what has been kept for long enough.
func (r *run) prune(ctx context.Context) {
	if r.cfg.Keep == 0 {
		return
	}
	t := time.NewTicker(min(r.cfg.Keep/24, time.Hour))
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if err := r.model.Prune(ctx, r.cfg.Now().Add(-r.cfg.Keep)); err != nil && ctx.Err() == nil {
			r.cfg.Log.WarnContext(ctx, "old events not removed from the read model, will be tried again", "error", err)
		}
	}
}

// Waits between two tries of a store that does not answer grow from the first
// to the last of these.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 3 * time.Second
)

// insist asks the store until it answers.
func (r *run) insist(ctx context.Context, f func() error) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := f()
		if !errors.Is(err, ErrUnavailable) {
			if err == nil && wait > firstRetry {
				r.cfg.Log.InfoContext(ctx, "the read model is written again")
			}
			return err
		}
		if wait == firstRetry {
			r.cfg.Log.WarnContext(ctx, "the read model lags until its server answers again", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *run) consume(ctx context.Context) error {
	starts, err := r.locate(ctx)
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(append(r.cfg.Client[:len(r.cfg.Client):len(r.cfg.Client)],
		kgo.ConsumePartitions(starts),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(500*time.Millisecond))...)
	if err != nil {
		return fmt.Errorf("no Kafka client for the read model: %w", err)
	}
	defer cl.Close()
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-rest.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		fetches := cl.PollRecords(ctx, batchRecords)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fatal(fetches); err != nil {
			return err
		}
		began := time.Now()
		if err := r.take(ctx, fetches); err != nil {
			return err
		}
		rest.Reset(time.Until(began.Add(spacing)))
	}
}

// fatal finds the error that waiting does not cure.
func fatal(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var netErr net.Error
		switch {
		case kerr.IsRetriable(e.Err), errors.As(e.Err, &netErr):
		case errors.Is(e.Err, kerr.OffsetOutOfRange):
			return fmt.Errorf("%s/%d no longer has the offset to read next: the log was truncated or lost its tail; build the read model again from a full log: %w", e.Topic, e.Partition, e.Err)
		default:
			return fmt.Errorf("%s/%d cannot be read: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}
