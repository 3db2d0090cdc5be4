package analyticstest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

var sumCases = []testCase{
	{"SumsFindADroppedRow", func(p *place) { sumsFind(p, p.Drop, -1) }},
	{"SumsFindADoubledRow", func(p *place) { sumsFind(p, p.Double, 1) }},
	{"SumsFindAnAlteredRow", sumsFindAnAlteredRow},
	{"BlocksInPages", blocksInPages},
}

// blocks are all there are.
func (p *place) blocks(s analytics.Store) []analytics.Written {
	p.Helper()
	blocks, err := s.Blocks(ctx, 0, 1<<30)
	if err != nil {
		p.Fatal(err)
	}
	return blocks
}

// sums are those of all blocks, by block and table, of those that have rows.
func (p *place) sums(s analytics.Store) map[string]analytics.Sum {
	p.Helper()
	of, err := s.Sums(ctx, 0, math.MaxInt64)
	if err != nil {
		p.Fatal(err)
	}
	out := map[string]analytics.Sum{}
	for number, tables := range of {
		for name, sum := range tables {
			if sum.Rows != 0 {
				out[fmt.Sprint(number, " ", name)] = sum
			}
		}
	}
	return out
}

// blocksFit compares what was to be written with what is there, and makes sure that
// nothing is between two blocks.
func (p *place) blocksFit(s analytics.Store) {
	p.Helper()
	want, at := map[string]analytics.Sum{}, map[string]int64{}
	of := map[string]analytics.Sum{} // the ranges' rows, by block
	last := int64(0)
	for _, b := range p.blocks(s) {
		if b.Number <= last || b.Writer == "" || b.At.IsZero() {
			p.Errorf("after block %d comes %d of %q at %v", last, b.Number, b.Writer, b.At)
		}
		last = b.Number
		for name, sum := range b.Tables {
			if sum.Rows != 0 {
				want[fmt.Sprint(b.Number, " ", name)] = sum
			}
		}
		for _, r := range b.Ranges {
			place := fmt.Sprint(r.Topic, "/", r.Partition)
			if r.From != at[place] || r.Next < r.From {
				p.Errorf("block %d goes from %d to %d of %s, where %d comes next", b.Number, r.From, r.Next, place, at[place])
			}
			at[place] = r.Next
			name := fmt.Sprint(b.Number, " ", analytics.EventsTable)
			had := of[name]
			of[name] = analytics.Sum{Rows: had.Rows + r.Rows, Checksum: had.Checksum + r.Checksum}
		}
	}
	got := p.sums(s)
	if !maps.Equal(want, got) {
		p.Errorf("rows are not those that were written: %v", changed(want, got))
	}
	for name, sum := range of {
		if got[name] != sum {
			p.Errorf("block %s has %+v, its ranges %+v", name, got[name], sum)
		}
	}
	next, err := s.Offsets(ctx)
	if err != nil {
		p.Fatal(err)
	}
	for topic, partitions := range next {
		for partition, offset := range partitions {
			if place := fmt.Sprint(topic, "/", partition); at[place] != offset {
				p.Errorf("the cursor of %s is at %d, the blocks end at %d", place, offset, at[place])
			}
		}
	}
}

// hoursFit compares HoursTable with the events.
func (p *place) hoursFit(s analytics.Store) {
	p.Helper()
	want, sum := map[Hour]int64{}, uint64(0)
	for _, row := range p.ask(s, "SELECT `topic`, `type`, "+s.Dialect().Nanos("`time`")+" FROM `events`") {
		topic, _ := row[0].(string)
		kind, _ := row[1].(string)
		nanos, _ := row[2].(int64)
		want[Hour{topic, kind, projection.Moment(nanos).Unix() / 3600 * 3600}]++
	}
	for _, b := range p.blocks(s) {
		sum += b.Tables[analytics.EventsTable].Checksum
	}
	got := map[Hour]int64{}
	for h, x := range p.Hours(p, s) {
		got[h] = x.Rows
		sum -= x.Checksum
	}
	if !maps.Equal(want, got) {
		p.Errorf("hours are %v, want %v", got, want)
	}
	if sum != 0 {
		p.Errorf("the checksums of all hours and of all blocks are %d apart", sum)
	}
}

// changed are the names of what differs.
func changed(a, b map[string]analytics.Sum) (out []string) {
	for name := range a {
		if a[name] != b[name] {
			out = append(out, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// sailed is a store that has read some days.
func (p *place) sailed() (*projectiontest.Log, analytics.Store) {
	p.Helper()
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	l.Produce(sail(l, 20)...)
	p.catchUp(l, s)
	p.blocksFit(s)
	return l, s
}

// sumsFind harms a row of each table, one after another.
func sumsFind(p *place, harm func(testing.TB, analytics.Store, string), more int64) {
	_, s := p.sailed()
	for _, t := range schemaOf(p, ferry()).Tables {
		before := p.sums(s)
		harm(p, s, t.Name)
		after := p.sums(s)
		names := changed(before, after)
		if len(names) != 1 || after[names[0]].Rows != before[names[0]].Rows+more {
			p.Errorf("a row of %s was harmed, and found was %v", t.Name, names)
		}
	}
}

// sumsFindAnAlteredRow alters a value in every column but the number of the block.
func sumsFindAnAlteredRow(p *place) {
	_, s := p.sailed()
	for _, t := range schemaOf(p, ferry()).Tables {
		for _, c := range t.Columns {
			if c.Name == analytics.BlockColumn {
				continue
			}
			before := p.sums(s)
			p.Alter(p, s, t.Name, c)
			after := p.sums(s)
			if names := changed(before, after); len(names) != 1 || after[names[0]].Rows != before[names[0]].Rows {
				p.Errorf("%s of %s was altered, and found was %v", c.Name, t.Name, names)
			}
		}
	}
}

func blocksInPages(p *place) {
	_, s := p.sailed()
	all := p.blocks(s)
	var got []analytics.Written
	for above := int64(0); ; above = got[len(got)-1].Number {
		page, err := s.Blocks(ctx, above, 2)
		if err != nil || len(page) > 2 {
			p.Fatalf("a page has %d blocks (%v)", len(page), err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	if fmt.Sprint(got) != fmt.Sprint(all) || len(all) < 3 {
		p.Errorf("in pages there are %d blocks, at once %d", len(got), len(all))
	}
	some := all[1].Number
	sums, err := s.Sums(ctx, some, some)
	if err != nil || len(sums) != 1 || !maps.Equal(sums[some], all[1].Tables) {
		p.Errorf("block %d has %v, want %v (%v)", some, sums, all[1].Tables, err)
	}
}
