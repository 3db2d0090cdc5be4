package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams/telemetry"
)

// pipeline shows the runtime from inside: from the log through decisions and
// commits back to the log.
func pipeline(b Business, l limits) draft {
	seen := `service=~"$service"` // gauges that one process tells of all
	of := []string{seen, onInstance}
	d := draft{uid: PipelineUID, title: "Weir: pipeline", tags: []string{"pipeline"}, alerts: []string{`owner="platform"`},
		help:      "The runtime from inside: unread records, decisions, commits, unpublished events, outside calls, lanes.",
		variables: []dashboard.VariableModel{choice("service", "Service", telemetry.BehindSeconds, "service"), instances(), b.live()},
		links:     []dashboard.DashboardLink{link("Overview", "/d/"+OverviewUID, "All services")}}
	d.rows = []row{
		{title: "Is it well?", panels: pipelineWell(l, seen, of)},
		{title: "Where does it hurt?", panels: []*panel{
			graph("Behind", "s", "How long the oldest record waits that a service has not taken, seen from the log. All services: the broker or the machine. One: its board says more.").size(12, 8).
				query(most("service", telemetry.BehindSeconds, seen), "{{service}}").limit(l.any(alerts.Freshness)).leads("Service", "/d/weir-service-${__field.labels.service}?${__url_time_range}"),
			graph("Unpublished", "s", "How long the oldest stored event waits for Kafka. The line is the alert's: the broker is away or refuses.").size(12, 8).
				query(most("service", telemetry.UnpublishedAge, of...), "{{service}}").limit(l.alert("OutboxStuck")),
			graph("Records behind", counted, "Records between a service's stored cursors and the ends of its topics, seen from the log.").unmarked(elsewhere).size(24, 9).
				query(most("service, topic", telemetry.BehindRecords, seen), "{{service}} ← {{topic}}"),
		}},
		{title: "Reading", panels: []*panel{
			graph("Unread records", counted, "Records that lanes have not read, as of their last fetch. One lane has most of them: a hot key.").unmarked(elsewhere).size(12, 8).
				query(total("service, lane", selector(telemetry.LagRecords, of)), "{{service}}/{{lane}}"),
			graph("Age of what is read", "s", "Age of the last record read while there are unread ones: how far back in time a lane works.").unmarked(elsewhere).size(12, 8).
				query(most("service, lane", telemetry.LagSeconds, of...), "{{service}}/{{lane}}"),
			graph("Repeats and clocks", "cps", "Records skipped because their effect was there, and inputs from more than a second ahead. Repeats come with restarts; all the time, somebody publishes again.").unmarked(shared).size(24, 7).
				query(per("service", telemetry.Repeats, of...), "{{service}} repeats").may("no record has come twice yet").
				query(per("service", telemetry.FutureInputs, of...), "{{service}} from the future").may("no clock is ahead"),
		}},
		{title: "Deciding and committing", panels: deciding(l, of)},
		{title: "Lanes", panels: []*panel{
			graph("Changes", "cps", "Changes in lanes' lives a second, all services. Reloaded, fenced and conflict again and again: two owners, or a store that loses connections.").unmarked(volume).
				query(per("change", telemetry.LaneChanges, of...), "{{change}}"),
			states("Halted", "none", "Lanes, and units of processes, that stand still and wait for a person. /readyz says why.").size(8, 8).
				query(most("service, lane", telemetry.LanesHalted, of...), "{{service}}/{{lane}}").
				query(most("unit", telemetry.UnitHalted, onInstance), "{{unit}}").
				said(map[string]dashboard.ValueMappingResult{"0": word("works", green), "1": word("halted", red)}),
			graph("Parked", "none", "Inputs that failed or wait behind one that did, by service. Only their own keys wait.").
				query(total("service", selector(telemetry.Parked, of)), "{{service}}").steps(green, step{1, orange}).leads("Dead letters", "${live}/dead-letters"),
		}},
	}
	if len(b.Business.Endpoints()) > 0 {
		d.rows = append(d.rows, row{title: "Outside calls", folded: true, panels: []*panel{
			graph("Waiting calls", "none", "Outside calls that wait for a definite answer, by service.").unmarked(volume).size(12, 8).query(total("service", selector(telemetry.EffectsPending, of)), "{{service}}"),
			graph("Time of a call", "s", "How long one attempt takes, 95 % of them, by endpoint.").unmarked(elsewhere).size(12, 8).
				query(quantile(0.95, "endpoint", telemetry.EffectSeconds, of...), "{{endpoint}}").may("nothing was asked of the outside yet").exemplars(),
			breakers(of).size(24, 6),
		}})
	}
	d.rows = append(d.rows, row{title: "Telemetry", folded: true, panels: observed()})
	return d
}

func pipelineWell(l limits, seen string, of []string) []*panel {
	return []*panel{
		number("Decisions", "ops", "Inputs decided a second, all services.").unmarked(volume).query(per("", telemetry.Inputs, of...), "decided").steps(blue).spark(),
		number("Behind", "s", "The longest that a record waits to be taken. Red: the bound of the services' objectives.").
			query(most("", telemetry.BehindSeconds, seen), "behind").limit(l.any(alerts.Freshness)).spark(),
		number("Unpublished", "s", "The longest that a stored event waits for Kafka. Red: the alert's bound.").
			query(most("", telemetry.UnpublishedAge, of...), "unpublished").limit(l.alert("OutboxStuck")).spark(),
		number("Parked", "none", "Inputs that failed, or wait behind one that did.").query(orNone("sum("+selector(telemetry.Parked, of)+")", anybody), "parked").steps(green, step{1, orange}),
		number("Halted lanes", "none", "Lanes that wait for a person. /readyz says why.").query(orNone("sum("+selector(telemetry.LanesHalted, of)+")", anybody), "halted").steps(green, step{1, red}),
		number("Conflicts", "cps", "Commits a second that were refused or whose end is unknown. Some come with every move of a lane.").unmarked(shared).
			query(orNone(per("", telemetry.Conflicts, of...), anybody), "conflicts").steps(blue).spark(),
	}
}

func deciding(l limits, of []string) []*panel {
	return []*panel{
		graph("Time to decide", "s", "How long it takes to load and decide a batch, 99 % of them, by service.").unmarked(elsewhere).
			query(quantile(0.99, "service", telemetry.DecideSeconds, of...), "{{service}}"),
		graph("Time to commit", "s", "How long a commit takes, half of them, by service. The line is the alert's: the store is slow.").
			query(quantile(0.5, "service", telemetry.CommitSeconds, of...), "{{service}}").limit(l.alert("StoreSlow")),
		graph("Inputs in one commit", "none", "How many inputs share a transaction, on average: it grows under load, and lanes keep up that way.").unmarked(volume).
			query(per("service", telemetry.BatchInputs+"_sum", of...)+" / "+per("service", telemetry.BatchInputs+"_count", of...), "{{service}}"),
		heat("Commits", "How the time of commits spreads: a second band is a disk or a database that is busy with something else.").unmarked(byColor).buckets(telemetry.CommitSeconds, of...),
		heat("From event to effect", "How old inputs are when their effect is stored.").unmarked(byColor).buckets(telemetry.InputAge, of...),
	}
}

func observed() []*panel {
	return []*panel{
		graph("Spans", "cps", "Spans started and handed to an exporter. A gap for long: traces have holes, see who collects them.").unmarked(volume).size(12, 8).
			query(per("", telemetry.SpansStarted, onInstance), "started").query(per("", telemetry.SpansExported, onInstance), "exported").may("no exporter is configured").paint("started", blue, "exported", green),
		graph("Faults", "none", "Faults that were switched on for practice, and when.").size(12, 8).
			query(most("fault", telemetry.FaultOn), "{{fault}}").may("nobody has practised").between(0, 1).steps(green, step{1, orange}),
	}
}
