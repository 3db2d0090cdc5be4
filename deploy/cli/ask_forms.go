package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/term"

	"github.com/weirstream/weir/processors/analytics"
)

// csv writes values as they are: durations in nanoseconds, nothing for what is not there.
func (a *answer) csv(w io.Writer) error {
	rows := make([][]string, len(a.Rows))
	for i, row := range a.Rows {
		for _, x := range row {
			rows[i] = append(rows[i], plainOf(x))
		}
	}
	return analytics.WriteCSV(w, a.Columns, rows)
}

// parquet writes a column for each: texts, amounts as exact texts beside their currency,
// whole numbers (durations are nanoseconds), shares as doubles.
func (a *answer) parquet(w io.Writer) error {
	group := parquet.Group{}
	for _, c := range a.Columns {
		group[c.Name] = parquet.Optional(parquetNode(c.Kind))
	}
	schema := parquet.NewSchema("answer", group)
	at := make([]int, len(a.Columns)) // parquet has columns in the order of their names
	for i, c := range a.Columns {
		leaf, ok := schema.Lookup(c.Name)
		if !ok {
			return fmt.Errorf("column %q cannot be written as Parquet: choose -o csv", c.Name)
		}
		at[i] = leaf.ColumnIndex
	}
	out := parquet.NewWriter(w, schema)
	for _, row := range a.Rows {
		if len(row) != len(a.Columns) {
			return fmt.Errorf("a row has %d values for %d columns: ask a weir of the same version", len(row), len(a.Columns))
		}
		values := make(parquet.Row, len(row))
		for i, x := range row {
			v, err := parquetValue(a.Columns[i].Kind, x)
			if err != nil {
				return fmt.Errorf("column %s: %w", a.Columns[i].Name, err)
			}
			present := 1
			if v.IsNull() {
				present = 0
			}
			values[at[i]] = v.Level(0, present, at[i])
		}
		if _, err := out.WriteRows([]parquet.Row{values}); err != nil {
			return err
		}
	}
	return out.Close()
}

func parquetNode(k analytics.AnswerKind) parquet.Node {
	switch k {
	case analytics.IsCount, analytics.IsDuration:
		return parquet.Int(64)
	case analytics.IsShare:
		return parquet.Leaf(parquet.DoubleType)
	}
	return parquet.String()
}

func parquetValue(k analytics.AnswerKind, x json.RawMessage) (parquet.Value, error) {
	if string(x) == "null" {
		return parquet.NullValue(), nil
	}
	text := plainOf(x)
	switch k {
	case analytics.IsCount, analytics.IsDuration:
		n, err := strconv.ParseInt(text, 10, 64)
		return parquet.ValueOf(n), err
	case analytics.IsShare:
		f, err := strconv.ParseFloat(text, 64)
		return parquet.ValueOf(f), err
	}
	return parquet.ValueOf(text), nil
}

// eighths are a bar's last piece.
var eighths = []rune(" ▏▎▍▌▋▊▉")

// chart draws a bar for the first number of each row, as wide as the line allows. What is
// in several currencies is of several scales: the longest bar of each is full.
func (a *answer) chart(w io.Writer, width int) error {
	number := slices.IndexFunc(a.Columns, func(c analytics.AnswerColumn) bool { return c.Kind != analytics.IsText && c.Kind != analytics.IsTime })
	if number < 0 {
		return usagef("%s has no numbers to draw: choose -o table", a.Question)
	}
	currency := slices.IndexFunc(a.Columns, func(c analytics.AnswerColumn) bool { return c.Name == "currency" })
	labels, numbers, of := make([]string, len(a.Rows)), make([]string, len(a.Rows)), make([]string, len(a.Rows))
	most, labelWidth, numberWidth := map[string]float64{}, 0, 0
	for i, row := range a.Rows {
		var parts []string
		for j, x := range row[:number] {
			if j != currency {
				parts = append(parts, plainOf(x))
			}
		}
		if currency >= 0 && a.Columns[number].Kind == analytics.IsAmount {
			of[i] = plainOf(row[currency])
		}
		labels[i] = clipped(Printable(strings.Join(parts, " ")), max(8, width/3))
		numbers[i] = strings.TrimSpace(Printable(a.shown(number, row[number])) + " " + of[i])
		labelWidth, numberWidth = max(labelWidth, utf8.RuneCountInString(labels[i])), max(numberWidth, utf8.RuneCountInString(numbers[i]))
		most[of[i]] = max(most[of[i]], numeric(row[number]))
	}
	fmt.Fprintf(w, "%s, by %s\n", a.Columns[number].Name, a.Question)
	room := max(8, width-labelWidth-numberWidth-4)
	for i, row := range a.Rows {
		bar := ""
		if x, top := numeric(row[number]), most[of[i]]; x > 0 && top > 0 {
			bar = barOf(x/top, room)
		}
		fmt.Fprintf(w, "%s  %s  %s\n", padded(labels[i], labelWidth), strings.Repeat(" ", numberWidth-utf8.RuneCountInString(numbers[i]))+numbers[i], bar)
	}
	return nil
}

// barOf is a share of a width, in eighths of a letter; at least one.
func barOf(share float64, width int) string {
	n := max(1, int(share*float64(width)*8+0.5))
	return strings.TrimRight(strings.Repeat("█", n/8)+string(eighths[n%8]), " ")
}

func numeric(x json.RawMessage) float64 {
	f, err := strconv.ParseFloat(plainOf(x), 64)
	if err != nil {
		return 0
	}
	return f
}

func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func clipped(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// columnsOf is how wide a terminal is; 80 of what is none.
func columnsOf(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}
