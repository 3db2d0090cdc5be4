package alerts

import (
	"fmt"
	"math"
	"strconv"
	"strings"
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

// story is a test that is being told: how long what lasts, and what is seen.
type story struct {
	name   string
	alert  string        // matchers of its ALERTS series
	every  time.Duration // between samples
	phases []phase
	looks  []look
}

type phase struct {
	lasts time.Duration
	load  []input // empty: no series at all
}

type look struct {
	at    time.Duration
	fires bool
}

func (s *story) then(lasts time.Duration, load []input) *story {
	s.phases = append(s.phases, phase{lasts, load})
	return s
}

// now is how long the story lasts so far.
func (s *story) now() (d time.Duration) {
	for _, p := range s.phases {
		d += p.lasts
	}
	return d
}

// expect looks at a moment of the last phase, after its beginning.
func (s *story) expect(after time.Duration, fires bool) *story {
	begin := s.now() - s.phases[len(s.phases)-1].lasts
	s.looks = append(s.looks, look{begin + after, fires})
	return s
}

func (s *story) test() Test {
	t := Test{Name: s.name, Interval: span(s.every)}
	for i := range s.series() {
		t.Input = append(t.Input, Series{s.series()[i], s.values(i)})
	}
	for _, l := range s.looks {
		e := Expectation{Expr: "count(ALERTS" + braces(matchers(s.alert, `alertstate="firing"`)) + ")", At: span(l.at), Samples: []Sample{}}
		if l.fires {
			e.Samples = []Sample{{"{}", 1}}
		}
		t.Expect = append(t.Expect, e)
	}
	return t
}

// series are those of the first phase that has any; all others have the same.
func (s *story) series() (out []string) {
	for _, p := range s.phases {
		for _, in := range p.load {
			out = append(out, in.series)
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// values writes the i-th series through all phases.
func (s *story) values(i int) string {
	var parts []string
	level := 0.0
	for _, p := range s.phases {
		n := int(p.lasts / s.every)
		if n == 0 {
			continue
		}
		switch {
		case len(p.load) == 0 || p.load[i].value == missing:
			parts = append(parts, "_x"+strconv.Itoa(n))
		case p.load[i].counter:
			step := p.load[i].value * s.every.Seconds()
			parts = append(parts, fmt.Sprintf("%s+%sx%d", number(level), number(step), n-1))
			level += step * float64(n)
		default:
			parts = append(parts, fmt.Sprintf("%sx%d", number(p.load[i].value), n-1))
		}
	}
	return strings.Join(parts, " ")
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64) }

// traffic is the events per second of the stories: enough for every minimum.
const traffic = 10

// Margins around a threshold that count as over it and just under it.
const over, under = 1.1, 0.9

// Tests are the objective's: one file for each severity, named by it.
func (s *SLO) Tests(p Policy) map[string]*TestFile {
	out := map[string]*TestFile{}
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
		alert: matchers(label("alertname", t.slo.Alert), label("sloth_id", t.slo.ID()), label("severity", t.severity), label("owner", t.slo.Owner))}
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
		out = append(out, t.oneAtNight())
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

func (t *teller) idle() *story {
	last := t.windows[0].Long
	return t.story("stays silent when nothing happens").then(t.windows[0].Short, t.load(0, traffic)).then(last+t.every, t.load(0, 0)).expect(last/2, false).expect(last, false)
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

// Tests are the alert's.
func (a *Alert) Tests(p Policy) *TestFile {
	every := p.shortest() / 20
	calm, breach := make([]input, len(a.Example)), make([]input, len(a.Example))
	for i, e := range a.Example {
		calm[i], breach[i] = input{e.Series, e.Calm, e.Counter}, input{e.Series, e.Breach, e.Counter}
	}
	story := func(name string) *story {
		return &story{name: a.Name + ": " + name, every: every, alert: matchers(label("alertname", a.Name), label("severity", a.Severity), label("owner", a.Owner))}
	}
	settle := 8 * p.shortest()
	fires := story(fmt.Sprintf("stays silent just under its threshold, fires within %s of a breach, and resets", span(a.Within))).
		then(settle, calm).expect(settle-every, false).
		then(a.Within+every, breach).expect(a.Within, true).
		then(settle, calm).expect(settle-every, false)
	none := story("without any series").then(settle, nil).expect(settle-every, a.Blind)
	return &TestFile{Rules: []string{"../" + CauseFile}, Interval: span(every), Tests: []Test{fires.test(), none.test()}}
}

// CauseFile is where the rules of the alerts without a budget are rendered to.
const CauseFile = "rules/alerts.yml"
