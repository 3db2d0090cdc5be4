package alerts

import (
	"fmt"
	"math"
	"time"
)

// TestFile is a file of tests in the format of promtool test rules. What it
// generates breaks each promise by a little and by a lot, and looks at whether,
// when and for how long the alert fires.
type TestFile struct {
	Rules    []string `yaml:"rule_files"`
	Interval string   `yaml:"evaluation_interval"`
	Groups   []string `yaml:"group_eval_order,omitempty"` // promtool takes what is not named at random
	Tests    []Test   `yaml:"tests"`
}

// Test is one story: series, and what is expected at some moments.
type Test struct {
	Name     string        `yaml:"name"`
	Interval string        `yaml:"interval"`
	Input    []Series      `yaml:"input_series,omitempty"`
	Expect   []Expectation `yaml:"promql_expr_test"`
}

// Series is an input in promtool's expanding notation.
type Series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

// Expectation is the value of an expression at a time.
type Expectation struct {
	Expr    string   `yaml:"expr"`
	At      string   `yaml:"eval_time"`
	Samples []Sample `yaml:"exp_samples"`
}

// Sample is one value.
type Sample struct {
	Labels string  `yaml:"labels"`
	Value  float64 `yaml:"value"`
}

// YAML is the file as promtool reads it.
func (f *TestFile) YAML() ([]byte, error) {
	b, err := encode(f)
	if err != nil {
		return nil, fmt.Errorf("tests not rendered: %w", err)
	}
	return b, nil
}

// traffic is the events per second of the stories: enough for every minimum.
const traffic = 10

// Margins around a threshold that count as over it and just under it.
const over, under = 1.1, 0.9

// Tests are the objective's: one file for each severity, named by it. An imported
// one has none.
func (s *SLO) Tests(p Policy) map[string]*TestFile {
	out := map[string]*TestFile{}
	if s.SLI.drive == nil {
		return out
	}
	for _, severity := range []string{Page, Ticket} {
		windows := s.windows(p, severity)
		if len(windows) == 0 {
			continue
		}
		teller := &teller{slo: s, policy: p, windows: windows, severity: severity, every: windows[0].Short / 5}
		if severity == Ticket && s.SLI.helper != "" { // whose events are the evaluations
			teller.every = p.shortest()
		}
		f := &TestFile{Rules: s.ruleFiles(), Interval: span(teller.every), Groups: s.groupOrder()}
		for _, t := range teller.stories() {
			f.Tests = append(f.Tests, t.test())
		}
		out[severity] = f
	}
	return out
}

// RuleFile is where an objective's rules are rendered to.
func (s *SLO) RuleFile() string { return "rules/" + s.ID() + ".yml" }

func (s *SLO) ruleFiles() (out []string) {
	for _, part := range s.SLI.weigh {
		out = append(out, "../"+part.SLO.RuleFile())
	}
	return append(out, "../"+s.RuleFile())
}

// groupOrder has what is read recorded first.
func (s *SLO) groupOrder() (out []string) {
	for _, part := range s.SLI.weigh {
		out = append(out, part.SLO.groupOrder()...)
	}
	return append(out, s.groupName("sli"), s.groupName("alerts"))
}

// teller tells the stories of an objective's alert of one severity.
type teller struct {
	slo      *SLO
	policy   Policy
	windows  []Window
	severity string
	every    time.Duration // between evaluations; everything happens at one
}

func (t *teller) story(name string) *story {
	// The shortest window needs two samples.
	return &story{name: t.slo.ID() + " " + t.severity + ": " + name, every: min(t.every, t.policy.shortest()*2/5),
		fires: t.slo.fires(t.severity)}
}

func (s *SLO) fires(severity string) string {
	return fires(s.Alert, severity, s.Owner, label("sloth_id", s.ID()))
}

// load is traffic of which a share is bad.
func (t *teller) load(share, events float64) []input {
	return t.slo.SLI.drive(load{good: events * (1 - share), bad: events * share})
}

// longest is the longest window of the severity: how much history makes a
// breach show no sooner than promised.
func (t *teller) longest() (d time.Duration) {
	for _, w := range t.windows {
		d = max(d, w.Long)
	}
	return d
}

func (t *teller) stories() []*story {
	var out []*story
	for _, w := range t.windows {
		out = append(out, t.breach(w))
	}
	out = append(out, t.outage(), t.justUnder(), t.idle(), t.noData())
	if t.slo.MinBad > 1 && t.slo.SLI.counts() {
		out = append(out, t.oneAtNight(), t.young())
	}
	return out
}

// breach burns a little faster than a pair of windows allows: the alert fires by
// the time the long one has seen it, not at once, and ends with the short one.
func (t *teller) breach(w Window) *story {
	s := t.story(fmt.Sprintf("fires within %s of burning %.4g times too fast, and resets", span(t.promise(w)), over*w.Factor))
	good, bad := t.load(0, traffic), t.load(min(over*w.Factor*t.slo.Budget(), 1), traffic)
	if t.slo.SLI.helper != "" {
		bad = t.load(1, traffic)
	}
	promise := t.promise(w)
	s.then(t.longest(), good).expect(t.longest()-t.every, false)
	s.then(promise+2*t.every, bad).expect(t.tooSoon(w), false).expect(promise+t.every, true)
	return s.then(t.reset()+t.every, good).expect(t.reset(), false)
}

// tooSoon is a time after a breach's beginning at which the long window must not
// have seen enough of it.
func (t *teller) tooSoon(w Window) time.Duration {
	if t.slo.SLI.helper == "" {
		return (w.Long / 2).Truncate(t.every)
	}
	return (t.shortestOutage() / 2).Truncate(t.every)
}

// shortestOutage is how long all must be bad until the first pair of windows
// allows no more.
func (t *teller) shortestOutage() time.Duration {
	shortest := time.Duration(math.MaxInt64)
	for _, w := range t.windows {
		shortest = min(shortest, time.Duration(w.Factor*t.slo.Budget()*float64(w.Long)))
	}
	return shortest
}

// reset is how soon an alert ends after the breach: the longest of the short
// windows, and a little.
func (t *teller) reset() (d time.Duration) {
	for _, w := range t.windows {
		d = max(d, w.Short)
	}
	return d + t.every*2
}

// outage has everything fail, for as long as it takes to be far over all
// thresholds. What the long windows remember does not keep the alert alive.
func (t *teller) outage() *story {
	s := t.story("fires in an outage, and resets though much of the budget is gone")
	var lasts time.Duration
	for _, w := range t.windows {
		lasts = max(lasts, min(w.Long, time.Duration(2*w.Factor*t.slo.Budget()*float64(w.Long))))
	}
	lasts = lasts.Truncate(t.every) + 3*t.every
	s.then(t.longest(), t.load(0, traffic))
	s.then(lasts, t.load(1, traffic)).expect(lasts-t.every, true)
	return s.then(t.reset()+t.every, t.load(0, traffic)).expect(t.reset(), false)
}

// promise is the time to fire: what the long window needs to reach its
// threshold. Of an indicator over time everything is bad meanwhile.
func (t *teller) promise(w Window) time.Duration {
	if t.slo.SLI.helper == "" {
		return w.Long
	}
	need := time.Duration(over * w.Factor * t.slo.Budget() * float64(w.Long))
	return need.Truncate(t.every) + 2*t.policy.shortest()
}

// justUnder burns a little slower than the slowest pair of windows allows, for as
// long as that looks back, and nobody is called.
func (t *teller) justUnder() *story {
	slowest := t.windows[0].Factor
	for _, w := range t.windows {
		slowest = min(slowest, w.Factor)
	}
	s := t.story("stays silent just under its threshold")
	s.then(t.longest(), t.load(0, traffic))
	if t.slo.SLI.helper != "" { // an outage that is a little too short
		outage := time.Duration(under * float64(t.shortestOutage())).Truncate(t.every)
		s.then(outage-t.every, t.load(1, traffic)).expect(outage-2*t.every, false)
		return s.then(t.windows[0].Long, t.load(0, traffic)).expect(t.every, false).expect(t.windows[0].Short, false)
	}
	half := (t.longest() / 2).Truncate(t.every)
	return s.then(t.longest()+t.every, t.load(under*slowest*t.slo.Budget(), traffic)).expect(half, false).expect(t.longest(), false)
}

// idle has no event in any window. All that is recorded must be numbers all the same:
// with one NaN in it, a mean is NaN as long as it looks back.
func (t *teller) idle() *story {
	last := t.windows[0].Long
	numbers := fmt.Sprintf(`count({sloth_id=%q,__name__=~"slo:(sli_error|current_burn_rate|period_burn_rate|period_error_budget_remaining):.+"} >= 0)`, t.slo.ID())
	s := t.story("stays silent when nothing happens, and knows the budget").then(last+t.every, t.load(0, 0)).expect(last/2, false).expect(last, false)
	return s.see(last, numbers, []Sample{{"{}", float64(len(t.policy.spans()) + 3)}})
}

func (t *teller) noData() *story {
	last := t.windows[0].Long
	return t.story("stays silent without any series").then(last+t.every, nil).expect(last/2, false).expect(last, false)
}

// oneAtNight: fewer bad events than the minimum, and no others.
func (t *teller) oneAtNight() *story {
	last := t.windows[0].Long
	rate := (t.slo.MinBad - 1) / last.Seconds()
	for _, w := range t.windows {
		rate = min(rate, (t.slo.MinBad-1)/w.Long.Seconds())
	}
	s := t.story(fmt.Sprintf("stays silent for less than %v bad events, though all are bad", t.slo.MinBad))
	return s.then(last+t.every, t.load(1, rate)).expect(last/2, false).expect(last, false)
}

// young is a server that knows nothing yet: what it has seen is all that there was, and
// no day of the same.
func (t *teller) young() *story {
	lasts := max(2*t.every, (6 * t.policy.shortest()).Truncate(t.every)) // it is looked at when it is evaluated
	s := t.story("stays silent for one bad event of twenty on a new Prometheus")
	return s.then(lasts+t.every, t.load(0.05, 20/lasts.Seconds())).expect(t.every, false).expect(lasts, false)
}

// Tests are the alert's.
func (a *Alert) Tests(p Policy) *TestFile {
	every, settle := p.shortest()/20, max(8*p.shortest(), a.Memory+p.shortest())
	if a.Always {
		s := &story{name: a.Name + ": fires always", every: every, fires: a.fires()}
		return &TestFile{Rules: []string{"../" + CauseFile}, Interval: span(every), Tests: []Test{s.then(settle, nil).expect(settle-every, true).test()}}
	}
	story := func(name string) *story {
		return &story{name: a.Name + ": " + name, every: every, fires: a.fires()}
	}
	calm := func(i int) []input { return a.load(func(e *Example) float64 { return e.Calm[i] }) }
	breach := a.load(func(e *Example) float64 { return e.Breach })
	fires := story(fmt.Sprintf("stays silent just under its threshold, fires within %s of a breach, and resets", span(a.Within))).
		then(settle, calm(0)).expect(settle-every, false).
		then(a.Within+every, breach).expect(a.Within, true).
		then(settle, calm(0)).expect(settle-every, false)
	f := &TestFile{Rules: []string{"../" + CauseFile}, Interval: span(every), Tests: []Test{fires.test()}}
	for i := 1; i < len(a.Example[0].Calm); i++ {
		f.Tests = append(f.Tests, story(fmt.Sprintf("stays silent just under its threshold %d", i+1)).then(settle, calm(i)).expect(settle-every, false).test())
	}
	f.Tests = append(f.Tests, story("without any series").then(settle, nil).expect(settle-every, a.Blind).test())
	return f
}

func (a *Alert) fires() string { return fires(a.Name, a.Severity, a.Owner) }

func (a *Alert) load(value func(*Example) float64) (out []input) {
	for i := range a.Example {
		out = append(out, input{a.Example[i].Series, value(&a.Example[i]), a.Example[i].Counter})
	}
	return out
}

// CauseFile is where the rules of the alerts without a budget are rendered to.
const CauseFile = "rules/alerts.yml"
