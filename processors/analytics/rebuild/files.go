package rebuild

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/backfill"
)

// Blocks of a file are in the ledger beside those of the log, under numbers below 0 that
// follow from the file's digest: whoever loads it twice comes to the same ones. The last of
// them has no rows, and says that all others are there. Who wrote them is the file, its
// mapping and one load: of two loads of one file one is fenced.

// perFile is how many blocks a file may have.
const perFile = 1 << 20

// KnownFile is one of which there are rows.
type KnownFile struct {
	Topic   string    `json:"topic"`
	Name    string    `json:"name"`
	Mapping string    `json:"mapping"` // the beginning of its digest
	Writer  string    `json:"-"`
	Events  int64     `json:"events"`
	Rows    int64     `json:"rows"` // of all tables
	Whole   bool      `json:"whole"`
	At      time.Time `json:"at"`
	blocks  []analytics.Written
}

func (f *KnownFile) first() int64 { return f.blocks[0].Number }
func (f *KnownFile) last() int64  { return f.blocks[len(f.blocks)-1].Number }

func named(files []KnownFile, topic string) int {
	return slices.IndexFunc(files, func(f KnownFile) bool { return f.Topic == topic })
}

// Files are those in a store.
func Files(ctx context.Context, s analytics.Store) (out []KnownFile, err error) {
	for above := int64(math.MinInt64); ; {
		blocks, err := s.Blocks(ctx, above, 500)
		if err != nil {
			return nil, err
		}
		for _, w := range blocks {
			if w.Number >= 0 {
				return out, nil
			}
			if len(w.Ranges) != 1 {
				return nil, fmt.Errorf("block %d is of no file: somebody has changed the ledger of analytics", w.Number)
			}
			topic := w.Ranges[0].Topic
			i := named(out, topic)
			if i < 0 {
				i = len(out)
				name, mapping := writerOf(w.Writer)
				out = append(out, KnownFile{Topic: topic, Name: name, Mapping: mapping, Writer: w.Writer})
			}
			f := &out[i]
			f.blocks, f.At = append(f.blocks, w), w.At
			f.Events += w.Ranges[0].Next - w.Ranges[0].From
			f.Whole = w.Ranges[0].Next == w.Ranges[0].From
			for _, sum := range w.Tables {
				f.Rows += sum.Rows
			}
		}
		if len(blocks) == 0 {
			return out, nil
		}
		above = blocks[len(blocks)-1].Number
	}
}

// writerOf takes apart what write made.
func writerOf(writer string) (name, mapping string) {
	rest, _, _ := strings.Cut(writer, ", load ")
	i := strings.LastIndex(rest, ", mapping ")
	if i < 0 {
		return rest, ""
	}
	return strings.TrimPrefix(rest[:i], "file "), rest[i+len(", mapping "):]
}

// Remove takes a file out again, by its topic.
func Remove(ctx context.Context, live analytics.Store, topic string) (KnownFile, error) {
	files, err := Files(ctx, live)
	if err != nil {
		return KnownFile{}, err
	}
	i := named(files, topic)
	if i < 0 {
		return KnownFile{}, fmt.Errorf("no file is in as %s: weir backfill --status lists them", topic)
	}
	f := files[i]
	if err := live.Remove(ctx, topic, f.last(), f.last()); err != nil { // what says that it is whole
		return f, err
	}
	return f, live.Remove(ctx, topic, f.first(), f.first()+perFile-1)
}

// ReadMapping is a mapping, and its text.
func ReadMapping(path string) (*backfill.Mapping, []byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("the mapping cannot be read: %w", err)
	}
	m, err := backfill.ParseMapping(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, text, nil
}

func add(to map[string]analytics.Sum, more map[string]analytics.Sum) {
	for name, s := range more {
		had := to[name]
		to[name] = analytics.Sum{Rows: had.Rows + s.Rows, Checksum: had.Checksum + s.Checksum}
	}
}

// sameSums leaves aside tables without rows.
func sameSums(a, b map[string]analytics.Sum) bool {
	for name, s := range a {
		if b[name] != s {
			return false
		}
	}
	for name, s := range b {
		if a[name] != s {
			return false
		}
	}
	return true
}
