// Package analytics keeps tables of everything that happened, for questions about it. They
// follow from the business: every public event, each type's data in columns of their
// types, what each event said of views' documents, and the events of each saga. The writer
// is a projection.Run, so what is written comes from the log and nothing else; Rows says
// which rows a batch of it becomes.
//
// The tables are in a Store: analytics/clickhouse, or analytics/sqlite which is embedded.
package analytics

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Kind is what a column holds.
type Kind int

// The kinds of columns. Values are kept as text, int64 or float64.
const (
	Text   Kind = iota
	Word        // text of which there are few different ones
	Whole       // an int64
	Real        // a float64
	At          // a time: nanoseconds since 1970 in UTC, 0 is none
	Amount      // money: minor units, whose currency is in the column that follows
)

// Column is one of a table.
type Column struct {
	Name string
	Kind Kind
	List bool   // it holds a list, each value of the kind
	Of   string // what fills it: a field of the event's data, dotted where nested; of a view

	at, elem [][]int // the indices of the fields on the way to it
}

// Table is rows of one shape. Rows are only ever added; those of a block all at once.
type Table struct {
	Name    string
	About   string
	Columns []Column
	Order   []string // the columns by which rows lie beside one another
	Time    string   // the column of when it happened
	Type    string   // of a table of events of one type
	View    *business.View
	Saga    string
}

// Names of tables that every business has.
const (
	EventsTable = "events" // every event of the log, once
	HoursTable  = "hours"  // how many of each type in each hour, and their checksum
	BlocksTable = "blocks" // what was written, in order
)

// Columns of all tables but EventsTable, which has those of the envelope by their own names.
const (
	BlockColumn       = "_block" // of all: what a row was written with
	TimeColumn        = "_time"
	KeyColumn         = "_key"
	CorrelationColumn = "_correlation"
	TypeColumn        = "_type" // of views and sagas, whose rows come from several types
	SequenceColumn    = "_sequence"
)

// CurrencySuffix ends the name of the column that has an amount's currency, and follows it.
const CurrencySuffix = "_currency"

// Schema is all tables of a business.
type Schema struct {
	Business *business.Business
	Topology *streams.Topology
	Tables   []*Table // EventsTable first
	Events   *Table
	byType   map[string]*Table
	byView   map[string]*Table
	bySaga   map[string]*Table
	sagasOf  map[string][]string // sagas by the types that belong to them
}

// EventTable, ViewTable and SagaTable name tables.
func EventTable(typ string) string  { return "event_" + word(typ) }
func ViewTable(view string) string  { return "view_" + word(view) }
func SagaTable(saga string) string  { return "saga_" + word(saga) }
func word(name string) string       { return strings.NewReplacer(".", "_", "-", "_").Replace(name) }
func currencyOf(name string) string { return name + CurrencySuffix }

// NewSchema derives the tables of a business.
func NewSchema(b *business.Business, t *streams.Topology) (*Schema, error) {
	s := &Schema{Business: b, Topology: t, Events: eventsTable(), byType: map[string]*Table{}, byView: map[string]*Table{}, bySaga: map[string]*Table{}, sagasOf: map[string][]string{}}
	s.Tables = append(s.Tables, s.Events)
	for _, f := range t.Vocabulary.Facts() {
		if f.Private {
			continue
		}
		table := &Table{Name: EventTable(f.Name), About: "Events " + f.Name + ".", Order: []string{TimeColumn, KeyColumn}, Time: TimeColumn, Type: f.Name, Columns: common()}
		table.Columns = append(table.Columns, dataColumns(f.Type, "", "")...)
		for i := range table.Columns {
			table.Columns[i].find(f.Type)
		}
		s.byType[f.Name] = table
		s.Tables = append(s.Tables, table)
	}
	for _, v := range b.Views() {
		table := &Table{Name: ViewTable(v.Name), About: "What each event says of " + v.Name + ".", Order: []string{KeyColumn, TimeColumn}, Time: TimeColumn, View: v,
			Columns: append(common(), Column{Name: TypeColumn, Kind: Word})}
		for _, f := range v.All() {
			table.Columns = append(table.Columns, fieldColumns(f)...)
		}
		s.byView[v.Name] = table
		s.Tables = append(s.Tables, table)
	}
	for _, saga := range b.Sagas {
		table := &Table{Name: SagaTable(saga.Name), About: "Events of saga " + saga.Name + ".", Order: []string{CorrelationColumn, TimeColumn}, Time: TimeColumn, Saga: saga.Name,
			Columns: append(common(), Column{Name: TypeColumn, Kind: Word})}
		for _, name := range sagaTypes(saga, t) {
			s.sagasOf[name] = append(s.sagasOf[name], saga.Name)
		}
		s.bySaga[saga.Name] = table
		s.Tables = append(s.Tables, table)
	}
	return s, s.check()
}

// Type, View and Saga find the tables of one.
func (s *Schema) Type(name string) (*Table, bool) { t, ok := s.byType[name]; return t, ok }
func (s *Schema) View(name string) (*Table, bool) { t, ok := s.byView[name]; return t, ok }
func (s *Schema) Saga(name string) (*Table, bool) { t, ok := s.bySaga[name]; return t, ok }

// Table finds one by its name.
func (s *Schema) Table(name string) (*Table, bool) {
	i := slices.IndexFunc(s.Tables, func(t *Table) bool { return t.Name == name })
	if i < 0 {
		return nil, false
	}
	return s.Tables[i], true
}

// Column finds one by its name.
func (t *Table) Column(name string) (Column, bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return Column{}, false
	}
	return t.Columns[i], true
}

// Whose are the columns that say whose a row is: a key, and the number of an event in its
// lane.
func (t *Table) Whose() (key, sequence string) {
	if t.Name == EventsTable {
		return "key", "sequence"
	}
	return KeyColumn, SequenceColumn
}

// check refuses names that two columns or tables share, as an engine would later.
func (s *Schema) check() error {
	var errs []error
	tables := map[string]bool{HoursTable: true, BlocksTable: true}
	for _, t := range s.Tables {
		if tables[t.Name] {
			errs = append(errs, fmt.Errorf("analytics would have two tables %s: names that differ in dots and dashes alone are one there, rename one", t.Name))
		}
		tables[t.Name] = true
		columns := map[string]bool{}
		for _, c := range t.Columns {
			if columns[strings.ToLower(c.Name)] {
				errs = append(errs, fmt.Errorf("table %s of analytics would have two columns %s: rename a field", t.Name, c.Name))
			}
			columns[strings.ToLower(c.Name)] = true
		}
	}
	return errors.Join(errs...)
}

func eventsTable() *Table {
	return &Table{Name: EventsTable, About: "Every public event, once.", Order: []string{"type", "time"}, Time: "time", Columns: []Column{
		{Name: BlockColumn, Kind: Whole}, {Name: "topic", Kind: Word}, {Name: "partition", Kind: Whole}, {Name: "offset", Kind: Whole},
		{Name: "id", Kind: Text}, {Name: "type", Kind: Word}, {Name: "version", Kind: Whole}, {Name: "source", Kind: Word},
		{Name: "kind", Kind: Word}, {Name: "key", Kind: Text}, {Name: "correlation", Kind: Text}, {Name: "causation", Kind: Text},
		{Name: "time", Kind: At}, {Name: "lane", Kind: Word}, {Name: "sequence", Kind: Whole}, {Name: "traceparent", Kind: Text}, {Name: "data", Kind: Text}}}
}

func common() []Column {
	return []Column{{Name: BlockColumn, Kind: Whole}, {Name: TimeColumn, Kind: At}, {Name: KeyColumn, Kind: Text}, {Name: CorrelationColumn, Kind: Text},
		{Name: SequenceColumn, Kind: Whole}}
}

// fieldColumns are those of a view's field; none of what follows from others, or is personal.
func fieldColumns(f business.Field) []Column {
	c := Column{Name: f.Name, Of: f.Name}
	switch {
	case f.Personal:
		return nil
	case f.Kind == business.Text:
		c.Kind = Text
	case f.Kind == business.Count:
		c.Kind = Whole
	case f.Kind == business.Time:
		c.Kind = At
	case f.Kind == business.Amount:
		c.Kind = Amount
		return []Column{c, {Name: currencyOf(f.Name), Kind: Word, Of: f.Name}}
	default:
		return nil
	}
	return []Column{c}
}

var (
	sumType  = reflect.TypeFor[business.Sum]()
	timeType = reflect.TypeFor[time.Time]()
)

// dataColumns are those of a struct's fields, those of structs in it by both names. What
// is personal has none, nor what no column could hold: that is in the event's data alone.
func dataColumns(t reflect.Type, prefix, path string) (out []Column) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for name, f := range streams.Fields(t) {
		if rule, err := streams.Rule(f); err != nil || rule.Personal {
			continue
		}
		out = append(out, columnsOf(f.Type, prefix+name, strings.TrimPrefix(path+"."+name, "."))...)
	}
	return out
}

func columnsOf(t reflect.Type, name, path string) (out []Column) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if kind, ok := kindOf(t); ok {
		out = []Column{{Name: name, Kind: kind, Of: path}}
		if kind == Amount {
			out = append(out, Column{Name: currencyOf(name), Kind: Word, Of: path})
		}
		return out
	}
	switch {
	case t.Kind() == reflect.Struct && !streams.WritesItself(t):
		return dataColumns(t, name+"_", path)
	case t.Kind() != reflect.Slice || t.Elem().Kind() == reflect.Uint8:
		return nil
	}
	for _, c := range columnsOf(t.Elem(), name, path) {
		if c.List { // a list of lists stays in the data
			continue
		}
		c.List = true
		out = append(out, c)
	}
	return out
}

// find notes where the values of a type's columns are, from its struct on: down to a list,
// and from its elements on.
func (c *Column) find(t reflect.Type) {
	for rest := c.Of; rest != ""; {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() == reflect.Slice {
			c.elem = append(c.elem, nil)
			t = t.Elem()
			continue
		}
		var name string
		name, rest, _ = strings.Cut(rest, ".")
		for called, f := range streams.Fields(t) {
			if called == name {
				t = f.Type
				if c.elem == nil {
					c.at = append(c.at, f.Index)
				} else {
					c.elem = append(c.elem, f.Index)
				}
				break
			}
		}
	}
}

// kindOf is the kind of column for values of a type.
func kindOf(t reflect.Type) (Kind, bool) {
	switch {
	case t.Implements(sumType):
		return Amount, true
	case t == timeType:
		return At, true
	case streams.WritesItself(t):
		return 0, false
	}
	switch t.Kind() {
	case reflect.String:
		return Text, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Bool:
		return Whole, true
	case reflect.Float32, reflect.Float64:
		return Real, true
	}
	return 0, false
}

// sagaTypes are the types of events that belong to a saga.
func sagaTypes(s streams.Saga, t *streams.Topology) []string {
	types := []string{t.Name(s.Starts)}
	for _, e := range s.Ends {
		types = append(types, t.Name(e))
	}
	for _, step := range s.Steps(t) {
		types = append(types, step.Emits...)
		if step.On != "" {
			types = append(types, step.On)
		}
	}
	slices.Sort(types)
	types = slices.Compact(types)
	return slices.DeleteFunc(types, func(name string) bool {
		f, ok := t.Vocabulary.Fact(name)
		return !ok || f.Private
	})
}
