package dashboards

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/weirstream/weir/alerts"
)

// alertsFolder is the folder of the alerts. Grafana finds it by its title, and makes
// one with a uid of its own if there is none: under the boards' title it would take
// their place, which has a uid that links and pushes name.
const alertsFolder = FolderTitle + " alerts"

// alerting has Grafana evaluate the alerts itself, over what the rules in
// Prometheus record, as it reads them from provisioning/alerting.
func alerting(groups []alerts.Group) settings {
	var out []settings
	for _, g := range groups {
		var rules []settings
		for _, r := range g.Rules {
			if r.Alert != "" {
				rules = append(rules, grafanaRule(r))
			}
		}
		if len(rules) > 0 {
			out = append(out, settings{"orgId": 1, "name": g.Name, "folder": alertsFolder, "interval": g.Interval, "rules": rules})
		}
	}
	return settings{"apiVersion": 1, "groups": out}
}

// grafanaRule is an alert as a query, and a condition that holds for whatever it
// returns: a rule of Prometheus fires for every series, and Grafana for values
// that are not 0.
func grafanaRule(r alerts.Rule) settings {
	title := r.Alert
	for _, label := range []string{"sloth_id", "severity"} { // titles are unique in a folder
		if v := r.Labels[label]; v != "" {
			title += " " + v
		}
	}
	wait := r.For
	if wait == "" {
		wait = "0s" // Grafana 9.4 does not start with an empty one
	}
	id := sha256.Sum256([]byte(title))
	span := settings{"from": 600, "to": 0}
	return settings{"uid": "weir-" + hex.EncodeToString(id[:8]), "title": title, "condition": "B", "for": wait, "noDataState": "OK", "execErrState": "Error",
		"labels": r.Labels, "annotations": grafanaTemplates(r.Annotations),
		"data": []settings{
			{"refId": "A", "relativeTimeRange": span, "datasourceUid": Prometheus, "model": settings{"refId": "A", "expr": r.Expr, "instant": true, "range": false}},
			{"refId": "B", "relativeTimeRange": span, "datasourceUid": "__expr__", "model": settings{"refId": "B", "type": "math", "expression": "is_number($A) || is_inf($A)"}},
		}}
}

var ofPrometheus = regexp.MustCompile(`\$(labels|value)\b`)

// grafanaTemplates are annotations with Grafana's names for what Prometheus calls
// $labels and $value. It would take a dollar for its environment.
func grafanaTemplates(annotations map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range annotations {
		out[k] = ofPrometheus.ReplaceAllStringFunc(v, func(name string) string {
			if strings.HasSuffix(name, "labels") {
				return ".Labels"
			}
			return ".Values.A.Value"
		})
	}
	return out
}
