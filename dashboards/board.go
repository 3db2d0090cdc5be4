package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/alerts"
)

// schemaVersion is that of Grafana 9.3, the oldest that opens the boards. Newer
// ones migrate what they open; older ones ignore what they do not know. From 38
// on a table says the look of its cells in another place, where 9.3 does not
// look (DashboardMigrator.ts).
const schemaVersion = 37

// Board is a board of Grafana, and what only its tests need to know.
type Board struct {
	dashboard.Dashboard
	annotations []annotation
	empty       map[target]string // why a query may have no series
	free        map[uint32]string // why no value of a panel is marked
}

// target names a query of a board.
type target struct {
	panel uint32
	ref   string
}

// annotation has what Grafana's Prometheus reads beside the SDK's fields.
type annotation struct {
	dashboard.AnnotationQuery
	TitleFormat string `json:"titleFormat"`
	TextFormat  string `json:"textFormat"`
	TagKeys     string `json:"tagKeys"`
	// ValueIsTime has a mark stand where its value says, in milliseconds. Samples of
	// one value are one mark, however far apart Grafana asks for them.
	ValueIsTime bool `json:"useValueForTime"`
}

// JSON is the board as Grafana reads it.
func (b Board) JSON() ([]byte, error) {
	type list struct {
		List []annotation `json:"list"`
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // queries are full of < and >
	e.SetIndent("", "  ")
	err := e.Encode(struct {
		dashboard.Dashboard
		Annotations list `json:"annotations"` // in place of the SDK's
	}{b.Dashboard, list{b.annotations}})
	if err != nil {
		return nil, fmt.Errorf("board %s not rendered: %w", b.ID(), err)
	}
	return out.Bytes(), nil
}

// ID is the board's uid, by which it is linked and overwritten.
func (b Board) ID() string { return text(b.Uid) }

// draft is a board before it is laid out.
type draft struct {
	uid, title, help string
	tags             []string
	variables        []dashboard.VariableModel
	links            []dashboard.DashboardLink
	alerts           []string // matchers of the alerts that it marks; none: all
	rows             []row
}

// build lays the board out.
func (d draft) build() Board {
	b := Board{Dashboard: *dashboard.NewDashboard(), empty: map[target]string{}, free: map[uint32]string{}}
	b.Uid, b.Title, b.Description = cog.ToPtr(d.uid), cog.ToPtr(d.title), cog.ToPtr(d.help)
	b.Tags = append([]string{tag}, d.tags...)
	b.SchemaVersion = schemaVersion
	b.Editable = cog.ToPtr(false) // what is changed by hand is lost with the next push
	b.GraphTooltip = cog.ToPtr(dashboard.DashboardCursorSyncCrosshair)
	b.Refresh = cog.ToPtr("10s")
	b.Time = &dashboard.DashboardDashboardTime{From: "now-1h", To: "now"}
	b.Templating.List = append([]dashboard.VariableModel{datasourceVariable()}, d.variables...)
	b.Links = append(d.links, boardsLink())
	b.annotations = []annotation{began("Pages", alerts.Page, red, d.alerts...), began("Tickets", alerts.Ticket, orange, d.alerts...)}
	b.Panels = b.place(d.rows)
	return b
}

// prom is the datasource of every panel: whatever the variable says.
var prom = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// datasourceVariable holds its default as name and as uid: Grafana takes the
// name before version 10, and the uid after it.
func datasourceVariable() dashboard.VariableModel {
	return dashboard.VariableModel{Type: dashboard.VariableTypeDatasource, Name: "datasource", Label: cog.ToPtr("Prometheus"),
		Query: &dashboard.StringOrMap{String: cog.ToPtr("prometheus")}, Current: option(Prometheus), Hide: cog.ToPtr(dashboard.VariableHideDontHide),
		Refresh: cog.ToPtr(dashboard.VariableRefreshOnDashboardLoad), IncludeAll: cog.ToPtr(false), Multi: cog.ToPtr(false)}
}

func option(value string) *dashboard.VariableOption {
	s := dashboard.StringOrArrayOfString{String: cog.ToPtr(value)}
	return &dashboard.VariableOption{Selected: cog.ToPtr(true), Text: s, Value: s}
}

// choice is a variable over the values of a label; "All" is every value, also none.
func choice(name, caption, selector, label string) dashboard.VariableModel {
	v := labelValues(name, caption, selector, label)
	all := option("$__all")
	all.Text.String = cog.ToPtr("All")
	v.Current, v.IncludeAll, v.Multi, v.AllValue = all, cog.ToPtr(true), cog.ToPtr(true), cog.ToPtr(".*")
	return v
}

// labelValues is a variable with one value.
func labelValues(name, caption, selector, label string) dashboard.VariableModel {
	query := fmt.Sprintf("label_values(%s, %s)", selector, label)
	return dashboard.VariableModel{Type: dashboard.VariableTypeQuery, Name: name, Label: cog.ToPtr(caption), Datasource: &prom,
		Query: &dashboard.StringOrMap{Map: map[string]any{"query": query, "refId": name}}, Definition: cog.ToPtr(query), Hide: cog.ToPtr(dashboard.VariableHideDontHide),
		Refresh: cog.ToPtr(dashboard.VariableRefreshOnTimeRangeChanged), Sort: cog.ToPtr(dashboard.VariableSortAlphabeticalAsc)}
}

// worst is a variable with one value, of a label of a query's series, in their order.
func worst(name, caption, expr, label string) dashboard.VariableModel {
	v := labelValues(name, caption, "", label)
	query := "query_result(" + expr + ")"
	v.Query.Map["query"], v.Definition, v.Regex = query, cog.ToPtr(query), cog.ToPtr("/"+label+`="([^"]+)"/`)
	v.Sort = cog.ToPtr(dashboard.VariableSortDisabled)
	return v
}

// entry is a variable that a person types.
func entry(name, caption, value, help string) dashboard.VariableModel {
	return dashboard.VariableModel{Type: dashboard.VariableTypeTextbox, Name: name, Label: cog.ToPtr(caption), Description: cog.ToPtr(help),
		Query: &dashboard.StringOrMap{String: cog.ToPtr(value)}, Current: option(value), Hide: cog.ToPtr(dashboard.VariableHideDontHide)}
}

// began marks when the alerts of a severity began that fire in the time shown.
func began(name, severity, color string, matchers ...string) annotation {
	if len(matchers) == 0 {
		matchers = []string{`alertname!=""`}
	}
	var each []string
	for _, m := range matchers {
		of := []string{is("severity", severity), m}
		each = append(each, "1000 * "+selector("ALERTS_FOR_STATE", of)+" and ignoring (alertstate) "+firing(of...))
	}
	expr := strings.Join(each, " or ")
	a := annotation{TitleFormat: "{{alertname}}", TextFormat: "{{severity}} {{service}}{{saga}}", TagKeys: "severity", ValueIsTime: true}
	a.Name, a.Datasource, a.Enable, a.IconColor, a.Expr = name, &prom, true, color, cog.ToPtr(expr)
	return a
}

// newLink is one in sight: the SDK's own would hide in a menu.
func newLink() dashboard.DashboardLink {
	l := *dashboard.NewDashboardLink()
	l.Placement = nil
	return l
}

func link(title, url, tooltip string) dashboard.DashboardLink {
	l := newLink()
	l.Title, l.Type, l.Url, l.Tooltip, l.Icon, l.KeepTime = title, dashboard.DashboardLinkTypeLink, cog.ToPtr(url), tooltip, "external link", true
	return l
}

// outside is a link that leaves Grafana.
func outside(title, url, tooltip string) dashboard.DashboardLink {
	l := link(title, url, tooltip)
	l.TargetBlank, l.KeepTime = true, false
	return l
}

// boardsLink leads to all boards.
func boardsLink() dashboard.DashboardLink {
	l := newLink()
	l.Title, l.Type, l.Tags, l.Icon = "Boards", dashboard.DashboardLinkTypeDashboards, []string{tag}, "dashboard"
	l.AsDropdown, l.KeepTime, l.Tooltip = true, true, "All boards of Weir, at the same time"
	return l
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
