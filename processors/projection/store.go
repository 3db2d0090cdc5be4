package projection

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// ErrFenced says that another writer has claimed the read model since.
var ErrFenced = errors.New("another process writes this read model now: stop one of them")

// Errors of a store are of these kinds; any other one is for a person. Stores
// wrap exactly what they know: an error that says less than it seems would be
// retried for ever, or cost a record.
var (
	// ErrUnavailable says that the store cannot serve now: its server does not
	// answer, its disk is full. Nothing is known of what was asked: ask again. Run does.
	ErrUnavailable = errors.New("the read model's store cannot serve now")
	// ErrRefused says that the store will never take what a record of the batch
	// holds.
	ErrRefused = errors.New("the read model's store refuses what a record holds")
	// ErrUnclear says that the store answered with a failure that may be either.
	ErrUnclear = errors.New("the read model's store failed, and does not say whether for good")
)

// Store keeps the rows of the read model. projectiontest holds the suite that
// every implementation passes.
//
// Times are kept to the nanosecond. What is listed is sorted completely, so
// that two stores that hold the same rows answer the same.
type Store interface {
	// Document finds a document that has begun, or fails with ErrNotFound.
	Document(ctx context.Context, v *business.View, key string) (Document, error)
	// List lists the documents of a view that have begun by its SortColumn and their
	// keys, the greatest first.
	List(ctx context.Context, q ListQuery) ([]Document, error)
	// Counts are the documents by state; states of none are left out.
	Counts(ctx context.Context, v *business.View) (map[string]int64, error)

	// History lists every event about a key, earliest first: those that name it,
	// and those of its document's correlation that name no key of the kind. It is
	// empty for a key that is not known, or whose events Prune removed, and of a
	// kind of which no view has a history.
	History(ctx context.Context, kind, key string) ([]Entry, error)
	// Events lists every event of a correlation, earliest first.
	Events(ctx context.Context, correlation string) ([]Entry, error)
	// FirstEvents are a correlation's earliest events and, if key is not empty,
	// those that name the key, earliest first: at most limit of either. It is for
	// those who show a history, whose length nobody has bounded.
	FirstEvents(ctx context.Context, correlation, kind, key string, limit int) ([]Entry, error)
	// Holds tells whether the event of a token is in the rows, or was before
	// Prune took it out. All that follows from the event is in the rows then.
	Holds(ctx context.Context, t streams.Token) (bool, error)

	// Saga finds the sagas that a correlation began, one for each declared saga
	// that starts with its first event; ErrNotFound if there is none.
	Saga(ctx context.Context, correlation string) ([]Saga, error)
	// ListSagas lists sagas by their start, name and correlation, the newest first.
	ListSagas(ctx context.Context, q SagaQuery) ([]Saga, error)
	// Late lists running sagas that are beyond their declared time, the oldest
	// first, at most PageSize. It looks at the oldest limit running ones only.
	Late(ctx context.Context, now time.Time, limit int) ([]Saga, error)
	// InFlight counts running sagas, the oldest first, at most limit.
	InFlight(ctx context.Context, now time.Time, limit int) (InFlight, error)

	// Skips lists the latest passed-over records, at most PageSize.
	Skips(ctx context.Context) ([]Skipped, error)
	// Offsets is the offset that comes next, by topic and partition, as stored.
	Offsets(ctx context.Context) (map[string]map[int32]int64, error)

	Sink
	// Close ends the store. Its writer must have ended.
	Close() error
}

// Sink is where a Run writes: the rows of a read model, or others that follow from
// the log.
type Sink interface {
	// Ping asks the store for a row that every store has: nil if it answers.
	Ping(ctx context.Context) error

	// Claim makes the caller the only writer: with the epoch that it gives, the
	// writes of all earlier ones fail with ErrFenced. It records the partition
	// count the first time, and refuses another one later. The partitions in
	// read that have no cursor get one, at offset 0 of the topic id given.
	Claim(ctx context.Context, partitions int32, read []Cursor) (Claim, error)
	// Known tells which events from outside were written, by source and id.
	Known(ctx context.Context, ids []streams.ExternalID) (map[streams.ExternalID]bool, error)
	// Write applies a batch: all of it with its cursors, or nothing, or, after
	// ErrUnavailable, ErrRefused or ErrUnclear, a part of which a second Write of
	// the same batch, or of ones that begin at the same cursors and leave out what
	// is refused, makes a whole.
	Write(ctx context.Context, b *Batch) error
	// Prune removes events, ended sagas and their bookkeeping from before a time.
	// Documents, running sagas and cursors stay. It may run beside a writer.
	Prune(ctx context.Context, before time.Time) error
}

// Claim is what a writer goes on from.
type Claim struct {
	Epoch   int64
	Cursors []Cursor
	// Pending are the moves of a batch that may be half written: before any other, a
	// batch of exactly these comes again.
	Pending []Move
}

// Cursor is how far a partition has been read.
type Cursor struct {
	Topic     string
	Partition int32
	TopicID   [16]byte // of the broker: a topic made anew has another one
	Next      int64    // the offset to read next
	// Seen are the highest sequences read in this partition. They are not per
	// topic: this reader takes all partitions, between which a lane has no order.
	Seen map[streams.Lane]int64
}

// Batch is what some records change, in the order in which they were read.
type Batch struct {
	Epoch     int64 // of the claim
	Events    []Event
	Skipped   []Skipped
	Externals []streams.ExternalID // of those Events that came from outside
	Forget    time.Time            // ids of events from outside that are older may be dropped
	Moves     []Move
}

// Move is a cursor's step over the records of a batch. From and Next are the same
// if they were read from an event store, and not from the log.
type Move struct {
	Topic      string
	Partition  int32
	From, Next int64                  // offsets
	Seen       map[streams.Lane]int64 // the sequences that rose
	// Stored says that what is between was read from the event stores before, though the
	// log may have it.
	Stored bool `json:",omitempty"`
}

// Event is one event of the log and what it means for the rows. It follows from
// the record alone, so that whoever reads the record writes the same. A lane's
// events are told apart by lane and sequence, wherever they were read; others by
// their place on the log.
type Event struct {
	Entry
	About   map[string]string // the keys that it is about, by kinds of which a view has a history
	Changes []Change          // what it says of documents, of each view once
	Value   streams.Event     // the data in the type's present version, if the Run decodes all; nil if no type is known
	Starts  []Start           // the sagas that it begins, about its subject
	Ends    []string          // the sagas that it ends: of its correlation, or about its subject
}

// Subject names what the event is about.
func (e *Event) Subject() string { return e.Kind + "/" + e.Key }

// Change is what an event says of one document. Those of one event type and view
// have always the same fields, in one order.
type Change struct {
	View   string // its name
	Key    string
	Begins bool // the document begins with it, or with another one: the earliest counts
	Fields []Field
}

// Op is how a value joins what is there.
type Op int

// How values join. Whatever was read first, the result is the same.
const (
	Put    Op = iota // takes its place: of one type of event about one key, of which one lane writes
	Add              // is added, once for an event; what is beyond 64 bits stays at their end
	Latest           // is taken if it is later
)

// Field is a value for a column: a string, or an int64.
type Field struct {
	Column string
	Op     Op
	Value  any
}

// Sum is what Add makes of two numbers.
func Sum(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// Later is what Latest makes of two times, of which 0 is none.
func Later(a, b int64) int64 {
	if b == 0 || a != 0 && a > b {
		return a
	}
	return b
}

// Start is the beginning of a saga at the event's time. The earliest of a
// correlation counts.
type Start struct {
	Name string
	Due  time.Time
}

// Nanos is how rows keep a time: in nanoseconds since 1970, the zero time as 0.
func Nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Moment is the time in UTC that Nanos made n of.
func Moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
