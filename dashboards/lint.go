package dashboards

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/weirstream/weir/alerts/rulefile"
)

// mostPanels is how many panels a board may have. With more, nobody looks.
const mostPanels = 25

// core are the types of panels that Grafana 9.3 has without plugins.
var core = []string{"timeseries", "stat", "gauge", "bargauge", "table", "heatmap", "text", "state-timeline", "status-history", "barchart"}

var uidShape = regexp.MustCompile(`^weir-[a-z0-9-]{1,35}$`) // 40 is Grafana's own bound

// LintAll checks boards, each and as a whole.
func LintAll(boards []Board, known Series) (errs []error) {
	seen := map[string]bool{}
	for _, b := range boards {
		for _, name := range []string{"uid " + b.ID(), "title " + text(b.Title)} {
			if seen[name] {
				errs = append(errs, fmt.Errorf("board %s: there is another one with the %s", b.ID(), name))
			}
			seen[name] = true
		}
		errs = append(errs, Lint(b, known)...)
	}
	for _, b := range boards {
		errs = append(errs, b.lintLinks(seen)...)
	}
	return errs
}

var toBoard = regexp.MustCompile(`/d/([a-z0-9-]+)($|\?)`)

// lintLinks finds links to boards that there are not.
func (b Board) lintLinks(seen map[string]bool) (errs []error) {
	raw, err := b.JSON()
	if err != nil {
		return []error{err}
	}
	for _, u := range regexp.MustCompile(`"url": "([^"]*)"`).FindAllStringSubmatch(string(raw), -1) {
		if m := toBoard.FindStringSubmatch(u[1]); m != nil && !seen["uid "+m[1]] {
			errs = append(errs, fmt.Errorf("board %s links to %s, which there is not", b.ID(), m[1]))
		}
	}
	return errs
}

// Lint says what is wrong with a board: in what Grafana would show badly or not
// at all, and in what a person could not read. known are the series to ask for.
func Lint(b Board, known Series) (errs []error) {
	bad := func(where, format string, args ...any) {
		errs = append(errs, fmt.Errorf("board %s, %s: "+format, append([]any{b.ID(), where}, args...)...))
	}
	b.lintBoard(bad)
	b.lintGrid(bad)
	for _, p := range b.all() {
		lintPanel(p, bad)
		lintLook(p, bad)
		b.lintSteps(p, bad)
	}
	b.lintVariables(bad)
	b.lintEmptyLinks(bad)
	for _, q := range Queries(b) {
		lintQuery(q, known, bad)
	}
	return errs
}

type complain = func(where, format string, args ...any)

func (b Board) lintBoard(bad complain) {
	if !uidShape.MatchString(b.ID()) {
		bad("itself", "the uid %q is not weir-… of lower case letters, digits and dashes, 40 at most", b.ID())
	}
	if text(b.Title) == "" || text(b.Description) == "" || !slices.Contains(b.Tags, tag) {
		bad("itself", "it needs a title, a description and the tag %s", tag)
	}
	if b.SchemaVersion != schemaVersion {
		bad("itself", "schema version %d: Grafana 9.3 opens up to %d", b.SchemaVersion, schemaVersion)
	}
	if n := len(b.all()); n > mostPanels {
		bad("itself", "%d panels, at most %d are read: fold, merge or drop some", n, mostPanels)
	}
}

// lintGrid looks at ids and places. What is in a folded row only meets its own.
func (b Board) lintGrid(bad complain) {
	ids := map[uint32]bool{}
	check := func(title string, id uint32, g *dashboard.GridPos) {
		if id == 0 || ids[id] {
			bad(title, "the id %d is taken, or 0", id)
		}
		ids[id] = true
		if g == nil || g.W == 0 || g.H == 0 || g.X+g.W > columns {
			bad(title, "it has no place within %d columns", columns)
		}
	}
	var open []dashboard.Panel
	for _, p := range b.Panels {
		if r := p.RowPanel; r != nil {
			check(text(r.Title), r.Id, r.GridPos)
			open = append(open, dashboard.Panel{Title: r.Title, GridPos: r.GridPos})
			lintOverlap(r.Panels, bad)
			for _, in := range r.Panels {
				check(text(in.Title), number32(in.Id), in.GridPos)
			}
			continue
		}
		check(text(p.Panel.Title), number32(p.Panel.Id), p.Panel.GridPos)
		open = append(open, *p.Panel)
	}
	lintOverlap(open, bad)
}

func number32(id *uint32) uint32 {
	if id == nil {
		return 0
	}
	return *id
}

func lintOverlap(panels []dashboard.Panel, bad complain) {
	for i, p := range panels {
		for _, q := range panels[i+1:] {
			if p.GridPos != nil && q.GridPos != nil && overlap(*p.GridPos, *q.GridPos) {
				bad(text(p.Title), "it lies over %q", text(q.Title))
			}
		}
	}
}

func overlap(a, b dashboard.GridPos) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func lintPanel(p dashboard.Panel, bad complain) {
	title := text(p.Title)
	if title == "" || text(p.Description) == "" {
		bad(title, "a panel needs a title, and a description of what it shows and what to do")
	}
	if !slices.Contains(core, p.Type) {
		bad(title, "panels of type %q need a plugin or a newer Grafana: use one of %v", p.Type, core)
	}
	if p.Type == "text" {
		return
	}
	if p.FieldConfig == nil || text(p.FieldConfig.Defaults.Unit) == "" {
		bad(title, "it has no unit")
	}
	if len(p.Targets) == 0 || !byVariable(p.Datasource) && !byClickHouse(p.Datasource) {
		bad(title, "it needs a query, and the datasource of the variable")
	}
	refs := map[string]bool{}
	for _, t := range p.Targets {
		var name string
		var ok bool
		switch q := t.(type) {
		case prometheus.Dataquery:
			name, ok = text(q.RefId), byVariable(q.Datasource)
		case clickHouseQuery:
			name, ok = q.RefID, byClickHouse(q.Datasource)
		}
		if !ok || name == "" || refs[name] {
			bad(title, "query %q needs a name of its own and the datasource of the variable", name)
		}
		refs[name] = true
	}
}

func byClickHouse(d *common.DataSourceRef) bool { return d != nil && text(d.Uid) == "${clickhouse}" }

func byVariable(d *common.DataSourceRef) bool { return d != nil && text(d.Uid) == "${datasource}" }

// lintSteps wants values to be marked, or a reason why none is.
func (b Board) lintSteps(p dashboard.Panel, bad complain) {
	if p.Type == "text" {
		return
	}
	var steps []dashboard.Threshold
	if p.FieldConfig != nil && p.FieldConfig.Defaults.Thresholds != nil {
		steps = p.FieldConfig.Defaults.Thresholds.Steps
	}
	said := p.FieldConfig != nil && slices.ContainsFunc(p.FieldConfig.Defaults.Mappings, func(m dashboard.ValueMapping) bool { return m.ValueMap != nil })
	if p.Id != nil && len(steps) < 2 && !said && b.free[*p.Id] == "" {
		bad(text(p.Title), "it marks no value as bad, and does not say why: give it a limit or steps, or use unmarked")
	}
	for i, s := range steps {
		if (i == 0) != (s.Value == nil) || i > 1 && *s.Value <= *steps[i-1].Value {
			bad(text(p.Title), "its thresholds do not ascend from one without a value")
			return
		}
	}
}

// lintVariables looks at the declarations, and for names that are not declared.
func (b Board) lintVariables(bad complain) {
	declared := map[string]bool{}
	for _, v := range b.Templating.List {
		if declared[v.Name] {
			bad("variable "+v.Name, "it is declared twice")
		}
		declared[v.Name] = true
		if _, ok := values(v); v.Type == dashboard.VariableTypeQuery && (!ok || !byVariable(v.Datasource)) {
			bad("variable "+v.Name, "its query is label_values(series, label), or query_result(…) with a regex, of the variable's datasource")
		}
	}
	for _, a := range b.annotations {
		if !byVariable(a.Datasource) {
			bad("annotation "+a.Name, "it needs the datasource of the variable")
		}
		if !a.ValueIsTime {
			bad("annotation "+a.Name, "it marks every sample that Grafana asks for: say when it began, and that the value is the time")
		}
	}
	raw, err := b.JSON()
	if err != nil {
		bad("itself", "%w", err)
	}
	used := named(string(raw))
	slices.Sort(used)
	for _, name := range slices.Compact(used) {
		if !declared[name] {
			bad("itself", "$%s is used and not declared", name)
		}
	}
}

// marked are times that no query says itself, to know the variables by.
var marked = map[string]string{"__rate_interval": "61s", "__range": "3607s"}

func lintQuery(q Query, known Series, bad complain) {
	where := q.Panel + " " + q.Ref
	for _, err := range known.check(q.Filled(nil)) {
		bad(where, "%w in %s", err, q.Expr)
	}
	tree, err := rulefile.PromQL.ParseExpr(q.Filled(marked))
	if err != nil {
		return // said above
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if c, ok := n.(*parser.Call); ok && c.Func.Name == "vector" {
			bad(where, "vector is there also if nobody measures: what is not known would be a number, use orNone, in %s", q.Expr)
		}
		if m, ok := n.(*parser.MatrixSelector); ok && m.Range != 61*time.Second && m.Range != 3607*time.Second {
			bad(where, "it looks back over a fixed time: use $__rate_interval, or $__range for a sum, in %s", q.Expr)
		}
		return nil
	})
}
