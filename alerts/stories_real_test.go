//go:build real

package alerts_test

import (
	"math"
	"slices"
	"time"
)

// story is what the gateway lives through.
type story struct {
	name  string
	lasts time.Duration
	load  func(since time.Duration) load
	never []string // series that are not there
	calls []string // alerts that it sets off at least, ours and Sloth's
}

// load is what happens between two scrapes: requests, those that fail, and those
// that take longer than 100 ms.
type load struct{ requests, failed, late float64 }

const (
	budgetFailed = 0.0005 // 99.95 % are to be answered
	budgetLate   = 0.01   // 99 % are to be fast
)

// burning is traffic a second that burns both budgets so many times too fast.
func burning(perSecond, times float64) load {
	n := perSecond * every.Seconds()
	return load{n, n * min(1, times*budgetFailed), n * min(1, times*budgetLate)}
}

// between has another load for some time.
func between(from, to time.Duration, then, otherwise load) func(time.Duration) load {
	return func(since time.Duration) load {
		if from <= since && since < to {
			return then
		}
		return otherwise
	}
}

const (
	asked = `route="/v1/orders",method="POST",caller="client"`
	good  = "weir_http_requests_total{" + asked + `,status="201"}`
	bad   = "weir_http_requests_total{" + asked + `,status="503"}`
	all   = "weir_http_request_seconds_count{" + asked + "}"
	fast  = "weir_http_request_seconds_bucket{" + asked + `,le="0.1"}`
)

// inputs are the counters that the story leaves: whole numbers, as of any process.
func (s *story) inputs() map[string]series {
	out := map[string]series{good: {}, bad: {}, all: {}, fast: {}}
	var sum load
	for step := range int(s.lasts / every) {
		out[all][step] = math.Floor(sum.requests)
		out[fast][step] = math.Floor(sum.requests) - math.Floor(sum.late)
		out[good][step] = math.Floor(sum.requests) - math.Floor(sum.failed)
		out[bad][step] = math.Floor(sum.failed)
		now := s.load(time.Duration(step) * every)
		sum = load{sum.requests + now.requests, sum.failed + now.failed, sum.late + now.late}
	}
	for _, name := range s.never {
		delete(out, name)
	}
	return out
}

const (
	hour = time.Hour
	day  = 24 * hour
)

var (
	pages   = []string{"gateway-availability page", "gateway-latency page"}
	tickets = []string{"gateway-availability ticket", "gateway-latency ticket"}
)

// alike are stories on which ours and Sloth's are to agree in everything.
func alike() []story {
	calm := burning(10, .2)
	return []story{
		{name: "healthy", lasts: day, load: func(time.Duration) load { return calm }},
		{name: "slow burn", lasts: 4 * day, load: between(day, 4*day, burning(10, 1.5), calm), calls: tickets},
		{name: "fast burn", lasts: 2 * day, load: between(day, day+2*hour, burning(10, 20), calm), calls: slices.Concat(pages, tickets)},
		{name: "outage of 10 minutes", lasts: 2 * day, load: between(day, day+10*time.Minute, burning(10, math.Inf(1)), calm), calls: pages},
	}
}

// quiet has nothing happen at all, after a day of a burn that is over.
func quiet() story {
	return story{name: "idle", lasts: day + 20*hour, load: between(day, 2*day, load{}, burning(10, 3)), calls: tickets}
}

// night has a request every ten minutes after a day of traffic, of which one is
// bad at four hours.
func night() story {
	return story{name: "one bad request at night", lasts: day + 8*hour, load: func(since time.Duration) load {
		if since < day {
			return burning(10, .2)
		}
		var l load
		if since%(10*time.Minute) == 0 {
			l.requests = 1
		}
		if since == day+4*hour {
			l.failed, l.late = 1, 1
		}
		return l
	}}
}

// nights has a hundredth of the traffic at night, when a new release is tried.
func nights() story {
	return story{name: "errors at night", lasts: 3 * day, calls: pages, load: func(since time.Duration) load {
		if clock := since % day; 8*hour <= clock && clock < 16*hour {
			return burning(1, 10)
		}
		return burning(100, 0)
	}}
}

// unborn has no request fail yet, and so no series with a 5xx.
func unborn() story {
	return story{name: "no 5xx yet", lasts: 2 * hour, load: func(time.Duration) load { return burning(10, 0) }, never: []string{bad}}
}

// silent has no series.
func silent() story {
	return story{name: "no series", lasts: 2 * hour, load: func(time.Duration) load { return load{} }, never: []string{good, bad, all, fast}}
}
