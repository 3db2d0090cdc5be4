package analytics

import (
	"strings"
	"time"
)

// sql is a piece of a query, with the arguments of its question marks.
type sql struct {
	text string
	args []any
}

// piece puts pieces, and texts, in the places of %s: arguments stay in their order.
func piece(format string, parts ...any) (out sql) {
	var b strings.Builder
	for i, text := range strings.Split(format, "%s") {
		if i > 0 {
			switch p := parts[i-1].(type) {
			case sql:
				b.WriteString(p.text)
				out.args = append(out.args, p.args...)
			case string:
				b.WriteString(p)
			}
		}
		b.WriteString(text)
	}
	out.text = b.String()
	return out
}

// joined puts text between pieces; the piece without, if there are none.
func joined(pieces []sql, between, without string) (out sql) {
	if len(pieces) == 0 {
		return sql{text: without}
	}
	out = pieces[0]
	for _, p := range pieces[1:] {
		out = piece("%s"+between+"%s", out, p)
	}
	return out
}

// where is nothing if there are no conditions.
func where(conditions []sql) sql {
	if len(conditions) == 0 {
		return sql{}
	}
	return piece(" WHERE %s", joined(conditions, " AND ", ""))
}

func quoted(name string) string { return "`" + name + "`" }

// literal is a text of the declaration; what anybody asks with goes into arguments.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func list(texts []string, write func(string) string) string {
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = write(s)
	}
	return strings.Join(out, ", ")
}

// isOneOf compares with texts that are arguments.
func isOneOf(x string, values []string) sql {
	out := sql{text: x + " IN (" + strings.Repeat("?, ", len(values)-1) + "?)"}
	for _, v := range values {
		out.args = append(out.args, v)
	}
	return out
}

// within are the conditions on a column of kind At to be in a range.
func (a *asking) within(at string, from, to time.Time) (out []sql) {
	if !from.IsZero() {
		out = append(out, sql{a.d.After(at), []any{from.UnixNano()}})
	}
	if !to.IsZero() {
		out = append(out, sql{a.d.Before(at), []any{to.UnixNano()}})
	}
	return out
}

// is there tells whether a column of kind At has a time.
func (a *asking) isThere(at string) string { return a.d.Nanos(at) + " > 0" }
