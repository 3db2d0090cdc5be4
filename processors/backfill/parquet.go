package backfill

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"
)

// pages reads Parquet: of the columns that are asked for the pages, one after another.
type pages struct {
	in      *countedAt
	file    *parquet.File
	columns []*stripe
	list    string
	group   int   // of rows, the next
	left    int64 // rows of this one
	number  int64 // of the row
	at, n   int   // the element of its list that is next, and how many there are
	trim    bool
}

// countedAt counts what is read of a file.
type countedAt struct {
	*os.File
	n    atomic.Int64
	size int64
}

func (c *countedAt) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.File.ReadAt(b, at)
	c.n.Add(int64(n))
	return n, err
}

// damaged has what parquet-go panics with, of files that nobody wrote so, be an error.
func damaged(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the Parquet file is damaged: %v", p)
	}
}

func newPages(in *os.File, size int64, p *plan) (s *pages, err error) {
	defer damaged(&err)
	s = &pages{in: &countedAt{File: in, size: size}, list: p.File.List, trim: p.File.Trim}
	s.file, err = parquet.OpenFile(s.in, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("the file is no whole Parquet file: %w", err)
	}
	there := map[string]*stripe{}
	var names []string
	for _, c := range leaves(s.file.Root(), "", 0) {
		if there[c.name] == nil {
			names = append(names, c.name)
		}
		there[c.name] = c
	}
	for _, name := range p.columns {
		c := there[name]
		switch {
		case c == nil:
			return nil, fmt.Errorf("there is no column %q that the mapping asks for: there are %.500s", name, listed(names))
		case c.lists > 1 || c.lists == 1 && name != s.list && !strings.HasPrefix(name, s.list+"."):
			return nil, fmt.Errorf("column %q is in a list: name that as file.list to have a row for each element, lists of lists are not read", name)
		}
		s.columns = append(s.columns, c)
	}
	if s.list != "" && !slices.ContainsFunc(s.columns, func(c *stripe) bool { return c.lists == 1 }) {
		return nil, fmt.Errorf("file.list is %s, and the mapping asks for no column of it", s.list)
	}
	return s, nil
}

func (s *pages) next(r *row) (err error) {
	defer damaged(&err)
	for s.at >= s.n {
		if err := s.record(); err != nil {
			r.line = s.number
			return err
		}
	}
	r.line, r.record = s.number, s.number
	for i, c := range s.columns {
		at := 0
		if c.lists > 0 {
			at = s.at
		}
		if r.cells[i] = c.values[at]; s.trim {
			r.cells[i] = strings.TrimSpace(r.cells[i])
		}
	}
	s.at++
	return nil
}

// record reads a row of the file, with all elements of its list.
func (s *pages) record() error {
	for s.left == 0 {
		if err := s.nextGroup(); err != nil {
			return err
		}
	}
	s.left--
	s.number++
	s.at, s.n = 0, 1
	listed := false
	for _, c := range s.columns {
		if err := c.record(); err != nil {
			return fmt.Errorf("row %d, column %s: the Parquet file is damaged or cut off: %w", s.number, c.name, err)
		}
		if c.lists == 0 {
			continue
		}
		if n := len(c.values); listed && n != s.n {
			return fmt.Errorf("row %d: columns of %s have %d and %d elements: the Parquet file is damaged", s.number, s.list, s.n, n)
		}
		s.n, listed = len(c.values), true
	}
	if s.n == 0 {
		return &refused{fmt.Errorf("its list %s is empty or missing", s.list)}
	}
	return nil
}

func (s *pages) nextGroup() error {
	groups := s.file.RowGroups()
	if s.group >= len(groups) {
		return io.EOF
	}
	g := groups[s.group]
	s.group++
	s.left = g.NumRows()
	chunks := g.ColumnChunks()
	for _, c := range s.columns {
		if err := c.begin(chunks[c.index]); err != nil {
			return err
		}
	}
	return nil
}

func (s *pages) read() int64 { return min(s.in.n.Load(), s.in.size) }

// end sums the file up once more: it is not read in its order.
func (s *pages) end(f *File) (bool, error) {
	if _, err := s.in.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, s.in.File); err != nil {
		return false, err
	}
	return [sha256.Size]byte(hash.Sum(nil)) == f.digest, nil
}

func (s *pages) close() (err error) {
	defer damaged(&err)
	for _, c := range s.columns {
		err = errors.Join(err, c.end())
	}
	return err
}
