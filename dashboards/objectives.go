package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/alerts"
)

// objectives shows all promises, and one of them in detail.
func objectives(b Business, l limits) draft {
	d := draft{uid: ObjectivesUID, title: "Weir: objectives", tags: []string{"objectives"}, alerts: []string{`sloth_id=~"$slo"`},
		help:      "What is promised, what is left of each error budget, and how fast it burns.",
		variables: []dashboard.VariableModel{worst("slo", "Objective", "sort("+alerts.BudgetRemaining+")", "sloth_id"), b.live()},
		links:     []dashboard.DashboardLink{link("Overview", "/d/"+OverviewUID, "All services")}}
	d.rows = []row{
		{title: "Is it well?", panels: promises(b)},
		{title: "Where does it hurt?", panels: []*panel{objectiveList().size(24, 12), burnStates(alerts.CurrentBurn, "{{sloth_id}}", l).size(24, 16)}},
		{title: "One objective: $slo", panels: objective(b.Alerts, l)},
	}
	return d
}

func promises(b Business) []*panel {
	return []*panel{
		number("Promises kept", "none", "Objectives whose error budget is not used up.").unmarked(declared).size(6, 4).
			query(orNone("count("+alerts.BudgetRemaining+" >= 0)", b.evaluated()), "kept"),
		number("Promises broken", "none", "Objectives whose error budget is used up. Above 0: stop what is risky until it has recovered.").size(6, 4).
			query(orNone("count("+alerts.BudgetRemaining+" < 0)", b.evaluated()), "broken").steps(green, step{1, red}),
		number("Burning too fast", "none", "Objectives whose budget will not last its period at the rate of now.").size(6, 4).
			query(orNone("count("+alerts.CurrentBurn+" > 1)", b.evaluated()), "burning").steps(green, step{1, orange}),
		number("Alerts", "none", "Alerts of objectives that fire now.").size(6, 4).
			query(orNone("count("+firing(`sloth_id!=""`)+")", b.evaluated()), "firing").steps(green, step{1, red}),
	}
}

// objectiveList is one line per objective.
func objectiveList() *panel {
	p := list("Objectives", "percentunit", "Every promise, the one with the least budget first. A click on its name shows it below.").
		query(left(most("sloth_id", alerts.BudgetRemaining)), "").query(most("sloth_id", alerts.Objective), "").
		query(most("sloth_id", alerts.CurrentBurn), "").query(most("sloth_id", alerts.PeriodBurn), "").
		query(most("sloth_id, owner, kind", alerts.Info), "").
		transform("merge", map[string]any{}).
		transform("organize", map[string]any{
			"excludeByName": map[string]bool{"Time": true, "Value #E": true},
			"indexByName":   map[string]int{"sloth_id": 0, "kind": 1, "Value #A": 2, "Value #B": 3, "Value #C": 4, "Value #D": 5, "owner": 6},
			"renameByName":  map[string]string{"sloth_id": "Objective", "kind": "Kind", "owner": "Owner", "Value #A": "Budget left", "Value #B": "Promised", "Value #C": "Burn rate now", "Value #D": "Burn rate, period"}}).
		transform("sortBy", map[string]any{"sort": []map[string]any{{"field": "Burn rate, period", "desc": true}}}).
		budget()
	for _, burn := range []string{"Burn rate now", "Burn rate, period"} {
		p.override("byName", burn, "unit", "none").override("byName", burn, "decimals", 2)
	}
	p.override("byName", "Budget left", "mappings", mapping(muchLess())).override("byName", "Objective", "custom.width", 260)
	return p.override("byName", "Promised", "decimals", 2).override("byName", "Budget left", "custom.displayMode", "color-text").
		override("byName", "Objective", "links", []map[string]any{{"title": "Show below", "url": "/d/" + ObjectivesUID + "?var-slo=${__value.raw}&${__url_time_range}"}})
}

// objective is the detail of the chosen one.
func objective(s *alerts.Set, l limits) []*panel {
	chosen := `sloth_id=~"$slo"`
	return []*panel{
		number("Budget left", "percentunit", "What is left of its error budget.").query(left(selector(alerts.BudgetRemaining, []string{chosen})), "left").budget().worded(muchLess()),
		number("Burn rate", "none", "How fast the budget burns now. At 1 it lasts just its period.").query(selector(alerts.CurrentBurn, []string{chosen}), "now").steps(green, l.burn()...),
		number("Promised", "percentunit", "The share of events that has to be good.").unmarked(declared).query(selector(alerts.Objective, []string{chosen}), "promised").steps(blue),
		number("Period", "suffix:days", "The days over which the budget counts.").unmarked(declared).query(selector(alerts.PeriodDays, []string{chosen}), "period").steps(blue),
		alertStates().size(8, 4),
		ratios(s, l, chosen).size(12, 9),
		graph("Burn rate", "none", "How fast the budget burnt, now and over the whole period; the dashed lines are the factors of the alerts.").size(12, 9).
			query(selector(alerts.CurrentBurn, []string{chosen}), "now").query(selector(alerts.PeriodBurn, []string{chosen}), "over the period").steps(green, l.burn()...),
		graph("Budget left", "percentunit", "When the budget was spent: a cliff is an accident, a slope is how it always is.").size(24, 8).
			query(selector(alerts.BudgetRemaining, []string{chosen}), "left").budget().between(leastLeft, 1),
	}
}

// ratios are the objective's error ratios by window, and what it allows.
func ratios(s *alerts.Set, l limits, chosen string) *panel {
	p := graph("Error ratio", "percentunit", "The share of bad events over each window of the alerts, and the share that the promise allows. Short windows above the line for long: it burns.").unmarked(elsewhere)
	if len(s.SLOs) == 0 {
		return p
	}
	for _, w := range l.windows() {
		name, _, _ := strings.Cut(alerts.ErrorRatio(s.SLOs[0], w), "{")
		p.query(selector(name, []string{chosen}), strings.TrimPrefix(name[strings.LastIndex(name, "rate"):], "rate"))
	}
	return p.query(selector(alerts.ErrorBudget, []string{chosen}), "allowed").paint("allowed", grey).
		override("byName", "allowed", "custom.lineStyle", map[string]any{"fill": "dash", "dash": []int{8, 6}})
}

func alertStates() *panel {
	fires, waits := firing(`sloth_id=~"$slo"`), selector("ALERTS", []string{`alertstate="pending"`, `sloth_id=~"$slo"`})
	return states("Its alerts", "none", "When its alerts waited or fired.").
		query("max by (severity) (2 * "+fires+" or "+waits+")", "{{severity}}").may("no alert of it waits or fires").
		said(map[string]dashboard.ValueMappingResult{"1": word("waits", yellow), "2": word("fires", red)})
}
