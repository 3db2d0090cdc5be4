package dashboards

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// Query is one query of a board: of a panel, a variable or an annotation.
type Query struct {
	Board  string // its uid
	Panel  string // its title, "variable …" or "annotation …"
	Ref    string
	Expr   string // PromQL with Grafana's variables
	Legend string // the name of a series, with {{labels}}
	Empty  string // why it may have no series; empty: it must have some
}

// Queries are all queries of a board.
func Queries(b Board) (out []Query) {
	for _, p := range b.all() {
		for _, t := range p.Targets {
			q, ok := t.(prometheus.Dataquery)
			if !ok {
				continue
			}
			out = append(out, Query{b.ID(), text(p.Title), text(q.RefId), q.Expr, text(q.LegendFormat), b.empty[target{number32(p.Id), text(q.RefId)}]})
		}
	}
	for _, v := range b.Templating.List {
		if expr, ok := values(v); ok {
			q := Query{Board: b.ID(), Panel: "variable " + v.Name, Ref: "A", Expr: expr}
			if v.IncludeAll != nil && *v.IncludeAll {
				q.Empty = "nothing of the kind yet, and All is a choice"
			}
			out = append(out, q)
		}
	}
	for _, a := range b.annotations {
		out = append(out, Query{b.ID(), "annotation " + a.Name, "A", text(a.Expr), a.TitleFormat, "no alert is firing"})
	}
	return out
}

// all are the board's panels, those of folded rows too, without the rows.
func (b Board) all() (out []dashboard.Panel) {
	for _, p := range b.Panels {
		if p.Panel != nil {
			out = append(out, *p.Panel)
		}
		if p.RowPanel != nil {
			out = append(out, p.RowPanel.Panels...)
		}
	}
	return out
}

var (
	labelValuesForm = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	queryResultForm = regexp.MustCompile(`^query_result\((.+)\)$`)
)

// values is the query of a variable, whose series have its values.
func values(v dashboard.VariableModel) (expr string, ok bool) {
	if v.Type != dashboard.VariableTypeQuery {
		return "", false
	}
	if m := labelValuesForm.FindStringSubmatch(text(v.Definition)); m != nil {
		return fmt.Sprintf("count by (%s) (%s)", m[2], m[1]), true
	}
	if m := queryResultForm.FindStringSubmatch(text(v.Definition)); m != nil && text(v.Regex) != "" {
		return m[1], true
	}
	return "", false
}

// grafana is how Grafana's variables stand in a query.
var grafana = regexp.MustCompile(`\$\{(\w+)(?::\w+)?\}|\$(\w+)`)

// usual is what variables are filled with if nothing else is said.
var usual = map[string]string{"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}

// Filled is the query as Grafana would send it: variables are replaced by the
// given values, by name without $. Missing ones are 1m for __rate_interval, 15s
// for __interval, 1h for __range, and .* (all) for the board's own.
func (q Query) Filled(given map[string]string) string { return fill(q.Expr, given) }

func fill(expr string, given map[string]string) string {
	return grafana.ReplaceAllStringFunc(expr, func(v string) string {
		name, _, _ := strings.Cut(strings.Trim(v, "${}"), ":")
		if value, ok := given[name]; ok {
			return value
		}
		if value, ok := usual[name]; ok {
			return value
		}
		return ".*"
	})
}

// named are the variables that a text refers to, without Grafana's own.
func named(s string) (out []string) {
	for _, m := range grafana.FindAllStringSubmatch(s, -1) {
		if name := m[1] + m[2]; !strings.HasPrefix(name, "__") {
			out = append(out, name)
		}
	}
	return out
}
