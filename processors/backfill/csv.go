package backfill

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table reads CSV. It finds the ends of records itself: a quote that is never closed
// spoils its own line, and neither the file nor the memory.
type table struct {
	*lines
	csv    *csv.Reader
	fed    bytes.Buffer // a record at a time
	comma  []byte
	lazy   bool
	trim   bool
	names  []string
	header bool
	at     []int // of the plan's columns
	first  int64 // line of the record
	offset int64 // of what csv has read
}

func newTable(l *lines, p *plan) (*table, error) {
	f := &p.File
	t := &table{lines: l, comma: []byte(cmp.Or(f.Delimiter, ",")), lazy: f.LazyQuotes, trim: f.Trim, names: f.Columns, header: !f.NoHeader}
	t.renew()
	if t.header {
		first, err := t.record()
		if err != nil {
			return nil, fmt.Errorf("line 1 has to name the columns: %w", cmp.Or(unread(err), errors.New("the file holds nothing")))
		}
		t.names = slices.Clone(first)
		for i := range t.names {
			t.names[i] = strings.TrimSpace(t.names[i])
		}
	}
	for _, c := range p.columns {
		i := slices.Index(t.names, c)
		switch {
		case i < 0:
			return nil, fmt.Errorf("there is no column %q that the mapping asks for: there are %.500s", c, listed(t.names))
		case slices.Contains(t.names[i+1:], c):
			return nil, fmt.Errorf("two columns are called %q, and the mapping asks for it", c)
		}
		t.at = append(t.at, i)
	}
	return t, nil
}

// unread is nil for the end of the file.
func unread(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// renew drops what a record with an error left unread.
func (t *table) renew() {
	t.fed.Reset()
	t.csv, t.offset = csv.NewReader(&t.fed), 0
	t.csv.Comma, _ = utf8.DecodeRune(t.comma)
	t.csv.LazyQuotes, t.csv.FieldsPerRecord, t.csv.ReuseRecord = t.lazy, -1, true
}

func (t *table) next(r *row) error {
	fields, err := t.record()
	r.line = t.first
	if err != nil {
		return err
	}
	return t.take(r, fields)
}

// record reads one, over empty lines.
func (t *table) record() ([]string, error) {
	b, err := t.line()
	for err == nil && len(b) == 0 {
		b, err = t.line()
	}
	t.first = t.number
	if err != nil {
		return nil, err
	}
	t.feed(b)
	if inside, _ := t.quoted(b, false); !inside {
		return t.parse()
	}
	more, err := t.more(len(b))
	var fields []string
	if err == nil {
		fields, err = t.parse()
	} else {
		t.renew()
	}
	var bad *refused
	if errors.As(err, &bad) {
		t.again(more) // only the first line is spoilt
	}
	return fields, err
}

// feed gives a line to csv, which takes one \r off its end.
func (t *table) feed(b []byte) {
	t.fed.Write(b)
	t.fed.WriteString("\r\n")
}

// maxLines is of how many lines a record may be.
const maxLines = 1000

// more reads the lines that a record goes on over.
func (t *table) more(size int) (lines [][]byte, err error) {
	for {
		b, err := t.line()
		var long *refused
		switch {
		case errors.Is(err, io.EOF):
			t.number--
			return lines, &refused{errors.New("a quote is never closed")}
		case errors.As(err, &long):
			return append(lines, nil), &refused{errors.New("a quote is not closed before a line that is too long")}
		case err != nil:
			return lines, err
		}
		lines = append(lines, bytes.Clone(b))
		if size += len(b); size > maxLine || len(lines) == maxLines {
			return lines, &refused{fmt.Errorf("a quote is not closed within %d lines and %d bytes", maxLines, maxLine)}
		}
		t.feed(b)
		inside, bad := t.quoted(b, true)
		if bad {
			return lines, &refused{fmt.Errorf("a quote is not closed, or line %d has one in the middle of a field", t.number)}
		}
		if !inside {
			return lines, nil
		}
	}
}

// quoted tells whether a line ends within quotes, and whether what follows a closing
// quote is wrong.
func (t *table) quoted(b []byte, inside bool) (still, bad bool) {
	if !inside && bytes.IndexByte(b, '"') < 0 {
		return false, false
	}
	for {
		if !inside {
			if len(b) > 0 && b[0] == '"' {
				b, inside = b[1:], true
				continue
			}
			i := bytes.Index(b, t.comma)
			if i < 0 {
				return false, false
			}
			b = b[i+len(t.comma):]
			continue
		}
		i := bytes.IndexByte(b, '"')
		if i < 0 {
			return true, false
		}
		b = b[i+1:]
		switch {
		case len(b) == 0:
			return false, false
		case b[0] == '"':
			b = b[1:]
		case bytes.HasPrefix(b, t.comma):
			b, inside = b[len(t.comma):], false
		case !t.lazy:
			return false, true
		}
	}
}

// parse reads the record that was fed.
func (t *table) parse() ([]string, error) {
	fed := int64(t.fed.Len())
	fields, err := t.csv.Read()
	if err == nil && t.csv.InputOffset() == t.offset+fed {
		t.offset += fed
		return fields, nil
	}
	t.renew()
	var wrong *csv.ParseError
	if errors.As(err, &wrong) {
		err = wrong.Err
	} else {
		err = errors.New("it is no record of CSV")
	}
	if errors.Is(err, csv.ErrBareQuote) && !t.lazy {
		err = fmt.Errorf("%w: say file.lazy_quotes if they stand for themselves", err)
	}
	return nil, &refused{err}
}

func (t *table) take(r *row, fields []string) error {
	r.record++
	switch {
	case len(fields) != len(t.names):
		return &refused{fmt.Errorf("%d of %d fields: the line is cut off or damaged", len(fields), len(t.names))}
	case t.header && slices.Equal(fields, t.names):
		return &refused{errors.New("it is the header again")}
	}
	for i, at := range t.at {
		if r.cells[i] = fields[at]; t.trim {
			r.cells[i] = strings.TrimSpace(fields[at])
		}
	}
	return nil
}

// listed are names of columns for people, without what a terminal would act on.
func listed(names []string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join(names, ", "))
}
