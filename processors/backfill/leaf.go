package backfill

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// form is how a value is written.
type form int

const (
	textual form = iota
	whole
	real
	flag
	moment
	money
)

// leaf is a value of an event: where it comes from, and how it is written.
type leaf struct {
	Value
	path     string // of the field
	form     form
	at       int  // its column, or that of its sum; -1: none
	parts    text // of Text
	empty    text
	clock    clock
	minor    string // names of the parts of money
	currency string
	digits   int
	from     int // the column of the currency, -1: none
	by       int // what a sum multiplies with, -1: nothing
	slot     int // of a sum, in a group
}

// text is one with columns in it.
type text []part

type part struct {
	fixed  string
	column int // -1: fixed
	name   string
}

// leaf compiles a value for a field of a type.
func (p *plan) leaf(path string, v Value, t reflect.Type) (*leaf, error) {
	l := &leaf{Value: v, path: path, at: -1, from: -1, by: -1}
	if err := l.fit(t); err != nil {
		return nil, err
	}
	said := 0
	for _, is := range []bool{v.Column != "", v.Text != "", v.Constant != nil, v.Sum != "", v.Count != ""} {
		if is {
			said++
		}
	}
	if said != 1 {
		return nil, errors.New("say exactly one of column, text, constant, sum and count")
	}
	for _, c := range []struct {
		name string
		at   *int
	}{{v.Column, &l.at}, {v.Sum, &l.at}, {v.Times, &l.by}, {v.CurrencyFrom, &l.from}} {
		if c.name != "" {
			*c.at = p.column(c.name)
		}
	}
	var err error
	if l.parts, err = p.text(v.Text); err != nil {
		return nil, err
	}
	if v.Empty != nil {
		if l.empty, err = p.text(*v.Empty); err != nil {
			return nil, err
		}
	}
	if l.form == moment {
		if l.clock, err = newClock(v.Layout, v.Zone); err != nil {
			return nil, err
		}
	}
	if v.Sum != "" {
		l.slot = len(p.sums)
		p.sums = append(p.sums, l)
	}
	return l, l.check()
}

// check refuses what is said of a value and means nothing there.
func (l *leaf) check() error {
	number := l.form == whole || l.form == money
	switch {
	case l.Count != "" && (l.Count != "rows" || l.form != whole):
		return errors.New("count is of rows, in a field that is a whole number")
	case l.Sum != "" && !number:
		return errors.New("a sum is money, or a whole number")
	case l.Times != "" && l.Sum == "":
		return errors.New("times is of a sum")
	case l.form != moment && (l.Layout != nil || l.Zone != ""):
		return errors.New("layout and zone are of times, and the field is none")
	case l.form != money && (l.Currency != "" || l.CurrencyFrom != ""):
		return errors.New("currency is of money, and the field is none")
	case l.form == money && (l.Currency == "") == (l.CurrencyFrom == ""):
		return errors.New("the field is money: say its currency, or currency_from, the column that has it")
	case l.Round != "" && (l.Round != "half-even" || !number):
		return errors.New("round is half-even, of money and whole numbers")
	case (l.Value.Empty != nil || l.Optional) && l.Column == "":
		return errors.New("empty and optional are of columns")
	case l.Value.Empty != nil && l.Optional:
		return errors.New("say empty or optional, not both")
	}
	if l.Currency != "" {
		var err error
		l.digits, err = digitsOf(l.Currency)
		return err
	}
	return nil
}

var (
	timeType = reflect.TypeFor[time.Time]()
	sumType  = reflect.TypeFor[business.Sum]()
)

// fit finds how values of a type are written.
func (l *leaf) fit(t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	k := t.Kind()
	switch {
	case t.Implements(sumType):
		l.form = money
		return l.partsOf(t)
	case t == timeType:
		l.form = moment
	case streams.WritesItself(t) || k == reflect.String:
		l.form = textual
	case k == reflect.Bool:
		l.form = flag
	case k >= reflect.Int && k <= reflect.Uint64:
		l.form = whole
	case k == reflect.Float32 || k == reflect.Float64:
		l.form = real
	case k == reflect.Struct:
		return errors.New("it is nested: map its fields, with dots")
	default:
		return fmt.Errorf("it is a %v, which no column can be", t)
	}
	return nil
}

// partsOf finds the fields of a type of money: its minor units and its currency.
func (l *leaf) partsOf(t reflect.Type) error {
	if t.Kind() == reflect.Struct {
		for minor, a := range streams.Fields(t) {
			for currency, b := range streams.Fields(t) {
				if a.Type.Kind() != reflect.Int64 || b.Type.Kind() != reflect.String {
					continue
				}
				v := reflect.New(t).Elem()
				v.FieldByIndex(a.Index).SetInt(7)
				v.FieldByIndex(b.Index).SetString("XTS")
				if n, code := v.Interface().(business.Sum).Amount(); n == 7 && code == "XTS" {
					l.minor, l.currency = minor, currency
					return nil
				}
			}
		}
	}
	return fmt.Errorf("%v is money in a form of its own: map its fields, with dots", t)
}

// text compiles one with {columns} in it; {{ is a brace.
func (p *plan) text(s string) (out text, err error) {
	for s != "" {
		i := strings.IndexAny(s, "{}")
		switch {
		case i < 0:
			return append(out, part{fixed: s, column: -1}), nil
		case strings.HasPrefix(s[i:], "{{") || strings.HasPrefix(s[i:], "}}"):
			out = append(out, part{fixed: s[:i+1], column: -1})
			s = s[i+2:]
			continue
		case s[i] == '}':
			return nil, fmt.Errorf("%q closes a brace that is not open: write }} for one that stands", s)
		}
		name, rest, ok := strings.Cut(s[i+1:], "}")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q has a brace without a column: write {column}, or {{ for one that stands", s)
		}
		out = append(out, part{fixed: s[:i], column: -1}, part{column: p.column(name), name: name})
		s = rest
	}
	return out, nil
}

func (t text) of(cells []string) (string, error) {
	if len(t) == 1 && t[0].column < 0 {
		return t[0].fixed, nil
	}
	var b strings.Builder
	for _, p := range t {
		if p.column < 0 {
			b.WriteString(p.fixed)
			continue
		}
		if cells[p.column] == "" {
			return "", emptyColumn(p.name)
		}
		b.WriteString(cells[p.column])
	}
	return b.String(), nil
}

func emptyColumn(name string) error {
	return fmt.Errorf("column %s is empty or missing: say empty or optional where it may be", name)
}

// text is the value as it stands in the file; there is none if it may be left out.
func (l *leaf) text(cells []string) (s string, there bool, err error) {
	switch {
	case l.Constant != nil:
		return *l.Constant, true, nil
	case l.Text != "":
		s, err = l.parts.of(cells)
		return s, true, err
	case cells[l.at] != "":
		return cells[l.at], true, nil
	case l.Optional:
		return "", false, nil
	case l.Value.Empty != nil:
		s, err = l.empty.of(cells)
		return s, true, err
	}
	return "", false, emptyColumn(l.Column)
}

// name is what an error is about.
func (l *leaf) name() string {
	if n := l.Column + l.Sum; n != "" {
		return n
	}
	return l.path
}

// append writes the value as JSON.
func (l *leaf) append(b []byte, cells []string, f notation) ([]byte, bool, error) {
	s, there, err := l.text(cells)
	if err != nil || !there {
		return b, false, err
	}
	switch l.form {
	case textual:
		return appendText(b, s), true, nil
	case flag:
		if s != "true" && s != "false" {
			return b, false, fmt.Errorf("%s: %.40q is neither true nor false", l.name(), s)
		}
		return append(b, s...), true, nil
	case moment:
		t, err := l.clock.read(s)
		if err != nil {
			return b, false, fmt.Errorf("%s: %w", l.name(), err)
		}
		return appendTime(b, t), true, nil
	}
	d, err := f.parse(s)
	if err != nil {
		return b, false, fmt.Errorf("%s: %w", l.name(), err)
	}
	if b, err = l.number(b, d, cells); err != nil {
		return b, false, fmt.Errorf("%s of %.40q: %w", l.name(), s, err)
	}
	return b, true, nil
}

func (l *leaf) number(b []byte, d decimal, cells []string) ([]byte, error) {
	switch l.form {
	case whole:
		n, err := d.in(0, l.Round != "")
		return strconv.AppendInt(b, n, 10), err
	case real:
		x, err := strconv.ParseFloat(strconv.FormatInt(d.n, 10)+"e-"+strconv.Itoa(d.scale), 64)
		return strconv.AppendFloat(b, x, 'g', -1, 64), err
	}
	code, digits, err := l.unit(cells)
	if err != nil {
		return b, err
	}
	n, err := d.in(digits, l.Round != "")
	return l.appendMoney(b, n, code), err
}

// unit is the currency of money, and its digits; of a whole number there is none.
func (l *leaf) unit(cells []string) (code string, digits int, err error) {
	if l.from < 0 {
		return l.Currency, l.digits, nil
	}
	code = cells[l.from]
	digits, err = digitsOf(code)
	return code, digits, err
}

func (l *leaf) appendMoney(b []byte, n int64, code string) []byte {
	b = append(appendText(append(b, '{'), l.minor), ':')
	b = append(strconv.AppendInt(b, n, 10), ',')
	b = append(appendText(b, l.currency), ':')
	return append(appendText(b, code), '}')
}

// appendText writes a text as JSON has it.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // of a string
			return append(b, quoted...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}
