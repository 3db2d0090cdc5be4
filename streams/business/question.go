package business

import (
	"reflect"
	"slices"
	"strings"

	"github.com/weirstream/weir/streams"
)

// Question is something that a business is asked again and again, of all that ever
// happened: which rows, of them those that meet conditions, by what they may be told
// apart, and the numbers of them. Fields are called as JSON calls them, with dots where
// nested ("ship_to.country"), and those of the document that With joins by the view's
// name before them ("orders.country"); a document's key is called as the view's One.
//
// Every question can be told apart by the hour, day, week, month and year besides.
type Question struct {
	Name    string // in lower case, with dashes: "revenue"
	Title   string // for people: "Revenue"
	About   string // what it tells, in a sentence or two
	Of      Rows
	Where   []Condition // rows meet all of them
	By      []Dimension // the first is what it is told apart by if nobody says otherwise
	Numbers []Number
	Top     int // only so many rows of the greatest first number, of each time and currency; 0: all

	Shape Shape
	Who   string // of Cohorts: the text that says who comes again
	Item  string // of Pairs: the text of which a key has several
	// Of what those are that no service declares: see Business.Questions.
	Saga string
	View *View
}

// Shape is what an answer looks like.
type Shape string

// The shapes of questions. Only the first three are declared.
const (
	Table   Shape = ""        // numbers by dimensions
	Cohorts Shape = "cohorts" // how many of those who first came in a time came again n times later
	Pairs   Shape = "pairs"   // which two items are together for one key, and how often
	Funnel  Shape = "funnel"  // how many of a saga reached each event, and how they ended
	Hops    Shape = "steps"   // how long a saga took from each event to what follows it
	Story   Shape = "story"   // what happened to a document
)

// Rows are what a question counts.
type Rows struct {
	Events []streams.Event // zero values: a row for each event of these types
	List   string          // of the one type: a row for each element of this field
	View   *View           // instead: a row for each document,
	At     string          // in the time that this field of it has
	Joined *View           // whose document of the row's key may be asked about as well
}

// Events are a row for each event of some types.
func Events(types ...streams.Event) Rows { return Rows{Events: types} }

// EachOf are a row for each element of a list in events of a type.
func EachOf[E streams.Event](list string) Rows {
	var zero E
	return Rows{Events: []streams.Event{zero}, List: list}
}

// Documents are a row for each document of a view, at the time that a field of it has;
// those in which it is missing are left out.
func Documents(v *View, at string) Rows { return Rows{View: v, At: at} }

// With joins the document of the row's key.
func (r Rows) With(v *View) Rows {
	r.Joined = v
	return r
}

// Condition is what rows have to meet.
type Condition struct {
	Field  string
	Values []string // the text is one of them; none: the time is there
}

// Has wants a time to be there.
func Has(field string) Condition { return Condition{Field: field} }

// Is wants a text to be one of some.
func Is(field string, values ...string) Condition { return Condition{Field: field, Values: values} }

// Dimension is a text or whole number by which rows are told apart.
type Dimension struct{ Name, Field string }

// By names a field for people.
func By(name, field string) Dimension { return Dimension{name, field} }

// Units are the lengths of time by which every question can be told apart.
var Units = []string{"hour", "day", "week", "month", "year"}

// Number is a column of an answer; of types of events only if it names some.
type Number struct {
	Name  string
	Kind  NumberKind
	Field string
	Other string // the second field, or number
	Types []streams.Event
}

// NumberKind is what is made of rows.
type NumberKind string

// The kinds of numbers.
const (
	RowsNumber     NumberKind = "rows"     // how many there are
	MoneyNumber    NumberKind = "money"    // the sum of Field, which is money
	WholeNumber    NumberKind = "whole"    // the sum of Field, a whole number
	ProductNumber  NumberKind = "product"  // the sum of Field, a whole number, times Other, which is money
	DistinctNumber NumberKind = "distinct" // how many different texts Field has
	ShareNumber    NumberKind = "share"    // the number Field divided by the number Other
	BetweenNumber  NumberKind = "between"  // the time from Field to Other: its P50, P95 and P99
)

// HowMany counts rows.
func HowMany(name string, types ...streams.Event) Number {
	return Number{Name: name, Kind: RowsNumber, Types: types}
}

// Total sums money, by currency: that is a column of the answer, and never summed across.
func Total(name, money string, types ...streams.Event) Number {
	return Number{Name: name, Kind: MoneyNumber, Field: money, Types: types}
}

// TotalOf sums whole numbers.
func TotalOf(name, whole string, types ...streams.Event) Number {
	return Number{Name: name, Kind: WholeNumber, Field: whole, Types: types}
}

// Times sums, by currency, what each row's whole number times its money is, exactly.
func Times(name, whole, money string, types ...streams.Event) Number {
	return Number{Name: name, Kind: ProductNumber, Field: whole, Other: money, Types: types}
}

// Distinct counts different texts.
func Distinct(name, text string, types ...streams.Event) Number {
	return Number{Name: name, Kind: DistinctNumber, Field: text, Types: types}
}

// Share divides one number of the question by another.
func Share(name, of, per string) Number {
	return Number{Name: name, Kind: ShareNumber, Field: of, Other: per}
}

// Quantiles are the P50, P95 and P99 of the time between two times of a document, of those
// that have both.
func Quantiles(name, from, to string) Number {
	return Number{Name: name, Kind: BetweenNumber, Field: from, Other: to}
}

// Of tells whether a number is of events of a type, by the event's zero value.
func (n Number) Of(e streams.Event) bool {
	return len(n.Types) == 0 || slices.ContainsFunc(n.Types, func(t streams.Event) bool { return reflect.TypeOf(t) == reflect.TypeOf(e) })
}

// Money is the field of which a number sums money; empty if it does not.
func (n Number) Money() string {
	switch n.Kind {
	case MoneyNumber:
		return n.Field
	case ProductNumber:
		return n.Other
	}
	return ""
}

// Questions are those that services declare, and those that every business is asked: of
// each saga how many reach its steps, and how long each takes; of each view with a history
// what happened to a document.
func (b *Business) Questions() (out []Question) {
	for _, s := range b.Services {
		out = append(out, s.Questions...)
	}
	for _, s := range b.Sagas {
		out = append(out,
			Question{Name: s.Name + "-funnel", Title: "How far " + s.Name + " gets", Shape: Funnel, Saga: s.Name,
				About: "How many of those that started reached each event, by when they started, and how they ended."},
			Question{Name: s.Name + "-steps", Title: "How long " + s.Name + " takes", Shape: Hops, Saga: s.Name,
				About: "The time from an event to the first of what follows it, within one correlation: from the last before that, where there are several."})
	}
	for _, v := range b.Views() {
		if v.History {
			out = append(out, Question{Name: strings.ReplaceAll(v.One, "_", "-") + "-story", Title: "What happened to one " + v.One, Shape: Story, View: v,
				About: "Every event of its key, and of all that had to do with it, in the order of time."})
		}
	}
	return out
}

// Question finds a question by its name.
func (b *Business) Question(name string) (Question, bool) {
	all := b.Questions()
	i := slices.IndexFunc(all, func(q Question) bool { return q.Name == name })
	if i < 0 {
		return Question{}, false
	}
	return all[i], true
}
