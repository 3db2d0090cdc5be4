package ruletest

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkFourDays is one test over four days of minutes, with 40 rules as they
// render from objectives: eight windows of each, and alerts on pairs of them.
func BenchmarkFourDays(b *testing.B) {
	rules, tests := objectives(4), fourDays(4)
	parsed, err := parseTests(tests)
	if err != nil {
		b.Fatal(err)
	}
	loaded, err := parseRules([]ruleFile{{"objectives", rules}})
	if err != nil {
		b.Fatal(err)
	}
	for name, way := range map[string]func(*evaluation) error{"fast": (*evaluation).fast, "step by step": (*evaluation).stepByStep} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r, err := parsed.evaluate(&parsed.Tests[0], loaded, way)
				if err != nil || len(r.Failures) > 0 {
					b.Fatal(err, r)
				}
			}
		})
	}
}

// objectives are ten rules each.
func objectives(n int) []byte {
	var out strings.Builder
	out.WriteString("groups:\n")
	for i := range n {
		fmt.Fprintf(&out, "- name: objective %d\n  rules:\n", i)
		for _, w := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"} {
			fmt.Fprintf(&out, "  - record: slo:ratio_rate%[1]s\n    labels: {slo: o%[2]d}\n", w, i)
			fmt.Fprintf(&out, "    expr: sum(rate(requests_total{slo=\"o%[2]d\",code=\"500\"}[%[1]s])) / sum(rate(requests_total{slo=\"o%[2]d\"}[%[1]s]))\n", w, i)
		}
		fmt.Fprintf(&out, "  - record: slo:budget\n    expr: 1 - sum_over_time(slo:ratio_rate5m{slo=\"o%d\"}[3d]) / count_over_time(slo:ratio_rate5m{slo=\"o%[1]d\"}[3d])\n", i)
		pair := "max(slo:ratio_rate%s{slo=\"o%d\"} > 0.014) and max(slo:ratio_rate%s{slo=\"o%d\"} > 0.014)"
		fmt.Fprintf(&out, "  - alert: Burn%d\n    labels: {severity: page}\n    expr: ("+pair+") or ("+pair+")\n", i, "5m", i, "1h", i, "30m", i, "6h", i)
		fmt.Fprintf(&out, "  - alert: BurnSlowly%d\n    expr: ("+pair+") or ("+pair+")\n", i, "2h", i, "1d", i, "6h", i, "3d", i)
	}
	return []byte(out.String())
}

func fourDays(n int) []byte {
	var out strings.Builder
	out.WriteString("tests:\n- name: four days\n  input_series:\n")
	for i := range n {
		for _, code := range []string{"200", "404", "500"} {
			fmt.Fprintf(&out, "  - {series: 'requests_total{slo=\"o%d\",code=\"%s\"}', values: '0+60x5760'}\n", i, code)
		}
	}
	out.WriteString("  alert_rule_test:\n  - {eval_time: 4d, alertname: Burn0, exp_alerts: [{exp_labels: {severity: page}}]}\n")
	return []byte(out.String())
}
