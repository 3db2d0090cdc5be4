package analytics

import (
	"math"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/currency"
)

// Scale is how many digits after the point tables keep of money: as many as the currency
// of ISO 4217 has that has the most.
const Scale = 4

// Digits are those after the point of a currency, as ISO 4217 has them; 2 of what is none.
func Digits(code string) int {
	if n, ok := digits.Load(code); ok {
		return n.(int)
	}
	n := 2
	if unit, err := currency.ParseISO(code); err == nil && unit.String() == code {
		n, _ = currency.Standard.Rounding(unit)
		digits.Store(code, n) // there are as many as ISO 4217 has
	}
	return n
}

var digits sync.Map

// AppendScaled writes minor units of a currency as whole ten-thousandths of it.
func AppendScaled(b []byte, minor int64, currency string) []byte {
	b = strconv.AppendInt(b, minor, 10)
	for n := Digits(currency); n < Scale && minor != 0; n++ {
		b = append(b, '0')
	}
	return b
}

// AppendReal writes the bits of a number: as text they would depend on who writes it.
func AppendReal(b []byte, x float64) []byte {
	return strconv.AppendInt(b, int64(math.Float64bits(x)), 10)
}

// AmountText writes whole ten-thousandths of a currency with as many digits as it has.
func AmountText(scaled, currency string) string {
	sign := ""
	if strings.HasPrefix(scaled, "-") {
		sign, scaled = "-", scaled[1:]
	}
	scaled = strings.Repeat("0", max(0, Scale+1-len(scaled))) + scaled
	whole, rest := scaled[:len(scaled)-Scale], scaled[len(scaled)-Scale:]
	n := Digits(currency)
	for n < Scale && strings.TrimRight(rest[n:], "0") != "" {
		n++ // a share of a minor unit is not cut off
	}
	if n == 0 {
		return sign + whole
	}
	return sign + whole + "." + rest[:n]
}
