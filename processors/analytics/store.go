package analytics

import (
	"context"
	"errors"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// ErrTooMuch says that a question is of more than can be answered.
var ErrTooMuch = errors.New("the question is of too much")

// Rebuild is the cure for tables that are not what was written.
const Rebuild = "weir analytics reconcile says what differs; weir backfill --from log writes the tables anew beside these"

// Store keeps the tables of a schema. analyticstest holds the suite that every
// implementation passes.
//
// A Write is a block, and its number comes first: whoever writes the number into
// BlocksTable, with the moves of the batch, is who writes the block, and nobody else writes
// one of that number with other moves. The rows follow, each table's at once, under tokens
// that derive from the number, so that they are there once however often they are sent.
type Store interface {
	projection.Sink
	// Offsets is the offset that comes next, by topic and partition, as stored.
	Offsets(ctx context.Context) (map[string]map[int32]int64, error)
	// Dialect is how its SQL is written.
	Dialect() Dialect
	// Select runs a query. It fails with ErrTooMuch before it runs if it would read more than
	// most rows; 0: as many as there are.
	Select(ctx context.Context, sql string, args []any, most int64) (*Result, error)
	// Blocks lists blocks whose numbers are above one, at most limit, in order.
	Blocks(ctx context.Context, above int64, limit int) ([]Written, error)
	// Newest is the number of the last block; 0 if there is none.
	Newest(ctx context.Context) (int64, error)
	// Sums are the count and checksum of each table's rows of some blocks, computed from the
	// rows as they are now, by block and table.
	Sums(ctx context.Context, from, to int64) (map[int64]map[string]Sum, error)
	// RowSums are the checksums of a table's rows of one block, computed likewise.
	RowSums(ctx context.Context, table string, block int64) ([]RowSum, error)
	// Hours are what EventsTable holds of a time, by the hour, and what HoursTable says of it.
	Hours(ctx context.Context, from, to time.Time) (rows, counted map[Hour]Sum, err error)
	// Counted is how many rows HoursTable says that there are, by the hour's beginning in
	// seconds since 1970.
	Counted(ctx context.Context) (map[int64]int64, error)
	// Earlier tells which events from outside are in blocks before one.
	Earlier(ctx context.Context, ids []streams.ExternalID, block int64) (map[streams.ExternalID]bool, error)
	// Note keeps differences, each once.
	Note(ctx context.Context, found []Difference) error
	// Differences lists the latest that were noted.
	Differences(ctx context.Context, limit int) ([]Difference, error)
	// Carry copies a block of another store of the same engine under another number, which is
	// below 0: its rows are there once however often it is carried, and as w says. Without a
	// store there are none. It fails with projection.ErrFenced if somebody else carries it.
	Carry(ctx context.Context, from Store, block int64, w Written) error
	// Remove takes carried blocks out again, and what is counted of their topic.
	Remove(ctx context.Context, topic string, from, to int64) error
	Close() error
}

// Swappable is a Store whose tables can be written anew beside those that it answers from.
// Who else has it open answers from the new ones after a swap, and its writer is fenced.
type Swappable interface {
	Store
	// Beside says what there is beside the tables.
	Beside(ctx context.Context) (Beside, error)
	// Shadow opens the tables that are written anew, or makes them. They are the caller's to close.
	Shadow(ctx context.Context) (Store, error)
	// Staging opens tables for a file, or makes them. They are the caller's to close.
	Staging(ctx context.Context, name string) (Store, error)
	// Swap puts the shadow in the place of the tables, if the last block of these is still
	// this one; otherwise it fails with projection.ErrFenced. One that is half done it finishes.
	// The shadow must have been closed, and its last block be whole.
	Swap(ctx context.Context, newest int64) error
	// Drop removes the shadow, the old tables, or what is staged under a name.
	Drop(ctx context.Context, what string) error
}

// What Drop removes, beside the names of staging.
const (
	ShadowTables = "shadow"
	OldTables    = "old"
)

// Beside is what there is beside the tables.
type Beside struct {
	Shadow bool     `json:"shadow"` // is being written
	Old    bool     `json:"old"`    // is what was there before the last swap
	Half   bool     `json:"half"`   // a swap is half done
	Staged []string `json:"staged"` // files on their way
}

// RowSum is the checksum of one row, and what it says of whose it is.
type RowSum struct {
	Checksum uint64
	Key      string
	Sequence int64
}

// Hour is of one topic and type of event.
type Hour struct {
	Topic, Type string
	Start       int64 // seconds since 1970
}

// Sum is how many rows there are, and the sum of their checksums.
type Sum struct {
	Rows     int64
	Checksum uint64
}

// Written is what BlocksTable says of a block: it is written before its rows.
type Written struct {
	Number int64
	Writer string // who wrote it
	At     time.Time
	Ranges []Range
	Tables map[string]Sum
}

// Range is what a block has of one partition: the records from First to before Next, and of
// them the rows in EventsTable.
type Range struct {
	projection.Move
	Before map[streams.Lane]int64 // the sequences that rose, as they were before
	Sum
}

// Result is what a query answers: each row has a value for each column, a string, int64,
// float64 or nil. Money is whole ten-thousandths of its currency, as text.
type Result struct {
	Columns []string
	Rows    [][]any
	Read    int64 // rows that were read, as far as the engine tells
}

// Dialect is where engines write SQL differently. All take and give expressions. Tables,
// columns and functions like count, sum, min and max are the same in all, and so are
// backquotes around names and ? for arguments. Of no rows, all but counts are null.
type Dialect interface {
	// Bucket is the beginning of the hour, day, ISO week, month or year that a time (a column
	// of kind At) is in, in a time zone of the IANA database: "2010-12-01 08:00", "2010-12-01",
	// "2010-W48", "2010-12", "2010".
	Bucket(at, unit, zone string) string
	// Nanos is a column of kind At as whole nanoseconds since 1970.
	Nanos(at string) string
	// Time is a column of kind At that can be compared with nanoseconds since 1970 in an argument.
	After(at string) string  // at >= ?
	Before(at string) string // at < ?
	// Distinct counts different values.
	Distinct(x string) string
	// Quantile is the value below which a share q of the values lie: of n values sorted, the
	// one at index ⌊q·n⌋, or the last.
	Quantile(x string, q float64) string
	// ArgMax is the value of x in the row, of those that meet a condition, of the greatest (a, b).
	ArgMax(x, a, b, condition string) string
	// Collect aggregates whole numbers, which are not 0, of rows that meet a condition, for LastUpTo: the
	// greatest of them that is not above a bound; null if there is none.
	Collect(x, condition string) string
	LastUpTo(collected, bound string) string
	// Pairs is what follows FROM: of each `key1` in a query of `key1` and `item` its different
	// items, two by two, as `one` and `other`, of which one comes first.
	Pairs(items string) string
	// Scaled is a sum, minimum or maximum of an Amount column as whole ten-thousandths, as text.
	Scaled(aggregate, currency string) string
	// Each joins every row of a table with the elements of list columns of equal length, under
	// their own names: it is what follows FROM.
	Each(table string, lists []Column) string
}
