package dashboards

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// service is the board of one service.
func service(b Business, s streams.Service, l limits) draft {
	of := []string{is("service", s.Name), onInstance}
	d := draft{uid: ServiceUID(s.Name), title: "Weir: service " + s.Name, tags: []string{"service"}, alerts: []string{is("service", s.Name)},
		help:      "What the service " + s.Name + " promises, what it decides and whom it waits for.",
		variables: []dashboard.VariableModel{instances(), b.live()},
		links:     []dashboard.DashboardLink{link("Overview", "/d/"+OverviewUID, "All services"), tracesOf(s.Name), logsOf(s.Name)}}
	for _, saga := range sagasOf(b, s) {
		d.links = append(d.links, link("Saga "+saga, "/d/"+SagaUID(saga), "A saga that the service takes part in"))
	}
	d.rows = []row{
		{title: "Is it well?", panels: serviceWell(s, l, of)},
		{title: "Where does it hurt?", panels: serviceHurts(s, l, of)},
		{title: "Decisions", panels: decisions(of)},
	}
	if asksOutside(b.Topology, s) {
		d.rows = append(d.rows, row{title: "Outside calls", panels: effects(of)})
	}
	d.rows = append(d.rows, row{title: "Lanes and store", folded: true, panels: lanes(l, of)})
	return d
}

// sagasOf are the sagas that have a step by the service.
func sagasOf(b Business, s streams.Service) (out []string) {
	for _, saga := range b.Business.Sagas {
		if slices.ContainsFunc(saga.Steps(b.Topology), func(st streams.Step) bool {
			return slices.ContainsFunc(s.Deciders, func(d *streams.Decider) bool { return d.Name == st.By })
		}) {
			out = append(out, saga.Name)
		}
	}
	return out
}

// asksOutside says whether a service has effects.
func asksOutside(t *streams.Topology, s streams.Service) bool {
	return slices.ContainsFunc(s.Deciders, func(d *streams.Decider) bool {
		return slices.ContainsFunc(t.Reactions(d), func(r streams.Reaction) bool { return r.Kind == streams.OutcomeInput })
	})
}

func serviceWell(s streams.Service, l limits, of []string) []*panel {
	reads := l.objective(s.Name + "-freshness")
	out := []*panel{
		number("Budgets left", "percentunit", "What is left of the error budget of each promise of the service. Below 0 the promise is broken.").size(12, 4).
			query(left(selector(alerts.BudgetRemaining, []string{is("sloth_service", s.Name)})), "{{sloth_slo}}").budget().worded(muchLess()).
			leads("Objective", "/d/"+ObjectivesUID+"?var-slo=${__field.labels.sloth_id}&${__url_time_range}"),
		number("Parked", "none", "Inputs whose decision failed, or that wait behind one that did. Above 0: look at the reason in the dead letters, mend it, retry.").size(3, 4).
			query(orNone("sum("+selector(telemetry.Parked, of)+")", anybody), "parked").steps(green, step{1, red}).leads("Dead letters", "${live}/dead-letters"),
		number("Halted lanes", "none", "Lanes of the service that stand still and wait for a person. /readyz says why.").size(3, 4).
			query(orNone("sum("+selector(telemetry.LanesHalted, of)+")", anybody), "halted").steps(green, step{1, red}),
		number("Decisions", "ops", "Inputs decided a second.").unmarked(volume).size(3, 4).
			query(per("", telemetry.Inputs, of...), "decided").steps(blue).spark(),
	}
	if !reads.known { // it reads no events, and is never behind
		return out
	}
	return slices.Insert(out, 3, number("Behind", "s",
		"How long the oldest record waits that the service has not taken. Red: the objective's bound.").size(3, 4).
		query(most("", telemetry.BehindSeconds, is("service", s.Name)), "behind").limit(reads).spark())
}

func serviceHurts(s streams.Service, l limits, of []string) []*panel {
	return []*panel{
		graph("From event to effect", "s", "How old an event is when its effect is stored. The line is the objective's. Points are traces: click one.").unmarked(elsewhere).
			quantiles(telemetry.InputAge, of...).limit(l.objective(s.Name + "-latency")),
		graph("Inputs by result", "ops", "What became of the inputs. Parked is a fault; rejected is the business saying no.").unmarked(volume).
			query(per("result", telemetry.Inputs, of...), "{{result}}").paint("decided", green, "rejected", yellow, "parked", red, "retried", blue).stacked(),
		graph("Rejections", "ops", "Inputs that a business rule refused, by rule.").unmarked(volume).
			query(per("code", telemetry.Rejections, of...), "{{code}}").may("no rule has refused anything yet"),
		burnStates(selector(alerts.CurrentBurn, []string{is("sloth_service", s.Name)}), "{{sloth_slo}}", l).size(12, 7),
		graph("Behind by topic", counted, "Records that the service has not taken, seen from the ends of the log. One topic grows alone: look at who writes it.").unmarked(elsewhere).size(12, 7).
			query(most("topic", telemetry.BehindRecords, is("service", s.Name)), "{{topic}}").may("the service reads no topic"),
	}
}

func decisions(of []string) []*panel {
	return []*panel{
		graph("Inputs", "ops", "Inputs decided a second, by decider and what it took.").unmarked(volume).size(24, 9).
			query(per("decider, input", telemetry.Inputs, of...), "{{decider}} ← {{input}}"),
		graph("Events", "cps", "Events stored a second, by type.").unmarked(volume).size(12, 8).
			query(per("type", telemetry.Emitted, of...), "{{type}}"),
		heat("Age of inputs", "How old inputs are when their effect is stored: one band is healthy, a second one above it is a lane or a store with trouble.").unmarked(byColor).
			buckets(telemetry.InputAge, of...),
	}
}

func effects(of []string) []*panel {
	const none = "nothing was asked of the outside yet"
	return []*panel{
		graph("Time of a call", "s", "How long one attempt at an outside call takes, 95 % of them.").unmarked(elsewhere).size(12, 8).
			query(quantile(0.95, "effect", telemetry.EffectSeconds, of...), "{{effect}}").may(none).exemplars(),
		graph("Calls by result", "ops", "Attempts a second by their result. In doubt: no definite answer, it is asked again under the same key.").unmarked(volume).size(12, 8).
			query(per("endpoint, result", telemetry.EffectSeconds+"_count", of...), "{{endpoint}} {{result}}").may(none).
			query(per("endpoint", telemetry.HeldBack, of...), "{{endpoint}} held back").may(none),
		graph("Waiting calls", "none", "Calls that wait for a definite answer. It grows: the other side is away.").unmarked(volume).size(12, 8).
			query(total("", selector(telemetry.EffectsPending, of)), "waiting"),
		breakers(of).size(12, 8),
	}
}

// breakers shows when circuit breakers were open.
func breakers(of []string) *panel {
	return states("Circuit breakers", "none", "Open: so many calls failed that none is made until the other side answers again.").
		query(most("service, endpoint", telemetry.BreakerState, of...), "{{service}} → {{endpoint}}").may("a breaker is seen with its first change").
		said(map[string]dashboard.ValueMappingResult{"0": word("closed", green), "1": word("half-open", yellow), "2": word("open", red)})
}

func lanes(l limits, of []string) []*panel {
	return []*panel{
		graph("Unread records", counted, "Records that each lane has not read yet. One lane alone: a hot key.").unmarked(elsewhere).
			query(total("lane", selector(telemetry.LagRecords, of)), "lane {{lane}}"),
		graph("Oldest unpublished event", "s", "How long the oldest stored event waits for Kafka. The line is the alert's: the broker is away or refuses.").
			query(most("lane", telemetry.UnpublishedAge, of...), "lane {{lane}}").limit(l.alert("OutboxStuck")),
		graph("Time to commit", "s", "How long a commit takes. The line is the alert's, for half of them: the store is slow.").
			query(quantile(0.5, "", telemetry.CommitSeconds, of...), "half").query(quantile(0.99, "", telemetry.CommitSeconds, of...), "99 %").limit(l.alert("StoreSlow")),
		graph("Lanes' lives", "cps", "Changes of lanes a second. Reloads and conflicts again and again: two owners, or a store that loses connections.").unmarked(volume).
			query(per("change", telemetry.LaneChanges, of...), "{{change}}"),
		graph("Conflicts and repeats", "cps", "Commits refused or in doubt, and records skipped because their effect was there.").unmarked(shared).
			query(orNone(per("", telemetry.Conflicts, of...), anybody), "conflicts").query(orNone(per("", telemetry.Repeats, of...), anybody), "repeats").paint("conflicts", red, "repeats", grey),
		graph("Inputs in one commit", "none", "How many inputs share a transaction: more under load, which is how a lane keeps up.").unmarked(volume).
			query(quantile(0.5, "", telemetry.BatchInputs, of...), "half").query(quantile(0.99, "", telemetry.BatchInputs, of...), "99 %"),
	}
}
