package dashboards

import (
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// sound is a board that nothing is wrong with: two panels side by side, one in a
// folded row.
func sound(expr string) Board {
	panels := func() []*panel {
		return []*panel{graph("One", "ops", "What it shows.").unmarked(volume).query(expr, "{{service}}"), graph("Two", "ops", "What it shows.").steps(green, step{1, red}).query("up", "{{instance}}")}
	}
	return draft{uid: "weir-sound", title: "Sound", help: "For tests.", alerts: []string{`owner!=""`}, variables: []dashboard.VariableModel{instances()},
		rows: []row{{title: "Open", panels: panels()}, {title: "Folded", folded: true, panels: panels()[:1]}}}.build()
}

const fine = `sum by (service) (rate(weir_inputs_total{instance=~"$instance"}[$__rate_interval]))`

func TestSoundBoardPasses(t *testing.T) {
	series, _ := known(t)
	for _, err := range LintAll([]Board{sound(fine)}, series) {
		t.Error(err)
	}
}

// Every rule of the lint refuses a board that breaks it and nothing else.
func TestLintRefuses(t *testing.T) {
	series, _ := known(t)
	first := func(b Board) *dashboard.Panel { return b.Panels[1].Panel }
	second := func(b Board) *dashboard.Panel { return b.Panels[2].Panel }
	folded := func(b Board) *dashboard.Panel { return &b.Panels[3].RowPanel.Panels[0] }
	for name, c := range map[string]struct {
		breaks func(*Board)
		want   string
	}{
		"uid":             {func(b *Board) { b.Uid = cog.ToPtr("Overview") }, "the uid"},
		"long uid":        {func(b *Board) { b.Uid = cog.ToPtr("weir-" + strings.Repeat("x", 36)) }, "40 at most"},
		"title":           {func(b *Board) { b.Title = nil }, "needs a title"},
		"help":            {func(b *Board) { b.Description = nil }, "a description and the tag"},
		"tag":             {func(b *Board) { b.Tags = nil }, "the tag weir"},
		"schema":          {func(b *Board) { b.SchemaVersion = 42 }, "schema version 42"},
		"panel id twice":  {func(b *Board) { second(*b).Id = first(*b).Id }, "is taken, or 0"},
		"no panel id":     {func(b *Board) { folded(*b).Id = nil }, "is taken, or 0"},
		"too wide":        {func(b *Board) { second(*b).GridPos.X = 20 }, "no place within 24"},
		"no place":        {func(b *Board) { folded(*b).GridPos = nil }, "no place within 24"},
		"overlap":         {func(b *Board) { second(*b).GridPos.X = 4 }, `One: it lies over "Two"`},
		"panel type":      {func(b *Board) { first(*b).Type = "grafana-clock-panel" }, "need a plugin"},
		"panel title":     {func(b *Board) { second(*b).Title = nil }, "a panel needs a title"},
		"panel help":      {func(b *Board) { folded(*b).Description = nil }, "what it shows and what to do"},
		"unit":            {func(b *Board) { first(*b).FieldConfig.Defaults.Unit = nil }, "no unit"},
		"no threshold -∞": {func(b *Board) { first(*b).FieldConfig.Defaults.Thresholds.Steps[0].Value = cog.ToPtr(0.0) }, "do not ascend"},
		"thresholds": {func(b *Board) {
			s := &second(*b).FieldConfig.Defaults.Thresholds.Steps
			*s = append(*s, dashboard.Threshold{Value: cog.ToPtr(0.5), Color: yellow})
		}, "do not ascend"},
		"nothing marked": {func(b *Board) {
			second(*b).FieldConfig.Defaults.Thresholds.Steps = second(*b).FieldConfig.Defaults.Thresholds.Steps[:1]
		}, "marks no value"},
		"no query":         {func(b *Board) { first(*b).Targets = nil }, "needs a query"},
		"panel datasource": {func(b *Board) { first(*b).Datasource = nil }, "the datasource of the variable"},
		"query datasource": {func(b *Board) {
			q := first(*b).Targets[0].(prometheus.Dataquery)
			q.Datasource = nil
			first(*b).Targets[0] = q
		}, "a name of its own and the datasource"},
		"query name twice":  {func(b *Board) { first(*b).Targets = append(first(*b).Targets, first(*b).Targets[0]) }, "a name of its own"},
		"variable twice":    {func(b *Board) { b.Templating.List = append(b.Templating.List, instances()) }, "declared twice"},
		"variable form":     {func(b *Board) { b.Templating.List[1].Definition = cog.ToPtr("query_result(up)") }, "its query is label_values"},
		"variable source":   {func(b *Board) { b.Templating.List[1].Datasource = nil }, "of the variable's datasource"},
		"annotation source": {func(b *Board) { b.annotations[0].Datasource = nil }, "annotation Pages: it needs the datasource"},
		"undeclared":        {func(b *Board) { b.Links = append(b.Links, link("x", "${elsewhere}/", "")) }, "$elsewhere is used and not declared"},
		"empty link": {func(b *Board) {
			b.Templating.List = append(b.Templating.List, entry("trace", "Trace", "", "Its id."))
			b.Links = append(b.Links, outside("Trace", "/explore?${trace}", ""))
		}, "link Trace: it is offered while $trace is empty"},
		"every sample":     {func(b *Board) { b.annotations[0].ValueIsTime = false }, "annotation Pages: it marks every sample"},
		"a choice of none": {func(b *Board) { first(*b).Options.(*timeseries.Options).Tooltip.Mode = "" }, "tooltip.mode is empty"},
		"nothing to show":  {func(b *Board) { first(*b).FieldConfig.Defaults.NoValue = nil }, "what it means if there is nothing"},
		"rounded":          {func(b *Board) { first(*b).FieldConfig.Defaults.Unit = cog.ToPtr("short") }, "as 10 K"},
		"weeks":            {func(b *Board) { first(*b).FieldConfig.Defaults.Unit = cog.ToPtr("d") }, "4.29 weeks"},
		"equal steps": {func(b *Board) {
			s := &second(*b).FieldConfig.Defaults.Thresholds.Steps
			*s = append(*s, dashboard.Threshold{Value: cog.ToPtr(2.0), Color: red})
		}, "two steps of its thresholds are red"},
		"dead link": {func(b *Board) { b.Links = append(b.Links, link("x", "/d/weir-gone", "")) }, "links to weir-gone"},
		"too many panels": {func(b *Board) {
			var many []*panel
			for range mostPanels + 1 {
				many = append(many, graph("x", "ops", "y").unmarked(volume).query("up", ""))
			}
			b.Panels = b.place([]row{{title: "many", panels: many}})
		}, "26 panels"},
	} {
		b := sound(fine)
		c.breaks(&b)
		only(t, name, LintAll([]Board{b}, series), c.want)
	}
	for name, c := range map[string]struct{ expr, want string }{
		"grammar":           {`sum(rate(weir_inputs_total[$__rate_interval])`, "unclosed left parenthesis"},
		"metric":            {`sum(weir_unheard_of)`, "neither in the catalogue nor recorded"},
		"label":             {`sum(weir_parked_inputs{topic="x"})`, "has no label topic"},
		"label of a rule":   {`slo:objective:ratio{instance="x"}`, "has no label instance"},
		"grouping":          {`sum by (topic) (weir_parked_inputs)`, "grouped by topic"},
		"quantile":          {`histogram_quantile(0.9, sum by (service) (rate(weir_input_age_seconds_bucket[$__rate_interval])))`, "without le"},
		"quantile, without": {`histogram_quantile(0.9, sum without (le) (rate(weir_input_age_seconds_bucket[$__rate_interval])))`, "without le"},
		"quantile of sum":   {`histogram_quantile(0.9, rate(weir_input_age_seconds_sum[$__rate_interval]))`, "no buckets"},
		"rate of a gauge":   {`sum(rate(weir_parked_inputs[$__rate_interval]))`, "rate of weir_parked_inputs, which is a gauge"},
		"increase of one":   {`sum(increase(weir_lag_records[$__range]))`, "increase of weir_lag_records, which is a gauge"},
		"fixed time":        {`sum(rate(weir_inputs_total[5m]))`, "a fixed time"},
	} {
		b := sound(fine)
		b.Panels = b.place([]row{{title: "one", panels: []*panel{graph("x", "ops", "y").unmarked(volume).query(c.expr, "")}}})
		only(t, name, LintAll([]Board{b}, series), c.want)
	}
	const some = `sum by (service) (weir_parked_inputs)`
	for name, c := range map[string]struct {
		panel *panel
		want  string
	}{
		"green and not known":  {unmapped(number("x", "none", "y").unmarked(volume).query("sum(up)", "")), "as green as what is well"},
		"painted like another": {graph("x", "ops", "y").unmarked(volume).query("up", "one").query("up", "two").paint("one", red), "one is red, as one of the series"},
		"words and thresholds": {states("x", "none", "y").query("up", "{{job}}").worded(map[string]dashboard.ValueMappingResult{"1": word("up", green)}).steps(red, step{1, green}), "and not its words"},
		"one threshold":        {states("x", "none", "y").query("up", "{{job}}").unmarked(volume), "from -∞ on"},
		"pages":                {paged(states("x", "none", "y").query("up", "{{job}}").steps(red, step{1, green})), "put the others on pages"},
		"crowded":              {graph("x", "ops", "y").unmarked(volume).query("up", "{{job}} {{instance}}"), "for each pair of labels"},
		"unknown bars":         {bars("x", "none", "y", 1).unmarked(volume).query(some, "{{service}}"), "nobody knows how many bars"},
		"bars without room":    {bars("x", "none", "y", 4).unmarked(volume).query("topk(12, "+some+")", "{{service}}"), "12 bars do not fit into 6 rows"},
		"bars without end":     {bars("x", "none", "y", 3).unmarked(volume).query("topk(3, "+some+")", "{{service}}").between(0, 1), "its scale ends, and its values do not"},
		"a number for unknown": {graph("x", "ops", "y").unmarked(volume).query(some+" or vector(0)", "{{service}}"), "what is not known would be a number"},
	} {
		b := sound(fine)
		b.Panels = b.place([]row{{title: "one", panels: []*panel{c.panel}}})
		only(t, name, LintAll([]Board{b}, series), c.want)
	}
	a, b := sound(fine), sound(fine)
	b.Title = cog.ToPtr("Other")
	only(t, "uid of two boards", LintAll([]Board{a, b}, series), "there is another one with the uid weir-sound")
	b.Uid, b.Title = cog.ToPtr("weir-other"), a.Title
	only(t, "title of two boards", LintAll([]Board{a, b}, series), "there is another one with the title Sound")
}

func unmapped(p *panel) *panel {
	p.FieldConfig.Defaults.Mappings = nil
	return p
}

func paged(p *panel) *panel {
	p.Options.(*statetimeline.Options).PerPage = cog.ToPtr(20.0)
	return p
}

func only(t *testing.T, name string, errs []error, want string) {
	t.Helper()
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
		t.Errorf("%s: want one complaint with %q, got %v", name, want, errs)
	}
}

// Panels go where there is room highest up, and no row begins before the one
// above it ends.
func TestPlaces(t *testing.T) {
	g := func(w, h uint32) *panel {
		return graph("x", "ops", "y").unmarked(volume).query("up", "").may("for the test").size(w, h)
	}
	b := Board{empty: map[target]string{}, free: map[uint32]string{}}
	got := b.place([]row{{panels: []*panel{g(12, 3), g(12, 5), g(8, 2)}}, {folded: true, panels: []*panel{g(24, 4)}}, {panels: []*panel{g(6, 1)}}})
	type at struct{ id, x, y uint32 }
	var places []at
	for _, p := range got {
		if p.RowPanel != nil {
			places = append(places, at{p.RowPanel.Id, p.RowPanel.GridPos.X, p.RowPanel.GridPos.Y})
			for _, in := range p.RowPanel.Panels {
				places = append(places, at{*in.Id, in.GridPos.X, in.GridPos.Y})
			}
			continue
		}
		places = append(places, at{*p.Panel.Id, p.Panel.GridPos.X, p.Panel.GridPos.Y})
	}
	want := []at{{1, 0, 0}, {2, 0, 1}, {3, 12, 1}, {4, 0, 4}, {5, 0, 6}, {6, 0, 7}, {7, 0, 7}, {8, 0, 8}}
	if len(places) != len(want) {
		t.Fatalf("got %v, want %v", places, want)
	}
	for i := range want {
		if places[i] != want[i] {
			t.Errorf("panel %d is at %v, want %v", i, places[i], want[i])
		}
	}
	if b.empty[target{8, "A"}] != "for the test" || len(b.empty) != 5 {
		t.Errorf("what may be b.empty is noted for %v", b.empty)
	}
}
