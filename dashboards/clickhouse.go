package dashboards

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
)

// clickHousePlugin is the type of Grafana's datasource: a plugin that is installed by itself.
const clickHousePlugin = "grafana-clickhouse-datasource"

// tables is the datasource of what the business is asked: whatever the variable says.
var tables = common.DataSourceRef{Type: cog.ToPtr(clickHousePlugin), Uid: cog.ToPtr("${clickhouse}")}

// clickHouseQuery is a query as the plugin reads it, from its version 4 on.
type clickHouseQuery struct {
	RefID      string                `json:"refId"`
	Datasource *common.DataSourceRef `json:"datasource"`
	EditorType string                `json:"editorType"`
	QueryType  string                `json:"queryType"`
	RawSQL     string                `json:"rawSql"`
	Format     int                   `json:"format"`
}

// Formats of the plugin's answers.
const overTime, asTable = 0, 1

func (clickHouseQuery) ImplementsDataqueryVariant() {}
func (clickHouseQuery) DataqueryType() string       { return clickHousePlugin }
func (clickHouseQuery) Validate() error             { return nil }

func (q clickHouseQuery) Equals(o variants.Dataquery) bool {
	x, ok := o.(clickHouseQuery)
	return ok && x.RefID == q.RefID && x.RawSQL == q.RawSQL && x.Format == q.Format
}

// nullForNone has an aggregate of nothing be null, as questions are written for: without it
// what never came would have come in 1970.
const nullForNone = " SETTINGS aggregate_functions_null_for_empty = 1"

// rowsOf has a panel show what SQL answers.
func (p *panel) rowsOf(sql string, format int) *panel {
	kind := "timeseries"
	if format == asTable {
		kind = "table"
	}
	p.Datasource = &tables
	p.Targets = append(p.Targets, clickHouseQuery{ref(len(p.Targets)), &tables, "sql", kind, sql + nullForNone, format})
	return p.unknown("nothing in this time")
}

// clickHouseVariable is the choice of the datasource.
func clickHouseVariable() dashboard.VariableModel {
	v := datasourceVariable()
	v.Name, v.Label, v.Query, v.Current = "clickhouse", cog.ToPtr("ClickHouse"), &dashboard.StringOrMap{String: cog.ToPtr(clickHousePlugin)}, option(ClickHouse)
	return v
}

// pick is a variable that is one of a few values, the first of them at first.
func pick(name, caption string, values ...string) dashboard.VariableModel {
	v := dashboard.VariableModel{Type: dashboard.VariableTypeCustom, Name: name, Label: cog.ToPtr(caption), Query: &dashboard.StringOrMap{String: cog.ToPtr(strings.Join(values, ","))},
		Current: option(values[0]), Hide: cog.ToPtr(dashboard.VariableHideDontHide), IncludeAll: cog.ToPtr(false), Multi: cog.ToPtr(false)}
	for i, value := range values {
		o := option(value)
		o.Selected = cog.ToPtr(i == 0)
		v.Options = append(v.Options, *o)
	}
	return v
}

// The range of a board, as whole nanoseconds since 1970: Grafana has milliseconds.
const (
	boardFrom = "toInt64(${__from}) * 1000000"
	boardTo   = "toInt64(${__to}) * 1000000"
)

// onBoard is ClickHouse's SQL, in which the length of time is the board's choice.
type onBoard struct{ analytics.Dialect }

func (onBoard) Bucket(at, _, _ string) string {
	return fmt.Sprintf("toDateTime(toStartOfInterval(%s, INTERVAL 1 ${each}, 'UTC'), 'UTC')", at)
}

var boardSQL = onBoard{clickhouse.SQL}

// shownAs is a column as a board shows it: amounts of their currency, durations in seconds.
func shownAs(c analytics.QueryColumn) string {
	if c.From == "" {
		return fmt.Sprintf("%s / nullIf(%s, 0)", inUnits(c.Share[0]), inUnits(c.Share[1]))
	}
	return inUnits(analytics.InSQL{Column: c.From, Kind: c.Kind})
}

func inUnits(x analytics.InSQL) string {
	switch x.Kind {
	case analytics.IsAmount:
		return "toFloat64(`" + x.Column + "`) / 10000"
	case analytics.IsDuration:
		return "`" + x.Column + "` / 1e9"
	}
	return "`" + x.Column + "`"
}
