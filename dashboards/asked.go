package dashboards

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// greatestShown is how many rows a table of a question has.
const greatestShown = 50

// askedBoard has the business's questions, with the SQL that answers them everywhere else.
// Its first row tells how far to believe them.
func askedBoard(b Business, l limits) (draft, error) {
	d := draft{uid: BusinessUID, title: "Weir: business", tags: []string{"business"}, alerts: []string{`owner="platform"`},
		help:      "What the business is asked, from the tables of analytics in ClickHouse. Days and other times begin in UTC.",
		variables: []dashboard.VariableModel{clickHouseVariable(), pick("each", "Each", "hour", "day", "week", "month")},
		rows:      []row{{title: "Is it what happened?", panels: believed(l)}}}
	schema, err := analytics.NewSchema(b.Business, b.Topology)
	if err != nil {
		return d, err
	}
	w := writer{schema}
	for _, s := range b.Business.Services {
		var panels []*panel
		for _, q := range s.Questions {
			more, err := w.question(q)
			if err != nil {
				return d, err
			}
			panels = append(panels, more...)
		}
		if len(panels) > 0 {
			d.rows = append(d.rows, row{title: "Asked of " + s.Name, panels: panels})
		}
	}
	var steps []*panel
	for _, q := range b.Business.Questions() {
		if q.Shape != business.Hops {
			continue
		}
		p, err := w.steps(q)
		if err != nil {
			return d, err
		}
		if p != nil {
			steps = append(steps, p)
		}
	}
	if len(steps) > 0 {
		d.rows = append(d.rows, row{title: "How long it takes", panels: steps})
	}
	return d, nil
}

type writer struct{ schema *analytics.Schema }

func (w writer) write(q business.Question, p analytics.Params) (*analytics.Query, error) {
	return analytics.QueryOf(boardSQL, w.schema, q, p, boardFrom, boardTo)
}

// question has a panel of a question over time, and one of what it is told apart by.
func (w writer) question(q business.Question) ([]*panel, error) {
	switch {
	case q.Shape == business.Pairs:
		p, err := w.greatest(q, nil)
		if err != nil {
			return nil, err
		}
		return []*panel{p.size(columns, 9)}, nil
	case q.Shape != business.Table:
		return nil, nil // it is no row of a query
	}
	over, err := w.over(q)
	if err != nil {
		return nil, err
	}
	if len(q.By) == 0 {
		return []*panel{over.size(columns, 9)}, nil
	}
	by, err := w.greatest(q, []string{q.By[0].Name})
	if err != nil {
		return nil, err
	}
	return []*panel{over.size(12, 9), by.size(12, 9)}, nil
}

// over shows the first number of a question by the board's length of time: each currency
// by itself.
func (w writer) over(q business.Question) (*panel, error) {
	written, err := w.write(q, analytics.Params{By: []string{business.Units[0]}, Limit: analytics.MaxLimit - 1})
	if err != nil {
		return nil, err
	}
	first, unit := q.Numbers[0].Name, counted
	var shown []string
	for _, c := range written.Columns {
		switch {
		case c.From == "b":
			shown = append(shown, "`b` AS `time`")
		case c.Name == business.CurrencyColumn:
			shown = append(shown, "`c1` AS `currency`")
		case c.Name == first || strings.HasPrefix(c.Name, first+"-p"):
			if c.Kind == analytics.IsDuration {
				unit = "s"
			}
			shown = append(shown, shownAs(c)+" AS `"+c.Name+"`")
		}
	}
	p := graph(q.Title, unit, q.About).unmarked(volume).rowsOf("SELECT "+strings.Join(shown, ", ")+" FROM ("+written.SQL+") ORDER BY `time`", overTime)
	if custom, ok := p.FieldConfig.Defaults.Custom.(*timeseries.FieldConfig); ok {
		custom.DrawStyle, custom.FillOpacity = cog.ToPtr(common.GraphDrawStyleBars), cog.ToPtr(60.0)
	}
	return p, nil
}

// greatest lists all numbers of a question.
func (w writer) greatest(q business.Question, by []string) (*panel, error) {
	written, err := w.write(q, analytics.Params{By: by, Limit: greatestShown})
	if err != nil {
		return nil, err
	}
	title := q.Title
	if len(by) > 0 {
		title += " by " + by[0]
	}
	var shown []string
	p := list(title, counted, q.About+fmt.Sprintf(" The greatest %d in the time of the board.", greatestShown)).unmarked(volume)
	for _, c := range written.Columns {
		shown = append(shown, shownAs(c)+" AS `"+c.Name+"`")
		if c.Kind == analytics.IsDuration {
			p.override("byName", c.Name, "unit", "s")
		}
	}
	return p.rowsOf("SELECT "+strings.Join(shown, ", ")+" FROM ("+written.SQL+")", asTable), nil
}

// steps lists how long each step of a saga takes; nil if it has none.
func (w writer) steps(q business.Question) (*panel, error) {
	written, err := w.write(q, analytics.Params{})
	if err != nil || len(written.Hops) == 0 {
		return nil, err
	}
	var each []string
	for _, h := range written.Hops {
		each = append(each, fmt.Sprintf("('%s', '%s', '%s', `%s`, `%s` / 1e9, `%s` / 1e9, `%s` / 1e9)", h.By, h.On, h.Emits, h.Times, h.P50, h.P95, h.P99))
	}
	sql := "SELECT step.1 AS `by`, step.2 AS `on`, step.3 AS `emits`, step.4 AS `times`, step.5 AS `P50`, step.6 AS `P95`, step.7 AS `P99` FROM (SELECT arrayJoin([" +
		strings.Join(each, ", ") + "]) AS step FROM (" + written.SQL + ")) WHERE step.4 > 0 ORDER BY `P95` DESC"
	p := list(q.Title, "s", q.About+" The slowest 95 % first, of those that began in the time of the board.").unmarked(elsewhere).size(columns, 10)
	return p.override("byName", "times", "unit", counted).rowsOf(sql, asTable), nil
}

// believed are how far analytics is behind, and how well it is proved.
func believed(l limits) []*panel {
	out := []*panel{
		graph("Analytics behind", "s", "How long the oldest record waits that analytics has not taken. What is asked of it is as old; the line is the alert's.").
			query(most("", telemetry.BehindSeconds, is("service", streams.AnalyticsUnit)), "behind").limit(l.alert("AnalyticsBehind")),
		graph("Age of the proof", "s", "How long ago what is proved of analytics was written. It grows: nobody proves it, or the log or the tables cannot be read.").unmarked(elsewhere).
			query("time() - max("+telemetry.AnalyticsProved+")", "age"),
		graph("Rows proved", "cps", "Rows of analytics a second that were proved to be what the log says.").unmarked(volume).
			query(per("", telemetry.AnalyticsProvedRows), "rows"),
		graph("Differences", "none", "Rows, of hours counts, in which analytics is not what the log says, by table. Above 0 its answers are wrong: the page of analytics lists what differs.").
			query(total("table", telemetry.AnalyticsDifferences), "{{table}}").steps(green, step{1, red}),
	}
	for i := range out {
		out[i].size(columns/uint32(len(out)), 6)
	}
	return out
}
