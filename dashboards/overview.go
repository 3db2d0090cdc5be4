package dashboards

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// instances is the variable with the processes.
func instances() dashboard.VariableModel {
	return choice("instance", "Process", telemetry.BuildInfo, "instance")
}

// firing selects alerts that fire now.
func firing(matchers ...string) string {
	return selector("ALERTS", append([]string{`alertstate="firing"`}, matchers...))
}

// overview answers whether all is well, and if not, where to look.
func overview(b Business, l limits) draft {
	d := draft{uid: OverviewUID, title: "Weir: overview", tags: []string{"overview"},
		help:      "Is it well, where does it hurt, and which board says more.",
		variables: []dashboard.VariableModel{choice("service", "Service", telemetry.BehindSeconds, "service"), instances(), b.live()},
		links:     []dashboard.DashboardLink{outside("Live page", "${live}/", "Sagas, traces and dead letters, one by one")}}
	used := budgets()
	used.w = 14 // a bar's name has a fifth of it
	d.rows = []row{
		{title: "Is it well?", panels: wellness(b, l)},
		{title: "Where does it hurt?", panels: []*panel{used, alertList().size(24-used.w, used.h), burnStates(most("sloth_service", alerts.CurrentBurn), "{{sloth_service}}", l).size(24, 9)}},
		{title: "Traffic", panels: traffic(b, l)},
	}
	if money := b.Business.Money; len(money) > 0 {
		d.rows = append(d.rows, row{title: "Money", panels: amounts(money)})
	}
	d.rows = append(d.rows, row{title: "Processes", panels: processes()})
	if b.Business.Customer != nil {
		d.rows = append(d.rows, row{title: "The prober", folded: true, panels: visits()})
	}
	return d
}

func wellness(b Business, l limits) []*panel {
	out := []*panel{
		number("Pages", "none", "Alerts that wake a person and fire now. Above 0: the list below links their runbooks.").
			query(orNone("count("+firing(`severity="page"`)+")", b.evaluated()), "pages").steps(green, step{1, red}),
		number("Tickets", "none", "Alerts that wait for the next working day and fire now.").
			query(orNone("count("+firing(`severity="ticket"`)+")", b.evaluated()), "tickets").steps(green, step{1, yellow}),
		number("Least budget left", "percentunit", "What is left of the error budget that is used up most. Below 0 a promise is broken: stop what is risky, and open the objectives.").
			query(left("min("+alerts.BudgetRemaining+")"), "left").budget().worded(muchLess()).leads("Objectives", "/d/"+ObjectivesUID),
		number("Halted lanes", "none", "Lanes that found something that cannot be proven in order, and wait for a person. Above 0: weir tells which and why at /readyz.").
			query(orNone("sum("+telemetry.LanesHalted+")", anybody), "halted").steps(green, step{1, red}),
		number("Faults practised", "none", "Faults that somebody switched on to practise. Above 0, other alerts may be their doing.").
			query(orNone("sum("+telemetry.FaultOn+")", anybody), "on").steps(green, step{1, orange}),
	}
	if len(b.Business.Sagas) > 0 {
		out = append(out,
			number("Effects twice", "none", "Things that happened again although they may happen once: somebody may have "+
				"paid twice. Above 0 is never noise.").
				query(orNone(during("", telemetry.DuplicateEffects), followed), "twice").steps(green, step{1, red}),
			number("Begun an hour", perHour, "Sagas begun in an hour, at the pace of now.").unmarked(volume).
				query(hourly(telemetry.SagasStarted, ""), "begun").steps(blue).spark())
	}
	out = append(out, lag(l))
	for i := range out {
		out[i].size(columns/uint32(len(out)), 4)
	}
	return out
}

// lag is how old the figures of sagas are.
func lag(l limits) *panel {
	return number("Figures lag by", "s", "How far the read model is behind. What is told of sagas and money is as old; red: the bound of its objective.").
		query(most("", telemetry.BehindSeconds, is("service", streams.ProjectionUnit)), "behind").limit(l.objective("read-model-freshness")).spark()
}

// mostBudgets is for how many objectives there is room.
const mostBudgets = 12

// budgets are the error budgets that are used up most. A bar grows with what is used:
// of one that shows what is left, nothing would be seen where it hurts.
func budgets() *panel {
	return bars("Error budget used", "percentunit", "The objectives that have used most of the error budget of their period; at 100 % the promise is broken. Open one to see when it was spent.", mostBudgets).
		query(fmt.Sprintf("sort_desc(clamp(topk(%d, 1 - %s), 0, %v))", mostBudgets, alerts.BudgetRemaining, mostUsed), "{{sloth_id}}").between(0, mostUsed).
		steps(green, step{0.75, orange}, step{1, red}).worded(map[string]dashboard.ValueMappingResult{fmt.Sprint(mostUsed): word(fmt.Sprintf("%.0f %% or more", 100*mostUsed), red)}).
		leads("Objective", "/d/"+ObjectivesUID+"?var-slo=${__field.labels.sloth_id}&${__url_time_range}")
}

// things are labels of an alert that say what it is about. Most have one.
var things = []string{"service", "saga", "endpoint", "effect", "unit", "topic", "client", "fault", "lane", "instance"}

// alertList lists what fires now, each with its runbook.
func alertList() *panel {
	about := fmt.Sprintf(`label_join(%s, "about", " ", "%s")`, firing(`severity=~"page|ticket"`), strings.Join(things, `", "`))
	p := list("Firing alerts", "none", "Alerts that fire now, the pages first. The name leads to the runbook: what it means and what to do.").unmarked(inWords).
		query("max by (alertname, severity, about, owner) ("+about+")", "").may("no alert is firing").
		transform("organize", map[string]any{
													"excludeByName": map[string]bool{"Time": true, "Value": true},
													"indexByName":   map[string]int{"alertname": 0, "severity": 1, "about": 2, "owner": 3},
													"renameByName":  map[string]string{"alertname": "Alert", "severity": "Severity", "about": "About", "owner": "Owner"}}).
		transform("sortBy", map[string]any{"sort": []map[string]any{{"field": "Severity"}}}) // page comes before ticket
	p.override("byName", "Alert", "custom.width", 260).override("byName", "Severity", "custom.width", 90).override("byName", "Owner", "custom.width", 110)
	return p.override("byName", "Alert", "links", []map[string]any{{"title": "Runbook", "url": "${live}" + alerts.DefaultRunbooks + "${__value.raw}", "targetBlank": true}})
}

// burnStates shows when which budgets burned how fast.
func burnStates(expr, legend string, l limits) *panel {
	return states("Burn rates", "none", fmt.Sprintf("How fast error budgets burn: at 1 a budget lasts just its %.0f days, at the factors of the alerts it is gone in days or hours. Look at what began at the same time.", l.Policy.Period.Hours()/24)).
		query(expr, legend).steps(green, l.burn()...)
}

// perHour is the unit of what happens in an hour.
const perHour = "suffix:/h"

// hourly is a counter's growth in an hour, at the pace of a moment.
func hourly(metric, offset string) string {
	return "3600 * sum(rate(" + metric + "[$__rate_interval]" + offset + "))"
}

func traffic(b Business, l limits) []*panel {
	service, asked := []string{`service=~"$service"`, onInstance}, []string{onInstance}
	if doors := alerts.Doors(b.Business); doors != "" {
		asked = append(asked, doors)
	}
	out := []*panel{
		graph("Requests", "reqps", "HTTP requests a second by status. 5xx is the platform's own failure; many 429 are clients beyond their quotas: see the board of ingestion.").unmarked(volume).
			query(seen(per("status", telemetry.Requests, onInstance)), "{{status}}").may("nobody has asked yet").
			corner(link("Ingestion", "/d/"+IngestionUID, "By client")),
		graph("Time to answer", "s", "How long commands and questions take, without waiting for their clients; the line "+
			"is the objective's. Points are traces: click one.").
			quantiles(telemetry.RequestSeconds, asked...).limit(l.objective("gateway-latency")),
		graph("Decisions", "ops", "Inputs decided a second, by service. A service at 0 while others work: see its board.").unmarked(volume).
			query(per("service", telemetry.Inputs, service...), "{{service}}").leads("Service", "/d/weir-service-${__field.labels.service}?${__url_time_range}"),
		graph("From event to effect", "s", "How old an event is when its effect is stored, 99 % of them, by service.").unmarked(elsewhere).
			query(quantile(0.99, "service", telemetry.InputAge, service...), "{{service}}").exemplars().
			leads("Service", "/d/weir-service-${__field.labels.service}?${__url_time_range}"),
		graph("Behind", "s", "How long the oldest record waits that a service has not taken, seen from the log and not by the service. It grows: the service is down, halted or too slow.").
			query(most("service", telemetry.BehindSeconds, `service=~"$service"`), "{{service}}").limit(l.any(alerts.Freshness)).
			leads("Service", "/d/weir-service-${__field.labels.service}?${__url_time_range}"),
	}
	if len(b.Business.Sagas) > 0 {
		out = slices.Insert(out, 2, sagasAnHour())
	}
	return out
}

func sagasAnHour() *panel {
	return graph("Sagas an hour", perHour,
		"Sagas begun and ended in an hour, and those begun a week before. Begun above ended for long: they pile up, see "+
			"the saga's board.").unmarked(volume).
		query(hourly(telemetry.SagasStarted, ""), "begun").query(hourly(telemetry.SagasEnded, ""),
		"ended").query(hourly(telemetry.SagasOverdue, ""), "overdue").
		query(hourly(telemetry.SagasStarted, " offset 1w"), "begun, a week before").may("nothing is known of a week before").
		paint("begun", blue, "ended", green, "overdue", red, "begun, a week before", grey).
		override("byName", "begun, a week before", "custom.lineStyle", map[string]any{"fill": "dash", "dash": []int{8, 6}})
}

// visits are those of the prober, which does what a customer does.
func visits() []*panel {
	const none = "the platform was not told to probe itself"
	return []*panel{
		graph("Visits", "cps", "Visits of the prober, which does what a customer does, by how they went. Anything but "+
			"done: a customer would have had no luck either.").unmarked(volume).size(12, 8).
			query(per("result", telemetry.Probes), "{{result}}").may(none).paint("done", green, "unanswered", red, "refused",
			orange, "undone", yellow),
		graph("Time to an answer", "s", "How long the prober waits until it is told how its saga goes, of visits that "+
			"are done.").unmarked(elsewhere).size(12, 8).
			quantiles(telemetry.ProbeSeconds).mayAll(none),
	}
}
