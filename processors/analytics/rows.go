package analytics

import (
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Rows are those of one table that are written at once, by columns.
type Rows struct {
	Table  *Table
	N      int
	Cols   []Values // one for each column
	sums   []uint64 // of the rows
	byName []int
	text   []byte
	// What the rows were made of: from[i] is the event of row i; of rows that were read
	// back there are none.
	events []projection.Event
	from   []int
}

// Values are those of one column, in the slice that its kind has.
type Values struct {
	Text      []string
	Whole     []int64
	Real      []float64
	TextLists [][]string
	Lists     [][]int64
	RealLists [][]float64
}

// Block is what is written at once: rows of each table that has some.
type Block struct {
	Number int64
	Tables []*Rows // in the order of the schema; EventsTable first
}

// Sums are those of each table that has rows.
func (b *Block) Sums() map[string]Sum {
	out := map[string]Sum{}
	for _, r := range b.Tables {
		out[r.Table.Name] = Sum{int64(r.N), r.Checksum()}
	}
	return out
}

// Ranges say what the block is made of: its moves, with what each adds to EventsTable. The
// cursors are those before it.
func (b *Block) Ranges(moves []projection.Move, cursor func(topic string, partition int32) projection.Cursor) ([]Range, error) {
	type place struct {
		topic     string
		partition int64
	}
	sums := map[place]Sum{}
	for _, r := range b.Tables {
		if r.Table.Name != EventsTable {
			continue
		}
		for row := range r.N {
			at := place{r.Cols[1].Text[row], r.Cols[2].Whole[row]}
			s := sums[at]
			sums[at] = Sum{s.Rows + 1, s.Checksum + r.sums[row]}
		}
	}
	out := make([]Range, len(moves))
	for i, m := range moves {
		c := cursor(m.Topic, m.Partition)
		if c.Next != m.From {
			return nil, fmt.Errorf("analytics is at offset %d of %s/%d, and is told of what follows %d", c.Next, m.Topic, m.Partition, m.From)
		}
		out[i] = Range{Move: m, Sum: sums[place{m.Topic, int64(m.Partition)}]}
		for lane := range m.Seen {
			if seq, ok := c.Seen[lane]; ok {
				if out[i].Before == nil {
					out[i].Before = map[streams.Lane]int64{}
				}
				out[i].Before[lane] = seq
			}
		}
	}
	return out, nil
}

// NewRows has none yet. Who reads rows appends a value to each of Cols, and calls End.
func NewRows(t *Table) *Rows { return &Rows{Table: t, Cols: make([]Values, len(t.Columns))} }

// grow makes room for so many.
func (r *Rows) grow(n int) {
	r.sums, r.from = make([]uint64, 0, n), make([]int, 0, n)
	for i, c := range r.Table.Columns {
		v := &r.Cols[i]
		switch words := c.Kind == Text || c.Kind == Word; {
		case c.List && words:
			v.TextLists = make([][]string, 0, n)
		case c.List && c.Kind == Real:
			v.RealLists = make([][]float64, 0, n)
		case c.List:
			v.Lists = make([][]int64, 0, n)
		case words:
			v.Text = make([]string, 0, n)
		case c.Kind == Real:
			v.Real = make([]float64, 0, n)
		default:
			v.Whole = make([]int64, 0, n)
		}
	}
}

// Clear forgets the rows.
func (r *Rows) Clear() {
	r.N, r.sums = 0, r.sums[:0]
	for i := range r.Cols {
		c := &r.Cols[i]
		*c = Values{c.Text[:0], c.Whole[:0], c.Real[:0], c.TextLists[:0], c.Lists[:0], c.RealLists[:0]}
	}
}

// Block makes the rows that events become. It depends on nothing else.
func (s *Schema) Block(number int64, events []projection.Event) *Block {
	families := []family{
		{func(e *projection.Event, in func(*Table, int)) { in(s.Events, 0) },
			func(r *Rows, e *projection.Event, _ int) { r.event(number, e) }},
		{func(e *projection.Event, in func(*Table, int)) {
			if t := s.byType[e.Type]; t != nil && e.Value != nil {
				in(t, 0)
			}
		}, func(r *Rows, e *projection.Event, _ int) { r.typed(number, e) }},
		{func(e *projection.Event, in func(*Table, int)) {
			for i := range e.Changes {
				in(s.byView[e.Changes[i].View], i)
			}
		}, func(r *Rows, e *projection.Event, i int) { r.change(number, e, &e.Changes[i]) }},
		{func(e *projection.Event, in func(*Table, int)) {
			for _, saga := range s.sagasOf[e.Type] {
				in(s.bySaga[saga], 0)
			}
		}, func(r *Rows, e *projection.Event, _ int) { r.step(number, e) }},
	}
	made := make([]map[*Table]*Rows, len(families))
	var filling sync.WaitGroup
	for i := range families {
		filling.Go(func() { made[i] = families[i].of(events) })
	}
	filling.Wait()
	b := &Block{Number: number}
	for _, t := range s.Tables {
		for _, of := range made {
			if r := of[t]; r != nil {
				b.Tables = append(b.Tables, r)
			}
		}
	}
	return b
}

// family is some of the tables, and how they are filled. Families have no table in common: each has a
// goroutine of its own, and a write waits for all.
type family struct {
	tables func(e *projection.Event, in func(t *Table, i int)) // in which of them an event has rows
	row    func(r *Rows, e *projection.Event, i int)           // writes the i-th of them
}

func (f *family) of(events []projection.Event) map[*Table]*Rows {
	counts := map[*Table]int{}
	count := func(t *Table, _ int) { counts[t]++ }
	for i := range events {
		f.tables(&events[i], count)
	}
	out := make(map[*Table]*Rows, len(counts))
	for t, n := range counts {
		out[t] = NewRows(t)
		out[t].events = events
		out[t].grow(n)
	}
	var e *projection.Event
	at := 0
	add := func(t *Table, i int) {
		r := out[t]
		r.from = append(r.from, at)
		f.row(r, e, i)
	}
	for at = range events {
		e = &events[at]
		f.tables(e, add)
	}
	return out
}

func (r *Rows) event(block int64, e *projection.Event) {
	at := r.whole(0, block)
	at = r.add(at, e.Topic)
	at = r.whole(at, int64(e.Partition))
	at = r.whole(at, e.Offset)
	at = r.add(at, e.ID, e.Type)
	at = r.whole(at, int64(e.Version))
	at = r.add(at, e.Source, e.Kind, e.Key, e.Correlation, e.Causation)
	at = r.whole(at, projection.Nanos(e.Time))
	at = r.add(at, e.Lane)
	at = r.whole(at, e.Seq)
	r.add(at, e.Traceparent, string(e.Data))
	r.End()
}

// common fills the columns that come first, and answers which is next.
func (r *Rows) common(block int64, e *projection.Event, key string) int {
	at := r.whole(0, block)
	at = r.whole(at, projection.Nanos(e.Time))
	at = r.add(at, key, e.Correlation)
	return r.whole(at, e.Seq)
}

func (r *Rows) typed(block int64, e *projection.Event) {
	at := r.common(block, e, e.Key)
	v := reflect.ValueOf(e.Value)
	for i := at; i < len(r.Table.Columns); {
		c := &r.Table.Columns[i]
		if c.List {
			i += r.list(i, follow(v, c.at))
		} else {
			i += r.value(i, follow(v, c.at))
		}
	}
	r.End()
}

// step is an event of a saga.
func (r *Rows) step(block int64, e *projection.Event) {
	r.add(r.common(block, e, e.Key), e.Type)
	r.End()
}

// change is what an event says of a document: of the other fields nothing is said, and
// they are empty.
func (r *Rows) change(block int64, e *projection.Event, c *projection.Change) {
	at := r.add(r.common(block, e, c.Key), e.Type)
	set := make(map[string]any, len(c.Fields))
	for _, f := range c.Fields {
		set[f.Column] = f.Value
	}
	for ; at < len(r.Table.Columns); at++ {
		col := &r.Table.Columns[at]
		name := projection.ColumnOf(col.Of)
		if col.Name != col.Of {
			name = projection.CurrencyOf(col.Of)
		}
		text, _ := set[name].(string)
		n, _ := set[name].(int64)
		if col.Kind == Text || col.Kind == Word {
			r.add(at, text)
		} else {
			r.whole(at, n)
		}
	}
	r.End()
}

// follow is the value at the end of a way through structs; invalid if a pointer on it is nil.
func follow(v reflect.Value, way [][]int) reflect.Value {
	for _, index := range way {
		for v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if !v.IsValid() {
			return v
		}
		if index != nil {
			v = v.FieldByIndex(index)
		}
	}
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}

// value fills a column, and that of its currency; it answers how many it filled.
func (r *Rows) value(at int, v reflect.Value) int {
	switch r.Table.Columns[at].Kind {
	case Text, Word:
		r.add(at, textOf(v))
	case Whole, At:
		r.whole(at, wholeOf(v))
	case Real:
		r.real(at, realOf(v))
	case Amount:
		minor, currency := amountOf(v)
		r.whole(at, minor)
		r.add(at+1, currency)
		return 2
	}
	return 1
}

// list fills a column of lists, and that of its currencies.
func (r *Rows) list(at int, v reflect.Value) int {
	c, col := &r.Table.Columns[at], &r.Cols[at]
	n := 0
	if v.Kind() == reflect.Slice {
		n = v.Len()
	}
	elem := func(i int) reflect.Value { return follow(v.Index(i), c.elem) }
	switch c.Kind {
	case Text, Word:
		list := make([]string, n)
		for i := range n {
			list[i] = textOf(elem(i))
		}
		col.TextLists = append(col.TextLists, list)
	case Real:
		list := make([]float64, n)
		for i := range n {
			list[i] = realOf(elem(i))
		}
		col.RealLists = append(col.RealLists, list)
	case Amount:
		list, currencies := make([]int64, n), make([]string, n)
		for i := range n {
			list[i], currencies[i] = amountOf(elem(i))
		}
		col.Lists, r.Cols[at+1].TextLists = append(col.Lists, list), append(r.Cols[at+1].TextLists, currencies)
		return 2
	default:
		list := make([]int64, n)
		for i := range n {
			list[i] = wholeOf(elem(i))
		}
		col.Lists = append(col.Lists, list)
	}
	return 1
}

func textOf(v reflect.Value) string {
	if !v.IsValid() || v.Kind() != reflect.String {
		return ""
	}
	return projection.Keepable(v.String())
}

func wholeOf(v reflect.Value) int64 {
	switch {
	case !v.IsValid():
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return int64(v.Uint())
	case v.Kind() == reflect.Bool && v.Bool():
		return 1
	case v.Type() == timeType:
		if t := v.Interface().(time.Time); t.After(firstTime) && t.Before(lastTime) { // others have no nanoseconds
			return projection.Nanos(t)
		}
	}
	return 0
}

func realOf(v reflect.Value) float64 {
	if !v.IsValid() || !v.CanFloat() {
		return 0
	}
	return v.Float()
}

func amountOf(v reflect.Value) (minor int64, currency string) {
	if !v.IsValid() {
		return 0, ""
	}
	minor, currency = v.Interface().(business.Sum).Amount()
	return minor, projection.Keepable(currency)
}

// add fills columns of texts from one on, and answers the next.
func (r *Rows) add(at int, texts ...string) int {
	for _, s := range texts {
		r.Cols[at].Text = append(r.Cols[at].Text, s)
		at++
	}
	return at
}

func (r *Rows) whole(at int, n int64) int {
	r.Cols[at].Whole = append(r.Cols[at].Whole, n)
	return at + 1
}

func (r *Rows) real(at int, x float64) { r.Cols[at].Real = append(r.Cols[at].Real, x) }
