package dashboards

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/weirstream/weir/streams/telemetry"
)

// amounts are one graph for each kind of money, in the units of its currencies.
func amounts(all []telemetry.Amount) (out []*panel) {
	for _, a := range all {
		out = append(out, amount(a).size(24/uint32(len(all)), 8))
	}
	return out
}

// amount shows currencies that were declared as such, and all others in minor units:
// how many make a unit is not known of them.
func amount(a telemetry.Amount) *panel {
	p := graph(a.Title, counted, a.Help).unmarked(volume)
	codes := slices.Sorted(maps.Keys(a.Digits))
	for _, code := range codes {
		p.query(fmt.Sprintf("%s / %v", sum(a, "", is("currency", code)), math.Pow10(a.Digits[code])), code).may("none of it yet").
			override("byName", code, "unit", "currency"+code)
	}
	return p.query(sum(a, "currency", `currency!~"`+strings.Join(codes, "|")+`"`), "{{currency}}, minor units").may("none of it yet")
}

func sum(a telemetry.Amount, by, currency string) string {
	if m, ok := telemetry.Declared(a.Metric); ok && m.Kind == telemetry.Counter {
		return "3600 * " + per(by, a.Metric, currency)
	}
	return most(by, a.Metric, currency)
}
