package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config is what an instance of a service runs with. Fields marked with a
// default may be left zero.
type Config struct {
	Topology    *Topology
	Client      []kgo.Opt // seed brokers; dialer, SASL, TLS
	Partitions  int32     // of every topic of the platform, for good
	Replication int16     // of topics made at start; default 1
	MinInSync   int       // of event topics: replicas that must have a record; default: the broker's
	// ServerGroups uses Kafka's consumer protocol (KIP-848) for the groups: the
	// broker assigns the lanes. Needs Kafka 4.3.
	ServerGroups bool
	// Instance names this process in its groups (static membership, KIP-345): the
	// same after a restart, and no other process's at a time. A process that dies
	// and comes back takes its own place again, and the others keep theirs. Empty:
	// every start is a stranger to the group. Letters, digits, dots and dashes. Not
	// used with ServerGroups.
	Instance   string
	Commands   Commands // nil: the service takes no commands
	Transports Transports
	Hooks      []Hook
	Log        *slog.Logger     // default: discards
	Now        func() time.Time // default: time.Now

	MaxBatch      int // inputs decided in one transaction, and rows read at once; default 1,000
	MaxEventBytes int // of a record, headers and key included; default 900,000
	MaxParked     int // parked inputs at which a lane pauses; default 10,000
	MaxEffects    int // pending effects that a lane holds in memory, and beyond which it takes no more commands; default 1,000
	StateCache    int // states kept decoded, per lane; default 10,000

	ReplyTTL time.Duration // how long replies and external ids tell repeats; default 24 h
}

func (c *Config) defaults() {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.MaxBatch, 1000)
	set(&c.MaxEventBytes, 900_000)
	set(&c.MaxParked, 10_000)
	set(&c.MaxEffects, 1000)
	set(&c.StateCache, 10_000)
	if c.Replication == 0 {
		c.Replication = 1
	}
	if c.ReplyTTL == 0 {
		c.ReplyTTL = 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Commands == nil {
		c.Commands = NewCommands()
	}
}

// Instance is one running copy of a service. Any number of them share the
// service's lanes through a consumer group.
type Instance struct {
	cfg      Config
	plan     *plan
	store    Store
	info     StoreInfo
	hooks    hooks
	log      *slog.Logger
	clock    *clock
	breakers *breakers
	joined   atomic.Bool

	mu    sync.Mutex
	lanes map[int32]*owner

	told map[int32]witnessed // only Run's goroutine touches it
}

// NewInstance prepares an instance of a service on its event store. It does no
// I/O; the store remains the caller's to close, after Run has returned.
func NewInstance(cfg Config, service string, store Store) (*Instance, error) {
	cfg.defaults()
	s, ok := cfg.Topology.Service(service)
	if !ok {
		return nil, fmt.Errorf("the topology has no service %q", service)
	}
	if cfg.Partitions < 1 {
		return nil, fmt.Errorf("service %s: Partitions is %d: set the platform's partition count", service, cfg.Partitions)
	}
	i := &Instance{cfg: cfg, plan: newPlan(cfg.Topology, s), store: store, hooks: sortHooks(cfg.Hooks),
		log: cfg.Log.With("service", service), lanes: map[int32]*owner{}, told: map[int32]witnessed{}}
	i.clock = newClock(cfg.Now, i.log)
	i.cfg.Now = i.clock.Now
	i.breakers = newBreakers(service, i.hooks.effect)
	return i, nil
}

// drainTime bounds how long an instance that stops waits for its lanes.
const drainTime = 8 * time.Second

// Run joins the service's group and works on the lanes that it is given, until
// ctx ends; then it drains and leaves. It returns an error if it cannot start.
func (i *Instance) Run(ctx context.Context) error {
	if err := i.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it had begun
		}
		return fmt.Errorf("service %s: %w", i.plan.service, err)
	}
	i.joined.Store(true)
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	group, err := kgo.NewClient(slices.Concat(i.cfg.Client, i.cfg.laneGroup(i.plan.service), []kgo.Opt{
		kgo.ClientID(i.plan.service + "-lanes"), kgo.WithHooks(&putOut{&i.cfg, end}),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { i.assigned(hard, parts(m)) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { i.release(parts(m), true) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { i.release(parts(m), false) }),
	})...)
	if err != nil {
		return fmt.Errorf("service %s: %w", i.plan.service, err)
	}
	mirror, err := kgo.NewClient(controlProducer(i.cfg.Client)...)
	if err != nil {
		group.CloseAllowingRebalance()
		return fmt.Errorf("service %s: %w", i.plan.service, err)
	}
	defer mirror.Close()
	var beside sync.WaitGroup
	beside.Go(func() { i.forget(ctx) })
	i.mirror(ctx, mirror)
	beside.Wait()
	stopKill := time.AfterFunc(drainTime, kill)
	defer stopKill.Stop()
	drained := i.release(i.owned(), true)
	// While the lanes are still this instance's: later it would be news of old.
	last, done := context.WithTimeout(hard, 2*time.Second)
	defer done()
	if err := i.mirrorOnce(last, mirror, drained); err != nil {
		i.log.Warn("cursors not mirrored at the end", "error", err)
	}
	group.CloseAllowingRebalance()
	i.release(i.owned(), true) // what was assigned meanwhile
	if err := isPutOut(ctx); err != nil {
		return fmt.Errorf("service %s: %w", i.plan.service, err)
	}
	i.cfg.leave(i.plan.service)
	return nil
}

// Joined tells whether Run has found all in order and joined its group.
func (i *Instance) Joined() bool { return i.joined.Load() }

// forget removes from the store, until ctx ends, what has told repeats for long
// enough. Every instance does, as none knows of another.
func (i *Instance) forget(ctx context.Context) {
	for sleep(ctx, i.cfg.ReplyTTL/24) {
		if err := i.store.Expire(ctx, i.cfg.Now().Add(-i.cfg.ReplyTTL)); err != nil && ctx.Err() == nil {
			i.log.Warn("old replies and external ids not forgotten, will be tried again", "error", err)
		}
	}
}

func (i *Instance) prepare(ctx context.Context) (err error) {
	if i.info, err = i.store.Info(ctx, i.cfg.Partitions); err != nil {
		return fmt.Errorf("event store: %w", err)
	}
	if err := prepareTopics(ctx, &i.cfg, i.plan, i.info); err != nil {
		return err
	}
	return shortenSessions(ctx, &i.cfg, i.plan.service)
}

func parts(m map[string][]int32) (out []int32) {
	for _, ps := range m {
		out = append(out, ps...)
	}
	return out
}

func (i *Instance) owned() (out []int32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for p := range i.lanes {
		out = append(out, p)
	}
	return out
}

func (i *Instance) assigned(hard context.Context, ps []int32) {
	for _, p := range ps {
		o := newOwner(i, hard, p)
		i.mu.Lock()
		old := i.lanes[p]
		i.lanes[p] = o
		i.mu.Unlock()
		if old != nil { // fenced and never revoked
			old.kill()
			<-old.done
		}
		go o.run()
	}
}

// release stops lanes and waits for them; drain lets a lane finish its batch
// and its acknowledgements first.
func (i *Instance) release(ps []int32, drain bool) (last []LaneStatus) {
	var stopping []*owner
	i.mu.Lock()
	for _, p := range ps {
		if o := i.lanes[p]; o != nil {
			stopping = append(stopping, o)
			delete(i.lanes, p)
		}
	}
	i.mu.Unlock()
	for _, o := range stopping {
		if drain {
			o.stop()
		} else {
			o.kill()
		}
	}
	for _, o := range stopping {
		<-o.done
		last = append(last, o.status())
	}
	return last
}

// LaneStatus tells how a lane of this instance is.
type LaneStatus struct {
	Service string
	Lane    int32
	State   LaneChange       // running, or what else it is; empty while it is being claimed
	Err     error            // why it is halted, or what it waits for
	Offsets map[string]int64 // by topic, of the next record to read: as stored
	stored  seen             // what is proven of the store
	Deaf    error            // why no commands reach it now, or nil
}

// Lanes tells how the lanes are that this instance owns now.
func (i *Instance) Lanes() []LaneStatus {
	i.mu.Lock()
	owners := make([]*owner, 0, len(i.lanes))
	for _, o := range i.lanes {
		owners = append(owners, o)
	}
	i.mu.Unlock()
	out := make([]LaneStatus, 0, len(owners))
	for _, o := range owners {
		out = append(out, o.status())
	}
	slices.SortFunc(out, func(a, b LaneStatus) int { return int(a.Lane - b.Lane) })
	return out
}

// ErrNotOwned says that this instance does not own the lane of a key.
var ErrNotOwned = errors.New("this instance does not own the key's lane: ask the one that does")

// ErrNotParked says that there is nothing to retry or to drop.
var ErrNotParked = errors.New("nothing of this key is parked")

// RetryParked decides a parked key's inputs again, in their order, until one
// fails. It tells how many are left.
func (i *Instance) RetryParked(ctx context.Context, stream StreamID) (left int, err error) {
	return i.unparkAll(ctx, stream, false)
}

// DropParked drops the input that a key is parked behind and retries the rest.
func (i *Instance) DropParked(ctx context.Context, stream StreamID) (left int, err error) {
	return i.unparkAll(ctx, stream, true)
}

// unparkAll takes a batch at a time, until none is left or one fails again.
func (i *Instance) unparkAll(ctx context.Context, stream StreamID, drop bool) (int, error) {
	for ; ; drop = false {
		r, err := i.parkedRequest(ctx, stream, drop)
		if err != nil || r.left == 0 || r.failedAgain {
			return r.left, err
		}
	}
}

func (i *Instance) parkedRequest(ctx context.Context, stream StreamID, drop bool) (unparked, error) {
	i.mu.Lock()
	o := i.lanes[Partition(stream.Key, i.cfg.Partitions)]
	i.mu.Unlock()
	if o == nil {
		return unparked{}, ErrNotOwned
	}
	req := &unpark{stream: stream, drop: drop, reply: make(chan unparked, 1)}
	select {
	case o.unparks <- req:
	case <-o.done:
		return unparked{}, ErrNotOwned
	case <-ctx.Done():
		return unparked{}, context.Cause(ctx)
	}
	select {
	case r := <-req.reply:
		return r, r.err
	case <-o.done:
		return unparked{}, ErrNotOwned
	case <-ctx.Done():
		return unparked{}, context.Cause(ctx)
	}
}
