package analytics

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/streams/business"
)

// Query is a question as SQL with nothing left open, for others to run.
type Query struct {
	SQL     string
	Columns []QueryColumn // of the answer to a table or pairs, in order
	Hops    []QueryHop    // of a saga's steps, which are all in one row
}

// QueryColumn is a column of an answer, in terms of what the SQL answers. Amounts are
// whole ten-thousandths as text, durations whole nanoseconds.
type QueryColumn struct {
	AnswerColumn
	From  string   // the column of the SQL; empty for a share
	Share [2]InSQL // of a share: what is divided, and by what
}

// InSQL is a column of the SQL and what it holds.
type InSQL struct {
	Column string
	Kind   AnswerKind
}

// QueryHop is a step of a saga, and the columns of how often it was and how long it took.
type QueryHop struct{ By, On, Emits, Times, P50, P95, P99 string }

// The range, until it is written.
var writtenFrom, writtenTo = time.Date(1901, 2, 3, 4, 5, 6, 7, time.UTC), time.Date(2199, 2, 3, 4, 5, 6, 7, time.UTC)

// QueryOf writes a question that is a table, pairs or the steps of a saga. From and to are
// expressions of the range, as whole nanoseconds since 1970; the range of params is not read.
func QueryOf(d Dialect, schema *Schema, q business.Question, p Params, from, to string) (*Query, error) {
	if q.Shape != business.Table && q.Shape != business.Pairs && q.Shape != business.Hops {
		return nil, fmt.Errorf("question %s has the shape %q, whose answer is no row of a query", q.Name, q.Shape)
	}
	p.From, p.To = writtenFrom, writtenTo
	w := &writing{dialect: d}
	a := &asking{Question: q, p: p, s: schema, d: d}
	if err := a.check(); err != nil {
		return nil, err
	}
	answer, err := Ask(context.Background(), w, schema, q, p)
	if err != nil {
		return nil, err
	}
	text, err := inlined(w.sql, w.args, map[int64]string{writtenFrom.UnixNano(): from, writtenTo.UnixNano(): to})
	if err != nil {
		return nil, fmt.Errorf("question %s: %w", q.Name, err)
	}
	out := &Query{SQL: text}
	switch q.Shape {
	case business.Table:
		out.Columns = a.written(answer.Columns)
	case business.Pairs:
		for i, name := range []string{"one", "other", "n"} {
			out.Columns = append(out.Columns, QueryColumn{AnswerColumn: answer.Columns[i], From: name})
		}
	case business.Hops:
		out.Hops, err = a.writtenHops()
	}
	return out, err
}

// written are the columns of a table: groups, then numbers in the order of the question.
func (a *asking) written(columns []AnswerColumn) (out []QueryColumn) {
	var groups []string
	if a.unit != "" {
		groups = append(groups, "b")
	}
	for i := range a.dims {
		groups = append(groups, fmt.Sprint("d", i))
	}
	values := a.values()
	if hasMoney(values) {
		groups = append(groups, "c1")
	}
	for i, name := range groups {
		out = append(out, QueryColumn{AnswerColumn: columns[i], From: name})
	}
	at := func(name string) InSQL {
		i := slices.IndexFunc(values, func(n business.Number) bool { return n.Name == name })
		in := InSQL{fmt.Sprint("n", i), IsCount}
		if values[i].Money() != "" {
			in.Kind = IsAmount
		}
		return in
	}
	for _, n := range a.Numbers {
		c := QueryColumn{AnswerColumn: columns[len(out)]}
		switch n.Kind {
		case business.ShareNumber:
			c.Share = [2]InSQL{at(n.Field), at(n.Other)}
		case business.BetweenNumber:
			i := at(n.Name).Column
			for j := range quantiles {
				out = append(out, QueryColumn{AnswerColumn: columns[len(out)], From: fmt.Sprintf("%s_%d", i, j)})
			}
			continue
		default:
			c.From = at(n.Name).Column
		}
		out = append(out, c)
	}
	return out
}

func (a *asking) writtenHops() (out []QueryHop, err error) {
	_, hops, _, err := a.hopsOf()
	for i, h := range hops {
		n := func(j int) string { return hopColumn(i, j) }
		out = append(out, QueryHop{h.by, h.on, h.emits, n(0), n(1), n(2), n(3)})
	}
	return out, err
}

type writing struct {
	Store
	dialect Dialect
	sql     string
	args    []any
}

func (w *writing) Dialect() Dialect { return w.dialect }

func (w *writing) Select(_ context.Context, sql string, args []any, _ int64) (*Result, error) {
	w.sql, w.args = sql, args
	return &Result{}, nil
}

// inlined writes arguments in the places of question marks that are in no quotes.
func inlined(text string, args []any, as map[int64]string) (string, error) {
	var b strings.Builder
	quote, n := rune(0), 0
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '`'):
			quote = r
		case quote == 0 && r == '?':
			if n == len(args) {
				return "", fmt.Errorf("it has more question marks than the %d arguments", n)
			}
			switch x := args[n].(type) {
			case int64:
				if name, ok := as[x]; ok {
					b.WriteString(name)
				} else {
					b.WriteString(strconv.FormatInt(x, 10))
				}
			case string:
				b.WriteString(literal(x))
			default:
				return "", fmt.Errorf("it has an argument of type %T", x)
			}
			n++
			continue
		}
		b.WriteRune(r)
	}
	return b.String(), nil
}
