package dashboards

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/alerts"
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
	d := draft{uid: OverviewUID, title: "Weir: overview", tags: []string{"overview"}, alerts: firing(`severity="page"`),
		help:      "Is it well, where does it hurt, and which board says more.",
		variables: []dashboard.VariableModel{choice("service", "Service", telemetry.BehindSeconds, "service"), instances(), traceID(), b.live()},
		links:     append(traceLinks(), outside("Live page", "${live}/", "Sagas, traces and dead letters, one by one"))}
	d.rows = []row{
		{title: "Is it well?", panels: wellness()},
		{title: "Where does it hurt?", panels: []*panel{budgets(), alertList(), burnStates(most("sloth_service", alerts.CurrentBurn), "{{sloth_service}}", l).size(24, 9)}},
		{title: "Traffic", panels: traffic(l)},
		{title: "Orders of the platform's own", folded: true, panels: synthetic()},
	}
	return d
}

func wellness() []*panel {
	out := []*panel{
		number("Pages", "none", "Alerts that wake a person and fire now. Above 0: the list below links their runbooks.").
			query(orNone("count("+firing(`severity="page"`)+")"), "pages").steps(green, step{1, red}),
		number("Tickets", "none", "Alerts that wait for the next working day and fire now.").
			query(orNone("count("+firing(`severity="ticket"`)+")"), "tickets").steps(green, step{1, yellow}),
		number("Least budget left", "percentunit", "What is left of the error budget that is used up most. Below 0 a promise is broken: stop what is risky, and open the objectives.").
			query("min("+alerts.BudgetRemaining+")", "left").budget().leads("Objectives", "/d/"+ObjectivesUID),
		number("Halted lanes", "none", "Lanes that found something that cannot be proven in order, and wait for a person. Above 0: weir tells which and why at /readyz.").
			query(orNone("sum("+telemetry.LanesHalted+")"), "halted").steps(green, step{1, red}),
		number("Effects twice", "none", "Things that happened again although they may happen once: a customer may have paid twice. Above 0 is never noise.").
			query(orNone(during("", telemetry.DuplicateEffects)), "twice").steps(green, step{1, red}),
		number("Faults practised", "none", "Faults that somebody switched on to practise. Above 0, other alerts may be their doing.").
			query(orNone("sum("+telemetry.FaultOn+")"), "on").steps(green, step{1, orange}),
	}
	for i := range out {
		out[i].size(4, 4)
	}
	return out
}

// budgets are the error budgets with the least left, as many as there is room for.
func budgets() *panel {
	return bars("Least error budget left", "percentunit", "The objectives with the least error budget left over their period; below 0 the promise is broken. Open one to see when it was spent.").
		query("sort(bottomk(12, "+alerts.BudgetRemaining+"))", "{{sloth_id}}").budget().between(0, 1).
		leads("Objective", "/d/"+ObjectivesUID+"?var-slo=${__field.labels.sloth_id}&${__url_time_range}")
}

// alertList lists what fires now, each with its runbook.
func alertList() *panel {
	p := list("Firing alerts", "none", "Alerts that fire now, the pages first. The name leads to the runbook: what it means and what to do.").unmarked(worded).
		query(firing(), "").may("no alert is firing").
		transform("organize", map[string]any{
													"excludeByName": map[string]bool{"Time": true, "Value": true, "alertstate": true, "__name__": true, "sloth_id": true, "sloth_service": true, "sloth_slo": true},
													"indexByName":   map[string]int{"alertname": 0, "severity": 1, "service": 2, "saga": 3, "owner": 4},
													"renameByName":  map[string]string{"alertname": "Alert", "severity": "Severity", "service": "Service", "saga": "Saga", "owner": "Owner"}}).
		transform("sortBy", map[string]any{"sort": []map[string]any{{"field": "Severity"}}}) // page comes before ticket
	return p.override("byName", "Alert", "links", []map[string]any{{"title": "Runbook", "url": "${live}" + alerts.DefaultRunbooks + "${__value.raw}", "targetBlank": true}})
}

// burnStates shows when which budgets burned how fast.
func burnStates(expr, legend string, l limits) *panel {
	return states("Burn rates", "none", fmt.Sprintf("How fast error budgets burn: at 1 a budget lasts just its %.0f days, at the factors of the alerts it is gone in days or hours. Look at what began at the same time.", l.policy.Period.Hours()/24)).
		query(expr, legend).steps(green, l.burn()...)
}

func traffic(l limits) []*panel {
	const orders = `route=~"/v1/(orders|events).*"`
	service := []string{`service=~"$service"`, onInstance}
	return []*panel{
		graph("Requests", "reqps", "HTTP requests a second by status. 5xx is the platform's own failure; many 429 are clients beyond their quotas: see the board of ingestion.").unmarked(volume).
			query(per("status", telemetry.RequestSeconds+"_count", onInstance), "{{status}}").may("nobody has asked yet").
			corner(link("Ingestion", "/d/"+IngestionUID, "By client")),
		graph("Time to answer", "s", "How long requests for orders and events take; the line is the objective's. Points are traces: click one.").
			quantiles(telemetry.RequestSeconds, orders, onInstance).limit(l.objective("gateway-latency")),
		graph("Sagas", "cps", "Sagas begun and ended a second. Begun above ended for long: they pile up, see the saga's board.").unmarked(volume).
			query(orNone(per("", telemetry.SagasStarted)), "begun").query(orNone(per("", telemetry.SagasEnded)), "ended").query(orNone(per("", telemetry.SagasOverdue)), "overdue").
			paint("begun", blue, "ended", green, "overdue", red),
		graph("Decisions", "ops", "Inputs decided a second, by service. A service at 0 while others work: see its board.").unmarked(volume).
			query(per("service", telemetry.Inputs, service...), "{{service}}").leads("Service", "/d/weir-service-${__field.labels.service}?${__url_time_range}"),
		graph("From event to effect", "s", "How old an event is when its effect is stored, 99 % of them, by service.").unmarked(elsewhere).
			query(quantile(0.99, "service", telemetry.InputAge, service...), "{{service}}").exemplars().
			leads("Service", "/d/weir-service-${__field.labels.service}?${__url_time_range}"),
		graph("Behind", "s", "How long the oldest record waits that a service has not taken, seen from the log and not by the service. It grows: the service is down, halted or too slow.").
			query(most("service", telemetry.BehindSeconds, `service=~"$service"`), "{{service}}").limit(l.any("-freshness")).
			leads("Service", "/d/weir-service-${__field.labels.service}?${__url_time_range}"),
	}
}

// synthetic are the orders that the platform places itself.
func synthetic() []*panel {
	return []*panel{
		graph("Own orders", "cps", "Orders that the platform places to see whether orders work, by how they ended. Anything but confirmed: a customer would have had no luck either.").unmarked(volume).
			query(per("result", telemetry.SyntheticOrders), "{{result}}").may("the platform was not told to place orders").paint("confirmed", green, "unanswered", red, "refused", orange, "cancelled", yellow),
		graph("From click to confirmation", "s", "How long the platform's own orders take to be confirmed.").unmarked(elsewhere).
			quantiles(telemetry.SyntheticSeconds).mayAll("the platform was not told to place orders"),
		graph("Faults", "none", "Faults that were switched on for practice, and when.").
			query(most("fault", telemetry.FaultOn), "{{fault}}").may("nobody has practised").between(0, 1).steps(green, step{1, orange}),
	}
}
