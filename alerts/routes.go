package alerts

import (
	"fmt"
	"slices"
	"strings"
)

// Routes is a configuration of Alertmanager: pages and tickets by owner, and
// what keeps quiet while something else explains it. Its receivers are named
// OWNER-SEVERITY and send nowhere: where an owner is reached is a secret of the
// place where it runs, and is added there.
func (s *Set) Routes() ([]byte, error) {
	type m = map[string]any
	var owners []string
	for _, o := range s.SLOs {
		owners = append(owners, o.Owner)
	}
	for _, a := range s.Alerts {
		owners = append(owners, a.Owner)
	}
	slices.Sort(owners)
	owners = slices.Compact(owners)
	receivers := []m{{"name": "nobody"}}
	var routes []m
	for _, o := range owners {
		for _, severity := range []string{Page, Ticket} {
			name := o + "-" + severity
			receivers = append(receivers, m{"name": name})
			r := m{"receiver": name, "matchers": []string{label("owner", o), label("severity", severity)}}
			if severity == Ticket { // of which a summary a day is enough
				r["group_wait"], r["group_interval"], r["repeat_interval"] = "10m", "1h", "1d"
			}
			routes = append(routes, r)
		}
	}
	b, err := encode(m{
		"route":         m{"receiver": "nobody", "group_by": []string{"alertname", "sloth_id", "service"}, "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h", "routes": routes},
		"receivers":     receivers,
		"inhibit_rules": s.inhibitions(),
	})
	if err != nil {
		return nil, fmt.Errorf("routes not rendered: %w", err)
	}
	return b, nil
}

// inhibition keeps the targets quiet while the source fires, where they agree in
// the labels. A label that neither has is one in which they agree.
type inhibition struct {
	Source []string `yaml:"source_matchers"`
	Target []string `yaml:"target_matchers"`
	Equal  []string `yaml:"equal,omitempty"`
}

// inhibitions never have a ticket silence a page.
func (s *Set) inhibitions() []inhibition {
	named := func(n string) []string { return []string{label("alertname", n)} }
	out := []inhibition{
		// Who is called has no use for a ticket about the same budget.
		{[]string{label("severity", Page), `sloth_id!=""`}, []string{label("severity", Ticket), `sloth_id!=""`}, []string{"sloth_id"}},
		// A halted lane is behind.
		{named("LaneHalted"), []string{`alertname=~"ServiceFreshnessBurn|CompletenessBurn"`}, []string{"service"}},
		// A read model that is halted, or far behind, burns its budget.
		{[]string{`alertname=~"UnitHalted|ReadModelBehind"`}, named("ReadModelFreshnessBurn"), nil},
		// A breaker is open because its calls have no answers.
		{named("OutsideCallsBurn"), named("BreakerOpen"), []string{"endpoint"}},
		// Somebody practises, and knows.
		{named("FaultPractised"), []string{label("severity", Ticket), `alertname!="FaultPractised"`}, nil},
	}
	for _, o := range s.SLOs { // a journey is made of its parts
		var parts []string
		for _, p := range o.SLI.weigh {
			parts = append(parts, p.SLO.ID())
		}
		if len(parts) > 0 {
			out = append(out, inhibition{[]string{label("severity", Page), `sloth_id=~"` + strings.Join(parts, "|") + `"`}, []string{label("sloth_id", o.ID())}, nil})
		}
	}
	return out
}
