package alerts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/weirstream/weir/streams/telemetry"
)

// Kind is what an indicator measures.
type Kind string

// The kinds of indicators.
const (
	Availability Kind = "availability" // of events or requests
	Latency      Kind = "latency"
	Freshness    Kind = "freshness"
	Completeness Kind = "completeness"
	InTime       Kind = "in-time" // sagas
	Compensation Kind = "compensation"
	Outcome      Kind = "outcome" // of events that are good or bad
	Journey      Kind = "journey"
)

// SLI is an indicator: how many events there were, and how many were bad.
type SLI struct {
	Kind Kind
	// Bound is up to which a measured value is good; 0 where nothing is measured.
	Bound float64
	// bad and total are PromQL without labels, over a window: events per second,
	// or a count that both share.
	bad, total func(w time.Duration) string
	// helper is recorded first, under the objective's labels, where an indicator
	// needs that; bad and total are then of its name and labels.
	helper string
	weigh  []Part             // of a journey
	drive  func(load) []input // series for the tests
	err    error
}

// counts tells whether an indicator counts events of its own: neither time nor a
// mean of others.
func (s *SLI) counts() bool { return s.helper == "" && s.weigh == nil }

// Events are counted things: the series of a counter of the catalogue, or of
// the count of a histogram.
type Events struct {
	Metric string
	Where  string // label matchers, e.g. status=~"5.."; empty: all
	Like   string // labels of one series that Where matches, for tests
}

func (e Events) rate(w time.Duration) string {
	return fmt.Sprintf("sum(rate(%s%s[%s]))", e.series(), braces(e.Where), span(w))
}

// series is the name under which Prometheus keeps the count.
func (e Events) series() string {
	if m, ok := telemetry.Declared(e.Metric); ok && m.Kind == telemetry.Histogram {
		return e.Metric + "_count"
	}
	return e.Metric
}

func sum(events []Events, w time.Duration) string {
	parts := make([]string, len(events))
	for i, e := range events {
		parts[i] = e.rate(w)
	}
	return plus(parts, parts)
}

// plus adds up. A part that has no series yet counts as 0, unless all have none: of
// each, zeros has something that is there when the part is.
func plus(parts, zeros []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	terms := make([]string, len(parts))
	for i := range parts {
		terms[i] = parts[i]
		for _, z := range slices.Concat(zeros[:i], zeros[i+1:]) {
			terms[i] += " or 0 * " + z
		}
	}
	return "((" + strings.Join(terms, ") + (") + "))"
}

func (e Events) input(rate float64) input { return input{e.series() + braces(e.Like), rate, true} }

// Ratio is bad events among all. The total is that of bad and good ones, unless
// it is given.
func Ratio(k Kind, bad []Events, good Events, total ...Events) SLI {
	if len(total) == 0 {
		total = append([]Events{good}, bad...)
	}
	return SLI{Kind: k, err: declared(slices.Concat(bad, []Events{good}, total)...),
		bad:   func(w time.Duration) string { return sum(bad, w) },
		total: func(w time.Duration) string { return sum(total, w) },
		drive: func(l load) []input { return []input{bad[0].input(l.bad), good.input(l.good)} }}
}

// Promptly is the share of what is asked that is answered within a bound, which
// is that of a bucket. What is not answered yet is bad.
func Promptly(asked Events, answer string, bound time.Duration, where string) SLI {
	in := Within(answer, bound, where, where)
	s := SLI{Kind: Latency, Bound: in.Bound, err: errors.Join(in.err, declared(asked)), total: asked.rate}
	if s.err != nil {
		return s
	}
	prompt, bucket := bucketRate(answer, bound, where), in.drive(load{good: 1})[1].series
	s.bad = func(w time.Duration) string {
		return fmt.Sprintf("clamp_min(%s - (%s or 0 * %s), 0)", asked.rate(w), prompt(w), asked.rate(w))
	}
	s.drive = func(l load) []input { return []input{asked.input(l.good + l.bad), {bucket, l.good, true}} }
	return s
}

// bucketRate is how many values a second are within a bound.
func bucketRate(metric string, bound time.Duration, where string) func(time.Duration) string {
	le := `le="` + strconv.FormatFloat(bound.Seconds(), 'g', -1, 64) + `"`
	if bound.Seconds() == float64(int(bound.Seconds())) {
		le = fmt.Sprintf(`le=~"%d|%d[.]0"`, int(bound.Seconds()), int(bound.Seconds())) // Prometheus 3 writes 1.0
	}
	return func(w time.Duration) string {
		return fmt.Sprintf("sum(rate(%s_bucket%s[%s]))", metric, braces(matchers(where, le)), span(w))
	}
}

// Within is the share of a histogram's values up to a bound, which must be that
// of a bucket: everything else would be a guess.
func Within(metric string, bound time.Duration, where, like string) SLI {
	m, ok := telemetry.Declared(metric)
	s := SLI{Kind: Latency, Bound: bound.Seconds()}
	if !ok || m.Kind != telemetry.Histogram || !slices.Contains(m.Buckets, bound.Seconds()) {
		s.err = fmt.Errorf("%s is no histogram of the catalogue with a bucket up to %s: it has %v seconds", metric, bound, m.Buckets)
		return s
	}
	all, within := Events{Metric: metric, Where: where, Like: like}, bucketRate(metric, bound, where)
	s.total = all.rate
	s.bad = func(w time.Duration) string {
		return fmt.Sprintf("(%s - %s)", all.rate(w), within(w))
	}
	bucket := metric + "_bucket" + braces(matchers(like, `le="`+strconv.FormatFloat(bound.Seconds(), 'f', -1, 64)+`"`))
	s.drive = func(l load) []input {
		return []input{all.input(l.good + l.bad), {bucket, l.good, true}}
	}
	return s
}

// Below is the share of time in which a gauge's highest value is at most a bound.
func Below(k Kind, metric string, bound float64, where, like string) SLI {
	s := SLI{Kind: k, Bound: bound, helper: fmt.Sprintf("max(%s%s) > bool %v", metric, braces(where), bound)}
	if m, ok := telemetry.Declared(metric); !ok || m.Kind != telemetry.Gauge {
		s.err = fmt.Errorf("%s is no gauge of the catalogue", metric)
	}
	over := func(f string) func(time.Duration) string {
		return func(w time.Duration) string { return fmt.Sprintf("sum(%s(%s[%s]))", f, helperSeries, span(w)) }
	}
	s.bad, s.total = over("sum_over_time"), over("count_over_time")
	s.drive = func(l load) []input {
		v := 0.0
		if l.bad > 0 {
			v = 2*bound + 1
		}
		return []input{{metric + braces(like), v, false}}
	}
	return s
}

// helperSeries stands for an objective's helper in bad and total.
const helperSeries = "HELPER"

// Flow is what a reader is to take, and what it took: each event once.
type Flow struct{ Accepted, Dealt Events }

// Balance is how much of what was accepted has been dealt with. What is missing in
// one flow is missing, whatever is too much in another.
func Balance(flows ...Flow) SLI {
	var accepted, dealt []Events
	for _, f := range flows {
		accepted, dealt = append(accepted, f.Accepted), append(dealt, f.Dealt)
	}
	s := SLI{Kind: Completeness, err: declared(slices.Concat(accepted, dealt)...)}
	s.bad = func(w time.Duration) string {
		lacks, zeros := make([]string, len(flows)), make([]string, len(flows))
		for i, f := range flows {
			zeros[i] = f.Accepted.rate(w)
			lacks[i] = fmt.Sprintf("clamp_min(%s - (%s or 0 * %s), 0)", zeros[i], f.Dealt.rate(w), zeros[i])
		}
		return plus(lacks, zeros)
	}
	s.total = func(w time.Duration) string { return sum(accepted, w) }
	s.drive = func(l load) (out []input) {
		n := float64(len(flows))
		for i := range flows {
			in := accepted[i].input((l.good + l.bad) / n)
			if !slices.Contains(out, in) { // two readers of one type
				out = append(out, in)
			}
			out = append(out, dealt[i].input(l.good/n))
		}
		return out
	}
	return s
}

// Part is a step of a journey.
type Part struct {
	SLO    *SLO
	Weight float64
}

// Steps is what a customer goes through: the weighted mean of its parts' error
// ratios. The weights sum up to 1.
func Steps(parts ...Part) SLI {
	s := SLI{Kind: Journey, weigh: parts, drive: func(l load) (out []input) {
		for _, p := range parts {
			out = append(out, p.SLO.SLI.drive(l)...)
		}
		return out
	}}
	total := 0.0
	for _, p := range parts {
		total += p.Weight
		if p.SLO.SLI.weigh != nil || p.SLO.SLI.helper != "" {
			s.err = fmt.Errorf("%s cannot be part of a journey: it counts no events", p.SLO.ID())
		}
		if p.SLO.SLI.drive == nil {
			s.drive = nil
		}
	}
	if round(total) != 1 {
		s.err = fmt.Errorf("the weights of a journey sum up to %v, not to 1", total)
	}
	// A journey's bad and total are shares: of one journey a second.
	s.bad = func(w time.Duration) string {
		terms := make([]string, len(parts))
		for i, p := range parts {
			terms[i] = fmt.Sprintf("%v * max(%s%s)", p.Weight, ratioName(w), braces(label("sloth_id", p.SLO.ID())))
		}
		return "(" + strings.Join(terms, " + ") + ")"
	}
	s.total = func(w time.Duration) string { return fmt.Sprintf("(%s >= bool 0)", s.bad(w)) }
	return s
}

// declared refuses what is not in the catalogue.
func declared(events ...Events) error {
	for _, e := range events {
		if _, ok := telemetry.Declared(e.Metric); !ok {
			return fmt.Errorf("%s is not in the catalogue of metrics", e.Metric)
		}
	}
	return nil
}

func braces(matchers string) string {
	if matchers == "" {
		return ""
	}
	return "{" + matchers + "}"
}

func label(name, value string) string { return name + "=" + strconv.Quote(value) }

// span is a duration as Prometheus writes it.
func span(d time.Duration) string { return model.Duration(d).String() }

// round takes the noise of floating point off: 1 - 0.9995 is 0.0005.
func round(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	return r
}

func sortDurations(d []time.Duration) { slices.Sort(d) }
