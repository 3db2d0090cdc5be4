package analyticstest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/streams"
)

var rowCases = []testCase{
	{"EveryEventIsOneRow", everyEventIsOneRow},
	{"TypedColumns", typedColumns},
	{"WhatIsPersonalIsNowhere", whatIsPersonalIsNowhere},
	{"SagaRows", sagaRows},
	{"RepeatsAreNoRows", repeatsAreNoRows},
}

func everyEventIsOneRow(p *place) {
	for name, batch := range map[string]int{"in small blocks": 7, "in large ones": 100_000} {
		p.Run(name, func(t *testing.T) {
			q := p.another(t)
			l, s := projectiontest.NewLogOf(t, ferry()), q.store()
			recs := sail(l, 40)
			l.Produce(recs...)
			cfg := settings(l)
			cfg.Batch = batch
			if err := q.read(l, s, s, cfg); err != nil {
				t.Fatal(err)
			}
			q.whole(s, recs)
		})
	}
}

// whole makes sure that the store holds the events of some records, each once, and that
// all that follows from them fits.
func (p *place) whole(s analytics.Store, recs []*kgo.Record) {
	p.Helper()
	d := s.Dialect()
	var got []string
	for _, row := range p.ask(s, "SELECT `topic`, `partition`, `id`, `type`, `version`, `source`, `kind`, `key`, `correlation`, `causation`, "+
		d.Nanos("`time`")+", `lane`, `sequence`, `traceparent`, `data` FROM `events`") {
		got = append(got, fmt.Sprint(row...))
	}
	differ(p, "events", events(p, recs), got)
	p.typesFit(s)
	p.blocksFit(s)
	p.hoursFit(s)
}

// events are what rows say of the events in some records.
func events(p *place, recs []*kgo.Record) (out []string) {
	p.Helper()
	b := ferry()
	top, err := b.Topology()
	if err != nil {
		p.Fatal(err)
	}
	kinds := map[string]string{}
	for _, t := range top.Topics() {
		kinds[t.Name] = t.Kind
	}
	seen := map[string]bool{}
	for _, rec := range recs {
		e, err := streams.ReadEnvelope(rec)
		if err != nil {
			continue
		}
		name := fmt.Sprint(e.Lane, e.Seq)
		if e.Lane == "" {
			name = e.Source + "#" + e.ID
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, fmt.Sprint(rec.Topic, int64(rec.Partition), e.ID, e.Type, int64(e.Version), e.Source, kinds[rec.Topic], e.Key, e.Saga(), e.Causation,
			projection.Nanos(e.Time), string(e.Lane), e.Seq, e.Traceparent, string(top.Vocabulary.Impersonal(e.Type, e.Version, e.Data))))
	}
	return out
}

// typesFit compares the tables of types with that of all events.
func (p *place) typesFit(s analytics.Store) {
	p.Helper()
	d := s.Dialect()
	for _, t := range schemaOf(p, ferry()).Tables {
		if t.Type == "" {
			continue
		}
		var want, got []string
		for _, row := range p.ask(s, "SELECT `_block`, "+d.Nanos("`time`")+", `key`, `correlation`, `sequence` FROM `events` WHERE `type` = ?", t.Type) {
			want = append(want, fmt.Sprint(row...))
		}
		for _, row := range p.ask(s, "SELECT `_block`, "+d.Nanos("`_time`")+", `_key`, `_correlation`, `_sequence` FROM `"+t.Name+"`") {
			got = append(got, fmt.Sprint(row...))
		}
		differ(p, t.Name, want, got)
	}
}

// differ compares what has no order.
func differ(p *place, what string, want, got []string) {
	p.Helper()
	slices.Sort(want)
	slices.Sort(got)
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			p.Errorf("%s: there are %d, want %d; at %d:\n got %s\nwant %s", what, len(got), len(want), i, at(got, i), at(want, i))
			return
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

// same compares what a question answers.
func (p *place) same(what string, got [][]any, want ...string) {
	p.Helper()
	var lines []string
	for _, row := range got {
		var parts []string
		for _, v := range row {
			if v == nil {
				v = "null"
			}
			parts = append(parts, fmt.Sprint(v))
		}
		lines = append(lines, strings.Join(parts, " "))
	}
	if !slices.Equal(lines, want) {
		p.Errorf("%s:\n got %q\nwant %q", what, lines, want)
	}
}

func typedColumns(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	w := l.Writer("harbour", 0)
	full, bare := booked("x1", "ada"), Booked{Crossing: "x2", Traveller: "bob", Fare: Coins{Minor: -1, Currency: "JPY"}, Back: &Route{Miles: 0.5}}
	w.Emit("c1", full, bare)
	p.catchUp(l, s)
	d := s.Dialect()
	one := func(key string) [][]any {
		return p.ask(s, "SELECT `_correlation`, `_sequence`, `crossing`, `traveller`, `route_from`, `route_to`, `route_miles`, `back_to`, `back_miles`, "+
			d.Scaled("max(`fare`)", "`fare_currency`")+", `fare_currency`, `night`, "+d.Nanos("`departs`")+" FROM `event_crossing_booked` WHERE `_key` = ?"+
			" GROUP BY `_correlation`, `_sequence`, `crossing`, `traveller`, `route_from`, `route_to`, `route_miles`, `back_to`, `back_miles`, `fare_currency`, `night`, `departs`", key)
	}
	p.same("the full one", one("x1"), fmt.Sprint("c1 1 x1 ada Hoek Harwich 107.25  0 51000 GBP 1 ", full.Departs.UnixNano()))
	p.same("the bare one", one("x2"), "c1 2 x2 bob   0  0.5 -10000 JPY 0 0")
	of := func(columns string, lists ...string) [][]any {
		t, _ := schemaOf(p, ferry()).Type("crossing.booked")
		var cols []analytics.Column
		for _, name := range lists {
			c, ok := t.Column(name)
			if !ok || !c.List {
				p.Fatalf("there is no list %s", name)
			}
			cols = append(cols, c)
		}
		return p.ask(s, "SELECT "+columns+" FROM "+d.Each(t.Name, cols)+" ORDER BY `_key`, `"+lists[0]+"`")
	}
	p.same("texts", of("`_key`, `notes`", "notes"), `x1 by the "window"`, `x1 été ✓ 'x' \ ,`)
	p.same("numbers", of("`_key`, `loads`", "loads"), "x1 -2.5e+300", "x1 0.1")
	p.same("structs", of("`cabins_deck`, `cabins_beds`, `cabins_fare_currency`", "cabins_deck", "cabins_beds", "cabins_fare_currency"), "lower 1 GBP", "upper 2 GBP")
	for _, c := range []string{"name", "contact", "cabins_guest"} {
		if _, err := s.Select(ctx, "SELECT `"+c+"` FROM `event_crossing_booked`", nil, 0); err == nil {
			p.Errorf("there is a column %s, which is personal", c)
		}
	}
}

// whatIsPersonalIsNowhere looks at every text of every table.
func whatIsPersonalIsNowhere(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	l.Produce(sail(l, 10)...)
	p.catchUp(l, s)
	d := s.Dialect()
	looked := 0
	look := func(rows [][]any) {
		for _, row := range rows {
			for _, v := range row {
				if text, ok := v.(string); ok {
					looked++
					if strings.Contains(text, marker) {
						p.Fatalf("what is personal is in %q", row)
					}
				}
			}
		}
	}
	for _, t := range schemaOf(p, ferry()).Tables {
		for _, c := range t.Columns {
			from := "`" + t.Name + "`"
			if c.List {
				from = d.Each(t.Name, []analytics.Column{c})
			}
			if c.Kind == analytics.Text || c.Kind == analytics.Word {
				look(p.ask(s, "SELECT `"+c.Name+"` FROM "+from))
			}
		}
	}
	blocks, err := s.Blocks(ctx, 0, 1000)
	text, jerr := json.Marshal(blocks)
	if err != nil || jerr != nil || strings.Contains(string(text), marker) {
		p.Errorf("blocks: %s (%v, %v)", text, err, jerr)
	}
	if looked < 500 {
		p.Errorf("only %d texts were there", looked)
	}
}

func sagaRows(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	w := l.Writer("harbour", 0)
	w.Emit("c1", booked("x1", "ada"), Boarded{Crossing: "x1"})
	w.Emit("c2", booked("x2", "ada"))
	w.Emit("c1", Arrived{Crossing: "x1", Late: 3})
	l.Produce(weather("buoy", "w1", "h1", 2)) // is of no saga
	p.catchUp(l, s)
	rows := p.ask(s, "SELECT `_correlation`, `_type`, `_key`, `_sequence`, "+s.Dialect().Nanos("`_time`")+" FROM `saga_cross` ORDER BY `_correlation`, `_time`")
	first := time.Date(2026, 1, 2, 12, 0, 0, 1e6, time.UTC).UnixNano()
	p.same("the saga", rows, fmt.Sprint("c1 crossing.booked x1 1 ", first), fmt.Sprint("c1 crossing.boarded x1 2 ", first+1e6), fmt.Sprint("c1 crossing.arrived x1 4 ", first+3e6), fmt.Sprint("c2 crossing.booked x2 3 ", first+2e6))
}

// repeatsAreNoRows reads repeats in the block of the first, and in later ones, of lanes
// and from outside.
func repeatsAreNoRows(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := append(sail(l, 6), weather("buoy", "w9", "h1", 7))
	for range 3 {
		l.Produce(recs...)
		p.catchUp(l, s)
		p.whole(s, recs)
		s = p.store()
	}
	known, err := s.Known(ctx, []streams.ExternalID{{Source: "buoy", ID: "w9"}, {Source: "mast", ID: "w9"}})
	if err != nil || len(known) != 1 || !known[streams.ExternalID{Source: "buoy", ID: "w9"}] {
		p.Errorf("known are %v (%v)", known, err)
	}
}
