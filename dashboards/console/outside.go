package console

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams/telemetry"
)

// callView is an outside call in the last minute.
type callView struct {
	Endpoint, Effect string
	Rate             float64
	P50, P99         string
	Doubt            float64 // share of the attempts that had no answer
	Attempts         int
	Breaker          string // empty while it is closed
}

// breakers are the states of the gauge.
var breakers = map[float64]string{1: "half-open", 2: "open"}

func callViews(before, last reading) []callView {
	var out []callView
	for k, now := range last.calls {
		was := before.calls[k]
		v := callView{Endpoint: k.endpoint, Effect: k.effect, Breaker: breakers[last.breakers[call{service: k.service, endpoint: k.endpoint}]]}
		n := max(now.count-was.count, 0)
		v.Attempts = int(n)
		v.Rate = rate(before, last, func(r reading) float64 { return r.calls[k].count })
		if n > 0 {
			v.Doubt = max(now.doubt-was.doubt, 0) / n
			grown := make([]float64, len(now.below))
			for i := range now.below {
				grown[i] = now.below[i]
				if i < len(was.below) {
					grown[i] -= was.below[i]
				}
			}
			v.P50, v.P99 = estimate(grown, n, 0.5), estimate(grown, n, 0.99)
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b callView) int {
		return cmp.Or(strings.Compare(a.Endpoint, b.Endpoint), strings.Compare(a.Effect, b.Effect))
	})
	return out
}

// estimate is a quantile of n values from how many lie below each bound, as
// Prometheus interpolates it.
func estimate(below []float64, n, q float64) string {
	rank, from, under := q*n, 0.0, 0.0
	for i, b := range below {
		if i >= len(telemetry.Seconds) {
			break
		}
		if b >= rank && b > under {
			to := telemetry.Seconds[i]
			return span(seconds(from + (to-from)*(rank-under)/(b-under)))
		}
		from, under = telemetry.Seconds[i], b
	}
	return "> " + span(time.Duration(from*float64(time.Second)))
}

func join(names []string) string { return strings.Join(names, ", ") }
