package analytics

import (
	"fmt"
	"slices"
	"time"

	"github.com/weirstream/weir/streams/business"
)

// folding is how rows of a view become a field of its document.
type folding struct {
	types  []string // of events that set it
	latest bool     // the latest time counts
	adds   bool     // values are summed; else there is one type, and its last event counts
	moment bool     // the time is that of the event
}

// foldings are those of a view's fields, by their names.
func (s *Schema) foldings(v *business.View) map[string]folding {
	out := map[string]folding{}
	at := time.Unix(1, 1).UTC() // of no event's zero value
	for _, from := range v.From {
		_, set := from.Apply(from.Event, business.Moment{At: at})
		for name, value := range set {
			f, known := out[name]
			_, f.adds = value.(business.Plus)
			t, isTime := value.(time.Time)
			now := isTime && t.Equal(at)
			f.latest = isTime && (from.OfOther() || now)
			f.moment = now && (f.moment || !known)
			f.types = append(f.types, s.Topology.Name(from.Event))
			out[name] = f
		}
	}
	return out
}

// begins are the types with which documents begin.
func (s *Schema) begins(v *business.View) (out []string) {
	for _, e := range v.Begins {
		out = append(out, s.Topology.Name(e))
	}
	return out
}

// documents are a query of the documents of a view: their key as `k`, and each field as
// `f:field`, of money the currency as `c:field`. It reads the rows that set them only, of
// keys that meet a condition on a row, if there is one.
func (a *asking) documents(v *business.View, fields []string, keys []sql) (sql, error) {
	t, ok := a.s.View(v.Name)
	if !ok {
		return sql{}, fmt.Errorf("analytics keep no view %s", v.Name)
	}
	foldings := a.s.foldings(v)
	begins := a.s.begins(v)
	types := slices.Clone(begins)
	columns := "`_key` AS `k`"
	for _, name := range fields {
		c, ok := t.Column(name)
		f, set := foldings[name]
		if !ok || !set {
			return sql{}, fmt.Errorf("analytics keep no field %s of %s", name, v.Name)
		}
		types = append(types, f.types...)
		columns += ", " + a.fold(f, name) + " AS " + quoted("f:"+name)
		if c.Kind == Amount {
			columns += ", " + a.fold(f, currencyOf(name)) + " AS " + quoted("c:"+name)
		}
	}
	slices.Sort(types)
	of := append([]sql{{text: "`_type` IN (" + list(slices.Compact(types), literal) + ")"}}, keys...)
	return piece("SELECT %s FROM %s%s GROUP BY `_key` HAVING max(CASE WHEN `_type` IN (%s) THEN 1 ELSE 0 END) = 1",
		columns, quoted(t.Name), where(of), list(begins, literal)), nil
}

func (a *asking) fold(f folding, column string) string {
	switch {
	case f.adds:
		return "sum(" + quoted(column) + ")"
	case f.latest:
		return "max(" + quoted(column) + ")"
	}
	return a.d.ArgMax(quoted(column), "`_time`", "`_sequence`", "`_type` = "+literal(f.types[0]))
}

// folded are the fields of which one that is asked for is made.
func folded(v *business.View, field string) []string {
	f, _ := v.Field(field)
	switch {
	case field == v.One:
		return nil
	case f.Kind == business.State:
		var out []string
		for _, s := range v.States {
			out = append(out, business.StateField(s))
		}
		return out
	}
	return []string{field}
}

// ofDocument is a text or whole number of a document `d`, which may be missing.
func (a *asking) ofDocument(v *business.View, field string) string {
	f, _ := v.Field(field)
	switch {
	case field == v.One:
		return "d.`k`"
	case f.Kind == business.State:
		out := "CASE"
		for _, s := range slices.Backward(v.States) {
			out += " WHEN " + a.isThere(at(business.StateField(s))) + " THEN " + literal(s)
		}
		return out + " ELSE '' END"
	case f.Kind == business.Count:
		return "coalesce(" + at(field) + ", 0)"
	}
	return "coalesce(" + at(field) + ", '')"
}

// at is a field of a document `d` as it is.
func at(field string) string { return "d." + quoted("f:"+field) }
