package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/cespare/xxhash/v2"

	"github.com/weirstream/weir/processors/projection"
)

// Batch is events of a file that follow one another.
type Batch struct {
	Events []projection.Event
	Move   projection.Move // from the first event's offset to that of the next batch's
	Read   int64           // bytes of the file so far
}

// maxBatch bounds the data of a batch, in bytes; but one event is always in it.
const maxBatch = 16 << 20

// Batches reads the file from the event of an offset on, in batches of at most size
// events, fewer where they are large: from the same offset and of the same size they are
// always the same. The file is read from its beginning even so. An error ends it; what
// does not map is no error, unless Strict, and Report tells of it. Whether the file is
// still the one that was opened is known at the end only, before the last batch.
func (f *File) Batches(ctx context.Context, from int64, size int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		p := &pass{File: f, plan: f.plan, from: from, size: max(size, 1), yield: yield, groups: map[string]*group{}, seen: memory{at: map[uint64]int64{}}}
		p.scratch = scratch{make([][]byte, len(f.plan.lists)), make([]sum, len(f.plan.sums))}
		for range f.plan.rows {
			p.left = append(p.left, 0)
		}
		err := p.run(ctx)
		f.report = p.result()
		if err != nil && !errors.Is(err, errBreak) {
			yield(nil, fmt.Errorf("%s: %w", f.path, err))
		}
	}
}

// errBreak says that nobody wants more.
var errBreak = errors.New("nobody wants more batches")

// source gives the rows of a file. The cells are those of the plan's columns.
type source interface {
	// next fills a row; its line is set also with an error. A *refused is of that row alone;
	// after io.EOF there is none.
	next(r *row) error
	read() int64 // bytes of the file so far
	// end makes sure that all was read, and of the file with this digest.
	end(f *File) (bool, error)
	close() error
}

// refused is a row that cannot be read.
type refused struct{ error }

// pass is one reading of a file.
type pass struct {
	*File
	*plan
	src        source
	in         *os.File
	from, next int64
	size       int
	yield      func(*Batch, error) bool
	batch      Batch
	bytes      int

	groups  map[string]*group // open ones, by key
	queue   []*group          // of them, in the order of their first rows
	held    int
	seen    memory
	scratch scratch
	left    []int64 // by the condition
	report  Report
	unasked int64 // rows of groups that no event is for
}

func (p *pass) run(ctx context.Context) (err error) {
	if p.src, p.in, err = p.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.src.close(), p.in.Close()) }()
	if err := p.same(p.in); err != nil {
		return err
	}
	if err := p.all(ctx); err != nil {
		return err
	}
	for _, g := range p.queue {
		if err := p.finish(g); err != nil {
			return err
		}
	}
	same, err := p.src.end(p.File)
	switch {
	case err != nil:
		return err
	case !same:
		return p.changed()
	case p.from > p.next:
		return fmt.Errorf("it gives %d events, and cannot be read from offset %d on: it is not the file, or not the mapping, that was read before", p.next, p.from)
	case len(p.batch.Events) > 0:
		return p.flush()
	}
	return nil
}

// all reads every row.
func (p *pass) all(ctx context.Context) error {
	r := &row{cells: make([]string, len(p.columns))}
	for n := 0; ; n++ {
		if n%256 == 0 {
			if err := stopped(ctx); err != nil {
				return err
			}
		}
		err := p.src.next(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var bad *refused
		if err != nil && !errors.As(err, &bad) {
			return err
		}
		p.report.Rows++
		if err == nil {
			err = checkCells(r.cells, p.columns)
		}
		if err == nil {
			err = p.row(r)
		} else {
			err = p.refuse(r.line, 1, err)
		}
		if err != nil {
			return err
		}
	}
}

// row puts one into its group.
func (p *pass) row(r *row) error {
	for i, c := range p.rows {
		met, err := c.met(r.cells, p.numbers)
		if err != nil {
			return p.refuse(r.line, 1, err)
		}
		if !met {
			p.left[i]++
			return nil
		}
	}
	g, err := p.groupOf(r)
	if err != nil {
		return err
	}
	if g.bad != nil {
		g.rows, g.last = g.rows+1, r.line
		return nil
	}
	before := g.bytes
	if err := p.add(g, r, &p.scratch); err != nil {
		return p.refuse(r.line, 1, err)
	}
	if p.held += g.bytes - before; p.held > maxHeld {
		return fmt.Errorf("up to line %d the groups of all rows take more than %d MB: sort the file by %v, and say group.rows: consecutive", r.line, maxHeld>>20, p.Group.By)
	}
	return nil
}

// groupOf finds the group of a row, or begins it. Of consecutive rows the one before
// ends with it.
func (p *pass) groupOf(r *row) (*group, error) {
	key := p.groupKey(r)
	if g := p.groups[key]; g != nil {
		return g, nil
	}
	if p.Group == nil || p.Group.Rows != "all" {
		for _, g := range p.queue {
			if err := p.finish(g); err != nil {
				return nil, err
			}
		}
		clear(p.groups)
		p.queue, p.held = p.queue[:0], 0
	}
	if p.Group != nil && p.Group.Rows != "all" && p.Group.Again != "apart" {
		if before, again := p.seen.again(key, r.line); again {
			return nil, fmt.Errorf("line %d: the group of %s goes on that line %d began, with others in between: sort the file by it, or say group.rows: all, or group.again: apart if they are groups of their own",
				r.line, p.groupName(key), before)
		}
	}
	g := p.newGroup(key, r)
	p.groups[key], p.queue = g, append(p.queue, g)
	p.held += groupCost + len(key)
	return g, nil
}

// finish makes the events of a group.
func (p *pass) finish(g *group) error {
	if g.rows == 0 {
		return nil // its rows were refused one by one
	}
	events, err := p.made(g, p.next)
	if err != nil {
		return p.refuse(g.line, g.rows, err)
	}
	if len(events) == 0 {
		p.unasked += g.rows
		return nil
	}
	p.report.Groups++
	p.report.Used += g.rows
	for _, e := range events {
		if err := p.emit(e); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) emit(e projection.Event) error {
	p.next++
	p.report.Events++
	if e.Offset < p.from {
		return nil
	}
	if len(p.batch.Events) > 0 && (len(p.batch.Events) >= p.size || p.bytes+len(e.Data) > maxBatch) {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.batch.Events = append(p.batch.Events, e)
	p.bytes += len(e.Data)
	return nil
}

// flush hands the batch on.
func (p *pass) flush() error {
	if err := p.same(p.in); err != nil {
		return err
	}
	b := p.batch
	b.Read = p.src.read()
	last := b.Events[len(b.Events)-1].Offset
	b.Move = projection.Move{Topic: p.Topic(), From: b.Events[0].Offset, Next: last + 1}
	p.batch, p.bytes = Batch{Events: make([]projection.Event, 0, len(b.Events))}, 0
	if !p.yield(&b, nil) {
		return errBreak
	}
	return nil
}

// refuse counts rows that are in no event, and ends a strict run.
func (p *pass) refuse(line, rows int64, reason error) error {
	p.report.Refused += rows
	if len(p.report.List) < p.List {
		p.report.List = append(p.report.List, Refusal{line, rows, reason.Error()})
	}
	if p.Strict {
		return fmt.Errorf("line %d: %w", line, reason)
	}
	return nil
}

func (p *pass) result() Report {
	r := p.report
	for i, n := range p.left {
		r.Left = append(r.Left, Left{p.rows[i].String(), n})
	}
	if p.unasked > 0 {
		r.Left = append(r.Left, Left{"an event of the mapping is for it", p.unasked})
	}
	for _, l := range r.Left {
		r.LeftOut += l.Rows
	}
	return r
}

// memory knows which groups there were, by their hashes: the last of them, so that it
// never grows beyond some 100 MB.
type memory struct {
	at   map[uint64]int64 // the lines on which they began
	ring []uint64
	next int
}

// remembered is how many groups before it one is compared with.
const remembered = 2 << 20

// again notes a group, and answers where it began if it was there before.
func (m *memory) again(key string, line int64) (int64, bool) {
	h := xxhash.Sum64String(key)
	if before, ok := m.at[h]; ok {
		return before, true
	}
	m.at[h] = line
	if len(m.ring) < remembered {
		m.ring = append(m.ring, h)
		return 0, false
	}
	delete(m.at, m.ring[m.next])
	m.ring[m.next] = h
	m.next = (m.next + 1) % remembered
	return 0, false
}
