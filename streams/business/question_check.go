package business

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
)

// CurrencyColumn is the column of an answer that has sums of money.
const CurrencyColumn = "currency"

// notNames are names that mean something else where a question is asked.
var notNames = append([]string{CurrencyColumn, "total"}, Units...)

// checkQuestions reports questions that no table could answer, or that would tell what is
// personal.
func (b *Business) checkQuestions(t *streams.Topology) (errs []error) {
	names := map[string]int{}
	for _, q := range b.Questions() {
		names[q.Name]++
	}
	for _, s := range b.Services {
		for i := range s.Questions {
			q := &s.Questions[i]
			bad := func(format string, args ...any) {
				errs = append(errs, fmt.Errorf("question %q of service %q: "+format, append([]any{q.Name, s.Name}, args...)...))
			}
			if !nameRule.MatchString(q.Name) || names[q.Name] > 1 {
				bad("its name is of lower case letters, digits and dashes, and no other question's: those that end in -funnel, -steps and -story may be the platform's")
			}
			if q.Title == "" || q.About == "" {
				bad("it needs a title, and what it is about")
			}
			c := questionCheck{q, b, t, bad}
			if c.rows() {
				c.shape()
				c.conditions()
				c.columns()
			}
		}
	}
	return errs
}

type questionCheck struct {
	*Question
	b   *Business
	t   *streams.Topology
	bad func(string, ...any)
}

// rows tells whether what the question counts is there at all.
func (c *questionCheck) rows() bool {
	r := c.Of
	switch {
	case (r.View == nil) == (len(r.Events) == 0):
		c.bad("it needs rows: business.Events, business.EachOf or business.Documents")
		return false
	case r.View != nil && !slices.Contains(c.b.Views(), r.View):
		c.bad("it counts documents of %q, which is no view of a service", r.View.Name)
		return false
	case r.View != nil && r.Joined != nil:
		c.bad("it counts documents and joins others: With is for rows of events")
		return false
	case r.View != nil:
		return c.is(r.At, Time)
	}
	for _, e := range r.Events {
		f, ok := c.t.Vocabulary.FactOf(e)
		switch {
		case !ok:
			c.bad("it counts %T, which is no registered event", e)
			return false
		case f.Private:
			c.bad("it counts %s, which is private to its service and on no log", f.Name)
			return false
		case r.Joined != nil && r.Joined.Key.Kind() != f.Kind:
			c.bad("it joins %s, whose documents are of a %s, to %s, which is of a %s", r.Joined.Name, r.Joined.Key.Kind(), f.Name, f.Kind)
			return false
		}
	}
	if r.Joined != nil && !slices.Contains(c.b.Views(), r.Joined) {
		c.bad("it joins %q, which is no view of a service", r.Joined.Name)
		return false
	}
	if r.List != "" && !listIn(reflect.TypeOf(r.Events[0]), r.List) {
		c.bad("%T has no list %q, or a personal one", r.Events[0], r.List)
		return false
	}
	return true
}

func (c *questionCheck) shape() {
	switch c.Shape {
	case Table:
		if len(c.Numbers) == 0 {
			c.bad("it has no numbers: add one, such as business.HowMany")
		}
		return
	case Cohorts:
		c.is(c.Who, Text)
	case Pairs:
		c.is(c.Item, Text)
	default:
		c.bad("its shape %q is none that a service declares: leave it out, or take %q or %q", c.Shape, Cohorts, Pairs)
	}
	if len(c.By) > 0 || len(c.Numbers) > 0 {
		c.bad("its shape %s says what its columns are: leave By and Numbers out", c.Shape)
	}
}

func (c *questionCheck) conditions() {
	for _, w := range c.Where {
		if len(w.Values) == 0 {
			c.is(w.Field, Time)
		} else {
			c.is(w.Field, Text)
		}
	}
}

// columns looks at dimensions and numbers, whose names are columns of one answer.
func (c *questionCheck) columns() {
	seen := map[string]bool{}
	named := func(name string) {
		if !nameRule.MatchString(name) || seen[name] || slices.Contains(notNames, name) {
			c.bad("it calls a column %q: use lower case letters, digits and dashes, each name once, and none of %v", name, notNames)
		}
		seen[name] = true
	}
	for _, d := range c.By {
		named(d.Name)
		c.is(d.Field, Text, Count)
	}
	money := map[string]string{} // the field summed, by type
	for _, n := range c.Numbers {
		named(n.Name)
		c.number(n)
		for _, of := range c.counted(n) {
			if was := cmp.Or(money[of], n.Money()); n.Money() != "" && was != n.Money() {
				c.bad("it sums %q and %q of one row, which may be of two currencies: ask for one of them in a question of its own", was, n.Money())
			}
			money[of] = cmp.Or(money[of], n.Money())
		}
	}
}

// counted are the types that a number is of.
func (c *questionCheck) counted(n Number) (out []string) {
	if c.Of.View != nil {
		return []string{c.Of.View.Name}
	}
	for _, e := range c.Of.Events {
		if n.Of(e) {
			out = append(out, c.t.Name(e))
		}
	}
	return out
}

func (c *questionCheck) number(n Number) {
	for _, e := range n.Types {
		if !slices.ContainsFunc(c.Of.Events, func(o streams.Event) bool { return reflect.TypeOf(o) == reflect.TypeOf(e) }) {
			c.bad("%q is of %T, which is not among its rows", n.Name, e)
			return
		}
	}
	switch n.Kind {
	case RowsNumber:
	case MoneyNumber:
		c.of(n, n.Field, Amount)
	case WholeNumber:
		c.of(n, n.Field, Count)
	case ProductNumber:
		c.of(n, n.Field, Count)
		c.of(n, n.Other, Amount)
	case DistinctNumber:
		c.of(n, n.Field, Text)
	case BetweenNumber:
		if c.Of.View == nil {
			c.bad("%q is of documents, and it counts events: ask in a question of business.Documents", n.Name)
			return
		}
		c.of(n, n.Field, Time)
		c.of(n, n.Other, Time)
	case ShareNumber:
		for _, name := range []string{n.Field, n.Other} {
			i := slices.IndexFunc(c.Numbers, func(o Number) bool { return o.Name == name })
			if i < 0 || c.Numbers[i].Kind == ShareNumber || c.Numbers[i].Kind == BetweenNumber {
				c.bad("%q is a share of %q, which is no count and no sum among its numbers", n.Name, name)
			}
		}
	default:
		c.bad("%q is of the kind %q, which there is not", n.Name, n.Kind)
	}
}

// is wants a field to be there in every row, of one of some kinds.
func (c *questionCheck) is(field string, kinds ...Kind) bool {
	return c.holds(field, c.Of.Events, kinds)
}

// of wants it in the rows of a number; those are the events' own fields.
func (c *questionCheck) of(n Number, field string, kinds ...Kind) {
	if name, _, _ := strings.Cut(field, "."); c.Of.Joined != nil && name == c.Of.Joined.Name {
		c.bad("%q is of %q, a field of the document that is joined: rows are told apart by it, and not summed", n.Name, field)
		return
	}
	c.holds(field, slices.DeleteFunc(slices.Clone(c.Of.Events), func(e streams.Event) bool { return !n.Of(e) }), kinds)
}

func (c *questionCheck) holds(field string, events []streams.Event, kinds []Kind) bool {
	if v, name := c.Of.Document(field); v != nil {
		f, ok := v.Field(name)
		if name == v.One {
			f, ok = Field{Kind: Text}, true
		}
		return c.fits(field, "view "+v.Name, f.Kind, f.Personal, ok, kinds)
	}
	for _, e := range events {
		kind, personal, ok := fieldKind(reflect.TypeOf(e), field, c.Of.List)
		if !c.fits(field, c.t.Name(e), kind, personal, ok, kinds) {
			return false
		}
	}
	return true
}

func (c *questionCheck) fits(field, of string, kind Kind, personal, ok bool, kinds []Kind) bool {
	fits := slices.Contains(kinds, kind) || kind == State && slices.Contains(kinds, Text)
	switch {
	case !ok:
		c.bad("it asks for %q, which %s has not, or in a list: write the names that JSON has, with dots between; a joined document's behind its view's name; a list's in business.EachOf", field, of)
	case personal:
		c.bad("it asks for %q of %s, which is personal: take it out", field, of)
	case !fits:
		c.bad("it asks for %q of %s, which has the kind %q, and not %s", field, of, kind, oneOf(kinds))
	}
	return ok && !personal && fits
}

func oneOf(kinds []Kind) string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return strings.Join(out, " or ")
}

// Document is the view and its field that a field of the rows is; nil if it is an event's.
func (r Rows) Document(field string) (v *View, name string) {
	if r.View != nil {
		return r.View, field
	}
	if first, rest, _ := strings.Cut(field, "."); r.Joined != nil && first == r.Joined.Name {
		return r.Joined, rest
	}
	return nil, ""
}

// listIn tells whether a path leads to a list.
func listIn(t reflect.Type, path string) bool {
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		f, ok := fieldNamed(t, name)
		if rule, err := streams.Rule(f); !ok || err != nil || rule.Personal {
			return false
		}
		for t = f.Type; t.Kind() == reflect.Pointer; {
			t = t.Elem()
		}
	}
	return t.Kind() == reflect.Slice
}

// fieldKind is what a nested field holds, and whether it, or what it is in, is personal.
// It is in no list but one.
func fieldKind(t reflect.Type, path, list string) (kind Kind, personal, ok bool) {
	at := ""
	for rest := path; rest != ""; {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return "", false, false
		}
		var name string
		name, rest, _ = strings.Cut(rest, ".")
		f, found := fieldNamed(t, name)
		if !found {
			return "", false, false
		}
		rule, err := streams.Rule(f)
		personal = personal || rule.Personal || err != nil
		at, t = strings.TrimPrefix(at+"."+name, "."), f.Type
		if at == list {
			t = heldBy(t)
		}
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	kind = kindOfType(t)
	return kind, personal, kind != ""
}

// kindOfType is what a column holds of a type; empty if none does.
func kindOfType(t reflect.Type) Kind {
	switch {
	case t.Implements(reflect.TypeFor[Sum]()):
		return Amount
	case t == reflect.TypeFor[time.Time]():
		return Time
	case streams.WritesItself(t):
		return ""
	}
	switch t.Kind() {
	case reflect.String:
		return Text
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return Count
	}
	return ""
}
