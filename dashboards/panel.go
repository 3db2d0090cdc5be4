package dashboards

import (
	"math"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Colours of thresholds and states, as Grafana names them.
const (
	green  = "green"
	yellow = "yellow"
	orange = "orange"
	red    = "red"
	blue   = "blue"
	grey   = "#8e8e8e"
)

// panel is one before it has a place.
type panel struct {
	dashboard.Panel
	w, h    uint32
	instant bool // its queries ask for now, not for a range
	table   bool
	heat    bool
	empty   map[string]string // by query: why it may have no series
	free    string            // why no value of it is marked
}

// counted is the unit of what is counted one by one: 10013, where "short" says 10 K.
const counted = "locale"

// Why no value of a panel is marked as good or bad.
const (
	volume    = "it shows how much there is: neither much nor little is bad by itself"
	byColor   = "its colours are counts, the bound is on the time's own panel"
	declared  = "it shows what was declared"
	inWords   = "it shows words"
	shared    = "its alert is about a share of the traffic"
	noBound   = "no objective and no alert has a bound for it"
	elsewhere = "it tells where to look: the bound is on the panel of what was promised"
)

// notKnown stands where no series is: nobody measures, which is not 0.
const (
	notKnown   = "not known"
	orNotKnown = ", or it is not known"
)

// missing is what is not known in grey: Grafana gives it the colour below all steps,
// and that one says that all is well.
func missing() dashboard.ValueMapping {
	return dashboard.ValueMapping{SpecialValueMap: &dashboard.SpecialValueMap{Type: dashboard.MappingTypeSpecialValue,
		Options: dashboard.DashboardSpecialValueMapOptions{Match: dashboard.SpecialValueMatchNullAndNan, Result: word(notKnown, grey)}}}
}

// unmarked says why no value is marked.
func (p *panel) unmarked(why string) *panel {
	p.free = why
	return p
}

func newPanel(b cog.Builder[dashboard.Panel], title, unit, help string, w, h uint32) *panel {
	built, err := b.Build()
	if err != nil { // of constants: a fault in this file
		panic(err)
	}
	p := &panel{Panel: built, w: w, h: h, empty: map[string]string{}}
	p.Title, p.Description, p.Datasource = cog.ToPtr(title), cog.ToPtr(help), &prom
	if p.FieldConfig == nil {
		p.FieldConfig = &dashboard.FieldConfigSource{}
	}
	if p.FieldConfig.Overrides == nil {
		p.FieldConfig.Overrides = []dashboard.DashboardFieldConfigSourceOverrides{}
	}
	d := &p.FieldConfig.Defaults
	d.Unit = cog.ToPtr(unit)
	d.NoValue = cog.ToPtr(notKnown)
	if d.Color == nil {
		d.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdThresholds}
	}
	return p.steps(green)
}

// graph shows values over time.
func graph(title, unit, help string) *panel {
	b := timeseries.NewPanelBuilder().LineWidth(1).FillOpacity(8).ShowPoints(common.VisibilityModeNever).SpanNulls(common.BoolOrFloat64{Bool: cog.ToPtr(false)}).AxisSoftMin(0).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassic)).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).Calcs([]string{})).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	return newPanel(b, title, unit, help, 8, 8)
}

// number shows the last value, or one per series.
func number(title, unit, help string) *panel {
	b := stat.NewPanelBuilder().ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeNone).JustifyMode(common.BigValueJustifyModeAuto).
		TextMode(common.BigValueTextModeAuto).Orientation(common.VizOrientationAuto).ReduceOptions(last())
	p := newPanel(b, title, unit, help, 4, 4)
	p.instant = true
	p.FieldConfig.Defaults.Mappings = []dashboard.ValueMapping{missing()}
	return p
}

// barName is the size of a bar's name in pixels: Grafana's own grows with the bar, and
// a name has a fifth of the width, beyond which it is cut.
const barName = 11

// barRoom is how many rows of the grid a bar takes that can be read.
const barRoom = 0.75

// bars shows one bar per series, in the order of the query, of which there are most
// at the most: what is below the edge is not seen.
func bars(title, unit, help string, most int) *panel {
	b := bargauge.NewPanelBuilder().DisplayMode(common.BarGaugeDisplayModeBasic).ShowUnfilled(true).Orientation(common.VizOrientationHorizontal).ReduceOptions(last()).Min(0).
		Text(common.NewVizTextDisplayOptionsBuilder().TitleSize(barName))
	p := newPanel(b, title, unit, help, 12, max(6, 2+uint32(math.Ceil(barRoom*float64(most)))))
	p.instant = true
	return p
}

// heat shows how a histogram's values spread over time.
func heat(title, help string) *panel {
	b := heatmap.NewPanelBuilder().Calculate(false).CellGap(1).ShowLegend().
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Blues").Steps(32).Fill(blue).Exponent(0.5)).
		YAxis(heatmap.NewYAxisConfigBuilder().Unit("s")).
		Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle).YHistogram(true))
	p := newPanel(b, title, "s", help, 12, 8)
	p.heat = true
	return p
}

// list shows one line per series.
func list(title, unit, help string) *panel {
	b := table.NewPanelBuilder().ShowHeader(true).Filterable(true).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{}))
	p := newPanel(b, title, unit, help, 12, 10)
	p.instant, p.table = true, true
	return p
}

// allSeries has newer Grafanas show every series, and not the first twenty.
const allSeries = 1000

// states shows when each series had which state.
func states(title, unit, help string) *panel {
	b := statetimeline.NewPanelBuilder().MergeValues(true).PerPage(allSeries).ShowValue(common.VisibilityModeNever).RowHeight(0.85).FillOpacity(75).LineWidth(0).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).Calcs([]string{})).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeSingle).Sort(common.SortOrderNone))
	return newPanel(b, title, unit, help, 12, 8)
}

func last() cog.Builder[common.ReduceDataOptions] {
	return common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}).Fields("").Values(false)
}

// size sets width and height in cells of the grid.
func (p *panel) size(w, h uint32) *panel {
	p.w, p.h = w, h
	return p
}

// query adds a query; its legend may name labels, as in {{service}}.
func (p *panel) query(expr, legend string) *panel {
	q := prometheus.NewDataquery()
	q.Expr, q.LegendFormat, q.RefId, q.Datasource = expr, cog.ToPtr(legend), cog.ToPtr(ref(len(p.Targets))), &prom
	q.Instant, q.Range = cog.ToPtr(p.instant), cog.ToPtr(!p.instant)
	switch {
	case p.table:
		q.Format = cog.ToPtr(prometheus.PromQueryFormatTable)
	case p.heat:
		q.Format = cog.ToPtr(prometheus.PromQueryFormatHeatmap)
	default:
		q.Format = cog.ToPtr(prometheus.PromQueryFormatTimeSeries)
	}
	p.Targets = append(p.Targets, *q)
	p.unknown(notKnown)
	if o, ok := p.Options.(*timeseries.Options); ok && crowded(legend) {
		o.Legend.Placement = common.LegendPlacementRight
	}
	return p
}

// crowded tells a legend of so many series that they do not fit below a graph.
func crowded(legend string) bool { return strings.Count(legend, "{{") > 1 }

// ref is A to Z, then AA and on.
func ref(n int) string {
	if n < 26 {
		return string(rune('A' + n))
	}
	return ref(n/26-1) + ref(n%26)
}

// may says why the last query can have no series. If no query has any, the panel
// says so.
func (p *panel) may(why string) *panel {
	p.empty[ref(len(p.Targets)-1)] = why
	if len(p.empty) == len(p.Targets) {
		return p.unknown(why + orNotKnown)
	}
	return p.unknown(notKnown)
}

// exemplars has the last query show single traces beside the curves. Those of
// another quantile of the same histogram would be the same points again.
func (p *panel) exemplars() *panel {
	i := len(p.Targets) - 1
	q := p.Targets[i].(prometheus.Dataquery)
	q.Exemplar = cog.ToPtr(true)
	p.Targets[i] = q
	return p
}

// step is a colour from a value on.
type step struct {
	from  float64
	color string
}

// steps colours values: the first colour below all steps, which ascend.
func (p *panel) steps(base string, steps ...step) *panel {
	t := &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: []dashboard.Threshold{{Color: base}}}
	for _, s := range steps {
		t.Steps = append(t.Steps, dashboard.Threshold{Value: cog.ToPtr(s.from), Color: s.color})
	}
	p.FieldConfig.Defaults.Thresholds = t
	if custom, ok := p.FieldConfig.Defaults.Custom.(*timeseries.FieldConfig); ok && len(steps) > 0 {
		custom.ThresholdsStyle = &common.GraphThresholdsStyleConfig{Mode: common.GraphThresholdsStyleModeDashed}
	}
	return p
}

// limit marks what a rule objects to; without one there is nothing to mark.
func (p *panel) limit(l limit) *panel {
	if !l.known {
		return p.unmarked(noBound)
	}
	return p.steps(green, step{l.value, red})
}

// unknown says how the panel is read if there is nothing to show.
func (p *panel) unknown(words string) *panel {
	p.FieldConfig.Defaults.NoValue = cog.ToPtr(words)
	return p
}

// between fixes the ends of the scale.
func (p *panel) between(low, high float64) *panel {
	p.FieldConfig.Defaults.Min, p.FieldConfig.Defaults.Max = cog.ToPtr(low), cog.ToPtr(high)
	return p
}

// whole rounds what is counted: Prometheus' increase guesses between two scrapes.
func (p *panel) whole() *panel {
	p.FieldConfig.Defaults.Decimals = cog.ToPtr(0.0)
	return p
}

// paint gives series of these names a colour, in pairs of name and colour.
func (p *panel) paint(pairs ...string) *panel {
	for i := 0; i < len(pairs); i += 2 {
		p.override("byName", pairs[i], "color", map[string]any{"mode": "fixed", "fixedColor": pairs[i+1]})
	}
	return p
}

// override sets a property of the fields that a matcher finds.
func (p *panel) override(matcher string, options any, property string, value any) *panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, dashboard.DashboardFieldConfigSourceOverrides{
		Matcher: dashboard.MatcherConfig{Id: matcher, Options: options}, Properties: []dashboard.DynamicConfigValue{{Id: property, Value: value}}})
	return p
}

// stacked shows the series on top of one another.
func (p *panel) stacked() *panel {
	c := p.FieldConfig.Defaults.Custom.(*timeseries.FieldConfig)
	c.Stacking = &common.StackingConfig{Mode: cog.ToPtr(common.StackingModeNormal), Group: cog.ToPtr("A")}
	c.FillOpacity = cog.ToPtr(25.0)
	return p
}

// spark draws the way here behind a number.
func (p *panel) spark() *panel {
	p.Options.(*stat.Options).GraphMode = common.BigValueGraphModeArea
	p.instant = false
	return p
}

// worded writes words in the place of some values.
func (p *panel) worded(words map[string]dashboard.ValueMappingResult) *panel {
	p.FieldConfig.Defaults.Mappings = append(p.FieldConfig.Defaults.Mappings, mapping(words)...)
	return p
}

func mapping(words map[string]dashboard.ValueMappingResult) []dashboard.ValueMapping {
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: words}}}
}

// said has words for all values. They and their colours are the legend then: coloured
// by thresholds it would show those, and no word.
func (p *panel) said(words map[string]dashboard.ValueMappingResult) *panel {
	p.FieldConfig.Defaults.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdFixed, FixedColor: cog.ToPtr(grey)}
	return p.worded(words)
}

func word(s, color string) dashboard.ValueMappingResult {
	return dashboard.ValueMappingResult{Text: cog.ToPtr(s), Color: cog.ToPtr(color)}
}

// leads adds a link to the panel's values.
func (p *panel) leads(title, url string) *panel {
	l := newLink()
	l.Title, l.Url = title, cog.ToPtr(url)
	p.FieldConfig.Defaults.Links = append(p.FieldConfig.Defaults.Links, l)
	return p
}

// corner adds a link to the panel's title.
func (p *panel) corner(l dashboard.DashboardLink) *panel {
	p.Links = append(p.Links, l)
	return p
}

// transform works on the results before they are shown.
func (p *panel) transform(id string, options any) *panel {
	p.Transformations = append(p.Transformations, dashboard.DataTransformerConfig{Id: id, Options: options})
	return p
}

// mayAll says why all queries so far can have no series.
func (p *panel) mayAll(why string) *panel {
	for i := range p.Targets {
		p.empty[ref(i)] = why
	}
	return p.unknown(why + orNotKnown)
}
