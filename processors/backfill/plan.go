package backfill

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weirstream/weir/streams"
)

// plan is a mapping that fits a business's types of events.
type plan struct {
	*Mapping
	numbers notation
	columns []string // that are asked for
	rows    []*condition
	by      []int
	agree   []int
	events  []*eventPlan
	lists   []*node // in events, each with its slot
	sums    []*leaf
}

type eventPlan struct {
	fact                   *streams.Fact
	where                  []*condition
	key, correlation, time *leaf
	data                   *node
}

// node is an object, a list with an element for each row, or a leaf.
type node struct {
	name   string
	fields []*node
	elem   *node
	slot   int // of a list, in a group
	leaf   *leaf
}

func newPlan(m *Mapping, v *streams.Vocabulary) (*plan, error) {
	p := &plan{Mapping: m}
	var err error
	if p.numbers, err = m.File.check(); err != nil {
		return nil, err
	}
	if p.rows, err = p.conditions(m.Rows, "rows"); err != nil {
		return nil, err
	}
	if err := p.grouping(); err != nil {
		return nil, err
	}
	if len(m.Events) == 0 {
		return nil, errors.New("the mapping has no events: say of which type they are, and their data")
	}
	for i, e := range m.Events {
		compiled, err := p.event(e, v)
		if err != nil {
			return nil, fmt.Errorf("events[%d] of the mapping, %s: %w", i, e.Type, err)
		}
		p.events = append(p.events, compiled)
	}
	return p, nil
}

// column is the place of one, which is asked for from now on.
func (p *plan) column(name string) int {
	if i := slices.Index(p.columns, name); i >= 0 {
		return i
	}
	p.columns = append(p.columns, name)
	return len(p.columns) - 1
}

func (f *Format) check() (n notation, err error) {
	csv := f.Format == "csv"
	switch {
	case !slices.Contains([]string{"csv", "ndjson", "parquet"}, f.Format):
		return n, fmt.Errorf("file.format of the mapping is %q: say csv, ndjson or parquet", f.Format)
	case !csv && (f.Delimiter != "" || f.NoHeader || f.Columns != nil || f.LazyQuotes || f.Point != "" || f.Thousands != ""):
		return n, errors.New("file.delimiter, no_header, columns, lazy_quotes, point and thousands are of csv alone")
	case csv && f.List != "":
		return n, errors.New("file.list is of ndjson and parquet: csv has no lists")
	case f.NoHeader != (f.Columns != nil):
		return n, errors.New("file.columns names those of a file with no_header: say both, or none")
	case f.Delimiter != "" && (utf8.RuneCountInString(f.Delimiter) != 1 || strings.ContainsAny(f.Delimiter, "\"\r\n\ufffd")):
		return n, fmt.Errorf("file.delimiter %q is not one character other than a quote and the ends of lines", f.Delimiter)
	}
	n = notation{point: '.'}
	for _, c := range []struct {
		name, text string
		into       *byte
	}{{"point", f.Point, &n.point}, {"thousands", f.Thousands, &n.thousands}} {
		if c.text == "" {
			continue
		}
		if len(c.text) != 1 || strings.ContainsAny(c.text, "0123456789+-") {
			return n, fmt.Errorf("file.%s %q is not one ASCII character that is no digit", c.name, c.text)
		}
		*c.into = c.text[0]
	}
	if n.point == n.thousands {
		return n, errors.New("file.point and file.thousands are the same character")
	}
	return n, nil
}

func (p *plan) grouping() error {
	g := p.Group
	switch {
	case g == nil:
		return nil
	case len(g.By) == 0:
		return errors.New("group.by of the mapping names no column")
	case !slices.Contains([]string{"", "consecutive", "all"}, g.Rows):
		return fmt.Errorf("group.rows is %q: say consecutive or all", g.Rows)
	case !slices.Contains([]string{"", "refuse", "apart"}, g.Again):
		return fmt.Errorf("group.again is %q: say refuse or apart", g.Again)
	case g.Rows == "all" && g.Again != "":
		return errors.New("group.again is of consecutive rows: with rows: all nothing comes again")
	}
	for _, name := range g.By {
		p.by = append(p.by, p.column(name))
	}
	for _, name := range g.Agree {
		p.agree = append(p.agree, p.column(name))
	}
	return nil
}

func (p *plan) event(from Event, v *streams.Vocabulary) (*eventPlan, error) {
	f, ok := v.Fact(from.Type)
	switch {
	case !ok:
		return nil, errors.New("the business has no such type of event")
	case f.Private:
		return nil, errors.New("this type is its decider's own, and never leaves its store")
	}
	e := &eventPlan{fact: f, data: &node{}}
	var err error
	if e.where, err = p.conditions(from.Where, "where"); err != nil {
		return nil, err
	}
	key := cmp.Or(from.Key, p.Key)
	for _, c := range []struct {
		name string
		from *Value
		of   reflect.Type
		into **leaf
	}{{"key", key, reflect.TypeFor[string](), &e.key},
		{"correlation", cmp.Or(from.Correlation, p.Correlation, key), reflect.TypeFor[string](), &e.correlation},
		{"time", cmp.Or(from.Time, p.Time), reflect.TypeFor[time.Time](), &e.time}} {
		if c.from == nil {
			return nil, fmt.Errorf("it has no %s: say it in the event, or for all", c.name)
		}
		l, err := p.leaf(c.name, *c.from, c.of)
		if err == nil && (l.Optional || l.Sum != "" || l.Count != "") {
			err = errors.New("it is a column, a text or a constant, and never left out")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		*c.into = l
	}
	for _, path := range slices.Sorted(maps.Keys(from.Data)) {
		if err := p.place(e.data, f.Type, path, path, from.Data[path], false); err != nil {
			return nil, fmt.Errorf("data.%s: %w", path, err)
		}
	}
	return e, nil
}

// place puts a value below a node, where its path ends.
func (p *plan) place(n *node, t reflect.Type, full, path string, v Value, listed bool) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 && !streams.WritesItself(t) {
		if listed {
			return errors.New("it is in a list of lists: rows are the elements of one list")
		}
		if n.elem == nil {
			n.elem, n.slot = &node{}, len(p.lists)
			p.lists = append(p.lists, n)
		}
		return p.place(n.elem, t.Elem(), full, path, v, true)
	}
	if path == "" {
		if n.leaf != nil || n.fields != nil {
			return errors.New("it is mapped as a whole and by its fields: keep one")
		}
		l, err := p.leaf(full, v, t)
		if err == nil && listed && (l.Sum != "" || l.Count != "") {
			err = errors.New("it is in a list: sums and counts are of the whole group")
		}
		n.leaf = l
		return err
	}
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%q is no field: what is there is a %v", path, t)
	}
	name, rest, _ := strings.Cut(path, ".")
	var known []string
	for called, f := range streams.Fields(t) {
		if known = append(known, called); called == name {
			if n.leaf != nil {
				return errors.New("it is mapped as a whole and by its fields: keep one")
			}
			i := slices.IndexFunc(n.fields, func(f *node) bool { return f.name == name })
			if i < 0 {
				i, n.fields = len(n.fields), append(n.fields, &node{name: name})
			}
			return p.place(n.fields[i], f.Type, full, rest, v, listed)
		}
	}
	return fmt.Errorf("there is no field %q: there are %s", name, strings.Join(known, ", "))
}
