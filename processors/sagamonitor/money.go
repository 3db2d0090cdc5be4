package sagamonitor

import (
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// moneyBox is money set aside at the provider, in minor units by currency.
type moneyBox map[string]int64

// take follows what payments say. All that was authorised for an order is
// captured or given back at once.
func (b *moneyBox) take(v *streams.Vocabulary, e Event) {
	is := func(x streams.Event) bool {
		f, ok := v.FactOf(x)
		return ok && f.Name == e.Type
	}
	switch {
	case is(event.PaymentAuthorised{}):
		f, _ := v.Fact(e.Type)
		x, err := f.Decode(e.Version, e.Data)
		if err != nil {
			return // no money is known of it, and whoever reads it for good reports it
		}
		amount := x.(event.PaymentAuthorised).Amount
		*b = moneyBox{amount.Currency: amount.Minor}
	case is(event.PaymentCaptured{}), is(event.PaymentVoided{}):
		for currency := range *b {
			(*b)[currency] = 0
		}
	}
}

func (b moneyBox) add(other moneyBox) {
	for currency, minor := range other {
		b[currency] += minor
	}
}
