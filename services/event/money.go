package event

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/text/currency"
)

// Money is an exact amount in the minor unit of an ISO 4217 currency: 1250 EUR
// is €12.50, 1250 JPY is ¥1250.
type Money struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// ErrMoneyOverflow says that an amount does not fit into 64 bits.
var ErrMoneyOverflow = errors.New("amount is beyond 9223372036854775807 minor units")

// CurrencyError says that amounts of two currencies cannot be one sum.
type CurrencyError struct{ Has, Got string }

func (e *CurrencyError) Error() string {
	return fmt.Sprintf("%q cannot be added to %q: convert one of them first", e.Got, e.Has)
}

// Plus adds. It fails with a *CurrencyError or ErrMoneyOverflow.
func (m Money) Plus(o Money) (Money, error) {
	if m.Currency != o.Currency {
		return Money{}, &CurrencyError{m.Currency, o.Currency}
	}
	if (o.Minor > 0 && m.Minor > math.MaxInt64-o.Minor) || (o.Minor < 0 && m.Minor < math.MinInt64-o.Minor) {
		return Money{}, ErrMoneyOverflow
	}
	return Money{m.Minor + o.Minor, m.Currency}, nil
}

// Times multiplies by a count. It fails with ErrMoneyOverflow.
func (m Money) Times(n int64) (Money, error) {
	p := m.Minor * n
	if m.Minor != 0 && (p/m.Minor != n || (m.Minor == -1 && n == math.MinInt64)) {
		return Money{}, ErrMoneyOverflow
	}
	return Money{p, m.Currency}, nil
}

// Amount is the money's parts, for views and measures.
func (m Money) Amount() (minor int64, currency string) { return m.Minor, m.Currency }

// Zero is nothing in the same currency.
func (m Money) Zero() Money { return Money{Currency: m.Currency} }

// CheckCurrency reports a currency that there is not: metrics have a series for each.
func (m Money) CheckCurrency() error {
	if _, err := currency.ParseISO(m.Currency); err != nil || strings.ToUpper(m.Currency) != m.Currency {
		return fmt.Errorf("currency %q is not an ISO 4217 code of three capital letters", m.Currency)
	}
	return nil
}
