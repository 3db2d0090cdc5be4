package backfill

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weirstream/weir/processors/projection"
)

// Bounds of groups. What is beyond the first is refused; with rows: all, what is beyond
// the others ends the run.
const (
	maxGroup  = 8 << 20   // bytes of the lists of one, as no row keeps a greater event
	maxHeld   = 256 << 20 // bytes of all groups that are open at once
	groupCost = 512       // of each beside its values
)

// group is what is known of the rows of one: never the rows themselves.
type group struct {
	key        string
	first      []string // of each column the first value that is not empty
	lists      [][]byte // the elements of each list, with commas between
	sums       []sum
	rows       int64
	line, last int64
	bytes      int
	bad        error // why nothing comes of it
}

type sum struct {
	n    int64
	unit string
}

// row is one of the file. Cells are valid until the next.
type row struct {
	line   int64 // the first is 1; of Parquet the number of the row
	record int64 // which rows that are elements of one list share
	cells  []string
}

// scratch is what a row would add to a group.
type scratch struct {
	lists [][]byte
	sums  []sum
}

func (p *plan) newGroup(key string, r *row) *group {
	return &group{key: key, line: r.line, first: make([]string, len(p.columns)), lists: make([][]byte, len(p.lists)), sums: make([]sum, len(p.sums))}
}

// add takes a row into a group. One that does not fit leaves it as it was.
func (p *plan) add(g *group, r *row, s *scratch) error {
	for _, at := range p.agree {
		if has, is := g.first[at], r.cells[at]; has != "" && is != "" && has != is {
			return fmt.Errorf("%s is %.60q here and %.60q from line %d on, in one group", p.columns[at], is, has, g.line)
		}
	}
	for i, n := range p.lists {
		b, _, err := p.write(s.lists[i][:0], n.elem, r.cells, nil)
		s.lists[i] = b
		if err != nil {
			return err
		}
	}
	for i, l := range p.sums {
		var err error
		if s.sums[i], err = p.term(l, g.sums[i], g.rows == 0, r.cells); err != nil {
			return fmt.Errorf("%s: %w", l.name(), err)
		}
	}
	p.commit(g, r, s)
	return nil
}

func (p *plan) commit(g *group, r *row, s *scratch) {
	for i, element := range s.lists {
		if g.rows > 0 {
			g.lists[i] = append(g.lists[i], ',')
		}
		g.lists[i] = append(g.lists[i], element...)
		g.bytes += len(element)
	}
	copy(g.sums, s.sums)
	for i, c := range r.cells {
		if g.first[i] == "" && c != "" {
			g.first[i] = strings.Clone(c) // the rest of its line goes
			g.bytes += len(c)
		}
	}
	g.rows, g.last = g.rows+1, r.line
	if g.bytes > maxGroup {
		g.bad, g.lists = fmt.Errorf("its rows are more than the %d bytes that an event may have", maxGroup), nil
	}
}

// term is a sum with a row's value added.
func (p *plan) term(l *leaf, so sum, begins bool, cells []string) (sum, error) {
	d, err := p.number(l.Sum, l.at, cells)
	if err != nil {
		return so, err
	}
	code, digits, err := l.unit(cells)
	if err != nil {
		return so, err
	}
	if !begins && code != so.unit {
		return so, fmt.Errorf("it is in %s, and the group's rows before in %s", code, so.unit)
	}
	n := int64(0)
	if l.by >= 0 {
		var by decimal
		if by, err = p.number(l.Times, l.by, cells); err == nil {
			n, err = product(d, by, digits, l.Round != "")
		}
	} else {
		n, err = d.in(digits, l.Round != "")
	}
	if err == nil {
		n, err = plus(so.n, n)
	}
	return sum{n, code}, err
}

func (p *plan) number(name string, at int, cells []string) (decimal, error) {
	if cells[at] == "" {
		return decimal{}, emptyColumn(name)
	}
	return p.numbers.parse(cells[at])
}

// write writes a node; nothing if it may be left out and is.
func (p *plan) write(b []byte, n *node, cells []string, g *group) ([]byte, bool, error) {
	switch {
	case n.elem != nil:
		return append(append(append(b, '['), g.lists[n.slot]...), ']'), true, nil
	case n.leaf != nil && n.leaf.Count != "":
		return strconv.AppendInt(b, g.rows, 10), true, nil
	case n.leaf != nil && n.leaf.Sum != "":
		if s := g.sums[n.leaf.slot]; n.leaf.form == money {
			return n.leaf.appendMoney(b, s.n, s.unit), true, nil
		} else {
			return strconv.AppendInt(b, s.n, 10), true, nil
		}
	case n.leaf != nil:
		return n.leaf.append(b, cells, p.numbers)
	}
	b = append(b, '{')
	first := true
	for _, f := range n.fields {
		before := len(b)
		if !first {
			b = append(b, ',')
		}
		b = append(appendText(b, f.name), ':')
		var there bool
		var err error
		if b, there, err = p.write(b, f, cells, g); err != nil {
			return b, false, err
		}
		if !there {
			b = b[:before]
			continue
		}
		first = false
	}
	return append(b, '}'), true, nil
}

// counts tells whether a row is one of those that are asked for, and by which condition not.
func (p *plan) counts(all []*condition, cells []string) (unmet *condition, err error) {
	for _, c := range all {
		met, err := c.met(cells, p.numbers)
		if err != nil || !met {
			return c, err
		}
	}
	return nil, nil
}

// groupKey is what a row shares with those of its group.
func (p *plan) groupKey(r *row) string {
	switch len(p.by) {
	case 0:
		return strconv.FormatInt(r.record, 10)
	case 1:
		return r.cells[p.by[0]]
	}
	values := make([]string, len(p.by))
	for i, at := range p.by {
		values[i] = r.cells[at]
	}
	return strings.Join(values, "\x00")
}

// groupName is a group's key for people.
func (p *plan) groupName(key string) string {
	values := strings.Split(key, "\x00")
	for i := range values {
		values[i] = fmt.Sprintf("%s %.100q", p.Group.By[i], values[i])
	}
	return strings.Join(values, ", ")
}

// checkCells refuses what no store keeps, wherever an event would have it.
func checkCells(cells, columns []string) error {
	for i, c := range cells {
		if !utf8.ValidString(c) {
			return fmt.Errorf("column %s is no UTF-8: %.40q", columns[i], c)
		}
		if strings.IndexByte(c, 0) >= 0 {
			return fmt.Errorf("column %s holds a NUL byte: %.40q", columns[i], c)
		}
	}
	return nil
}

// made are the events of a group; all, or none.
func (f *File) made(g *group, next int64) (out []projection.Event, err error) {
	if g.bad != nil {
		return nil, g.bad
	}
	for _, e := range f.plan.events {
		unmet, err := f.plan.counts(e.where, g.first)
		if err != nil {
			return nil, err
		}
		if unmet != nil {
			continue
		}
		made, err := f.make(e, g, next+int64(len(out)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.fact.Name, err)
		}
		out = append(out, made)
	}
	return slices.Clip(out), nil
}
