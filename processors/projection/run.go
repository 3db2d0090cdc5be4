package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Config is what a Run needs.
type Config struct {
	Client     []kgo.Opt          // brokers, dialer, TLS; consuming is set up by Run
	Business   *business.Business // its views and sagas are kept
	Topology   *streams.Topology  // of the business
	Partitions int32              // of every event topic
	// Stores gives the event store of a service, which stays the caller's to
	// close. From there comes what the log no longer has, and a new read model
	// needs. If nil, a log that lacks something stops a Run.
	Stores func(ctx context.Context, service string) (streams.Store, error)
	// TopicWait is how long topics may be missing at the start, as services
	// that start at the same time make them.
	TopicWait time.Duration
	// Window is how long the ids of events from outside are remembered, to
	// tell their repeats; 7 days if 0.
	Window time.Duration
	// Keep is how long events and ended sagas are kept; for ever if 0.
	Keep time.Duration
	// Changed hears, after each write, which documents of a view it has set, so that
	// caches can drop them; optional. It holds up the next write, and a process that
	// dies in between does not tell.
	Changed func(v *business.View, keys []string)
	// Written hears, after each write, which events are in the rows now, each
	// once; optional. It holds up the next write. While a new read model is built,
	// it hears only of what happens meanwhile.
	Written func(events []Event)
	Now     func() time.Time // time.Now if nil
	Log     *slog.Logger     // of outages of the store; discards if nil
	// What is written, and how it is built again, for messages: the read model if empty.
	What, Rebuild string
	Decode        bool // events come with their values
	// Batch bounds the records of one write, 1000 if 0. Spacing is the least time between
	// the beginnings of two writes that are not full, 50 ms if 0. A write touches a page of
	// nearly every index, few records or many: without it the read model would cost as much
	// as all services together.
	Batch   int
	Spacing time.Duration
	// Until ends a Run, without an error, once it says so between two writes and nothing
	// is owed that the event stores have published; optional.
	Until func() bool
	// FromStores reads what services wrote from their event stores, up to where the log
	// ends, if nothing was read yet.
	FromStores bool
}

func (c *Config) defaults() {
	c.What = cmp.Or(c.What, "the read model")
	c.Rebuild = cmp.Or(c.Rebuild, rebuild)
	c.Batch, c.Spacing, c.Window = cmp.Or(c.Batch, 1000), cmp.Or(c.Spacing, 50*time.Millisecond), cmp.Or(c.Window, 7*24*time.Hour)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

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
	return fmt.Sprintf("hole in %s/%d at offset %d: lane %s wrote sequence %d after %d, but only %d was read: "+
		"an event is missing from the log; start the read model where the event store of that lane is, which has it, or restore the topic",
		e.Topic, e.Partition, e.Offset, e.Lane, e.Seq, e.Prev, e.Seen)
}

// Run reads every event topic into the store until ctx ends, which is no
// error. Trouble with the broker waits, and so does a store that is
// ErrUnavailable: the rows lag, and catch up. A record that the store refuses is
// set aside, see Skips. What the log lacks is read from the event stores. It
// stops with an error on what cannot be proven in order: a *HoleError, a
// truncated log without event stores, a lost or replaced topic, a
// *streams.NewerVersionError, another partition count, ErrFenced.
func (w *Writer) Run(ctx context.Context, cfg Config) error {
	cfg.defaults()
	if !w.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("%s is being written already: one Run at a time", cfg.What)
	}
	defer w.busy.Store(false)
	r, err := w.newRun(cfg)
	if err != nil {
		return err
	}
	beside, stop := context.WithCancel(ctx)
	var pruning sync.WaitGroup
	pruning.Go(func() { r.prune(beside) })
	err = r.consume(ctx)
	for errors.Is(err, errTruncated) && ctx.Err() == nil { // the next look finds what is missing
		err = r.consume(ctx)
	}
	stop()
	pruning.Wait()
	if errors.Is(err, errDone) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// errDone says that Config.Until has ended the Run.
var errDone = errors.New("the Run is done")

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
		if err := r.sink.Prune(ctx, r.cfg.Now().Add(-r.cfg.Keep)); err != nil && ctx.Err() == nil {
			r.cfg.Log.WarnContext(ctx, "old events not removed, will be tried again", "from", r.cfg.What, "error", err)
		}
	}
}

// Waits between two tries of a store grow from the first to the last of these.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 3 * time.Second
)

// How often a failure that the store does not explain is tried, while the store
// answers otherwise: at first, and once it is likely that a record is the cause.
const patientTries, hastyTries = 6, 2

// insist asks the store until it answers. A failure of which the store does not
// say whether it passes is believed after some tries: an outage is a store that
// answers nothing.
func (r *run) insist(ctx context.Context, tries int, f func() error) error {
	unclear := 0
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := f()
		switch {
		case ctx.Err() != nil && err != nil:
			return ctx.Err()
		case errors.Is(err, ErrUnclear):
			if unclear++; r.sink.Ping(ctx) != nil {
				unclear = 0
			}
			if unclear >= tries {
				return err
			}
		case !errors.Is(err, ErrUnavailable):
			if err == nil && wait > firstRetry && tries == patientTries {
				r.cfg.Log.InfoContext(ctx, r.cfg.What+" is written again")
			}
			return err
		}
		if wait == firstRetry && tries == patientTries {
			r.cfg.Log.WarnContext(ctx, r.cfg.What+" lags until its store serves again", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lookEvery is how often a Run makes sure that the topics are still those that
// it reads: a client waits for ever for one that was made anew.
const lookEvery = 5 * time.Second

// errTruncated says that the log was truncated while it was read.
var errTruncated = errors.New("the log was truncated")

func (r *run) consume(ctx context.Context) error {
	starts, err := r.locate(ctx)
	if err != nil {
		return err
	}
	cl, err := r.client(starts)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	rest := time.NewTimer(0)
	defer rest.Stop()
	for looked := time.Now(); ; {
		if err := r.settle(ctx); err != nil {
			return err
		}
		if r.cfg.Until != nil && r.debt == nil && r.cfg.Until() {
			return errDone
		}
		select {
		case <-rest.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		fetches := r.poll(ctx, cl)
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
		if time.Since(looked) >= lookEvery {
			if err := r.same(ctx, adm); err != nil {
				return err
			}
			looked = time.Now()
		}
		rest.Reset(r.rest(began, fetches.NumRecords()))
	}
}

// client reads from some offsets on.
func (r *run) client(starts map[string]map[int32]kgo.Offset) (*kgo.Client, error) {
	cl, err := kgo.NewClient(append(r.cfg.Client[:len(r.cfg.Client):len(r.cfg.Client)],
		kgo.ConsumePartitions(starts),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(), // a cursor that ignored them would never reach the end of its topic
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.FetchMaxBytes(8<<20))...) // as they are on the wire: they are several times as large once they are read
	if err != nil {
		return nil, fmt.Errorf("no Kafka client for %s: %w", r.cfg.What, err)
	}
	return cl, nil
}

// rest is how long to wait until the next write: not at all when there is more to read.
func (r *run) rest(began time.Time, records int) time.Duration {
	if records >= r.cfg.Batch/2 {
		return 0
	}
	return time.Until(began.Add(r.cfg.Spacing))
}

// poll reads what there is. What a client has when a rest ends it fetched when the rest
// began: what came meanwhile is one fetch away, and worth a small part of the rest.
func (r *run) poll(ctx context.Context, cl *kgo.Client) kgo.Fetches {
	some := func(within time.Duration, most int) kgo.Fetches {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		return cl.PollRecords(ctx, most)
	}
	fetches := some(lookEvery, r.cfg.Batch)
	began := time.Now()
	for n := fetches.NumRecords(); n > 0 && n < r.cfg.Batch; n = fetches.NumRecords() {
		more := some(time.Until(began.Add(r.cfg.Spacing/20)), r.cfg.Batch-n)
		fetches = append(fetches, more...) // errors too: each is told once
		if more.NumRecords() == 0 {
			break
		}
	}
	return fetches
}

// fatal finds the error that waiting does not cure.
func fatal(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var netErr net.Error
		switch {
		case kerr.IsRetriable(e.Err), errors.As(e.Err, &netErr), errors.Is(e.Err, context.DeadlineExceeded):
		case errors.Is(e.Err, kerr.OffsetOutOfRange):
			return fmt.Errorf("%s/%d no longer has the offset to read next: %w: %w", e.Topic, e.Partition, errTruncated, e.Err)
		default:
			return fmt.Errorf("%s/%d cannot be read: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}
