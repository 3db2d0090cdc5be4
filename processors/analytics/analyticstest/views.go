package analyticstest

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/processors/projection/sqlite"
	"github.com/weirstream/weir/streams/business"
)

var viewCases = []testCase{
	{"ViewRowsFoldToDocuments", viewRowsFoldToDocuments},
	{"WhatAnEventDoesNotSayIsEmpty", whatAnEventDoesNotSayIsEmpty},
}

// field is how rows of a view become a field of a document: what a type of event put
// last, the sum, or the latest time.
type field struct {
	name, put string // the type that puts it
	add       bool
}

var folds = map[string][]field{
	"crossings": {{name: "traveller", put: "crossing.booked"}, {name: "fare", put: "crossing.booked"}, {name: "cabins", put: "crossing.booked"}, {name: "booked_at"},
		{name: "gate", put: "crossing.boarded"}, {name: "boarded_at"}, {name: "late", put: "crossing.arrived"}, {name: "arrived_at"}},
	"travellers": {{name: "crossings", add: true}, {name: "booked_at"}, {name: "beds", add: true}, {name: "paid_at"}},
}

// expressions fold a field, as texts and whole numbers.
func (f field) expressions(d analytics.Dialect, v *business.View) []string {
	declared, _ := v.Field(f.name)
	name := "`" + f.name + "`"
	put := func(x string) string {
		return d.ArgMax(x, "`_time`", "`_sequence`", "`_type` = '"+f.put+"'")
	}
	switch {
	case f.add:
		return []string{"sum(" + name + ")"}
	case declared.Kind == business.Time:
		return []string{"max(" + d.Nanos(name) + ")"}
	case declared.Kind == business.Amount:
		return []string{d.Scaled(put(name), put(name[:len(name)-1]+"_currency`")), put(name[:len(name)-1] + "_currency`")}
	}
	return []string{put(name)}
}

// value is that of a document as the expressions have it.
func (f field) value(doc projection.Document) string {
	switch x := doc.Values[f.name].(type) {
	case time.Time:
		return fmt.Sprint(projection.Nanos(x))
	case projection.Money:
		return fmt.Sprint(string(analytics.AppendScaled(nil, x.Minor, x.Currency)), " ", x.Currency)
	case string:
		return x
	case int64:
		return fmt.Sprint(x)
	}
	return "?"
}

func viewRowsFoldToDocuments(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	l.Produce(sail(l, 40)...)
	p.catchUp(l, s)
	b := ferry()
	model, err := sqlite.Open(filepath.Join(p.TempDir(), "read.db"), b.Views())
	if err != nil {
		p.Fatal(err)
	}
	defer model.Close()
	read := projection.New(model)
	cfg := l.Config()
	cfg.Business = b
	l.CatchUp(p, read, cfg)
	for _, v := range b.Views() {
		fields := folds[v.Name]
		columns := []string{"`_key`"}
		for _, f := range fields {
			columns = append(columns, f.expressions(s.Dialect(), v)...)
		}
		var want, got []string
		// What no event has put is null, and empty in a document.
		for _, row := range p.ask(s, "SELECT "+strings.Join(columns, ", ")+" FROM `"+analytics.ViewTable(v.Name)+"` GROUP BY `_key`") {
			got = append(got, line(row))
		}
		docs, err := read.List(ctx, projection.ListQuery{View: v, Limit: 1000})
		if err != nil || len(docs) == 0 {
			p.Fatalf("%d documents of %s (%v)", len(docs), v.Name, err)
		}
		for _, doc := range docs {
			parts := []string{doc.Key}
			for _, f := range fields {
				parts = append(parts, f.value(doc))
			}
			want = append(want, zeros(strings.Join(parts, " ")))
		}
		differ(p, v.Name, want, got)
	}
}

func line(row []any) string {
	var parts []string
	for _, v := range row {
		if v == nil {
			v = ""
		}
		parts = append(parts, fmt.Sprint(v))
	}
	return zeros(strings.Join(parts, " "))
}

// zeros makes no difference between none and 0.
func zeros(s string) string {
	parts := strings.Split(s, " ")
	for i, x := range parts {
		if x == "0" {
			parts[i] = ""
		}
	}
	return strings.Join(parts, " ")
}

// whatAnEventDoesNotSayIsEmpty reads the rows of a document one by one.
func whatAnEventDoesNotSayIsEmpty(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	w := l.Writer("harbour", 0)
	w.Emit("c1", booked("x1", "ada"), Boarded{Crossing: "x1", Gate: "g1"}, Arrived{Crossing: "x1", Late: -2})
	p.catchUp(l, s)
	d := s.Dialect()
	rows := p.ask(s, "SELECT `_type`, `_key`, `_sequence`, `traveller`, `fare_currency`, `cabins`, `gate`, `late`, "+d.Nanos("`boarded_at`")+" FROM `view_crossings` ORDER BY `_sequence`")
	p.same("the crossing", rows, "crossing.booked x1 1 ada GBP 2  0 0", fmt.Sprint("crossing.boarded x1 2   0 g1 0 ", time.Date(2026, 1, 2, 12, 0, 0, 2e6, time.UTC).UnixNano()),
		"crossing.arrived x1 3   0  -2 0")
}
