package console

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/streams/business"
)

// answerView is an answer as it is shown.
type answerView struct {
	Asked    bool // there is an answer, maybe of no rows
	Rows     int
	More     bool // there are more rows than were asked for
	Read     string
	Columns  []answerColumn
	Table    []answerRow // the first of them
	Numbers  []choice    // that can be drawn
	Number   string      // that is drawn
	Spans    bool        // it is a time that has a P50, P95 and P99
	Charts   []timeChart
	Fewer    int // charts that are left out
	Axis     [3]string
	Cohorts  *cohortTable
	Told     []toldRow
	Document string // the path of what a story is about
}

// answerColumn is a column of the table.
type answerColumn struct {
	Name   string
	Number bool
}

type answerRow struct {
	Cells []answerCell
	Bar   []piece // none: there are no bars
}

type answerCell struct {
	Text, Path string
	Number     bool
}

// piece is a piece of a piece of a row's bar, in thousandths of the width.
type piece struct {
	Class string
	X, W  float64
}

// toldRow is an event of a story.
type toldRow struct {
	At                   time.Time
	Event, Says, Key, By string
}

func (c *Console) viewAnswer(a *questionAsk, x *analytics.Answer) answerView {
	v := answerView{Asked: true, Rows: len(x.Rows), More: x.More, Read: count(x.Read)}
	switch a.Shape {
	case business.Cohorts:
		v.Cohorts = cohortsOf(x)
		return v
	case business.Story:
		v.Told = storyOf(x)
		if len(v.Told) > 0 {
			v.Document = documentPath(a.View, a.params.Key)
		}
		return v
	}
	d := drawingOf(a, x)
	v.Numbers, v.Number, v.Spans = d.choices, d.name, len(d.columns) > 1
	if d.time >= 0 {
		c.drawTimes(&v, a, x, d)
	}
	v.table(a, x, d)
	return v
}

// drawnNumber is what is drawn of an answer.
type drawnNumber struct {
	name     string
	choices  []choice
	columns  []int // of the number; those of P50, P95 and P99 if it is a time
	time     int   // column; -1: there is none
	currency int   // likewise
	scales   bool  // it is money: each currency has a scale of its own
}

// drawingOf is the number that is chosen, or the first.
func drawingOf(a *questionAsk, x *analytics.Answer) drawnNumber {
	d := drawnNumber{time: -1, currency: -1}
	type number struct {
		name    string
		columns []int
	}
	var all []number
	for i, col := range x.Columns {
		name := strings.TrimSuffix(col.Name, "-p50")
		switch {
		case col.Kind == analytics.IsTime && d.time < 0:
			d.time = i
		case col.Name == business.CurrencyColumn && col.Kind == analytics.IsText:
			d.currency = i
		case col.Kind == analytics.IsText, col.Kind == analytics.IsTime, a.Shape == business.Table && slices.ContainsFunc(a.By, func(b business.Dimension) bool { return b.Name == col.Name }):
		case col.Kind == analytics.IsDuration && (name != col.Name || col.Name == "p50"):
			all = append(all, number{name, []int{i, i + 1, i + 2}})
		case col.Kind != analytics.IsDuration:
			all = append(all, number{col.Name, []int{i}})
		}
	}
	if len(all) == 0 {
		return d
	}
	i := max(0, slices.IndexFunc(all, func(n number) bool { return n.name == a.number }))
	if a.Shape == business.Hops && a.number == "" {
		i = len(all) - 1 // how long it took, and not how often
	}
	d.name, d.columns = all[i].name, all[i].columns
	if len(all) > 1 && a.Shape == business.Table {
		for j, n := range all {
			d.choices = append(d.choices, choice{words(n.name), a.with(drawn, n.name), i == j})
		}
	}
	d.scales = d.currency >= 0 && x.Columns[d.columns[0]].Kind == analytics.IsAmount
	return d
}

// extent is the greatest value of what has one scale, and the least, if it is below 0.
type extent struct{ low, high float64 }

// scaleOf says of which scale a row is: its currency, if money is drawn.
func (d *drawnNumber) scaleOf(row []any) string {
	if d.scales {
		return analytics.PlainText(row[d.currency])
	}
	return ""
}

func (d *drawnNumber) scalesOf(rows [][]any) map[string]extent {
	out := map[string]extent{}
	for _, row := range rows {
		s := out[d.scaleOf(row)]
		for _, i := range d.columns {
			v := numeric(row[i])
			s.low, s.high = min(s.low, v), max(s.high, v)
		}
		out[d.scaleOf(row)] = s
	}
	return out
}

// numeric is a value's size, for a drawing; what is not there is 0.
func numeric(x any) float64 {
	f, err := strconv.ParseFloat(analytics.PlainText(x), 64)
	if err != nil {
		return 0
	}
	return finite(f)
}

// classes of the pieces of a bar: of a time, up to its P50, P95 and P99.
var classes = [...]string{"hop", "p95", "p99"}

// pieces are what a row's bar consists of, in thousandths of a scale.
func (d *drawnNumber) pieces(row []any, s extent) (out []piece) {
	width := s.high - s.low
	if width <= 0 {
		return nil
	}
	before := 0.0
	for i, column := range d.columns {
		v := numeric(row[column])
		from, to := min(before, v), max(before, v)
		if to > from {
			x := 1000 * (from - s.low) / width
			out = append(out, piece{classes[min(i, len(classes)-1)], tenth(x), tenth(max(1000*(to-s.low)/width-x, 2))})
		}
		before = v
	}
	return out
}

func tenth(f float64) float64 { return math.Round(f*10) / 10 }

// table has the first rows, with a bar each unless they are drawn over time.
func (v *answerView) table(a *questionAsk, x *analytics.Answer, d drawnNumber) {
	for _, col := range x.Columns {
		v.Columns = append(v.Columns, answerColumn{words(col.Name), isNumber(col.Kind)})
	}
	scales := d.scalesOf(x.Rows)
	for _, row := range x.Rows[:min(len(x.Rows), answerShown)] {
		r := answerRow{}
		for i, col := range x.Columns {
			cell := answerCell{Text: valueOf(a.Shape, x.Columns, row, i), Number: isNumber(col.Kind)}
			if text, ok := row[i].(string); ok && text != "" && mask(text) == text && a.chooses(col.Name) {
				cell.Path = a.where(col.Name, text)
			}
			r.Cells = append(r.Cells, cell)
		}
		if d.time < 0 && len(d.columns) > 0 {
			r.Bar = d.pieces(row, scales[d.scaleOf(row)])
		}
		v.Table = append(v.Table, r)
	}
}

// chooses tells whether rows can be chosen by a column's values, and are not yet.
func (a *questionAsk) chooses(column string) bool {
	_, already := a.params.Where[column]
	return !already && slices.ContainsFunc(a.By, func(d business.Dimension) bool { return d.Name == column })
}

func isNumber(k analytics.AnswerKind) bool { return k != analytics.IsText && k != analytics.IsTime }

// words is a column's name in words.
func words(name string) string { return strings.NewReplacer("_", " ", "-", " ").Replace(name) }

// valueOf is a value as a person reads it; empty for what is not there.
func valueOf(shape business.Shape, columns []analytics.AnswerColumn, row []any, i int) string {
	x := row[i]
	if x == nil {
		return ""
	}
	switch columns[i].Kind {
	case analytics.IsCount:
		if n, ok := x.(int64); ok {
			return count(n)
		}
	case analytics.IsDuration:
		if n, ok := x.(int64); ok {
			return span(time.Duration(n))
		}
	case analytics.IsShare:
		if f, ok := x.(float64); ok {
			if shape == business.Funnel {
				return percent(f) + " %"
			}
			return strconv.FormatFloat(f, 'f', 4, 64) // a ratio of anything
		}
	case analytics.IsAmount:
		for j, col := range columns {
			if col.Name == business.CurrencyColumn {
				return exactly(analytics.PlainText(x), analytics.PlainText(row[j]))
			}
		}
	}
	return mask(short(analytics.PlainText(x)))
}

// exactly writes an exact amount with its currency, digit by digit as it is: £1,234.50.
func exactly(text, currency string) string {
	sign, digits := "", text
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, digits = "-", rest
	}
	whole, rest, hasRest := strings.Cut(digits, ".")
	var b strings.Builder
	for i, r := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	if hasRest {
		b.WriteString("." + rest)
	}
	if s, ok := signs[currency]; ok {
		return sign + s + b.String()
	}
	return strings.TrimSpace(sign + b.String() + " " + currency)
}

func storyOf(x *analytics.Answer) (out []toldRow) {
	for _, row := range x.Rows[:min(len(x.Rows), answerShown)] {
		texts := make([]string, len(row))
		for i := range row {
			texts[i] = analytics.PlainText(row[i])
		}
		at, _ := time.Parse(time.RFC3339Nano, texts[0])
		out = append(out, toldRow{At: at, Event: texts[1], Says: texts[2], Key: texts[3] + "/" + texts[4], By: strings.TrimPrefix(texts[5], "/")})
	}
	return out
}

// Bounds of what a table of cohorts shows.
const cohortsShown, laterShown = 60, 24

// cohortTable has a row for each time in which some came first.
type cohortTable struct {
	Later []int64
	Rows  []cohortRow
	Cut   bool // there is more
}

type cohortRow struct {
	First string
	Cells []cohortCell
}

// cohortCell is how many came again, as a share of those who came first, and how dark that is.
type cohortCell struct {
	Came, Share, Class string
}

func cohortsOf(x *analytics.Answer) *cohortTable {
	t, last := &cohortTable{}, int64(0)
	for _, row := range x.Rows {
		first, later := analytics.PlainText(row[0]), int64(numeric(row[1]))
		if len(t.Rows) == 0 || t.Rows[len(t.Rows)-1].First != first {
			if len(t.Rows) == cohortsShown {
				t.Cut = true
				break
			}
			t.Rows = append(t.Rows, cohortRow{First: first})
		}
		if later < 0 || later > laterShown {
			t.Cut = true
			continue
		}
		r := &t.Rows[len(t.Rows)-1]
		for int64(len(r.Cells)) <= later {
			r.Cells = append(r.Cells, cohortCell{})
		}
		share := numeric(row[3])
		n, _ := row[2].(int64)
		cell := cohortCell{Came: count(n), Share: percent(share) + " %"}
		if later > 0 { // all came when they came first
			cell.Class = "heat" + strconv.Itoa(min(10, max(0, int(math.Ceil(share*10)))))
		}
		r.Cells[later] = cell
		last = max(last, later)
	}
	for i := range last + 1 {
		t.Later = append(t.Later, i)
	}
	return t
}
