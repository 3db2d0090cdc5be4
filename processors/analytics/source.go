package analytics

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// source is what a question's rows are: FROM and WHERE of a query, in which fields are
// expressions.
type source struct {
	*asking
	from  sql
	where []sql
	at    string // the time of a row, of kind At
	key   string
}

// wanted is what of its rows a query needs.
type wanted struct {
	fields []string          // texts and whole numbers
	values []business.Number // whose values are `v0`, `v1`, …; with the currency as `c`
	ever   bool              // also from before the beginning
}

// source makes the rows of the question, of which wanted says what is needed.
func (a *asking) source(w wanted) (*source, error) {
	for _, name := range a.chosen() {
		d, _ := a.dimension(name)
		w.fields = append(w.fields, d.Field)
	}
	from := a.p.From
	if w.ever {
		from = time.Time{}
	}
	var s *source
	var err error
	if a.Of.View != nil {
		s, err = a.ofDocuments(w, from)
	} else {
		s, err = a.ofEvents(w, from)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range a.chosen() {
		d, _ := a.dimension(name)
		value, err := a.value(name, d.Field)
		if err != nil {
			return nil, err
		}
		s.where = append(s.where, sql{s.field(d.Field) + " = ?", []any{value}})
	}
	return s, nil
}

// value is what a dimension has to be: a text, or a whole number.
func (a *asking) value(dimension, field string) (any, error) {
	if !a.isWhole(field) {
		return a.p.Where[dimension], nil
	}
	n, err := strconv.ParseInt(a.p.Where[dimension], 10, 64)
	if err != nil {
		return nil, wrong("%s is a whole number, and not %q", dimension, a.p.Where[dimension])
	}
	return n, nil
}

// isWhole tells a field of whole numbers from one of texts.
func (a *asking) isWhole(field string) bool {
	if v, name := a.Of.Document(field); v != nil {
		f, _ := v.Field(name)
		return f.Kind == business.Count
	}
	t, ok := a.s.Type(a.s.Topology.Name(a.Of.Events[0]))
	return ok && slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Of == field && c.Kind == Whole })
}

// field is a text or whole number of a row.
func (s *source) field(path string) string {
	if v, name := s.Of.Document(path); v != nil {
		return s.ofDocument(v, name)
	}
	return "r." + quoted("f:"+path)
}

// condition is one on a document.
func (a *asking) condition(c business.Condition, v *business.View, name string) sql {
	if len(c.Values) == 0 {
		return sql{text: a.isThere(at(name))}
	}
	return isOneOf(a.ofDocument(v, name), c.Values)
}

// ofDocuments are those whose time is within the range. The keys that may be are found by
// their rows first.
func (a *asking) ofDocuments(w wanted, from time.Time) (*source, error) {
	v, s := a.Of.View, &source{asking: a, at: at(a.Of.At), key: "d.`k`"}
	fields := []string{a.Of.At}
	for _, c := range a.Where {
		fields = append(fields, folded(v, c.Field)...)
		s.where = append(s.where, a.condition(c, v, c.Field))
	}
	for _, f := range w.fields {
		fields = append(fields, folded(v, f)...)
	}
	for _, n := range w.values {
		for _, f := range []string{n.Field, n.Other} {
			if f != "" {
				fields = append(fields, folded(v, f)...)
			}
		}
	}
	slices.Sort(fields)
	var keys []sql
	if may := a.within(quoted(a.Of.At), from, a.p.To); len(may) > 0 {
		f := a.s.foldings(v)[a.Of.At]
		may = append(may, sql{text: "`_type` IN (" + list(f.types, literal) + ")"})
		if f.moment {
			may = append(may, a.within("`_time`", from, a.p.To)...)
		}
		keys = append(keys, piece("`_key` IN (SELECT `_key` FROM %s%s)", quoted(ViewTable(v.Name)), where(may)))
	}
	documents, err := a.documents(v, slices.Compact(fields), keys)
	if err != nil {
		return nil, err
	}
	s.where = append(append([]sql{{text: a.isThere(s.at)}}, a.within(s.at, from, a.p.To)...), s.where...)
	columns := "d.*"
	if c := currencyOfDocument(w.values); c != "" {
		columns += ", coalesce(d." + quoted("c:"+c) + ", '') AS `c`"
	}
	for i, n := range w.values {
		columns += ", " + a.documentValue(n) + " AS " + quoted(fmt.Sprint("v", i))
	}
	s.from = piece("(SELECT %s FROM (%s) AS d) AS d", columns, documents)
	return s, nil
}

func currencyOfDocument(values []business.Number) string {
	for _, n := range values {
		if n.Money() != "" {
			return n.Money()
		}
	}
	return ""
}

// documentValue is what a number is made of in one document.
func (a *asking) documentValue(n business.Number) string {
	number := func(field string) string { return "coalesce(" + at(field) + ", 0)" }
	switch n.Kind {
	case business.MoneyNumber, business.WholeNumber:
		return number(n.Field)
	case business.ProductNumber:
		return number(n.Field) + " * " + number(n.Other)
	case business.DistinctNumber:
		return a.ofDocument(a.Of.View, n.Field)
	case business.BetweenNumber:
		from, to := a.d.Nanos(at(n.Field)), a.d.Nanos(at(n.Other))
		return "CASE WHEN " + from + " > 0 AND " + to + " > 0 THEN " + to + " - " + from + " END"
	}
	return "1"
}

// ofEvents are the rows of each type, and the documents of their keys where those are asked
// about.
func (a *asking) ofEvents(w wanted, from time.Time) (*source, error) {
	s := &source{asking: a, at: "r.`at`", key: "r.`k`"}
	var own, document []string // fields
	for _, f := range w.fields {
		if v, name := a.Of.Document(f); v != nil {
			document = append(document, name)
		} else if !slices.Contains(own, f) {
			own = append(own, f)
		}
	}
	var semi []sql
	joins := len(document) > 0
	for _, c := range a.Where {
		v, name := a.Of.Document(c.Field)
		switch {
		case v == nil: // of the event: eventRows
		case len(c.Values) == 0 && a.s.foldings(v)[name].latest:
			f := a.s.foldings(v)[name]
			semi = append(semi, piece("`_key` IN (SELECT `_key` FROM %s WHERE `_type` IN (%s) AND %s)", quoted(ViewTable(v.Name)), list(f.types, literal), a.isThere(quoted(name))))
		default:
			joins, document = true, append(document, name)
			s.where = append(s.where, a.condition(c, v, name))
		}
	}
	var rows, keys []sql
	for _, e := range a.Of.Events {
		one, key, err := a.eventRows(e, own, w.values, from, semi)
		if err != nil {
			return nil, err
		}
		rows, keys = append(rows, one), append(keys, key)
	}
	s.from = piece("(%s) AS r", joined(rows, " UNION ALL ", ""))
	if !joins {
		return s, nil
	}
	return s, a.join(s, document, keys)
}

// join joins the documents of the rows' keys, after these are folded.
func (a *asking) join(s *source, names []string, keys []sql) error {
	v := a.Of.Joined
	var fields []string
	for _, name := range names {
		fields = append(fields, folded(v, name)...)
	}
	slices.Sort(fields)
	documents, err := a.documents(v, slices.Compact(fields), []sql{piece("`_key` IN (%s)", joined(keys, " UNION ALL ", ""))})
	if err != nil {
		return err
	}
	s.from = piece("%s LEFT JOIN (%s) AS d ON r.`k` = d.`k`", s.from, documents)
	return nil
}

// eventRows are a query of the rows of one type, and one of their keys.
func (a *asking) eventRows(e streams.Event, own []string, values []business.Number, from time.Time, semi []sql) (rows, keys sql, err error) {
	t, ok := a.s.Type(a.s.Topology.Name(e))
	if !ok {
		return rows, keys, fmt.Errorf("analytics keep no events %T", e)
	}
	r := &eventColumns{table: t, list: a.Of.List, text: "`_key` AS `k`, `_time` AS `at`"}
	for _, f := range own {
		r.text += ", " + r.column(f) + " AS " + quoted("f:"+f)
	}
	r.values(e, values)
	conditions := append(a.within("`_time`", from, a.p.To), semi...)
	for _, c := range a.Where {
		if v, _ := a.Of.Document(c.Field); v != nil {
			continue
		}
		if name := r.column(c.Field); len(c.Values) == 0 {
			conditions = append(conditions, sql{text: a.isThere(name)})
		} else {
			conditions = append(conditions, isOneOf(name, c.Values))
		}
	}
	if a.Of.List != "" && len(r.lists) == 0 {
		r.any()
	}
	of := quoted(t.Name)
	if len(r.lists) > 0 {
		of = a.d.Each(t.Name, r.lists)
	}
	rows = piece("SELECT %s FROM %s%s", r.text, of, where(conditions))
	keys = piece("SELECT `_key` FROM %s%s", quoted(t.Name), where(a.within("`_time`", from, a.p.To)))
	return rows, keys, r.err
}

// eventColumns are what a query of one type selects.
type eventColumns struct {
	table *Table
	list  string
	lists []Column // of which the elements are rows
	text  string
	err   error
}

// column is that of a field; its elements, if it is in the list.
func (r *eventColumns) column(path string) string {
	i := slices.IndexFunc(r.table.Columns, func(c Column) bool { return c.Of == path })
	if i < 0 || path == "" {
		r.err = fmt.Errorf("table %s of analytics has no field %q", r.table.Name, path)
		return ""
	}
	r.use(i)
	return quoted(r.table.Columns[i].Name)
}

func (r *eventColumns) use(i int) {
	c := r.table.Columns[i]
	if c.List && !slices.ContainsFunc(r.lists, func(l Column) bool { return l.Name == c.Name }) {
		r.lists = append(r.lists, c)
	}
}

// currency is the column of an amount's currency.
func (r *eventColumns) currency(path string) string {
	i := slices.IndexFunc(r.table.Columns, func(c Column) bool { return c.Of == path && c.Kind == Amount })
	if i < 0 {
		r.err = fmt.Errorf("table %s of analytics has no money %q", r.table.Name, path)
		return ""
	}
	r.use(i + 1)
	return quoted(r.table.Columns[i+1].Name)
}

// any has the elements of the list be rows, although none of their fields is asked for.
func (r *eventColumns) any() {
	i := slices.IndexFunc(r.table.Columns, func(c Column) bool { return c.List && (c.Of == r.list || strings.HasPrefix(c.Of, r.list+".")) })
	if i < 0 {
		r.err = fmt.Errorf("table %s of analytics has no list %q", r.table.Name, r.list)
		return
	}
	r.use(i)
}

// values are what numbers are made of in a row of a type, and the currency of its money.
func (r *eventColumns) values(e streams.Event, numbers []business.Number) {
	currency, money := "''", false
	for i, n := range numbers {
		value := "1"
		switch {
		case !n.Of(e) && n.Kind == business.DistinctNumber:
			value = "NULL"
		case !n.Of(e):
			value = "0"
		case n.Kind == business.MoneyNumber || n.Kind == business.WholeNumber || n.Kind == business.DistinctNumber:
			value = r.column(n.Field)
		case n.Kind == business.ProductNumber:
			value = r.column(n.Field) + " * " + r.column(n.Other)
		}
		money = money || n.Money() != ""
		if n.Of(e) && n.Money() != "" {
			currency = r.currency(n.Money())
		}
		r.text += ", " + value + " AS " + quoted(fmt.Sprint("v", i))
	}
	if money {
		r.text += ", " + currency + " AS `c`"
	}
}
