package alerts

import (
	"fmt"
	"slices"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// causes are the alerts that no budget waits for. They look back over the
// shortest window, or twice that, and wait for fifths of it: minutes, as a rule.
func (f *fold) causes() []*Alert {
	p := f.p
	minute, over, twice := p.shortest()/5, "["+span(p.shortest())+"]", span(2*p.shortest())
	of := label("service", f.example())
	lane, inputs := braces(matchers(of, `lane="1"`)), telemetry.Inputs+braces(f.exampleInput())
	return slices.Concat(f.ofSagas(), f.ofEndpoints(), f.ofReaders(), []*Alert{
		{Name: "LaneHalted", Severity: Page, Owner: platform, For: minute / 2, Within: 2 * minute,
			Summary: "Lane {{ $labels.service }}/{{ $labels.lane }} is halted.",
			Description: "The lane found something that cannot be proven in order, and stands still: all that is to happen " +
				"for its keys waits.",
			Threshold: Threshold{"max by (service, lane) (" + telemetry.LanesHalted + ")", Above, 0},
			Example:   []Example{{telemetry.LanesHalted + lane, calm(0), 1, false}}},
		{Name: "UnitHalted", Severity: Page, Owner: platform, For: minute / 2, Within: 2 * minute,
			Summary:     "Unit {{ $labels.unit }} of {{ $labels.instance }} is halted.",
			Description: "A part of a process found what waiting does not cure, and stands still; the other parts go on. A halted projection answers with what it has.",
			Threshold:   Threshold{"max by (unit, instance) (" + telemetry.UnitHalted + ")", Above, 0},
			Example:     []Example{{telemetry.UnitHalted + `{unit="projection",instance="127.0.0.1:8080"}`, calm(0), 1, false}}},
		behind(minute),
		{Name: "OutboxStuck", Severity: Page, Owner: platform, For: minute / 2, Within: 2 * minute,
			Summary:     "{{ $labels.service }} has an event that Kafka has not acknowledged for {{ $value | humanizeDuration }}.",
			Description: "What is decided is stored, but nobody hears of it: the broker is away, or refuses.",
			Threshold:   Threshold{"max by (service) (" + telemetry.UnpublishedAge + ")", Above, 10},
			Example:     []Example{{telemetry.UnpublishedAge + lane, calm(10), 11, false}}},
		{Name: "StoreSlow", Severity: Ticket, Owner: platform, For: minute, Within: 8 * minute,
			Summary:     "Half of the commits of {{ $labels.service }} take longer than {{ $value | humanizeDuration }}.",
			Description: "The event store is slow: everything that the service does is late by so much.",
			Threshold:   Threshold{"histogram_quantile(0.5, sum by (service, le) (rate(" + telemetry.CommitSeconds + "_bucket" + over + ")))", Above, 0.1},
			// Medians of 95 and of 110 ms.
			Example: []Example{{telemetry.CommitSeconds + `_bucket` + braces(matchers(of, `le="0.06"`)), calm(0), 0, true},
				{telemetry.CommitSeconds + `_bucket` + braces(matchers(of, `le="0.1"`)), calm(4), 3.25, true},
				{telemetry.CommitSeconds + `_bucket` + braces(matchers(of, `le="0.25"`)), calm(7), 7, true},
				{telemetry.CommitSeconds + `_bucket` + braces(matchers(of, `le="+Inf"`)), calm(7), 7, true}}},
		{Name: "ClockSkew", Severity: Ticket, Owner: platform, For: minute, Within: 8 * minute,
			Summary:     "{{ $labels.service }} takes events from the future.",
			Description: "A process's clock is more than a second ahead of another's: deadlines and ages are wrong by so much.",
			Expr:        share("sum by (service) (increase("+telemetry.FutureInputs+over+"))", "sum by (service) (increase("+telemetry.Inputs+over+"))", 0.02, 3),
			Example: []Example{{telemetry.FutureInputs + braces(of), calm(0.019, 0.008), 0.022, true},
				{inputs, calm(1, 0.1), 1, true}}},
		{Name: "RepeatsStorm", Severity: Ticket, Owner: platform, For: minute, Within: 8 * minute,
			Summary:     "{{ $labels.service }} is sent more repeats than news.",
			Description: "Somebody publishes again what was published. Repeats have no effect, but cost as much as events.",
			Expr:        share("sum by (service) (increase("+telemetry.Repeats+over+"))", "sum by (service) (increase("+telemetry.Inputs+over+"))", 1, 100),
			Example: []Example{{telemetry.Repeats + braces(of), calm(0.95, 0.3), 1.1, true},
				{inputs, calm(1, 0.1), 1, true}}},
		{Name: "StoreContended", Severity: Ticket, Owner: platform, For: 5 * minute, Within: 12 * minute,
			Summary:     "{{ $labels.service }}'s commits are refused or doubtful.",
			Description: "Two owners may fight for a lane, or the store loses its connections.",
			Expr:        share("sum by (service) (increase("+telemetry.Conflicts+over+"))", "sum by (service) (increase("+telemetry.CommitSeconds+"_count"+over+"))", 0.02, 3),
			Example: []Example{{telemetry.Conflicts + braces(of), calm(0.019, 0.008), 0.022, true},
				{telemetry.CommitSeconds + "_count" + braces(of), calm(1, 0.1), 1, true}}},
		{Name: "ClientsThrottled", Severity: Ticket, Owner: f.b.Owner, For: minute, Within: 8 * minute,
			Summary:     "Client {{ $labels.client }} is refused more than a tenth of what all clients ask.",
			Description: "A client asks more than its quota. Others are not affected; whether it should be allowed more is a question of business.",
			Expr:        share("sum by (client) (increase("+telemetry.QuotaRefused+over+"))", "scalar(sum(increase("+telemetry.Requests+over+")))", 0.1, 30),
			Example: []Example{{telemetry.QuotaRefused + `{client="key:1a2b3c4d"}`, calm(0.95, 0.08), 1.1, true},
				{telemetry.Requests + braces(matchers(f.main().labels(), label("status", fmt.Sprint(f.main().status)), client)),
					calm(10, 0.1), 10, true}}},
		{Name: "HotKey", Severity: Ticket, Owner: platform, For: minute, Within: 8 * minute,
			Summary:     "One lane of {{ $labels.service }} takes nearly all of its inputs.",
			Description: "One key, or a few of one lane, get nearly all the work, while the other lanes have nothing to do: the service is as fast as one lane.",
			Expr: "(max by (service) (sum by (service, lane) (increase(" + telemetry.LaneInputs + over + "))) >= 300)\nand\n(max by (service) (sum by (service, lane) (rate(" + telemetry.LaneInputs +
				over + ")))\n> 0.85 * sum by (service) (rate(" + telemetry.LaneInputs + over + ")))\nand\n(count by (service) (sum by (service, lane) (" + telemetry.LaneInputs + ")) > 1)",
			Example: []Example{{telemetry.LaneInputs + braces(matchers(of, `lane="0"`)), calm(0.95, 80.75, 80), 1.1, true},
				{telemetry.LaneInputs + lane, calm(0, 19.25, missing), 0.1, true}}},
		{Name: "SpansLost", Severity: Ticket, Owner: platform, For: 10 * minute, Within: 25 * minute,
			Summary:     "{{ $value | humanizePercentage }} of the spans do not reach an exporter.",
			Description: "Traces have holes: whoever collects them is away or too slow.",
			Threshold:   Threshold{"1 - sum(rate(" + telemetry.SpansExported + "[" + twice + "])) / (sum(rate(" + telemetry.SpansStarted + "[" + twice + "])) > 0)", Above, 0.05},
			Example: []Example{{telemetry.SpansStarted + braces(of), calm(10), 10, true},
				{telemetry.SpansExported, calm(9.525), 9.45, true}}},
		{Name: "ReadModelUnknown", Severity: Ticket, Owner: platform, For: 2 * minute, Within: 10 * minute, Blind: true,
			Summary:     "Nothing is known of how far the read model is behind.",
			Description: "No process reports how old its answers are: it may be hours behind, which looks like fine.",
			Expr:        "absent(" + telemetry.BehindSeconds + `{service="` + streams.ProjectionUnit + `"})`,
			Example:     []Example{{telemetry.BehindSeconds + `{service="` + streams.ProjectionUnit + `"}`, calm(0), missing, false}}},
		{Name: "AnalyticsDiffers", Severity: Ticket, Owner: platform, Within: 2 * minute,
			Summary:     "Analytics is not what the log says, in {{ $value }} rows of {{ $labels.table }}.",
			Description: "Rows are missing, doubled or altered: answers that are made of them are wrong by so much.",
			Threshold:   Threshold{"max by (table) (" + telemetry.AnalyticsDifferences + ")", Above, 0},
			Example:     []Example{{telemetry.AnalyticsDifferences + `{table="events"}`, calm(0), 1, false}}},
		{Name: "AnalyticsUnproved", Severity: Ticket, Owner: platform, For: 2 * minute, Within: 20 * minute, Blind: true,
			Summary:     "For {{ $value | humanizeDuration }} nobody has proved that analytics is what the log says.",
			Description: "Rows may be missing or doubled, and nothing would tell. With no value there is no proof at all: no process runs the unit analytics, or it is halted.",
			Expr:        "(time() - max(" + telemetry.AnalyticsProved + ") > " + fmt.Sprint(unprovedBound) + ")\nor\nabsent(" + telemetry.AnalyticsProved + ")",
			Example:     []Example{{telemetry.AnalyticsProved, calm(1e12), missing, false}}},
		{Name: "AnalyticsBehind", Severity: Ticket, Owner: platform, For: minute, Within: 3 * minute,
			Summary:     "Analytics is {{ $value | humanizeDuration }} behind.",
			Description: "What happens is not in answers to questions yet: its store is away, full or too slow, or its writer is halted.",
			Threshold:   Threshold{"max(" + telemetry.BehindSeconds + `{service="` + streams.AnalyticsUnit + `"})`, Above, 300},
			Example:     []Example{{telemetry.BehindSeconds + `{service="` + streams.AnalyticsUnit + `"}`, calm(285), 330, false}}},
		{Name: "ProcessDown", Severity: Ticket, Owner: platform, For: minute / 2, Within: 2 * minute,
			Summary:     "{{ $labels.instance }} does not answer.",
			Description: "Prometheus cannot read a process's metrics: it is dead, cut off, or too busy. Its lanes move to others after nine seconds.",
			Threshold:   Threshold{`up{job="weir"}`, Exactly, 0},
			Example:     []Example{{`up{job="weir",instance="127.0.0.1:8080"}`, calm(1), 0, false}}},
		{Name: "FaultPractised", Severity: Ticket, Owner: platform, Within: minute,
			Summary:     "The fault {{ $labels.fault }} is switched on.",
			Description: "Somebody practises. Other alerts may be its doing.",
			Threshold:   Threshold{"max by (fault) (" + telemetry.FaultOn + ")", Above, 0},
			Example:     []Example{{telemetry.FaultOn + `{fault="slow-store"}`, calm(0), 1, false}}},
		{Name: "InputsParked", Severity: Ticket, Owner: f.b.Owner, For: minute, Within: 3 * minute,
			Summary:     "{{ $value }} inputs of {{ $labels.service }} are parked.",
			Description: "A decision failed for good, and what comes after it for the same key waits. All other keys flow.",
			Threshold:   Threshold{"sum by (service) (" + telemetry.Parked + ")", Above, 0},
			Example:     []Example{{telemetry.Parked + lane, calm(0), 1, false}}},
	})
}

// unprovedBound is for how long, in seconds, nobody may have proved analytics.
const unprovedBound = 600

// example is a service for the tests of alerts that are by service.
func (f *fold) example() string {
	for _, s := range f.b.Services {
		return s.Name
	}
	return streams.ProjectionUnit
}

// exampleInput are the labels of one of its inputs, as they are counted.
func (f *fold) exampleInput() string {
	for _, r := range f.reactions(f.example()) {
		return r.taken("decided")
	}
	return matchers(label("service", f.example()), `result="decided"`)
}

// ofSagas are the alerts that a business without sagas has no series for.
func (f *fold) ofSagas() (out []*Alert) {
	minute, twice := f.p.shortest()/5, span(2*f.p.shortest())
	for _, s := range f.b.Sagas {
		if len(s.Once) == 0 {
			continue
		}
		once := braces(matchers(label("saga", s.Name), label("event", f.t.Name(s.Once[0]))))
		out = append(out, &Alert{Name: "DuplicateEffect", Severity: Page, Owner: platform, Within: minute,
			Summary: "{{ $labels.event }} happened twice in one saga ({{ $labels.saga }}).",
			Description: "What may happen once in a saga happened again: somebody may have paid or got something twice. " +
				"This is never noise.",
			Threshold: Threshold{"sum by (saga, event) (increase(" + telemetry.DuplicateEffects + "[" + twice + "]))",
				Above, 0},
			Example: []Example{{telemetry.DuplicateEffects + once, calm(0), 1.0 / 60, true}}})
		break // it is of all sagas
	}
	if len(f.b.Sagas) == 0 {
		return out
	}
	return append(out, &Alert{Name: "SagasLate", Severity: Ticket, Owner: f.b.Owner, For: minute, Within: 3 * minute,
		Summary:     "{{ $value }} sagas of {{ $labels.saga }} are beyond their declared time.",
		Description: "They have not ended, and will not by themselves: something waits that nobody gives.",
		Threshold:   Threshold{"max by (saga) (" + telemetry.SagasLate + ")", Above, 0},
		Example:     []Example{{telemetry.SagasLate + braces(label("saga", f.b.Sagas[0].Name)), calm(0), 1, false}}})
}

// ofEndpoints is the alert about calls that nobody makes in a business without endpoints.
func (f *fold) ofEndpoints() []*Alert {
	minute := f.p.shortest() / 5
	for _, s := range f.b.Services {
		for _, e := range s.Endpoints {
			return []*Alert{{Name: "BreakerOpen", Severity: Ticket, Owner: f.b.Owner, For: minute / 2, Within: 2 * minute,
				Summary: "{{ $labels.service }} has stopped calling the {{ $labels.endpoint }}.",
				Description: "So many calls failed that the circuit breaker opened: calls wait, and are made when it answers " +
					"again.",
				Threshold: Threshold{"max by (service, endpoint) " +
					"(max_over_time(" + telemetry.BreakerState + "[" + span(minute) + "]))", Above, 1},
				Example: []Example{{telemetry.BreakerState + braces(matchers(label("service", s.Name),
					label("endpoint", e.Name))), calm(1), 2, false}}}}
		}
	}
	return nil
}

// ofReaders is the alert about how far readers are behind. Where nobody reads the log,
// nobody could ever tell, and it would fire for ever.
func (f *fold) ofReaders() []*Alert {
	var reader string
	for _, p := range f.b.Pipelines {
		reader = p.Name
	}
	for _, s := range f.b.Services {
		if len(f.flows(s.Name)) > 0 {
			reader = s.Name
		}
	}
	if reader == "" {
		return nil
	}
	minute := f.p.shortest() / 5
	return []*Alert{{Name: "Blind", Severity: Ticket, Owner: platform, For: 2 * minute, Within: 10 * minute, Blind: true,
		Summary:     "Nothing is known of how far services have read.",
		Description: "No process reports how old unread records are: freshness is unknown, which looks like fine.",
		Expr:        "absent(" + telemetry.BehindSeconds + `{service!~"` + streams.ProjectionUnit + "|" + streams.AnalyticsUnit + `"})`,
		Example:     []Example{{telemetry.BehindSeconds + braces(label("service", reader)), calm(0), missing, false}}}}
}

// share is true while a count over the shortest window is above a share of another,
// and at least so many: what happens twice is no storm.
func share(of, all string, above float64, least int) string {
	return fmt.Sprintf("(%s > %v * %s)\nand\n(%s >= %d)", of, above, all, of, least)
}

func calm(values ...float64) []float64 { return values }
