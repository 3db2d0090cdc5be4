package alerts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
)

// Routes is a configuration of Alertmanager: all pages of a time as one call to
// whoever is on call, tickets by owner, the watchdog to who misses it, and what keeps
// quiet while something else explains it. Its receivers (on-call, OWNER-ticket, watchdog)
// send nowhere: where they are reached is a secret of the place where it runs, and is
// added there.
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
	// Whatever customers feel at a time is one incident, and one call.
	receivers := []m{{"name": "nobody"}, {"name": "watchdog"}, {"name": "on-call"}}
	routes := []m{
		{"receiver": "watchdog", "matchers": []string{label("severity", Heartbeat)}, "group_wait": "0s", "group_interval": "1m", "repeat_interval": "1m"},
		// What is never noise is no part of something else that somebody knows already.
		{"receiver": "on-call", "matchers": []string{label("alertname", "DuplicateEffect")}, "group_by": []string{"alertname", "saga"}},
		{"receiver": "on-call", "matchers": []string{label("severity", Page)}, "group_by": []string{"severity"}},
	}
	for _, o := range owners { // a summary a day is enough
		name := o + "-" + Ticket
		receivers = append(receivers, m{"name": name})
		routes = append(routes, m{"receiver": name, "matchers": []string{label("owner", o), label("severity", Ticket)},
			"group_wait": "10m", "group_interval": "1h", "repeat_interval": "1d"})
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
		// Who is called looks at the causes, and needs no tickets of them.
		{[]string{label("severity", Page)}, []string{label("severity", Ticket), `alertname!="FaultPractised"`}, nil},
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

// Muted tells which of the alerts that fire, by their labels, are kept quiet by
// another, as Alertmanager would.
func (s *Set) Muted(firing []map[string]string) ([]bool, error) {
	out := make([]bool, len(firing))
	for _, i := range s.inhibitions() {
		source, err := matching(i.Source)
		if err != nil {
			return nil, err
		}
		target, err := matching(i.Target)
		if err != nil {
			return nil, err
		}
		for n, quiet := range firing {
			out[n] = out[n] || target(quiet) && slices.ContainsFunc(firing, func(loud map[string]string) bool {
				// What is on both sides of a rule does not silence itself.
				return source(loud) && !(source(quiet) && target(loud)) && !slices.ContainsFunc(i.Equal, func(l string) bool { return loud[l] != quiet[l] })
			})
		}
	}
	return out, nil
}

// matching reads Alertmanager's matchers, of which all have to agree.
func matching(texts []string) (func(map[string]string) bool, error) {
	var all labels.Matchers
	for _, t := range texts {
		m, err := labels.ParseMatcher(t)
		if err != nil {
			return nil, fmt.Errorf("matcher %s of the routes: %w", t, err)
		}
		all = append(all, m)
	}
	return func(have map[string]string) bool {
		return !slices.ContainsFunc(all, func(m *labels.Matcher) bool { return !m.Matches(have[m.Name]) })
	}, nil
}
