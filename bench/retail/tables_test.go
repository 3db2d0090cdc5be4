package retail

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/rebuild"
	"github.com/weirstream/weir/processors/analytics/sqlite"
	"github.com/weirstream/weir/processors/backfill"
	platform "github.com/weirstream/weir/services/shop"
)

// The week, straight into the tables: the shop's own questions are answered with what the
// file's reader counts.
func TestTheWeekInTheTables(t *testing.T) {
	theWeek(t, func(s *analytics.Schema) (analytics.Swappable, error) {
		return sqlite.OpenLive(filepath.Join(t.TempDir(), "analytics.db"), s)
	})
}

func theWeek(t *testing.T, open func(*analytics.Schema) (analytics.Swappable, error)) {
	topology, err := platform.Business.Topology()
	check(t, err)
	schema, err := analytics.NewSchema(platform.Business, topology)
	check(t, err)
	store, err := open(schema)
	check(t, err)
	defer store.Close()
	m, text, err := rebuild.ReadMapping("orders.yaml")
	check(t, err)
	for i := range 2 {
		f, err := backfill.Open(data, m, platform.Business, topology)
		check(t, err)
		out, err := (&rebuild.Load{Live: store, Schema: schema, File: f, Name: filepath.Base(data), Mapping: text}).Run(t.Context())
		if err != nil || out.Known != (i == 1) || out.Events != 1126 || out.Tables["event_order_placed"].Rows != 563 {
			t.Fatalf("it was taken in as %+v (%v)", out, err)
		}
		asTheReaderCounts(t, &analytics.Model{Store: store, Schema: schema})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func asTheReaderCounts(t *testing.T, m *analytics.Model) {
	t.Helper()
	file := readData(t)
	london, err := time.LoadLocation("Europe/London")
	check(t, err)
	revenue, units := map[string]tally{}, map[string]map[string]tally{} // by day, and by day and product
	whole, orders := tally{}, map[string]bool{}
	for _, o := range file.Orders {
		day := o.Date.In(london).Format(time.DateOnly)
		orders[o.ID] = true
		if units[day] == nil {
			units[day] = map[string]tally{}
		}
		for _, l := range o.Lines {
			whole.add(l.Quantity, l.Price.Minor)
			d, p := revenue[day], units[day][l.SKU]
			d.add(l.Quantity, l.Price.Minor)
			p.add(l.Quantity, l.Price.Minor)
			revenue[day], units[day][l.SKU] = d, p
		}
	}
	if whole.minor != 258_154_28 || whole.lines != 14_296 || len(orders) != 563 {
		t.Fatalf("the reader counts %+v in %d orders", whole, len(orders))
	}
	total := ask(t, m, "revenue", "total")
	if len(total) != 1 || fmt.Sprint(total[0]...) != fmt.Sprint("GBP", pounds(whole.minor), 563, 14296) {
		t.Errorf("all of it is %v", total)
	}
	days := ask(t, m, "revenue", "day")
	for _, row := range days {
		want := revenue[row[0].(string)]
		if row[2] != pounds(want.minor) || row[4] != want.lines {
			t.Errorf("revenue of a day is %v, want %+v", row, want)
		}
	}
	if len(days) != len(revenue) {
		t.Errorf("%d days are answered, want %d", len(days), len(revenue))
	}
	n := 0
	for _, row := range ask(t, m, "products", "day", "product") {
		want := units[row[0].(string)][row[1].(string)]
		if row[3] != pounds(want.minor) || row[4] != want.quantity {
			t.Errorf("a product of a day is %v, want %+v", row, want)
		}
		n++
	}
	for _, of := range units {
		n -= len(of)
	}
	if n != 0 {
		t.Errorf("there are %d products of days too many", n)
	}
}

func ask(t *testing.T, m *analytics.Model, question string, by ...string) [][]any {
	t.Helper()
	a, err := m.Ask(t.Context(), question, analytics.Params{Zone: "Europe/London", By: by, Limit: analytics.MaxLimit})
	check(t, err)
	return a.Rows
}

func pounds(minor int64) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) }
