package projection

import (
	"context"
	"errors"
	"time"

	"github.com/weirstream/weir/streams"
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
	// Order finds an order whose placement has been read, or fails with
	// ErrNotFound.
	Order(ctx context.Context, id string) (Order, error)
	// ListOrders lists placed orders by their time and id, the newest first.
	ListOrders(ctx context.Context, q OrderQuery) ([]Order, error)
	// Counts are the placed orders by state; states of no order are left out.
	Counts(ctx context.Context) (map[string]int64, error)
	// Passages are those of the newest orders placed after a time, the newest
	// first, at most limit.
	Passages(ctx context.Context, after time.Time, limit int) ([]Passage, error)

	// History lists every event about an order, earliest first: those that name
	// it, and those of its placement's saga that name no order. It is empty for
	// an order that is not known, or whose events Prune removed.
	History(ctx context.Context, order string) ([]Entry, error)
	// Events lists every event of a correlation, earliest first.
	Events(ctx context.Context, correlation string) ([]Entry, error)
	// FirstEvents are a correlation's earliest events and, if order is not empty,
	// those about that order, earliest first: at most limit of either. It is for
	// those who show a history, whose length nobody has bounded.
	FirstEvents(ctx context.Context, correlation, order string, limit int) ([]Entry, error)
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
	// Orders, running sagas and cursors stay. It may run beside a writer.
	Prune(ctx context.Context, before time.Time) error
	// Close ends the store. Its writer must have ended.
	Close() error
}

// Claim is what a writer goes on from.
type Claim struct {
	Epoch   int64
	Cursors []Cursor
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
}

// Event is one event of the log and what it means for the rows. It follows from
// the record alone, so that whoever reads the record writes the same. A lane's
// events are told apart by lane and sequence, wherever they were read; others by
// their place on the log.
type Event struct {
	Entry
	Order  string   // the order that it is about, "" if it names none
	Fields []Field  // what it sets of the order whose id is its key
	Starts []Start  // the sagas that it begins, about its subject
	Ends   []string // the sagas that it ends: of its correlation, or about its subject
}

// Subject names what the event is about.
func (e *Event) Subject() string { return e.Kind + "/" + e.Key }

// Field is a field of an order's row. Its value is a string, or an int64, which
// is a count, minor units of a currency, or nanoseconds since 1970. Those of
// one event type have always the same names.
type Field struct {
	Name  string
	Value any
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
