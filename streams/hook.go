package streams

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Hook is anything that implements one or more of the Hook interfaces below.
// Hooks are called on the lane's own goroutine, or on the pipeline's, which tells
// of its batches and their commits: they must be quick, except for HookPoint,
// which tests use to hold a lane up or to end it.
type Hook any

// Point names a place in the lane's loop.
type Point string

// The points of the loop, in its order.
const (
	PointPolled      Point = "polled"       // inputs taken, nothing decided
	PointDecided     Point = "decided"      // before the commit
	PointCommitted   Point = "committed"    // between commit and publish
	PointPublishing  Point = "publishing"   // half of the batch is with the producer
	PointPublished   Point = "published"    // all of it is
	PointEffectAsked Point = "effect-asked" // an intent is stored, the call not made
	PointEffectDone  Point = "effect-done"  // the call is made, the outcome not stored
	PointRevoked     Point = "revoked"      // the group took the lane, it drains
	PointClaimed     Point = "claimed"      // the epoch is raised, nothing republished
	PointTimersDue   Point = "timers-due"   // due timers wait for the inputs before them
)

// HookPoint is told where the loop is. An error ends the lane's life there, as
// a failure at that place would; it may also block.
type HookPoint interface {
	OnPoint(p Point, lane Lane) error
}

// HookDecide wraps each decision. It returns the traceparent that follow-ups
// of the decision carry, and a function called when the decision is stored, with
// the batch that it was stored with; or at once, with an error, if it failed. A
// pipeline passes records on as if each were decided upon.
type HookDecide interface {
	OnDecide(h Hop) (traceparent string, done func(b BatchInfo, err error))
	// OnFail is told of a decision that failed and whose hop had no done
	// function, and returns the traceparent that the parked input carries.
	OnFail(h Hop, err error) (traceparent string)
}

// HookPublish wraps the sending of a record to the log: OnPublish is called when it
// is handed to the producer, and returns a function called when the log has it, or
// never will in this life of its lane; or nil.
type HookPublish interface {
	OnPublish(service string, r *kgo.Record) (done func(err error))
}

// Hop is one decision about one input.
type Hop struct {
	Service, Decider string // or pipeline
	Kind             InputKind
	Name             string // event type, command, timer or effect
	Topic            string // of an event
	Partition        int32  // the lane's
	Offset           int64
	Origin           Origin
	ID               string
}

// HookBatch is told of every committed batch, and of one that held nothing but
// repeats: that has no inputs, and needs no commit.
type HookBatch interface{ OnBatch(b BatchInfo) }

// BatchInfo measures one committed batch. Of a pipeline it is what was polled of
// a partition and passed on.
type BatchInfo struct {
	Service string // or pipeline
	Lane    int32
	Inputs  []InputInfo
	Events  []string // types
	Repeats int      // records skipped as already taken
	Decide  time.Duration
	Commit  time.Duration
}

// InputInfo measures one decided input.
type InputInfo struct {
	Decider  string // or pipeline
	Kind     InputKind
	Name     string
	Age      time.Duration // from the event's time to the commit
	Result   InputResult
	Rejected string // its code
	Key      string // of the decider
	Origin   Origin // with the decision's own traceparent
}

// InputResult is what became of an input.
type InputResult string

// What becomes of an input. All but the last are once an input.
const (
	InputDecided  InputResult = "decided"
	InputRejected InputResult = "rejected"
	InputParked   InputResult = "parked"  // it failed, or waits behind one that did
	InputRetried  InputResult = "retried" // decided, after it was parked
)

// HookEffect is told of every attempt at an outside call.
type HookEffect interface {
	// OnEffect is called before an attempt and returns the traceparent to send
	// and a function for its end, which returns the traceparent that the next
	// attempt and the outcome carry.
	OnEffect(a Attempt) (traceparent string, done func(err error) string)
	// OnHeldBack is called when an open breaker keeps a call from being made.
	OnHeldBack(a Attempt)
	// OnBreaker is called when an endpoint's breaker changes state: "closed",
	// "half-open" or "open".
	OnBreaker(service, endpoint, state string)
}

// Attempt is one try at an outside call.
type Attempt struct {
	Service, Effect, Endpoint string
	Number                    int // 1 and up
	Origin                    Origin
}

// HookLane is told what happens to lanes.
type HookLane interface {
	OnLane(e LaneEvent)
}

// LaneEvent is a change in a lane's life or in its measures.
type LaneEvent struct {
	Service string
	Lane    int32
	What    LaneChange
	Err     error
	Parked  int              // inputs parked now
	Lag     map[string]int64 // records behind, by topic
	Pending int              // effects that wait for an outcome
	LagAge  time.Duration    // age of the last record read, 0 with no lag
	// Unpublished is the age of the oldest stored event that is not acknowledged.
	Unpublished time.Duration
}

// LaneChange says what happened to a lane.
type LaneChange string

// The changes in a lane's life.
const (
	LaneClaimed   LaneChange = "claimed"
	LaneRunning   LaneChange = "running"   // restored, and at work
	LaneReloaded  LaneChange = "reloaded"  // after a failure, from the store
	LaneFenced    LaneChange = "fenced"    // another owner has it
	LaneHalted    LaneChange = "halted"    // it stopped loudly and waits for a person
	LanePaused    LaneChange = "paused"    // as many inputs are parked as may be: it takes no more
	LaneReleased  LaneChange = "released"  // drained
	LaneMeasured  LaneChange = "measured"  // periodic
	LaneConflict  LaneChange = "conflict"  // a commit was refused or doubtful
	LaneMisplaced LaneChange = "misplaced" // a record that belongs to no stream of the lane
)

// hooks are the configured hooks, sorted by what they listen to.
type hooks struct {
	point   []HookPoint
	decide  HookDecide
	publish HookPublish
	batch   []HookBatch
	effect  HookEffect
	lane    []HookLane
}

func sortHooks(all []Hook) hooks {
	var h hooks
	for _, x := range all {
		if v, ok := x.(HookPoint); ok {
			h.point = append(h.point, v)
		}
		if v, ok := x.(HookDecide); ok {
			h.decide = v
		}
		if v, ok := x.(HookPublish); ok {
			h.publish = v
		}
		if v, ok := x.(HookBatch); ok {
			h.batch = append(h.batch, v)
		}
		if v, ok := x.(HookEffect); ok {
			h.effect = v
		}
		if v, ok := x.(HookLane); ok {
			h.lane = append(h.lane, v)
		}
	}
	return h
}

func (h *hooks) at(p Point, lane Lane) error {
	for _, x := range h.point {
		if err := x.OnPoint(p, lane); err != nil {
			return err
		}
	}
	return nil
}

// committed reports a batch whose commit has ended.
func (h *hooks) committed(b BatchInfo) {
	for i := range b.Inputs {
		b.Inputs[i].Age += b.Decide + b.Commit
	}
	for _, x := range h.batch {
		x.OnBatch(b)
	}
}

func (h *hooks) laneEvent(e LaneEvent) {
	for _, x := range h.lane {
		x.OnLane(e)
	}
}
