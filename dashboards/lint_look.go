package dashboards

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// lintLook finds what Grafana takes and shows otherwise than it is meant.
func lintLook(p dashboard.Panel, bad complain) {
	title := text(p.Title)
	where := func(format string, args ...any) { bad(title, format, args...) }
	for _, option := range []any{p.Options, custom(p)} {
		lintChosen(reflect.ValueOf(option), "", where)
	}
	if p.FieldConfig == nil {
		return
	}
	d := p.FieldConfig.Defaults
	if p.Type != "text" && text(d.NoValue) == "" {
		where("it does not say what it means if there is nothing to show: use may, or unknown")
	}
	if p.Type == "stat" && !slices.ContainsFunc(d.Mappings, func(m dashboard.ValueMapping) bool { return m.SpecialValueMap != nil }) {
		where("what is not known is as green as what is well: use missing")
	}
	lintUnit(text(d.Unit), where)
	lintColors(p, where)
	lintScale(p, where)
	switch o := p.Options.(type) {
	case *statetimeline.Options:
		if o.PerPage == nil || *o.PerPage < allSeries {
			where("newer Grafanas show its first %v series and put the others on pages: set the series of a page to %d", o.PerPage, allSeries)
		}
	case *timeseries.Options:
		lintLegend(p, o.Legend.Placement, where)
	case *bargauge.Options:
		lintBars(p, where)
	}
}

func custom(p dashboard.Panel) any {
	if p.FieldConfig == nil {
		return nil
	}
	return p.FieldConfig.Defaults.Custom
}

// lintChosen wants every choice among names that is written to be one of them. An
// empty one is written too, and Grafana does not put its default in its place: a
// number without an orientation stacks its values, and the last one hides all others.
func lintChosen(v reflect.Value, path string, bad func(string, ...any)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			lintChosen(v.Elem(), path, bad)
		}
	case reflect.Slice:
		for i := range v.Len() {
			lintChosen(v.Index(i), path+"["+strconv.Itoa(i)+"]", bad)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			lintChosen(v.Field(i), strings.TrimPrefix(path+"."+name, "."), bad)
		}
	case reflect.String:
		if v.Type().PkgPath() != "" && v.String() == "" {
			bad("%s is empty, which is none of Grafana's choices: set one", path)
		}
	}
}

// rounding are units that leave out what a person looks for, and what to take.
var rounding = map[string]string{
	"short": `it shows 10013 and 9960 as 10 K: use "locale"`,
	"d":     `it shows 30 days as 4.29 weeks: use "suffix:days"`,
	"w":     `it goes on to years: use "suffix:weeks"`,
}

func lintUnit(unit string, bad func(string, ...any)) {
	if why := rounding[unit]; why != "" {
		bad("the unit %s: %s", unit, why)
	}
}

// lintColors wants unequal things to have unequal colours.
func lintColors(p dashboard.Panel, bad func(string, ...any)) {
	d := p.FieldConfig.Defaults
	seen := map[string]bool{}
	if d.Thresholds != nil {
		for _, s := range d.Thresholds.Steps {
			if seen[s.Color] {
				bad("two steps of its thresholds are %s", s.Color)
			}
			seen[s.Color] = true
		}
	}
	thresholds := d.Color != nil && d.Color.Mode == dashboard.FieldColorModeIdThresholds
	if _, ok := p.Options.(*statetimeline.Options); ok && thresholds && len(d.Mappings) > 0 {
		bad("its legend shows thresholds and not its words: use said")
	}
	if _, ok := p.Options.(*statetimeline.Options); ok && thresholds && d.Thresholds != nil && len(d.Thresholds.Steps) < 2 {
		bad("its legend is of one threshold, from -∞ on: give its values words")
	}
	painted := map[string]string{}
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if fixed, ok := property.Value.(map[string]any); ok && property.Id == "color" && o.Matcher.Id == "byName" {
				painted[o.Matcher.Options.(string)] = fixed["fixedColor"].(string)
			}
		}
	}
	for name, color := range painted {
		if color != grey && slices.ContainsFunc(legends(p), func(l string) bool { return !strings.Contains(l, "{{") && painted[l] == "" }) {
			bad("%s is %s, as one of the series that are not painted may be: paint all, or it grey", name, color)
		}
	}
}

func legends(p dashboard.Panel) (out []string) {
	for _, t := range p.Targets {
		if q, ok := t.(prometheus.Dataquery); ok {
			out = append(out, text(q.LegendFormat))
		}
	}
	return out
}

// lintScale wants values below a fixed end of a bar's scale to be cut there by the
// query: beyond it a bar is empty, as if there were nothing.
func lintScale(p dashboard.Panel, bad func(string, ...any)) {
	if p.Type != "bargauge" || p.FieldConfig.Defaults.Max == nil {
		return
	}
	for _, t := range p.Targets {
		if q, ok := t.(prometheus.Dataquery); ok && !strings.Contains(q.Expr, "clamp(") {
			bad("its scale ends, and its values do not: use clamp in %s", q.Expr)
		}
	}
}

// wide is how many columns a graph takes that has its legend beside it.
const wide = 12

// lintLegend wants a legend of many series beside the graph: below it, two lines of
// them are seen.
func lintLegend(p dashboard.Panel, at common.LegendPlacement, bad func(string, ...any)) {
	if slices.ContainsFunc(legends(p), crowded) && (at != common.LegendPlacementRight || p.GridPos != nil && p.GridPos.W < wide) {
		bad("its legend has a series for each pair of labels: put it on the right, and make the panel %d columns wide", wide)
	}
}

var first = regexp.MustCompile(`(?:topk|bottomk)\((\d+),`)

// lintBars wants to know how many bars there are, and room for them.
func lintBars(p dashboard.Panel, bad func(string, ...any)) {
	n := 0
	for _, t := range p.Targets {
		q, _ := t.(prometheus.Dataquery)
		switch m := first.FindStringSubmatch(q.Expr); {
		case m != nil:
			most, _ := strconv.Atoi(m[1])
			n += most
		case strings.Contains(text(q.LegendFormat), "{{"):
			bad("nobody knows how many bars it has: use topk in %s", q.Expr)
		default:
			n++
		}
	}
	if p.GridPos != nil && float64(p.GridPos.H) < 1.5+barRoom*float64(n) {
		bad("%d bars do not fit into %d rows: the last are not seen", n, p.GridPos.H)
	}
}

// lintEmptyLinks finds links that lead nowhere until somebody has typed something.
func (b Board) lintEmptyLinks(bad complain) {
	for _, v := range b.Templating.List {
		if v.Type != dashboard.VariableTypeTextbox || v.Query == nil || text(v.Query.String) != "" {
			continue
		}
		for _, l := range b.Links {
			if slices.Contains(named(text(l.Url)), v.Name) {
				bad("link "+l.Title, "it is offered while $%s is empty", v.Name)
			}
		}
	}
}
