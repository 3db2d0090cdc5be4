//go:build real

package dashboards

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/asktest"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/review"
	"github.com/weirstream/weir/streams"
)

// day is when everything in the test happens.
var day = time.Date(2010, 12, 1, 8, 0, 0, 0, time.UTC)

// trade is what happens in a shop in a few hours: some buy, some change their minds.
func trade() (told []asktest.Told) {
	for i := range 20 {
		id, at := event.OrderID(fmt.Sprint("o-", i)), day.Add(time.Duration(i)*11*time.Minute)
		tell := func(events ...streams.Event) {
			for _, e := range events {
				at = at.Add(time.Duration(1+i%7) * time.Second)
				told = append(told, asktest.Told{Event: e, At: at, Correlation: string(id)})
			}
		}
		total := event.Money{Minor: int64(1050 + i), Currency: []string{"GBP", "JPY"}[i%2]}
		sku := event.SKU([]string{"mug", "cup", "jug"}[i%3])
		tell(event.OrderPlaced{Order: id, Customer: fmt.Sprint("c-", i%6), ShipTo: event.Address{Country: []string{"GB", "FR"}[i%2]}, Total: total,
			Lines: []event.Line{{SKU: sku, Quantity: 2, Unit: total}, {SKU: "lid", Quantity: 1, Unit: total}}},
			event.HoldRequested{Order: id, SKU: sku, Quantity: 2}, event.StockHeld{Order: id, SKU: sku}, event.StockReserved{Order: id},
			event.PaymentAuthorised{Order: id, Amount: total}, event.OrderConfirmed{Order: id, Total: total, Lines: 2}, event.PaymentCaptured{Order: id, Amount: total},
			event.StockDrawn{SKU: sku, Order: id, Quantity: 2})
		if i%5 == 4 {
			tell(event.OrderCancelled{Order: id, Reason: "changed his mind"}, event.PaymentRefunded{Order: id, Amount: total}, event.StockAdded{SKU: sku, Quantity: 2})
			continue
		}
		tell(event.OrderReleased{Order: id}, event.ShipmentDispatched{Order: id, Carrier: "post", Tracking: "T"}, event.OrderShipped{Order: id, Carrier: "post", Tracking: "T"})
		e := review.Published{Product: sku, Stars: 1 + i%5}
		e.Review = review.ReviewID(fmt.Sprint("r-", i))
		tell(e)
	}
	return told
}

// Every query of the board finds what happened in its time, and nothing in another. Its
// tables have the rows that the questions have everywhere else.
func TestTheBusinessBoardAnswers(t *testing.T) {
	b := ofShop(t)
	schema, err := analytics.NewSchema(b.Business, b.Topology)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("%s/test_board_%d", os.Getenv("WEIR_REAL_CLICKHOUSE"), time.Now().UnixNano())
	store, err := clickhouse.Open(address, schema, clickhouse.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	steps, err := store.Plan(t.Context())
	if err == nil {
		err = store.Apply(t.Context(), steps)
	}
	if err != nil {
		t.Fatal(err)
	}
	asktest.Keep(t, store, schema, trade())
	run := func(sql string, from, to time.Time, each string) *analytics.Result {
		t.Helper()
		r, err := store.Select(t.Context(), filled(sql, from, to, each), nil, 0)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return r
	}
	o, err := clickhouse.Options(address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ch.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// alike wants anybody else, as Grafana is, to be told the same.
	alike := func(sql string, from, to time.Time) {
		t.Helper()
		sql = "SELECT arrayStringConcat(groupArray(toString(tuple(*))), ' ') FROM (" + sql + ")"
		var got string
		if err := conn.QueryRow(t.Context(), filled(sql, from, to, "hour")).Scan(&got); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if want := run(sql, from, to, "hour").Rows[0][0]; got != want || got == "" {
			t.Errorf("%s answers %q here, and %q elsewhere", sql, want, got)
		}
	}
	from, to, seen := day, day.Add(24*time.Hour), 0
	for _, board := range boards(t) {
		for _, p := range board.all() {
			for _, target := range p.Targets {
				q, ok := target.(clickHouseQuery)
				if !ok {
					continue
				}
				seen++
				alike(q.RawSQL, from, to)
				for _, each := range []string{"hour", "day", "week", "month"} {
					if r := run(q.RawSQL, from, to, each); len(r.Rows) == 0 {
						t.Errorf("%s finds nothing by the %s: %s", text(p.Title), each, q.RawSQL)
					}
				}
				if r := run(q.RawSQL, from.AddDate(1, 0, 0), to.AddDate(1, 0, 0), "day"); len(r.Rows) != 0 {
					t.Errorf("%s finds %v where nothing happened", text(p.Title), r.Rows)
				}
				if hours := run(q.RawSQL, from, to, "hour"); q.Format == overTime && len(hours.Rows) < 3 {
					t.Errorf("%s has %d hours of four", text(p.Title), len(hours.Rows))
				}
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d queries", seen)
	}
	w := writer{schema}
	for _, q := range b.Business.Questions() {
		if len(q.By) == 0 {
			continue
		}
		p, err := w.greatest(q, []string{q.By[0].Name})
		if err != nil {
			t.Fatal(err)
		}
		got := run(p.Targets[0].(clickHouseQuery).RawSQL, from, to, "day")
		want, err := analytics.Ask(t.Context(), store, schema, q, analytics.Params{From: from, To: to, By: []string{q.By[0].Name}})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Rows) != len(want.Rows) {
			t.Errorf("%s has %d rows on the board, and %d elsewhere", q.Name, len(got.Rows), len(want.Rows))
			continue
		}
		for i, row := range want.Rows {
			for j, c := range want.Columns {
				if x, y := plainly(row[j], c.Kind), plainly(got.Rows[i][j], analytics.IsText); x != y {
					t.Errorf("%s: row %d has %s %s on the board, and %s elsewhere", q.Name, i, c.Name, y, x)
				}
			}
		}
	}
}

// filled is a query as Grafana sends it.
func filled(sql string, from, to time.Time, each string) string {
	return fill(sql, map[string]string{"__from": strconv.FormatInt(from.UnixMilli(), 10), "__to": strconv.FormatInt(to.UnixMilli(), 10), "each": each})
}

// plainly is a value as the board has it.
func plainly(x any, kind analytics.AnswerKind) string {
	s := analytics.PlainText(x)
	if f, err := strconv.ParseFloat(s, 64); err == nil && s != "" {
		if kind == analytics.IsDuration {
			f /= 1e9
		}
		s = strings.TrimSuffix(strconv.FormatFloat(f, 'f', 6, 64), ".000000")
	}
	return s
}
