package analytics

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams/business"
)

// Params are what a question is asked with. All may be left out but the Key of a story.
type Params struct {
	From, To time.Time         // half open; zero: since or for ever. Of cohorts: of those who first came then
	Zone     string            // of hours, days, weeks, months and years: a name of the IANA database; UTC
	By       []string          // dimensions, and at most one unit of time; none: the first dimension; "total": none at all
	Where    map[string]string // what a dimension has to be
	Key      string            // of a story
	Limit    int               // rows of the answer: 1000, at most MaxLimit
	Most     int64             // rows it may read; 0: as many as there are
}

// MaxLimit is how many rows an answer may have.
const MaxLimit = 100_000

const usualLimit = 1000

// ParamError says what is wrong with what a question was asked with, and what to ask.
type ParamError struct{ What string }

func (e *ParamError) Error() string { return e.What }

func wrong(format string, args ...any) error { return &ParamError{fmt.Sprintf(format, args...)} }

// Answer is what a question is answered: the same from every engine.
type Answer struct {
	Question string         `json:"question"`
	From     time.Time      `json:"from,omitzero"`
	To       time.Time      `json:"to,omitzero"`
	Zone     string         `json:"zone"`
	Columns  []AnswerColumn `json:"columns"`
	Rows     [][]any        `json:"rows"` // none is an empty list
	Read     int64          `json:"read"` // rows that were read for it, as far as the engine tells
	More     bool           `json:"more"` // the limit cut it off
}

// AnswerColumn is a column of an answer.
type AnswerColumn struct {
	Name string     `json:"name"`
	Kind AnswerKind `json:"kind"`
}

// AnswerKind is what a column of an answer holds.
type AnswerKind string

// The kinds of columns. What is not there is nil.
const (
	IsText     AnswerKind = "text"     // a string
	IsTime     AnswerKind = "time"     // a string: the beginning of a time as Dialect.Bucket has it, or RFC 3339 in UTC
	IsCount    AnswerKind = "count"    // an int64
	IsAmount   AnswerKind = "amount"   // a string, exact: "12.50", whose currency is in the row's column "currency"
	IsShare    AnswerKind = "share"    // a float64: one number divided by another
	IsDuration AnswerKind = "duration" // an int64: nanoseconds
)

// Ask answers a question of a business. Its error is a *ParamError for what it was asked
// with, and has ErrTooMuch within for what would read more than it may.
func Ask(ctx context.Context, store Store, schema *Schema, q business.Question, p Params) (*Answer, error) {
	a := &asking{Question: q, p: p, s: schema, d: store.Dialect()}
	if err := a.check(); err != nil {
		return nil, err
	}
	a.answer = &Answer{Question: q.Name, From: p.From.UTC(), To: p.To.UTC(), Zone: a.p.Zone, Rows: [][]any{}}
	a.run = func(x sql) (*Result, error) {
		r, err := store.Select(ctx, x.text, x.args, p.Most)
		if err != nil {
			return nil, fmt.Errorf("question %s: %w", q.Name, err)
		}
		a.answer.Read += r.Read
		return r, nil
	}
	answer := map[business.Shape]func() error{business.Table: a.table, business.Cohorts: a.cohorts, business.Pairs: a.pairs,
		business.Funnel: a.funnel, business.Hops: a.hops, business.Story: a.story}[q.Shape]
	if answer == nil {
		return nil, fmt.Errorf("question %s has the shape %q, which there is not", q.Name, q.Shape)
	}
	if err := answer(); err != nil {
		return nil, err
	}
	return a.answer, nil
}

// asking is a question that is being answered.
type asking struct {
	business.Question
	p      Params
	s      *Schema
	d      Dialect
	unit   string               // of time, by which rows are told apart; empty: by none
	dims   []business.Dimension // and by these
	answer *Answer
	run    func(sql) (*Result, error)
}

// check refuses parameters that mean nothing, and fills in what was left out.
func (a *asking) check() error {
	a.p.Zone = cmp.Or(a.p.Zone, "UTC")
	if _, err := time.LoadLocation(a.p.Zone); err != nil || a.p.Zone == "Local" || strings.ContainsAny(a.p.Zone, `'\?`) {
		return wrong("%q is no time zone: write a name of the IANA database, such as Europe/London", a.p.Zone)
	}
	if !a.p.From.IsZero() && !a.p.To.IsZero() && a.p.To.Before(a.p.From) {
		return wrong("it would end at %s, before it begins at %s: turn them round", a.p.To.Format(time.RFC3339), a.p.From.Format(time.RFC3339))
	}
	for _, t := range []time.Time{a.p.From, a.p.To} {
		if y := t.UTC().Year(); !t.IsZero() && (y < 1900 || y > 2200) {
			return wrong("%s is out of the years 1900 to 2200", t.Format(time.RFC3339))
		}
	}
	if a.p.Limit < 0 || a.p.Limit > MaxLimit {
		return wrong("an answer has up to %d rows, not %d", MaxLimit, a.p.Limit)
	}
	a.p.Limit = cmp.Or(a.p.Limit, usualLimit)
	if (a.Shape == business.Story) != (a.p.Key != "") {
		if a.p.Key == "" {
			return wrong("%s is about one %s: say which, by its key", a.Name, a.View.One)
		}
		return wrong("%s is about no key: leave it out", a.Name)
	}
	return a.checkBy()
}

func (a *asking) checkBy() error {
	for name := range a.p.Where {
		if _, ok := a.dimension(name); !ok {
			return wrong("%s has no dimension %q to choose by: it has %s", a.Name, name, a.dimensions())
		}
	}
	if len(a.p.By) == 0 {
		a.dims = a.By[:min(1, len(a.By))]
		return nil
	}
	for _, name := range a.p.By {
		d, ok := a.dimension(name)
		switch {
		case name == "total" && len(a.p.By) == 1 && a.Shape == business.Table:
		case slices.Contains(business.Units, name) && a.unit == "" && (a.Shape == business.Table || a.Shape == business.Cohorts && name != "hour"):
			a.unit = name
		case ok && !slices.Contains(a.dims, d):
			a.dims = append(a.dims, d)
		default:
			return wrong("%s cannot be told apart by %q: %s", a.Name, name, a.dimensions())
		}
	}
	return nil
}

func (a *asking) dimension(name string) (business.Dimension, bool) {
	i := slices.IndexFunc(a.By, func(d business.Dimension) bool { return d.Name == name })
	if i < 0 {
		return business.Dimension{}, false
	}
	return a.By[i], true
}

// dimensions are what a question may be told apart by, for a person.
func (a *asking) dimensions() string {
	var names []string
	for _, d := range a.By {
		names = append(names, d.Name)
	}
	switch a.Shape {
	case business.Table:
		names = append(names, "one of "+strings.Join(business.Units, ", "), "total alone")
	case business.Cohorts:
		names = append(names, "one of "+strings.Join(business.Units[1:], ", "))
	}
	if len(names) == 0 {
		return "its rows are what they are, leave --by out"
	}
	return "it can be by " + strings.Join(names, ", ") + ", each once"
}

func (a *asking) column(name string, kind AnswerKind) {
	a.answer.Columns = append(a.answer.Columns, AnswerColumn{name, kind})
}

// row adds a row to the answer, unless it has as many as it may.
func (a *asking) row(values ...any) {
	if len(a.answer.Rows) == a.p.Limit {
		a.answer.More = true
		return
	}
	a.answer.Rows = append(a.answer.Rows, values)
}

// chosen are the dimensions that have to be something, in the order of their names.
func (a *asking) chosen() []string { return slices.Sorted(maps.Keys(a.p.Where)) }
