package retail

import (
	"testing"
	"time"

	"github.com/weirstream/weir/processors/backfill"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
	platform "github.com/weirstream/weir/services/shop"
)

// backfilled reads the data file by its mapping.
func backfilled(t *testing.T) (events []projection.Event, r backfill.Report) {
	t.Helper()
	m, err := backfill.ReadMapping("orders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	topology, err := platform.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	f, err := backfill.Open(data, m, platform.Business, topology)
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range f.Batches(t.Context(), 0, 100) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, b.Events...)
	}
	return events, f.Report()
}

// tally is what was sold of something.
type tally struct {
	lines, quantity, minor int64
}

func (s *tally) add(quantity, minor int64) {
	s.lines, s.quantity, s.minor = s.lines+1, s.quantity+quantity, s.minor+quantity*minor
}

// The mapping says the same as Read: order by order, by day and by product.
func TestTheMappingGivesTheOrdersOfTheFile(t *testing.T) {
	file := readData(t)
	events, report := backfilled(t)
	if len(events) != 2*len(file.Orders) || len(file.Orders) != 563 {
		t.Fatalf("%d events of %d orders", len(events), len(file.Orders))
	}
	days, products := map[string]tally{}, map[string]tally{}
	wantDays, wantProducts := map[string]tally{}, map[string]tally{}
	note := func(m map[string]tally, name string, quantity, minor int64) {
		s := m[name]
		s.add(quantity, minor)
		m[name] = s
	}
	var lines, total int64
	for i, o := range file.Orders {
		placed, confirmed := events[2*i], events[2*i+1]
		is, ok := placed.Value.(event.OrderPlaced)
		if !ok || placed.Type != "order.placed" || confirmed.Type != "order.confirmed" {
			t.Fatalf("order %s is %s, %s", o.ID, placed.Type, confirmed.Type)
		}
		want := o.command()
		if is.Order != want.Order || is.Customer != want.Customer || is.ShipTo.Country != o.Country || is.Total != o.Total || len(is.Lines) != len(o.Lines) {
			t.Fatalf("order %s is %+v, want %+v", o.ID, is, o)
		}
		for j, l := range is.Lines {
			if l != want.Lines[j] {
				t.Fatalf("line %d of order %s is %+v, want %+v", j, o.ID, l, want.Lines[j])
			}
			note(days, placed.Time.Format(time.DateOnly), l.Quantity, l.Unit.Minor)
			note(products, string(l.SKU), l.Quantity, l.Unit.Minor)
		}
		for _, l := range o.Lines {
			note(wantDays, o.Date.Format(time.DateOnly), l.Quantity, l.Price.Minor)
			note(wantProducts, l.SKU, l.Quantity, l.Price.Minor)
		}
		if c := confirmed.Value.(event.OrderConfirmed); c.Order != is.Order || c.Total != o.Total || c.Lines != len(o.Lines) {
			t.Fatalf("confirmed is %+v, want %+v", c, o)
		}
		for k, e := range events[2*i : 2*i+2] {
			if !e.Time.Equal(o.Date) || e.Key != o.ID || e.Correlation != o.ID || e.Kind != "order" || e.Offset != int64(2*i+k) {
				t.Fatalf("event %+v of order %+v", e.Entry, o)
			}
		}
		if _, err := is.Priced(); err != nil {
			t.Errorf("order %s would be refused: %v", o.ID, err)
		}
		lines, total = lines+int64(len(is.Lines)), total+is.Total.Minor
	}
	same(t, "day", days, wantDays)
	same(t, "product", products, wantProducts)
	for what, c := range map[string][2]int64{
		"sellable lines": {lines, 14_296}, "pence": {total, 258_154_28}, "rows": {report.Rows, 14_595}, "used": {report.Used, 14_296},
		"cancellation lines": {report.Left[0].Rows, int64(file.CancellationLines)},
		"unsellable lines":   {report.Left[1].Rows + report.Left[2].Rows, int64(file.LinesUnsellable)},
		"malformed":          {report.Refused, int64(file.Malformed)}, "groups": {report.Groups, 563}, "events": {report.Events, 1126},
		"all": {report.Used + report.LeftOut + report.Refused, report.Rows},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d, want %d", what, c[0], c[1])
		}
	}
	if l := report.List; len(l) != 1 || l[0].Line != 14_596 || l[0].Reason != "1 of 8 fields: the line is cut off or damaged" {
		t.Errorf("refused are %+v", l)
	}
}

func same(t *testing.T, what string, got, want map[string]tally) {
	t.Helper()
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s %s: %+v, want %+v", what, name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d of each %s, want %d", len(got), what, len(want))
	}
}
