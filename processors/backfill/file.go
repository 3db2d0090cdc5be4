// Package backfill makes events of a business from files: CSV, NDJSON or Parquet, by a
// mapping that says what their rows are. README.md describes the mapping.
//
// The same file with the same mapping always gives the same events in the same order,
// with the same ids, each in a place of a topic that is the file's own: what reads them
// can go on where it stopped, and tell what it has already.
package backfill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// File is one that can be read as events. Set its fields before Batches.
type File struct {
	Strict bool // the first row that is refused ends the run
	List   int  // how many of those that are refused the report lists: 100

	path    string
	size    int64
	stat    fs.FileInfo
	digest  [sha256.Size]byte
	plan    *plan
	reading *projection.Reading
	report  Report
}

// Report is what became of the rows that were read so far. Every row is used, left out,
// or refused.
type Report struct {
	Rows, Used, LeftOut, Refused int64
	Groups, Events               int64
	Left                         []Left    // of those left out
	List                         []Refusal // of those refused the first
}

// Left counts the rows that a condition left out.
type Left struct {
	Because string
	Rows    int64
}

// Refusal is why rows are in no event: the first of them, and how many.
type Refusal struct {
	Line   int64 // from 1; of Parquet the number of the row
	Rows   int64
	Reason string
}

// Open finds out whether a mapping fits a business and a file, and the file's digest: it
// reads all of it.
func Open(path string, m *Mapping, b *business.Business, t *streams.Topology) (*File, error) {
	f := &File{List: 100, path: path}
	var err error
	if f.plan, err = newPlan(m, t.Vocabulary); err != nil {
		return nil, err
	}
	if f.reading, err = projection.NewReading(b, t); err != nil {
		return nil, err
	}
	if err := f.sum(); err != nil {
		return nil, err
	}
	src, in, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, errors.Join(src.close(), in.Close())
}

// sum notes what the file is.
func (f *File) sum() error {
	if at, err := os.Stat(f.path); err == nil && !at.Mode().IsRegular() { // to open a pipe would wait for its writer
		return fmt.Errorf("%s is no regular file: it has to be read more than once", f.path)
	}
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	if f.stat, err = in.Stat(); err != nil {
		return err
	}
	switch {
	case f.stat.Size() == 0:
		return fmt.Errorf("%s is empty", f.path)
	}
	hash := sha256.New()
	if f.size, err = io.Copy(hash, in); err != nil {
		return fmt.Errorf("%s cannot be read: %w", f.path, err)
	}
	hash.Sum(f.digest[:0])
	return nil
}

// Digest is the file's SHA-256, in hexadecimal digits.
func (f *File) Digest() string { return hex.EncodeToString(f.digest[:]) }

// Topic is where its events have their places, in partition 0, each at the offset that
// is its index in the file.
func (f *File) Topic() string { return "file/" + hex.EncodeToString(f.digest[:8]) }

// Source is whom its events are from.
func (f *File) Source() string { return "backfill/" + filepath.Base(f.path) }

// Size is that of the file, in bytes.
func (f *File) Size() int64 { return f.size }

// Report tells of the last run, once it has ended.
func (f *File) Report() Report { return f.report }

// make makes an event of a group.
func (f *File) make(e *eventPlan, g *group, offset int64) (projection.Event, error) {
	env := &streams.Envelope{ID: f.id(offset), Type: e.fact.Name, Version: e.fact.Version, Source: f.Source()}
	var err error
	if env.Key, _, err = e.key.text(g.first); err == nil {
		err = streams.CheckKey(env.Key)
	}
	if err == nil {
		env.Correlation, _, err = e.correlation.text(g.first)
	}
	if err != nil {
		return projection.Event{}, err
	}
	at, _, err := e.time.text(g.first)
	if err == nil {
		env.Time, err = e.time.clock.read(at)
	}
	if err == nil {
		env.Data, _, err = f.plan.write(nil, e.data, g.first, g)
	}
	if err != nil {
		return projection.Event{}, err
	}
	made, err := f.reading.Event(env, f.Topic(), 0, offset)
	if err == nil && made.Value.Key().String() != env.Key {
		err = fmt.Errorf("its key is %.60q, and the mapping's %.60q: map the field that is its key", made.Value.Key().String(), env.Key)
	}
	return made, err
}

// id is the same whenever the file is read.
func (f *File) id(offset int64) string { return fmt.Sprintf("%x-%d", f.digest[:16], offset) }

// changed tells of a file that is not the one that was opened.
func (f *File) changed() error {
	return fmt.Errorf("%s has changed since it was opened: what was made of it under %s is of no file that there is, remove it and begin again", f.path, f.Topic())
}

// same looks whether the file looks as it did.
func (f *File) same(in *os.File) error {
	now, err := in.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(now, f.stat) || now.Size() != f.size || !now.ModTime().Equal(f.stat.ModTime()) {
		return f.changed()
	}
	return nil
}

// stopped is why a run ends early.
func stopped(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
