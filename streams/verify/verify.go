// Package verify checks that the runtime kept its promises in any topology:
// that the stores and the log agree, that every input was decided exactly once
// and as it would be decided again, that timers acted in time, and that nothing
// is left waiting. It trusts neither the stores nor the log, and names the lane,
// stream or offset of every disagreement. Invariants of a business are its
// caller's, from the same reading.
package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// Input is what there is to compare. What is left zero is not looked at, and
// the report says so.
type Input struct {
	Topology   *streams.Topology
	Partitions int32                    // of the platform
	Stores     map[string]streams.Store // by service
	Client     []kgo.Opt                // of the log; nil: no log
	// Complete says that the log was never trimmed: every stored event has to
	// be on it. Else a partition is compared from its first record on.
	Complete bool
	// ReplyTTL is how long replies are kept: a younger one that is missing is a
	// violation. 0: it is not known, and none is missed.
	ReplyTTL time.Duration
	// Settled says that nothing moves any more: all work is done and every
	// event is read. Else only what holds at every moment is checked.
	Settled bool
	// Rest is when whoever settled it stopped to wait for timers: those that fall due later
	// may be set. Zero: none may.
	Rest time.Time
	// Decide decides the stored inputs again, with the topology's own code. It
	// needs Complete and a Client, and keeps the log's records and a lane's
	// events in memory: it is for tests.
	Decide bool
	Skew   time.Duration // how far apart the clocks of instances and brokers may be

	// What the caller folds into books of his own; each may be nil. A lane's
	// events come in their order, then its snapshots and timers; all lanes come
	// before the log.
	Event    func(service string, e streams.Event)
	Snapshot func(service string, s streams.Snapshot)
	Timer    func(service string, t streams.Timer) // still set
	Posted   func(e streams.Envelope)              // an event from outside on the log, repeats left out
}

// checker is one run of Check. Without Decide its memory is some dozens of bytes
// per event; the events themselves are read past.
type checker struct {
	Input
	report *Report
	lanes  map[streams.Lane]*laneBook
	log    map[streams.Target]*partBook
	types  map[string]int32 // numbers of the event types, to keep records small
	names  []string
	// unstamped says that a record bears its producer's time, not the broker's.
	unstamped bool
	stories   stories
}

// Check compares everything in the input. Its error says that something could
// not be read; what disagrees is in the report, which is never nil.
func Check(ctx context.Context, in Input) (*Report, error) {
	c := &checker{Input: in, report: &Report{}, lanes: map[streams.Lane]*laneBook{}, log: map[streams.Target]*partBook{}, types: map[string]int32{}, stories: stories{of: map[uint64]string{}}}
	for _, u := range units {
		if u[0] != Decided || in.Decide {
			c.report.Declare(u[0], u[1])
		}
	}
	if in.Topology == nil || in.Partitions < 1 {
		return c.report, errors.New("an audit needs the topology and the platform's partition count")
	}
	if c.Decide = in.Decide && in.Complete && in.Client != nil; in.Decide && !c.Decide {
		c.report.Note("the inputs were not decided again: that needs the complete log")
	}
	// Stores before the log: what is stored later than it was read is known by
	// its sequence, and excused.
	for _, step := range []func(context.Context) error{c.readStores, c.readLog, c.readInputs, c.decideAgain, c.judgeSettled} {
		if err := step(ctx); err != nil {
			return c.report, err
		}
	}
	c.judgeStories()
	if c.unstamped {
		c.report.Note("the log bears its producers' times (message.timestamp.type): whether timers acted on unread records was not checked")
	}
	if !c.Settled {
		c.report.Note("the platform is at work: only what holds at every moment was checked")
	}
	return c.report, nil
}

// bad notes a violation.
func (c *checker) bad(name, format string, args ...any) { c.report.Violate(name, format, args...) }

// looked counts what an invariant was checked on.
func (c *checker) looked(name string, n int) { c.report.Looked(name, n) }

func (c *checker) services() []string { return slices.Sorted(maps.Keys(c.Stores)) }

// eachLane visits the lanes in the order of their names.
func (c *checker) eachLane(f func(streams.Lane, *laneBook) error) error {
	for _, name := range slices.Sorted(maps.Keys(c.lanes)) {
		if err := f(name, c.lanes[name]); err != nil {
			return fmt.Errorf("audit of lane %s: %w", name, err)
		}
	}
	return nil
}
