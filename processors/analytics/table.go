package analytics

import (
	"fmt"
	"math"
	"strconv"

	"github.com/weirstream/weir/streams/business"
)

// table answers numbers by dimensions: rows with the values of which numbers are made, then
// a group for each time, dimension and currency, then the greatest of them.
func (a *asking) table() error {
	values := a.values()
	w := wanted{values: values}
	for _, d := range a.dims {
		w.fields = append(w.fields, d.Field)
	}
	src, err := a.source(w)
	if err != nil {
		return err
	}
	columns, groups, parts := "", []string{}, []string{}
	pick := func(expression, name string) {
		columns += expression + " AS " + quoted(name) + ", "
		groups = append(groups, name)
	}
	if a.unit != "" {
		pick(a.d.Bucket(src.at, a.unit, a.p.Zone), "b")
		a.column(a.unit, IsTime)
		parts = append(parts, "b")
	}
	var dims []string
	for i, d := range a.dims {
		name := fmt.Sprint("d", i)
		pick(src.field(d.Field), name)
		dims = append(dims, name)
		a.column(d.Name, a.kindOf(d.Field))
	}
	if hasMoney(values) {
		pick("`c`", "c1")
		a.column(business.CurrencyColumn, IsText)
		parts = append(parts, "c1")
	}
	for i := range values {
		columns += quoted(fmt.Sprint("v", i)) + ", "
	}
	rows := piece("SELECT %s1 AS `one` FROM %s%s", columns, src.from, where(src.where))
	grouped := piece("SELECT %s%s AS `s`, count(*) AS `n` FROM (%s) AS q%s", list(append(groups, ""), orNothing), a.aggregates(values), rows, groupBy(groups))
	r, err := a.run(a.greatest(grouped, append(groups[:len(groups):len(groups)], shown(values)...), parts, dims))
	if err != nil {
		return err
	}
	return a.rows(r, values, len(groups))
}

// values are the numbers that are made of rows; others are made of them.
func (a *asking) values() (out []business.Number) {
	for _, n := range a.Numbers {
		if n.Kind != business.ShareNumber {
			out = append(out, n)
		}
	}
	return out
}

func hasMoney(numbers []business.Number) bool {
	for _, n := range numbers {
		if n.Money() != "" {
			return true
		}
	}
	return false
}

func (a *asking) kindOf(field string) AnswerKind {
	if a.isWhole(field) {
		return IsCount
	}
	return IsText
}

func groupBy(groups []string) string {
	if len(groups) == 0 {
		return ""
	}
	return " GROUP BY " + list(groups, quoted)
}

// orNothing quotes a name, and leaves nothing nothing: a list then ends with a comma.
func orNothing(name string) string {
	if name == "" {
		return ""
	}
	return quoted(name)
}

// quantiles are those of times.
var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}}

// shown are the columns of numbers.
func shown(values []business.Number) (out []string) {
	for i, n := range values {
		if n.Kind != business.BetweenNumber {
			out = append(out, fmt.Sprint("n", i))
			continue
		}
		for j := range quantiles {
			out = append(out, fmt.Sprintf("n%d_%d", i, j))
		}
	}
	return out
}

// aggregates are the numbers as `n0`, `n1`, …, and at last what rows are sorted by.
func (a *asking) aggregates(values []business.Number) (out string) {
	sorts := "count(*)"
	for i, n := range values {
		v := quoted(fmt.Sprint("v", i))
		raw, shown := "sum("+v+")", ""
		switch n.Kind {
		case business.DistinctNumber:
			raw = a.d.Distinct(v)
		case business.MoneyNumber, business.ProductNumber:
			shown = a.d.Scaled(raw, "`c1`")
		case business.BetweenNumber:
			raw = a.d.Quantile(v, quantiles[0].q)
			for j, q := range quantiles {
				out += a.d.Quantile(v, q.q) + " AS " + quoted(fmt.Sprintf("n%d_%d", i, j)) + ", "
			}
		}
		if n.Kind != business.BetweenNumber {
			if shown == "" {
				shown = raw
			}
			out += shown + " AS " + quoted(fmt.Sprint("n", i)) + ", "
		}
		if i == 0 {
			sorts = raw
		}
	}
	return out + sorts
}

// greatest sorts groups completely: by time, currency, the first number from the greatest
// on, and dimensions; and keeps the question's Top of each time and currency.
func (a *asking) greatest(grouped sql, columns, parts, dims []string) sql {
	order := list(append(parts[:len(parts):len(parts)], ""), orNothing) + "`s` DESC"
	if len(dims) > 0 {
		order += ", " + list(dims, quoted)
	}
	limit := sql{"?", []any{int64(a.p.Limit + 1)}}
	if a.Top == 0 {
		return piece("SELECT %s FROM (%s) AS g WHERE `n` > 0 ORDER BY %s LIMIT %s", list(columns, quoted), grouped, order, limit)
	}
	over := "ORDER BY `s` DESC"
	if len(dims) > 0 {
		over += ", " + list(dims, quoted)
	}
	if len(parts) > 0 {
		over = "PARTITION BY " + list(parts, quoted) + " " + over
	}
	return piece("SELECT %s FROM (SELECT g.*, row_number() OVER (%s) AS `place` FROM (%s) AS g) AS h WHERE `n` > 0 AND `place` <= %s ORDER BY %s LIMIT %s",
		list(columns, quoted), over, grouped, strconv.Itoa(a.Top), order, limit)
}

// rows are those of the answer: groups, then numbers in the order of the question.
func (a *asking) rows(r *Result, values []business.Number, groups int) error {
	for _, n := range a.Numbers {
		switch n.Kind {
		case business.BetweenNumber:
			for _, q := range quantiles {
				a.column(n.Name+"-"+q.name, IsDuration)
			}
		case business.ShareNumber:
			a.column(n.Name, IsShare)
		case business.MoneyNumber, business.ProductNumber:
			a.column(n.Name, IsAmount)
		default:
			a.column(n.Name, IsCount)
		}
	}
	for _, from := range r.Rows {
		row, at := append([]any{}, from[:groups]...), groups
		numbers := map[string][]any{}
		for _, n := range values {
			width := 1
			if n.Kind == business.BetweenNumber {
				width = len(quantiles)
			}
			numbers[n.Name] = from[at : at+width]
			at += width
		}
		for _, n := range a.Numbers {
			switch {
			case n.Kind == business.ShareNumber:
				row = append(row, share(numbers[n.Field][0], numbers[n.Other][0]))
			case n.Money() != "":
				text, err := amount(numbers[n.Name][0], from[groups-1])
				if err != nil {
					return err
				}
				row = append(row, text)
			default:
				row = append(row, numbers[n.Name]...)
			}
		}
		a.row(row...)
	}
	return nil
}

func amount(scaled, currency any) (string, error) {
	s, ok := scaled.(string)
	c, isText := currency.(string)
	if !ok || !isText {
		return "", fmt.Errorf("the engine answers %T in %T for an amount: it is to answer text", scaled, currency)
	}
	return AmountText(s, c), nil
}

// share is one number divided by another; nil if that is nothing.
func share(of, per any) any {
	x, y := floatOf(of), floatOf(per)
	if y == 0 {
		return nil
	}
	return x / y
}

func floatOf(x any) float64 {
	switch x := x.(type) {
	case int64:
		return float64(x)
	case string: // whole ten-thousandths
		f, _ := strconv.ParseFloat(x, 64)
		return f / math.Pow10(Scale)
	}
	return 0
}
