package alerts

import (
	"fmt"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// symptoms are the alerts about what customers feel, or cannot even try, where so
// little happens that no budget burns, or nothing at all.
func (f *fold) symptoms() []*Alert {
	minute, units := f.p.shortest()/5, f.units()
	out := []*Alert{
		{Name: "Watchdog", Severity: Heartbeat, Owner: platform, Always: true, Within: minute,
			Summary:     "Alerts are evaluated and sent.",
			Description: "This fires always. Who hears it is to call a person when it stops: then nobody would be called for anything else.",
			Expr:        "vector(1)"},
		{Name: "UnitMissing", Severity: Page, Owner: platform, For: minute, Within: 8 * minute, Blind: true,
			Summary: "No process runs {{ $labels.unit }}.",
			Description: "The platform needs at least one of each unit. Whether its processes died, were never started or " +
				"cannot be scraped: what it does for others waits, and without the gateway nobody can ask for anything.",
			Expr:    absent(units),
			Example: unitsExample(units)},
		{Name: "FailuresInARow", Severity: Page, Owner: f.b.Owner, For: 2 * minute, Within: 4 * minute,
			Summary:     "The last {{ $value }} requests of clients to {{ $labels.route }} failed, one after the other.",
			Description: "Not one of them got through since. Where few come, no share of failures would tell for hours.",
			// Who asks analytics is no customer, and AnalyticsBehind calls when its store is away.
			Threshold: Threshold{"max by (route, method) (" + telemetry.FailedInARow + `{route!~"/v1/analytics.*"})`, AtLeast, 3},
			Example:   []Example{{telemetry.FailedInARow + braces(f.main().labels()), calm(2), 3, false}}},
	}
	if len(f.entrances()) > 0 {
		out = append(out, f.customersGone())
	}
	if f.b.Customer != nil {
		out = append(out, f.probesFail())
	}
	return out
}

// units are those that there has to be a process of.
func (f *fold) units() []string {
	out := []string{gatewayUnit, streams.ProjectionUnit}
	if f.b.Customer != nil {
		out = append(out, proberUnit)
	}
	for _, s := range f.b.Services {
		out = append(out, s.Name)
	}
	for _, p := range f.b.Pipelines {
		out = append(out, p.Name)
	}
	return out
}

func (f *fold) probesFail() *Alert {
	short := f.p.shortest()
	good, bad, over := braces(label("result", probed)), braces(`result!="`+probed+`"`), "["+span(short)+"]"
	return &Alert{Name: "ProbesFail", Severity: Page, Owner: f.b.Owner, Within: short * 7 / 5,
		Summary: "No visit of the prober has gone well lately.",
		Description: "The prober does what a customer would do, once a minute, and has failed several times in a row. " +
			"Where customers are few, this is all that tells.",
		Expr: "sum(increase(" + telemetry.Probes + bad + over + ")) > " +
			"2.5\nand\n(sum(increase(" + telemetry.Probes + good + over +
			")) or vector(0)) < 0.5",
		Example: []Example{{telemetry.Probes + `{result="unanswered"}`, calm(0, 2.2/short.Seconds()), 4 / short.Seconds(),
			true},
			{telemetry.Probes + good, calm(4/short.Seconds(), 0), 0, true}}}
}

// absent is true for each unit that no process runs.
func absent(units []string) string {
	parts := make([]string, len(units))
	for i, u := range units {
		parts[i] = "absent(" + telemetry.UnitRuns + "{" + label("unit", u) + "})"
	}
	return strings.Join(parts, "\nor\n")
}

func unitsExample(units []string) (out []Example) {
	for i, u := range units {
		breach := 1.0
		if i == 0 {
			breach = missing
		}
		out = append(out, Example{telemetry.UnitRuns + "{" + label("unit", u) + `,instance="a"}`, calm(1), breach, false})
	}
	return out
}

// customersGone looks for an entrance that is up and that nobody comes to any more:
// compared with the same time of the last two seasons, where so much came then that
// chance does not explain it, and with the hour before.
func (f *fold) customersGone() *Alert {
	minute, short, asked := f.p.shortest()/5, f.p.shortest(), matchers(routes(f.entrances()), client)
	came := func(over, before time.Duration) string {
		at := ""
		if before > 0 {
			at = " offset " + span(before)
		}
		return fmt.Sprintf("sum(increase(%s_count{%s}[%s]%s))", telemetry.RequestSeconds, asked, span(over), at)
	}
	season := f.p.season()
	less := func(over time.Duration, least int) string {
		return fmt.Sprintf("(\n(%s < 0.2 * %s)\nand\n(%s < 0.2 * (%s or %s))\nand\n(%s >= %d)\n)", came(over, 0), came(over, season), came(over, 0), came(over, 2*season), came(over, season),
			came(over, season), least)
	}
	// Nobody, within an hour of an hour in which they came all the time: one batch is no
	// custom, and a server that is younger has not seen any.
	each := fmt.Sprintf("(%s)[%s:%s]", came(2*short, 0), span(12*short), span(2*short))
	steady := fmt.Sprintf("(min_over_time(%s) >= 20)\nand\n(count_over_time(%s) >= 6)", each, each)
	stopped := fmt.Sprintf("(\n(%s == 0)\nand\n(max_over_time((\n%s\n)[%s:%s]) > 0)\n)", came(2*short, 0), steady, span(12*short), span(2*short))
	like := telemetry.RequestSeconds + "_count" + braces(matchers(f.main().labels(), client))
	rate := 150 / (12 * short).Seconds()
	return &Alert{Name: "CustomersGone", Severity: Page, Owner: f.b.Owner, For: minute, Within: 14 * minute,
		Memory:  26 * short,
		Summary: "Clients have stopped asking: fewer than a fifth of what came a week ago, or nobody after a busy hour.",
		Description: "The platform is up, and nobody reaches it: a name, a certificate, a proxy or whatever customers " +
			"use in front of it is broken. No failure is counted, as none of theirs arrives.",
		Expr:    strings.Join([]string{less(6*short, 20), less(288*short, 10), stopped}, "\nor\n"),
		Example: []Example{{like, calm(rate), 0, true}}}
}

// behind is about the read model, which customers read.
func behind(minute time.Duration) *Alert {
	return &Alert{Name: "ReadModelBehind", Severity: Page, Owner: platform, For: minute, Within: 3 * minute,
		Summary:     "The read model is {{ $value | humanizeDuration }} behind.",
		Description: "What happens is not seen: pages and questions are answered with what was true then.",
		Threshold:   Threshold{"max(" + telemetry.BehindSeconds + `{service="` + streams.ProjectionUnit + `"})`, Above, 120},
		Example:     []Example{{telemetry.BehindSeconds + `{service="` + streams.ProjectionUnit + `"}`, calm(114), 132, false}}}
}
