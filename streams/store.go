package streams

import (
	"context"
	"errors"
	"time"
)

// StreamID names one decider's one key.
type StreamID struct {
	Decider, Key string
}

// StoredEvent is a row of the event store, and at once of the outbox: Record
// holds the headers and value of the Kafka record byte for byte.
type StoredEvent struct {
	Seq       int64    // of the lane: orders the outbox
	Stream    StreamID // zero for reports of the runtime's own (dead letters)
	Version   int64    // orders the stream, 1 and up; 0 for reports
	Type      string
	TypeVer   int
	Topic     string // empty for a private event, which is never published
	Partition int32
	Key       string // of the record: that of the event, not of the stream
	Record    []byte // packed headers and value; see KafkaRecord
}

// Snapshot is a stream's state after Version events. Prev is the version that
// it replaces: the store compares and swaps it.
type Snapshot struct {
	Stream        StreamID
	Version, Prev int64
	StateVersion  int
	State         []byte
}

// Origin carries what an input's follow-ups inherit.
type Origin struct {
	Correlation string
	Causation   string
	Traceparent string
}

// Timer is a durable timer of a stream, known by its name.
type Timer struct {
	Stream StreamID
	Name   string
	ID     string // of the input that it will be
	Due    time.Time
	Body   []byte
	Origin Origin
}

// TimerKey names a timer of a stream.
type TimerKey struct {
	Stream StreamID
	Name   string
}

// PendingEffect is an intent that waits for its outcome. Seq orders a lane's
// intents, and so a key's.
type PendingEffect struct {
	Seq    int64
	Stream StreamID
	ID     string
	Effect string
	Key    string // idempotency key
	Body   []byte
	Origin Origin
}

// ParkedInput is an input of a parked key: the one that failed, or one that
// waits behind it. The store's rows are the truth, the dead-letter topic only
// reports them.
type ParkedInput struct {
	Seq     int64 // orders the rows of a lane
	Stream  StreamID
	Kind    InputKind
	ID      string
	Name    string // event type, command, timer or effect
	TypeVer int
	Body    []byte
	Origin  Origin
	Source  string // of an event from outside; empty for all else
	From    string // "topic/partition@offset", or what else brought it
	At      time.Time
	Reason  string // empty while it only waits
	Stack   string
}

// Reply is a command's stored answer: a retried command gets it again.
type Reply struct {
	ID     string // of the command
	Digest string // of its name, key and body: another body under the same id is refused
	Status ReplyStatus
	Body   []byte // JSON: of the reply or of the rejection
	Token  string // see CommandReply
	At     time.Time
}

// ReplyStatus says how a command ended.
type ReplyStatus string

// How a command ends. Only Done and Rejected are stored.
const (
	ReplyDone     ReplyStatus = "done"
	ReplyRejected ReplyStatus = "rejected"
	ReplyParked   ReplyStatus = "parked"   // the key waits behind a failed input
	ReplyConflict ReplyStatus = "conflict" // the id was used with another body
)

// ExternalID is an event from outside that was taken: such events have no
// sequence to tell repeats by.
type ExternalID struct {
	Source, ID string
	At         time.Time
	Digest     string // of its content; empty if it was taken before there were digests
}

// InputRow lists what one batch decided about, in order: references to records,
// and the bodies of commands, timers and outcomes, which are nowhere else.
type InputRow struct {
	Rev     int64 // of the cursor after the commit
	At      time.Time
	Entries []byte // packed; see DecodeInputs
}

// Tx is a lane's batch. It is applied whole or not at all.
type Tx struct {
	Cursor    *Cursor // with the new values; Rev is still the one to compare with
	Events    []StoredEvent
	Snapshots []Snapshot
	Timers    []Timer    // set or replaced
	Cancel    []TimerKey // removed; applied before Timers
	Effects   []PendingEffect
	Done      []int64 // sequences of effects whose outcome is decided
	Parked    []ParkedInput
	Unparked  []int64 // removed; applied before Parked
	Replies   []Reply
	Externals []ExternalID
	Inputs    *InputRow
}

// ErrFenced says that another owner has claimed the lane, or that the commit is
// not on top of what is stored.
var ErrFenced = errors.New("the lane's cursor was moved by another owner")

// StoreInfo identifies a store.
type StoreInfo struct {
	Incarnation string // random, minted when the store was created
	Partitions  int32  // 0 until recorded
}

// Store keeps one service's lanes. A lane asks it for things in this order
// (lane.go): Claim at an assignment, Outbox, Parked, Effects and NextTimer when a
// life begins; then, batch by batch, Timers if some are due, Load, Replies and
// Externals before the decisions, and one Commit of all that follows from them.
// Cursor is read after every failure, and every few seconds by an idle lane.
//
// Every method may fail for reasons that pass
// (the disk is full, the server restarts), and may then be called again; a
// failed Commit may have been done all the same, which Cursor tells.
// streams/storetest holds the suite that every implementation passes.
type Store interface {
	// Info returns the store's identity, and records the platform's partition
	// count at the first call; another count later is an error.
	Info(ctx context.Context, partitions int32) (StoreInfo, error)
	// Claim takes ownership of a lane: it raises the epoch, and the rev with it.
	Claim(ctx context.Context, lane int32) (*Cursor, error)
	// Cursor reads a lane's cursor and changes nothing.
	Cursor(ctx context.Context, lane int32) (*Cursor, error)
	// Commit applies tx if the stored cursor has tx.Cursor's Epoch and Rev,
	// and raises the stored rev by one; else it fails with ErrFenced. A
	// snapshot whose Prev is not the stored version fails it too.
	Commit(ctx context.Context, lane int32, tx *Tx) error
	// Load reads the snapshots of streams; those never written are left out.
	Load(ctx context.Context, lane int32, streams []StreamID) ([]Snapshot, error)
	// Events calls f for a stream's events above a version, in order.
	Events(ctx context.Context, lane int32, stream StreamID, after int64, f func(StoredEvent) error) error
	// Outbox calls f for a lane's events above a sequence, in order, at most limit.
	Outbox(ctx context.Context, lane int32, after int64, limit int, f func(StoredEvent) error) error
	// Replies reads the stored replies of these commands.
	Replies(ctx context.Context, lane int32, ids []string) ([]Reply, error)
	// Externals tells which of these events were taken before, when, and with
	// which content.
	Externals(ctx context.Context, lane int32, ids []ExternalID) ([]ExternalID, error)
	// Timers reads the timers due at or before due, earliest first.
	Timers(ctx context.Context, lane int32, due time.Time, limit int) ([]Timer, error)
	// NextTimer is when the next timer falls due; ok is false if none is set.
	NextTimer(ctx context.Context, lane int32) (due time.Time, ok bool, err error)
	// Effects reads the pending effects above a sequence, in order.
	Effects(ctx context.Context, lane int32, after int64, limit int) ([]PendingEffect, error)
	// Parked reads the parked inputs of a stream, or of all for a zero
	// stream, above a sequence, in order.
	Parked(ctx context.Context, lane int32, stream StreamID, after int64, limit int) ([]ParkedInput, error)
	// Inputs calls f for a lane's rows of inputs above a rev, in order.
	Inputs(ctx context.Context, lane int32, after int64, f func(InputRow) error) error
	// Expire forgets replies and external ids taken before a time. It is
	// housekeeping: it takes no part in any transaction.
	Expire(ctx context.Context, before time.Time) error
	Close() error
}

// Renewer is a store that can go on under another identity. All are.
type Renewer interface {
	// Renew mints a new incarnation, under which lanes number their events anew
	// for their readers: what readers have seen of the one before says nothing of
	// what comes. It is for a store that lost its newest commits for good. Nobody
	// may own a lane meanwhile.
	Renew(ctx context.Context) (StoreInfo, error)
}
