package shop_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/asktest"
	"github.com/weirstream/weir/processors/analytics/sqlite"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/review"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
)

// sale is an order as the test knows it.
type sale struct {
	event.OrderPlaced
	at        time.Time
	confirmed bool
	cancelled string // why
	refunded  bool
	shipped   time.Time
}

// sales are orders of some months: most are confirmed, some cancelled before or after.
func sales() (all []*sale, told []asktest.Told) {
	chance := rand.New(rand.NewPCG(3, 4))
	start := time.Date(2010, 12, 1, 8, 0, 0, 0, time.UTC)
	for i := range 400 {
		s := &sale{at: start.Add(time.Duration(chance.Int64N(int64(100 * 24 * time.Hour))))}
		s.Order, s.Customer = event.OrderID(fmt.Sprint("o-", i)), fmt.Sprint("c-", chance.IntN(80))
		s.ShipTo = event.Address{Name: "N", Street: "S", City: "C", Postcode: "P", Country: []string{"GB", "FR", "DE"}[chance.IntN(3)]}
		currency := []string{"GBP", "EUR"}[chance.IntN(2)]
		s.Total.Currency = currency
		for range 1 + chance.IntN(6) {
			l := event.Line{SKU: event.SKU(fmt.Sprint("sku-", chance.IntN(12))), Quantity: 1 + chance.Int64N(9), Unit: event.Money{Minor: 1 + chance.Int64N(5000), Currency: currency}}
			s.Lines = append(s.Lines, l)
			s.Total.Minor += l.Quantity * l.Unit.Minor
		}
		at := s.at
		tell := func(e streams.Event) {
			told = append(told, asktest.Told{Event: e, At: at, Correlation: string(s.Order)})
			at = at.Add(time.Duration(1 + chance.Int64N(int64(30*time.Hour))))
		}
		tell(s.OrderPlaced)
		switch n := chance.IntN(10); {
		case n == 0:
			tell(event.PaymentDeclined{Order: s.Order, Reason: "no funds"})
			s.cancelled = "payment declined: no funds"
			tell(event.OrderCancelled{Order: s.Order, Reason: s.cancelled})
		default:
			tell(event.PaymentAuthorised{Order: s.Order, Amount: s.Total})
			tell(event.OrderConfirmed{Order: s.Order, Total: s.Total, Lines: len(s.Lines)})
			s.confirmed = true
			if n == 1 {
				s.cancelled, s.refunded = "changed my mind", true
				tell(event.OrderCancelled{Order: s.Order, Reason: s.cancelled})
				tell(event.PaymentRefunded{Order: s.Order, Amount: s.Total})
			} else if n > 3 {
				s.shipped = at
				tell(event.OrderShipped{Order: s.Order, Carrier: "post", Tracking: "t"})
			}
		}
		all = append(all, s)
	}
	return all, told
}

// asked is a store that has told events, to be asked the shop's questions.
func asked(t *testing.T, told []asktest.Told) func(name string, p analytics.Params) []string {
	t.Helper()
	top, err := shop.Business.Topology()
	check(t, err)
	schema, err := analytics.NewSchema(shop.Business, top)
	check(t, err)
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "analytics.db"), schema)
	check(t, err)
	t.Cleanup(func() { store.Close() })
	asktest.Keep(t, store, schema, told)
	m := &analytics.Model{Store: store, Schema: schema}
	return func(name string, p analytics.Params) (out []string) {
		t.Helper()
		a, err := m.Ask(t.Context(), name, p)
		check(t, err)
		for _, row := range a.Rows {
			out = append(out, strings.TrimSuffix(fmt.Sprintln(row...), "\n"))
		}
		return out
	}
}

// counted is a row of an answer, to be sorted as answers are.
type counted struct {
	key, currency string
	minor, n      int64
	of            map[string]bool
}

// count sums by a key and a currency.
type count map[[2]string]*counted

func (c count) add(key string, m event.Money, n int64, of string) {
	at := [2]string{key, m.Currency}
	if c[at] == nil {
		c[at] = &counted{key: key, currency: m.Currency, of: map[string]bool{}}
	}
	c[at].minor, c[at].n = c[at].minor+m.Minor, c[at].n+n
	c[at].of[of] = true
}

// lines are the rows by currency, from the greatest on.
func (c count) lines(line func(*counted) string, first func(*counted) int64) (out []string) {
	var all []*counted
	for _, x := range c {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *counted) int {
		return cmp.Or(strings.Compare(a.currency, b.currency), cmp.Compare(first(b), first(a)), strings.Compare(a.key, b.key))
	})
	for _, x := range all {
		out = append(out, line(x))
	}
	return out
}

func pounds(minor int64) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) }

// What the shop asks of sales is what plain Go counts over the same events.
func TestQuestionsAboutSales(t *testing.T) {
	all, told := sales()
	ask := asked(t, told)
	same := func(name string, p analytics.Params, want []string) {
		t.Helper()
		if got := ask(name, p); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s of %+v:\n%s\nwant\n%s", name, p, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	from, to := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2011, 2, 1, 0, 0, 0, 0, time.UTC)
	in := func(at time.Time) bool { return !at.Before(from) && at.Before(to) }
	confirmedAt := map[event.OrderID]time.Time{}
	for _, x := range told {
		if e, ok := x.Event.(event.OrderConfirmed); ok {
			confirmedAt[e.Order] = x.At
		}
	}
	minor, times := func(c *counted) int64 { return c.minor }, func(c *counted) int64 { return c.n }
	revenue, products, cancelled, refunds, together, lines := count{}, count{}, count{}, count{}, count{}, map[[2]string]int64{}
	for _, s := range all {
		if at := confirmedAt[s.Order]; s.confirmed && in(at) {
			revenue.add(s.ShipTo.Country, s.Total, 1, "")
			lines[[2]string{s.ShipTo.Country, s.Total.Currency}] += int64(len(s.Lines))
		}
		if s.confirmed && in(s.at) {
			basket := map[event.SKU]bool{}
			for _, l := range s.Lines {
				products.add(string(l.SKU), event.Money{Minor: l.Quantity * l.Unit.Minor, Currency: l.Unit.Currency}, l.Quantity, string(s.Order))
				basket[l.SKU] = true
			}
			for a := range basket {
				for b := range basket {
					if a < b {
						together.add(string(a)+" "+string(b), event.Money{}, 1, "")
					}
				}
			}
		}
		if s.cancelled != "" {
			cancelled.add(s.cancelled, event.Money{}, 1, "")
		}
		if s.refunded {
			refunds.add(s.cancelled, s.Total, 1, "")
		}
	}
	january := analytics.Params{From: from, To: to}
	same("revenue", january, revenue.lines(func(c *counted) string {
		return fmt.Sprintf("%s %s %s %d %d", c.key, c.currency, pounds(c.minor), c.n, lines[[2]string{c.key, c.currency}])
	}, minor))
	same("products", january, products.lines(func(c *counted) string {
		return fmt.Sprintf("%s %s %s %d %d", c.key, c.currency, pounds(c.minor), c.n, len(c.of))
	}, minor))
	same("baskets", january, together.lines(func(c *counted) string { return fmt.Sprintf("%s %d", c.key, c.n) }, times))
	same("cancellations", analytics.Params{}, cancelled.lines(func(c *counted) string { return fmt.Sprintf("%s %d", c.key, c.n) }, times))
	same("refunds", analytics.Params{}, refunds.lines(func(c *counted) string { return fmt.Sprintf("%s %s %s %d", c.key, c.currency, pounds(c.minor), c.n) }, minor))
	same("returning", analytics.Params{}, returning(all))
	same("delivery", analytics.Params{By: []string{"total"}}, []string{delivered(all)})
	paid, declined := 0, 0
	for _, s := range all {
		if s.confirmed {
			paid++
		} else {
			declined++
		}
	}
	same("payments", analytics.Params{}, []string{fmt.Sprint(paid+declined, " ", paid, " ", declined, " ", float64(paid)/float64(paid+declined))})
}

// returning are cohorts by the month.
func returning(all []*sale) (want []string) {
	month := func(t time.Time) int { return t.Year()*12 + int(t.Month()) - 1 }
	first := map[string]int{}
	came := map[[2]int]map[string]bool{}
	for _, s := range all {
		if m := month(s.at); s.confirmed && (first[s.Customer] == 0 || m < first[s.Customer]) {
			first[s.Customer] = m
		}
	}
	for _, s := range all {
		if s.confirmed {
			k := [2]int{first[s.Customer], month(s.at) - first[s.Customer]}
			if came[k] == nil {
				came[k] = map[string]bool{}
			}
			came[k][s.Customer] = true
		}
	}
	for k, who := range came {
		want = append(want, fmt.Sprintf("%d-%02d %d %d %v", k[0]/12, k[0]%12+1, k[1], len(who), float64(len(who))/float64(len(came[[2]int{k[0], 0}]))))
	}
	slices.Sort(want)
	return want
}

func delivered(all []*sale) string {
	var waits []int64
	for _, s := range all {
		if !s.shipped.IsZero() {
			waits = append(waits, int64(s.shipped.Sub(s.at)))
		}
	}
	slices.Sort(waits)
	q := func(q float64) int64 { return waits[int(q*float64(len(waits)))] }
	return fmt.Sprint(len(all), " ", q(0.5), " ", q(0.95), " ", q(0.99))
}

// What the shop asks of its shelves and its reviews, of a few events.
func TestQuestionsAboutShelvesAndReviews(t *testing.T) {
	at := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC)
	var told []asktest.Told
	tell := func(e streams.Event) { told = append(told, asktest.Told{Event: e, At: at, Correlation: "c"}) }
	tell(event.StockAdded{SKU: "mug", Quantity: 40})
	tell(event.StockDrawn{SKU: "mug", Order: "o-1", Quantity: 10})
	tell(event.StockDrawn{SKU: "cup", Order: "o-1", Quantity: 3})
	tell(event.StockShort{SKU: "mug", Order: "o-2", Quantity: 50, Available: 30})
	tell(event.StockShort{SKU: "mug", Order: "o-3", Quantity: 31, Available: 30})
	for i, stars := range []int{5, 4, 5, 1} {
		e := review.Published{Product: event.SKU([]string{"mug", "mug", "mug", "cup"}[i]), Stars: stars}
		e.Review = review.ReviewID(fmt.Sprint("r-", i))
		tell(e)
	}
	ask := asked(t, told)
	for name, want := range map[string][]string{"stock": {"mug 10 40 0.25 2 81", "cup 3 0 <nil> 0 0"}, "stars": {"mug 3 14 4.666666666666667", "cup 1 1 1"}} {
		if got := ask(name, analytics.Params{}); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := ask("stars", analytics.Params{By: []string{"rating"}, Where: map[string]string{"product": "mug"}}); !slices.Equal(got, []string{"5 2 10 5", "4 1 4 4"}) {
		t.Errorf("stars of mugs: %q", got)
	}
	if got := ask("order-story", analytics.Params{Key: "o-1"}); len(got) != 0 {
		t.Errorf("an order that was never placed has the story %q", got)
	}
}
