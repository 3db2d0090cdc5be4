package sagamonitor

import (
	"maps"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// moneyBox is money set aside at the provider, in minor units by currency.
type moneyBox map[string]int64

// take follows what payments say, and returns what was captured. All that was
// authorised for an order is captured or given back at once.
func (b *moneyBox) take(v *streams.Vocabulary, e Event) (captured moneyBox) {
	is := func(x streams.Event) bool {
		f, ok := v.FactOf(x)
		return ok && f.Name == e.Type
	}
	switch {
	case is(event.PaymentAuthorised{}):
		f, _ := v.Fact(e.Type)
		x, err := f.Decode(e.Version, e.Data)
		if err != nil {
			return nil // no money is known of it, and whoever reads it for good reports it
		}
		amount := x.(event.PaymentAuthorised).Amount
		*b = moneyBox{amount.Currency: amount.Minor}
	case is(event.PaymentCaptured{}):
		captured = maps.Clone(*b)
		b.empty()
	case is(event.PaymentVoided{}):
		b.empty()
	}
	return captured
}

func (b *moneyBox) empty() {
	for currency := range *b {
		(*b)[currency] = 0
	}
}

func (b moneyBox) add(other moneyBox) {
	for currency, minor := range other {
		b[currency] += minor
	}
}
