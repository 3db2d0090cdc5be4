package backfill

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/text/currency"

	"github.com/weirstream/weir/processors/analytics"
)

// decimal is an exact number: n over ten to the power of scale.
type decimal struct {
	n     int64
	scale int
}

// mostDigits are those of a number: as many fit into 64 bits.
const mostDigits = 18

// notation is how numbers are written in a file.
type notation struct{ point, thousands byte }

// parse reads a number without a float in between. Zeros at the end of its fraction are no
// digits of it.
func (f notation) parse(s string) (d decimal, err error) {
	text := s
	negative := false
	if text != "" && (text[0] == '-' || text[0] == '+') {
		negative, text = text[0] == '-', text[1:]
	}
	whole, part, _ := strings.Cut(text, string(f.point))
	if f.thousands != 0 && strings.IndexByte(whole, f.thousands) >= 0 {
		groups := strings.Split(whole, string(f.thousands))
		for i, g := range groups {
			if len(g) > 3 || len(g) < 3 && i > 0 || g == "" {
				return d, fmt.Errorf("%.40q is no number: its digits are not in groups of three", s)
			}
		}
		whole = strings.Join(groups, "")
	}
	part = strings.TrimRight(part, "0")
	if whole == "" {
		return d, fmt.Errorf("%.40q is no number", s)
	}
	digits := 0
	for _, digit := range []byte(whole + part) {
		switch {
		case digit < '0' || digit > '9':
			return d, fmt.Errorf("%.40q is no number in plain digits", s)
		case digits > 0 || digit > '0':
			digits++
		}
		if digits > mostDigits {
			return d, fmt.Errorf("%.40q has more than the %d digits that can be counted exactly", s, mostDigits)
		}
		d.n = 10*d.n + int64(digit-'0')
	}
	if d.scale = len(part); d.scale > mostDigits {
		return d, fmt.Errorf("%.40q has more than the %d digits that can be counted exactly", s, mostDigits)
	}
	if negative {
		d.n = -d.n
	}
	return d, nil
}

func (d decimal) compare(o decimal) int {
	if d.scale == o.scale {
		return cmp.Compare(d.n, o.n)
	}
	a, b := big.NewInt(d.n), big.NewInt(o.n)
	a.Mul(a, pow10(max(o.scale-d.scale, 0)))
	return a.Cmp(b.Mul(b, pow10(max(d.scale-o.scale, 0))))
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// times is the exact product, as its digits and its scale.
func (d decimal) times(o decimal) (*big.Int, int) {
	n := big.NewInt(d.n)
	return n.Mul(n, big.NewInt(o.n)), d.scale + o.scale
}

var errTooGreat = errors.New("it is more than 64 bits hold")

// scaled is a number in units of which ten to the power of digits are one. One with more
// digits is refused, or rounded to the nearest, and to the even one of two.
func scaled(n *big.Int, scale, digits int, round bool) (int64, error) {
	out := new(big.Int)
	if scale <= digits {
		out.Mul(n, pow10(digits-scale))
	} else {
		unit, rest := pow10(scale-digits), new(big.Int)
		out.QuoRem(n, unit, rest)
		if rest.Sign() != 0 {
			if !round {
				return 0, fmt.Errorf("it has more than %d digits after the point: say round: half-even if they may go", digits)
			}
			half := rest.Abs(rest).Lsh(rest, 1).Cmp(unit)
			if half > 0 || half == 0 && out.Bit(0) == 1 {
				out.Add(out, big.NewInt(int64(cmp.Or(n.Sign(), 1))))
			}
		}
	}
	if !out.IsInt64() {
		return 0, errTooGreat
	}
	return out.Int64(), nil
}

// in is a number in minor units, the usual way without big ones.
func (d decimal) in(digits int, round bool) (int64, error) {
	if more := digits - d.scale; more >= 0 && more <= 4 && d.n < 1e14 && d.n > -1e14 {
		n := d.n
		for range more {
			n *= 10
		}
		return n, nil
	}
	return scaled(big.NewInt(d.n), d.scale, digits, round)
}

// product is that of two numbers in minor units.
func product(d, by decimal, digits int, round bool) (int64, error) {
	const small = 1 << 31
	if d.n < small && d.n > -small && by.n < small && by.n > -small {
		return decimal{d.n * by.n, d.scale + by.scale}.in(digits, round)
	}
	n, scale := d.times(by)
	return scaled(n, scale, digits, round)
}

func plus(a, b int64) (int64, error) {
	if c := a + b; (c > a) == (b > 0) {
		return c, nil
	}
	return 0, errTooGreat
}

// digitsOf are those after the point of a currency that there is.
func digitsOf(code string) (int, error) {
	if unit, err := currency.ParseISO(code); err != nil || unit.String() != code {
		return 0, fmt.Errorf("currency %.20q is not an ISO 4217 code of three capital letters", code)
	}
	return analytics.Digits(code), nil
}
