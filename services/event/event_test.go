package event_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/weirstream/weir/services/event"
)

func TestMoney(t *testing.T) {
	eur := func(n int64) event.Money { return event.Money{Minor: n, Currency: "EUR"} }
	for _, c := range []struct {
		a, b int64
		fits bool
	}{{1, 2, true}, {math.MaxInt64, 1, false}, {math.MaxInt64 - 1, 1, true}, {math.MinInt64, -1, false}, {math.MinInt64, 1, true}} {
		m, err := eur(c.a).Plus(eur(c.b))
		if c.fits != (err == nil) || (c.fits && m != eur(c.a+c.b)) {
			t.Errorf("%d + %d = %v, %v", c.a, c.b, m, err)
		}
	}
	for _, c := range []struct {
		a, n int64
		fits bool
	}{{3, 4, true}, {0, math.MinInt64, true}, {math.MaxInt64, 2, false}, {-1, math.MinInt64, false}, {math.MinInt64, -1, false}, {1 << 32, 1 << 31, false}, {-(1 << 32), 1 << 31, true}} {
		m, err := eur(c.a).Times(c.n)
		if c.fits != (err == nil) || (c.fits && m != eur(c.a*c.n)) {
			t.Errorf("%d × %d = %v, %v", c.a, c.n, m, err)
		}
	}
	var currency *event.CurrencyError
	if _, err := eur(1).Plus(event.Money{Minor: 1, Currency: "GBP"}); !errors.As(err, &currency) {
		t.Errorf("EUR + GBP gave %v", err)
	}
	for _, bad := range []string{"", "eur", "EU", "EURO", "ÉUR", "E R"} {
		if (event.Money{Currency: bad}).CheckCurrency() == nil {
			t.Errorf("%q passed as a currency", bad)
		}
	}
	b, err := json.Marshal(eur(1250))
	if err != nil || string(b) != `{"minor":1250,"currency":"EUR"}` {
		t.Errorf("money is %s on the wire (%v)", b, err)
	}
}

// What no path can hold names nothing of an order.
func TestNamesOfNoPathAreRefused(t *testing.T) {
	for sku, id := range map[event.SKU]event.OrderID{"..": "o-1", ".": "o-1", "mug": "."} {
		e := event.OrderPlaced{Order: id, Customer: "ada", Lines: []event.Line{{SKU: sku, Quantity: 1, Unit: event.Money{Minor: 1, Currency: "EUR"}}}}
		if _, err := e.Priced(); err == nil || !strings.Contains(err.Error(), "nothing may be called") {
			t.Errorf("%s of order %s: %v", sku, id, err)
		}
	}
}

// The largest order that passes has to fit into a record of Kafka's default
// limit, 1 MiB with headers.
func TestTheLargestOrderFitsARecord(t *testing.T) {
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'x'
		}
		return string(b)
	}
	e := event.OrderPlaced{Order: event.OrderID(text(event.MaxText)), Lines: make([]event.Line, event.MaxLines)}
	for i := range e.Lines {
		e.Lines[i] = event.Line{SKU: event.SKU(text(event.MaxSKU)), Quantity: event.MaxQuantity, Unit: event.Money{Minor: event.MaxTotal / event.MaxLines / event.MaxQuantity, Currency: "EUR"}}
	}
	e, err := e.Priced()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(e)
	if err != nil || len(b) > 1_000_000 {
		t.Errorf("order.placed may have %d bytes (%v)", len(b), err)
	}
}
