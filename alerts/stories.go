package alerts

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// story is a test that is being told: how long what lasts, and what is seen.
type story struct {
	name   string
	fires  string        // the expression that has a sample while the alert fires
	every  time.Duration // between samples
	phases []phase
	looks  []look
}

type phase struct {
	lasts time.Duration
	load  []input // empty: no series at all
}

// look is an expression's only value at a time, or that it has none.
type look struct {
	at      time.Duration
	expr    string
	samples []Sample
}

// fires is the expression that has a sample while an alert fires.
func fires(name, severity, owner string, more ...string) string {
	all := append([]string{label("alertname", name)}, more...)
	return "count(count by (alertname) (ALERTS" + braces(matchers(append(all, label("severity", severity), label("owner", owner), `alertstate="firing"`)...)) + "))"
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
	samples := []Sample{}
	if fires {
		samples = []Sample{{"{}", 1}}
	}
	return s.see(after, s.fires, samples)
}

func (s *story) see(after time.Duration, expr string, samples []Sample) *story {
	begin := s.now() - s.phases[len(s.phases)-1].lasts
	s.looks = append(s.looks, look{begin + after, expr, samples})
	return s
}

func (s *story) test() Test {
	t := Test{Name: s.name, Interval: span(s.every)}
	for i := range s.series() {
		t.Input = append(t.Input, Series{s.series()[i], s.values(i)})
	}
	for _, l := range s.looks {
		t.Expect = append(t.Expect, Expectation{Expr: l.expr, At: span(l.at), Samples: l.samples})
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
