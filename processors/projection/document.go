package projection

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/weirstream/weir/streams/business"
)

// Document is what a key of a view has become.
type Document struct {
	Key         string
	Begun       time.Time // of the earliest event with which one begins
	Correlation string    // of that event
	State       string    // the last of the view's states that has a time; empty if none has
	// Values are those of all fields that events set: string, int64, time.Time (UTC) or
	// Money; zero where none has set them yet.
	Values map[string]any
}

// Money is an amount in the minor unit of its currency.
type Money struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// ListQuery chooses documents of a view. Empty filters match all.
type ListQuery struct {
	View   *business.View
	Filter map[string]string // by fields that the view lets filter
	Since  time.Time         // those that have begun after it; zero: all
	After  *Mark             // where the page before ended; nil for the first
	Limit  int
}

// Mark is the place of a document in the list of all: what that is sorted by, as rows
// keep it, and the key.
type Mark struct {
	At  int64
	Key string
}

// Equal are the columns that a query wants to have a value.
func (q *ListQuery) Equal() (map[string]string, error) {
	out := map[string]string{}
	for name, value := range q.Filter {
		f, ok := q.View.Field(name)
		if !ok || !f.Filter {
			return nil, fmt.Errorf("%s cannot be chosen by %q: declare a field with Filter", q.View.Name, name)
		}
		if value != "" {
			out[filterColumn(f)] = value
		}
	}
	return out, nil
}

// Documents lists those of a view in its order. Empty filters match all; page is empty
// or the Next of the page before. Documents that begin in between shift nothing. A
// damaged page token is ErrPage.
func (m *Model) Documents(ctx context.Context, v *business.View, filter map[string]string,
	page string) (Page[Document], error) {
	asked := map[string]string{}
	maps.Copy(asked, filter)
	maps.DeleteFunc(asked, func(_, value string) bool { return value == "" })
	list := listOf(v.Name, v.Sort, asked)
	after, err := readMark[Mark](list, page)
	if err != nil {
		return Page[Document]{}, err
	}
	items, err := m.List(ctx, ListQuery{View: v, Filter: filter, After: after, Limit: PageSize + 1})
	if err != nil {
		return Page[Document]{}, err
	}
	return cut(list, items, func(d Document) Mark { return d.mark(v) }), nil
}

func (d *Document) mark(v *business.View) Mark {
	switch at := d.Values[v.Sort].(type) {
	case int64:
		return Mark{at, d.Key}
	case time.Time:
		return Mark{Nanos(at), d.Key}
	}
	return Mark{Nanos(d.Begun), d.Key}
}

// Values are those of a document whose columns hold what of says: texts and int64s, or
// nil where nothing has set one.
func Values(v *business.View, of func(column string) any) map[string]any {
	out := make(map[string]any, len(shapeOf(v).columns))
	for _, f := range v.All() {
		text, _ := of(ColumnOf(f.Name)).(string)
		number, _ := of(ColumnOf(f.Name)).(int64)
		switch f.Kind {
		case business.Text:
			out[f.Name] = text
		case business.Count:
			out[f.Name] = number
		case business.Time:
			out[f.Name] = Moment(number)
		case business.Amount:
			currency, _ := of(CurrencyOf(f.Name)).(string)
			out[f.Name] = Money{number, currency}
		}
	}
	return out
}

// JSON is a document as everybody may see it: its key, then the fields of the view in
// their order. What is personal is left out, and what is not there yet.
func JSON(v *business.View, d Document) json.RawMessage {
	var b bytes.Buffer
	add := func(name string, value any) {
		j, err := json.Marshal(value)
		if err != nil {
			return // a time of no year that JSON knows: none is kept
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", name, j) // names are words in lower case
	}
	add(v.One, d.Key)
	always := shapeOf(v).always
	for _, f := range v.All() {
		value := shown(f, d)
		if value == nil && always[f.Name] {
			value = d.Values[f.Name] // empty
		}
		if !f.Personal && value != nil {
			add(f.Name, value)
		}
	}
	return append(append([]byte{'{'}, b.Bytes()...), '}')
}

// shown is the value of a field; nil if it is not there yet.
func shown(f business.Field, d Document) any {
	switch f.Kind {
	case business.State:
		if d.State == "" {
			return nil
		}
		return d.State
	case business.Flag:
		at, _ := d.Values[f.Of].(time.Time)
		return !at.IsZero()
	case business.Mean:
		of, _ := d.Values[f.Of].(int64)
		per, _ := d.Values[f.Per].(int64)
		if per == 0 {
			return nil
		}
		return float64(of) / float64(per)
	}
	switch value := d.Values[f.Name].(type) {
	case string:
		if value == "" {
			return nil
		}
	case time.Time:
		if value.IsZero() {
			return nil
		}
	case Money:
		if value.Currency == "" {
			return nil
		}
	}
	return d.Values[f.Name]
}
