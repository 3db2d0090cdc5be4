package analytics

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteCSV writes rows of texts under the names of their columns. What a spreadsheet would
// take for a formula gets an apostrophe before it: strangers choose some of the texts.
func WriteCSV(w io.Writer, columns []AnswerColumn, rows [][]string) error {
	out := csv.NewWriter(w)
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.Name
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, row := range rows {
		for i, text := range row {
			if columns[i].Kind == IsText && text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
				row[i] = "'" + text
			}
		}
	}
	return out.WriteAll(rows)
}

// Texts are the rows of an answer as texts: durations in nanoseconds, empty for what is
// not there.
func (a *Answer) Texts() [][]string {
	out := make([][]string, len(a.Rows))
	for i, row := range a.Rows {
		for _, x := range row {
			out[i] = append(out[i], PlainText(x))
		}
	}
	return out
}

// PlainText is a value of an answer; empty for what is not there.
func PlainText(x any) string {
	switch x := x.(type) {
	case nil:
		return ""
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprint(x)
}
