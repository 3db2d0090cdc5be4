package sagamonitor

import (
	"math"
	"time"

	"golang.org/x/text/currency"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// account is what moves money of the business, by types of events.
type account struct {
	name string
	into map[string]business.MoneyFrom
	out  map[string]bool // empty: it only grows
}

func newAccount(t *streams.Topology, m business.Money) account {
	a := account{m.Name, map[string]business.MoneyFrom{}, map[string]bool{}}
	for _, from := range m.Into {
		a.into[t.Name(from.Event)] = from
	}
	for _, e := range m.Out {
		a.out[t.Name(e)] = true
	}
	return a
}

// sum is money in units of its currency, by currency. Integers of minor units would
// overflow where nobody looks; these are figures, and no books.
type sum map[string]float64

// put is what an event puts into the account; nil if it puts in nothing, or nothing
// that could be read: whoever reads it for good reports that. A currency that there is
// not has no series, or whoever writes events would make as many as they like.
func (a *account) put(v *streams.Vocabulary, e Event) sum {
	from, ok := a.into[e.Type]
	if !ok {
		return nil
	}
	f, _ := v.Fact(e.Type)
	x, err := f.Decode(e.Version, e.Data)
	if err != nil {
		return nil
	}
	told := from.Sum(x)
	if told == nil {
		return nil
	}
	minor, code := told.Amount()
	unit, err := currency.ParseISO(code)
	if err != nil || unit.String() != code {
		return nil
	}
	digits, _ := currency.Standard.Rounding(unit)
	return sum{code: float64(minor) / math.Pow10(digits)}
}

func (s sum) add(other sum) {
	for currency, units := range other {
		s[currency] += units
	}
}

// purse is what a saga has put into an account.
type purse struct {
	in  sum
	out time.Time // when it was emptied last
}

// move follows an event in the saga's purse. Topics are read in any order: what was put
// in before it was taken out is out, whichever is read first.
func (p *purse) move(a *account, e Event, put sum) {
	if a.out[e.Type] && e.Time.After(p.out) {
		p.in, p.out = nil, e.Time
	}
	if put != nil && e.Time.After(p.out) {
		if p.in == nil {
			p.in = sum{}
		}
		p.in.add(put)
	}
}
