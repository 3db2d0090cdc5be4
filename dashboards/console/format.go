package console

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/currency"

	"github.com/weirstream/weir/processors/projection"
)

// count writes a number with separators: 12,345.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	digits := strings.TrimPrefix(s, "-")
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return s[:len(s)-len(digits)] + b.String()
}

// perSecond writes a rate without its unit: 0.4, 12, 1,204.
func perSecond(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 9.95:
		return strconv.FormatFloat(max(v, 0.1), 'f', 1, 64)
	}
	return count(int64(math.Round(v)))
}

// percent writes a share of 1.
func percent(v float64) string {
	if v > 0 && v < 0.001 {
		return "< 0.1"
	}
	return strconv.FormatFloat(v*100, 'f', 1, 64)
}

// span writes a duration as a person would say it: 0.4 ms, 12 ms, 1.8 s,
// 2 min 5 s, 3 h 20 min, 4 d.
func span(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d < 0:
		return "−" + span(-d)
	case ms < 9.95:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	case ms < 999.5:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	case d < 9950*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	s := int64(d.Round(time.Second).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return two(s, 60, "min", "s")
	case s < 86400:
		return two(s/60, 60, "h", "min")
	}
	return two(s/3600, 24, "d", "h")
}

func two(n, per int64, big, small string) string {
	if n%per == 0 {
		return fmt.Sprintf("%d %s", n/per, big)
	}
	return fmt.Sprintf("%d %s %d %s", n/per, big, n%per, small)
}

// valueUnit splits what span writes, to set the unit smaller.
func valueUnit(d time.Duration) [2]string {
	v, u, _ := strings.Cut(span(d), " ")
	return [2]string{v, u}
}

// signs of currencies that are written before the amount.
var signs = map[string]string{"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥"}

// money writes an amount: £48.20, ¥1250, 3.00 CHF, with as many digits as ISO 4217 has for
// its currency; two if that knows none.
func money(m projection.Money) string {
	if m.Currency == "" {
		return ""
	}
	digits := 2
	if unit, err := currency.ParseISO(m.Currency); err == nil {
		digits, _ = currency.Standard.Rounding(unit)
	}
	one := int64(math.Pow10(digits))
	amount := count(m.Minor / one)
	if digits > 0 {
		rest := m.Minor % one
		if rest < 0 && m.Minor > -one {
			amount = "-" + amount
		}
		amount += fmt.Sprintf(".%0*d", digits, max(rest, -rest))
	}
	if sign, ok := signs[m.Currency]; ok {
		return sign + amount
	}
	return amount + " " + m.Currency
}

// stamp is a moment as the page writes it.
type stamp struct {
	Machine, Exact, Clock, Ago string
}

// stamp writes a time for now's time zone; the zero time has no fields.
func stampAt(t, now time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	l := t.In(now.Location())
	s := stamp{Machine: t.UTC().Format(time.RFC3339Nano), Exact: l.Format("2006-01-02 15:04:05.000 MST"), Clock: l.Format("15:04:05")}
	if l.YearDay() != now.YearDay() || l.Year() != now.Year() {
		s.Clock = l.Format("2 Jan 15:04")
	}
	switch d := now.Sub(t); {
	case d > -time.Second && d < time.Second:
		s.Ago = "now"
	case d < 0:
		s.Ago = "in " + coarse(-d)
	default:
		s.Ago = coarse(d) + " ago"
	}
	return s
}

// coarse is a duration of which only the size matters.
func coarse(d time.Duration) string {
	v, rest, _ := strings.Cut(span(d.Truncate(time.Second)), " ")
	v, _, _ = strings.Cut(v, ".")
	unit, _, _ := strings.Cut(rest, " ")
	return v + " " + unit
}

// plural counts a thing: 1 key, 2 keys.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(int64(n)) + " " + thing + "s"
}

// curve is an SVG path through values in a field of this size, whose upper edge
// is top or the highest of them, and the same closed to an area.
func curve(values []float64, top, width, height float64) (line, area string) {
	if len(values) < 2 {
		return "", ""
	}
	for _, v := range values {
		top = max(top, v)
	}
	if top == 0 {
		top = 1
	}
	var b strings.Builder
	for i, v := range values {
		c := 'L'
		if i == 0 {
			c = 'M'
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", c, width*float64(i)/float64(len(values)-1), height-1-(height-2)*v/top)
	}
	return b.String(), fmt.Sprintf("%sL%.1f %.1fL0 %.1fZ", b.String(), width, height, height)
}

// thin averages values down to at most n.
func thin(values []float64, n int) []float64 {
	if len(values) <= n {
		return values
	}
	out := make([]float64, n)
	for i := range out {
		from, to := i*len(values)/n, (i+1)*len(values)/n
		for _, v := range values[from:to] {
			out[i] += v / float64(to-from)
		}
	}
	return out
}

// visible shows the characters of a page that would otherwise hide something, or
// turn it round: what is posted from outside may hold any.
func visible(page []byte) []byte {
	return bytes.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return r
		case r < ' ':
			return 0x2400 + r // its picture
		case r == 0x7f:
			return 0x2421
		case r >= 0x80 && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f:
			return utf8.RuneError
		}
		return r
	}, page)
}
