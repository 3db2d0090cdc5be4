package alerts

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Rule is a recording or alerting rule of Prometheus.
type Rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// Group is a group of rules, evaluated in their order.
type Group struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval,omitempty"`
	Rules    []Rule `yaml:"rules"`
}

// rawUpTo is the longest window that is read from the counters themselves.
// Longer ones sum up what was recorded over the shortest window, bad events and
// all, so that they still weigh events and not minutes.
const rawUpTo = 6 * time.Hour

// Names of the series that every objective has, as Sloth has them, so that
// boards for Sloth show ours.
const (
	Objective       = "slo:objective:ratio"
	ErrorBudget     = "slo:error_budget:ratio"
	PeriodDays      = "slo:time_period:days"
	CurrentBurn     = "slo:current_burn_rate:ratio"
	PeriodBurn      = "slo:period_burn_rate:ratio"
	BudgetRemaining = "slo:period_error_budget_remaining:ratio"
	Info            = "sloth_slo_info"

	helperName = "slo:sli_bad:bool"
	badName    = "slo:sli_bad:rate"
	totalName  = "slo:sli_total:rate"
)

// ErrorRatio is the series of an objective's error ratio over a window.
func ErrorRatio(s *SLO, window time.Duration) string {
	return ratioName(window) + braces(label("sloth_id", s.ID()))
}

func ratioName(w time.Duration) string { return "slo:sli_error:ratio_rate" + span(w) }

// ShortRatio is the series of all error ratios over the shortest window.
func (p *Policy) ShortRatio() string { return ratioName(p.shortest()) }

// Span is a window as it is in the label sloth_window.
func Span(d time.Duration) string { return span(d) }

func (s *SLO) labels() map[string]string {
	return map[string]string{"sloth_id": s.ID(), "sloth_service": s.Service, "sloth_slo": s.Name}
}

func (s *SLO) alertLabels(severity string) map[string]string {
	return with(s.labels(), "severity", severity, "owner", s.Owner, "service", s.Service)
}

func with(labels map[string]string, more ...string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		out[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

// Rules renders one objective: what is recorded, and its alerts.
func (s *SLO) Rules(p Policy, runbooks string) ([]Group, error) {
	if err := s.Check(p); err != nil {
		return nil, err
	}
	group := func(kind string, rules []Rule) Group {
		return Group{Name: s.groupName(kind), Interval: span(p.every()), Rules: rules}
	}
	return []Group{group("sli", append(s.indicator(p), s.meta(p)...)), group("alerts", s.alerts(p, runbooks))}, nil
}

func (s *SLO) groupName(kind string) string { return "slo-" + kind + "-" + s.ID() }

// own has an indicator's expression read the objective's own helper.
func (s *SLO) own(expr string) string {
	return strings.ReplaceAll(expr, helperSeries, helperName+braces(label("sloth_id", s.ID())))
}

// bad and total are the events per second of a window, or counts of both.
func (s *SLO) bad(p Policy, w time.Duration) string {
	if w > rawUpTo && s.SLI.counts() {
		return s.overTime(badName, p, w)
	}
	return s.own(s.SLI.bad(w))
}

func (s *SLO) total(p Policy, w time.Duration) string {
	if w > rawUpTo && s.SLI.counts() {
		return s.overTime(totalName, p, w)
	}
	return s.own(s.SLI.total(w))
}

func (s *SLO) overTime(name string, p Policy, w time.Duration) string {
	return fmt.Sprintf("sum(avg_over_time(%s%s%s[%s]))", name, span(p.shortest()), braces(label("sloth_id", s.ID())), span(w))
}

// counted is how many events were recorded over a window: what is missing of it on
// a new Prometheus counts as none.
func (s *SLO) counted(name string, p Policy, w time.Duration) string {
	return fmt.Sprintf("sum(sum_over_time(%s%s%s[%s])) * %v", name, span(p.shortest()), braces(label("sloth_id", s.ID())), span(w), p.every().Seconds())
}

// ratio is bad events by all. Without events it is 0, which is true: nobody was
// let down. Without series it is nothing.
func (s *SLO) ratio(p Policy, w time.Duration) string {
	if s.SLI.weigh != nil {
		return s.SLI.bad(w)
	}
	return fmt.Sprintf("(%s or 0 * %s)\n/ clamp_min(%s, 1e-9)", s.bad(p, w), s.total(p, w), s.total(p, w))
}

func (s *SLO) indicator(p Policy) (out []Rule) {
	if s.SLI.helper != "" {
		out = append(out, Rule{Record: helperName, Expr: s.SLI.helper, Labels: s.labels()})
	}
	short := p.shortest()
	if s.SLI.counts() {
		out = append(out,
			Rule{Record: badName + span(short), Expr: s.bad(p, short) + "\nor 0 * " + s.total(p, short), Labels: s.labels()},
			Rule{Record: totalName + span(short), Expr: s.total(p, short), Labels: s.labels()})
	}
	for _, w := range p.spans() {
		out = append(out, Rule{Record: ratioName(w), Expr: s.ratio(p, w), Labels: with(s.labels(), "sloth_window", span(w))})
	}
	return out
}

func (s *SLO) meta(p Policy) []Rule {
	sel := braces(label("sloth_id", s.ID()))
	burn := func(w time.Duration) string {
		return fmt.Sprintf("%s%s\n/ on(sloth_id, sloth_slo, sloth_service) group_left\n%s%s", ratioName(w), sel, ErrorBudget, sel)
	}
	return []Rule{
		{Record: Objective, Expr: fmt.Sprintf("vector(%v)", round(s.Objective/100)), Labels: s.labels()},
		{Record: ErrorBudget, Expr: fmt.Sprintf("vector(%v)", s.Budget()), Labels: s.labels()},
		{Record: PeriodDays, Expr: fmt.Sprintf("vector(%v)", round(p.Period.Hours()/24)), Labels: s.labels()},
		{Record: CurrentBurn, Expr: burn(p.shortest()), Labels: s.labels()},
		{Record: PeriodBurn, Expr: burn(p.Period), Labels: s.labels()},
		{Record: BudgetRemaining, Expr: "1 - " + PeriodBurn + sel, Labels: s.labels()},
		{Record: Info, Expr: "vector(1)", Labels: with(s.labels(), "owner", s.Owner, "kind", string(s.SLI.Kind), "sloth_mode", "weir", "sloth_objective", fmt.Sprint(s.Objective))},
	}
}

func (s *SLO) alerts(p Policy, runbooks string) (out []Rule) {
	for _, severity := range []string{Page, Ticket} {
		windows := s.windows(p, severity)
		if len(windows) == 0 {
			continue
		}
		terms := make([]string, len(windows))
		for i, w := range windows {
			terms[i] = s.burns(p, w)
		}
		r := Rule{Alert: s.Alert, Expr: strings.Join(terms, "\nor\n"), Labels: s.alertLabels(severity),
			Annotations: annotations(runbooks, s.Alert, s.runbook != "", s.Description,
				fmt.Sprintf("%s burns the error budget of %s (%v %% over %s): {{ $value | humanizePercentage }} of the events are bad.", s.Service, s.Name, s.Objective, span(p.Period)))}
		maps.Copy(r.Labels, s.Labels)
		out = append(out, r)
	}
	return out
}

// annotations link to the runbook if there is one: alerts of imported objectives
// have none.
func annotations(runbooks, alert string, has bool, description, summary string) map[string]string {
	out := map[string]string{"description": description, "summary": summary}
	if _, err := handwritten(alert); err == nil || has {
		out["runbook_url"] = runbooks + alert
	}
	return out
}

// burns is one pair of windows. The long one says that it matters, the short
// one that it goes on.
func (s *SLO) burns(p Policy, w Window) string {
	over := func(d time.Duration) string {
		return fmt.Sprintf("max(%s > (%v * %v)) without (sloth_window)", ErrorRatio(s, d), w.Factor, s.Budget())
	}
	both := over(w.Short) + "\nand\n" + over(w.Long)
	if s.MinBad > 0 && s.SLI.weigh == nil {
		count := fmt.Sprintf("%s * %v", s.bad(p, w.Long), w.Long.Seconds())
		switch {
		case s.SLI.helper != "":
			count = s.bad(p, w.Long)
		case w.Long > rawUpTo: // a mean of minutes says nothing of the day that is not over
			count = s.counted(badName, p, w.Long)
		}
		both += fmt.Sprintf("\nand on()\n(%s >= %v)", count, s.MinBad)
	}
	return "(\n" + both + "\n)"
}

// File is a rules file for Prometheus.
func File(groups []Group) ([]byte, error) {
	b, err := encode(map[string][]Group{"groups": groups})
	if err != nil {
		return nil, fmt.Errorf("rules not rendered: %w", err)
	}
	return b, nil
}

// encode writes YAML as all files of this package have it.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}
