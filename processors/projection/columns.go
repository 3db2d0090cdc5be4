package projection

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirstream/weir/streams/business"
)

// Column is a part of a document as stores keep it: a text, or an int64, which is a
// count, minor units of a currency, or nanoseconds since 1970.
type Column struct {
	Name string
	Text bool
}

// Table is where the documents of a view are: no view has the name of another table.
func Table(v *business.View) string { return "view_" + v.Name }

// ColumnOf is the column of a field; of an amount that of its minor units.
func ColumnOf(field string) string { return "f_" + field }

// CurrencyOf is the column of an amount's currency.
func CurrencyOf(field string) string { return "c_" + field }

// shape is what follows from the declaration of a view.
type shape struct {
	columns []Column
	latest  map[string]bool // times of which the latest counts: of events, and of other keys'
	always  map[string]bool // what every document has, be it empty
}

var shapes sync.Map // by view

func shapeOf(v *business.View) *shape {
	if s, ok := shapes.Load(v); ok {
		return s.(*shape)
	}
	s := &shape{latest: map[string]bool{}, always: v.Always()}
	for _, f := range v.All() {
		switch f.Kind {
		case business.Text:
			s.columns = append(s.columns, Column{ColumnOf(f.Name), true})
		case business.Count, business.Time:
			s.columns = append(s.columns, Column{ColumnOf(f.Name), false})
		case business.Amount:
			s.columns = append(s.columns, Column{ColumnOf(f.Name), false}, Column{CurrencyOf(f.Name), true})
		}
	}
	at := time.Unix(1, 1).UTC() // of no event's zero value
	for _, from := range v.From {
		_, set := from.Apply(from.Event, business.Moment{At: at})
		for name, value := range set {
			if t, ok := value.(time.Time); ok && (from.OfOther() || t.Equal(at)) {
				s.latest[name] = true
			}
		}
	}
	shapes.Store(v, s)
	return s
}

// Columns are those of a view's fields, in their order.
func Columns(v *business.View) []Column { return shapeOf(v).columns }

// Filters are the columns by which clients may choose documents.
func Filters(v *business.View) (out []string) {
	for _, f := range v.All() {
		if f.Filter {
			out = append(out, filterColumn(f))
		}
	}
	return out
}

func filterColumn(f business.Field) string {
	if f.Kind == business.State {
		return "state"
	}
	return ColumnOf(f.Name)
}

// SortColumn is what a list of a view is sorted by, the greatest first, and then by
// the key.
func SortColumn(v *business.View) string {
	if v.Sort == "" {
		return "begun"
	}
	return ColumnOf(v.Sort)
}

// StateColumns are a view's states and the columns of their times, in their order.
func StateColumns(v *business.View) (states, columns []string) {
	for _, s := range v.States {
		states, columns = append(states, s), append(columns, ColumnOf(business.StateField(s)))
	}
	return states, columns
}

// HistoryKinds are the kinds of keys whose events can be asked for, and the first view
// of each.
func HistoryKinds(views []*business.View) (kinds []string, of map[string]*business.View) {
	of = map[string]*business.View{}
	for _, v := range views {
		if k := v.Key.Kind(); v.History && of[k] == nil {
			kinds, of[k] = append(kinds, k), v
		}
	}
	return kinds, of
}

// Fingerprint tells apart declarations of which one cannot go on with what another
// has written.
func Fingerprint(views []*business.View) string {
	var b strings.Builder
	views = slices.SortedFunc(slices.Values(views), func(a, b *business.View) int {
		return strings.Compare(a.Name,
			b.Name)
	})
	for _, v := range views {
		fmt.Fprintf(&b, "%s of %s, sorted by %q, history %t, states %v\n", v.Name, v.Key.Kind(), v.Sort, v.History,
			v.States)
		for _, f := range v.All() {
			fmt.Fprintf(&b, "  %s %s, filter %t\n", f.Name, f.Kind, f.Filter)
		}
		for _, s := range v.From {
			_, set := s.Apply(s.Event, business.Moment{})
			fmt.Fprintf(&b, "  from %T, of another %t, begins %t:", s.Event, s.OfOther(), v.BegunBy(s))
			for _, name := range slices.Sorted(maps.Keys(set)) {
				fmt.Fprintf(&b, " %s %T", name, set[name])
			}
			b.WriteByte('\n')
		}
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}
