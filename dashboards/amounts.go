package dashboards

import (
	"slices"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// abreast is how many graphs of money stand beside one another.
const abreast = 3

// amounts are one graph for each account, by currency.
func amounts(accounts []business.Money) (out []*panel) {
	for _, a := range accounts {
		out = append(out, amount(a).size(columns/uint32(min(len(accounts), abreast)), 8))
	}
	return out
}

// amount shows what an account holds, or, if nothing is taken out of it, what comes in
// within an hour.
func amount(a business.Money) *panel {
	title, money := a.Title, most("currency", telemetry.MoneyHeld, is("account", a.Name))
	if len(a.Out) == 0 {
		title, money = a.Title+" an hour", "3600 * "+per("currency", telemetry.MoneyMoved, is("account", a.Name))
	}
	return graph(title, counted, a.About).unmarked(volume).query(money, "{{currency}}").may("none of it yet")
}

// movedIn are the accounts that a saga moves money of.
func movedIn(t *streams.Topology, accounts []business.Money, s streams.Saga) (out []business.Money) {
	emitted := map[string]bool{}
	for _, st := range s.Steps(t) {
		for _, e := range st.Emits {
			emitted[e] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(accounts), func(a business.Money) bool {
		return !slices.ContainsFunc(a.Into, func(from business.MoneyFrom) bool { return emitted[t.Name(from.Event)] })
	})
}
