package asktest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
)

// Run runs the suite on a new, empty store.
func Run(t *testing.T, open func(testing.TB, *analytics.Schema) analytics.Store) {
	b := museum()
	top, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := analytics.NewSchema(b, top)
	if err != nil {
		t.Fatal(err)
	}
	told := life()
	m := &asked{T: t, schema: schema, store: open(t, schema), told: told, visits: remember(told)}
	m.empty() // before anything has happened
	Keep(t, m.store, schema, told)
	for name, test := range map[string]func(*asked){"income": (*asked).income, "rooms": (*asked).rooms, "conditions": (*asked).conditions, "documents": (*asked).documents, "cohorts": (*asked).cohorts,
		"pairs": (*asked).pairs, "saga": (*asked).saga, "story": (*asked).story, "parameters": (*asked).parameters} {
		t.Run(name, func(t *testing.T) {
			one := *m
			one.T = t
			test(&one)
		})
	}
}

// asked is a store with all that happened, and what plain Go makes of it.
type asked struct {
	*testing.T
	schema *analytics.Schema
	store  analytics.Store
	told   []Told
	visits map[visitID]*visited
}

type visited struct {
	booked     booked
	at         time.Time
	paid, came time.Time
	stars      int
	rated      time.Time
}

func (v *visited) state() string {
	if !v.came.IsZero() {
		return "came"
	}
	return "booked"
}

func remember(told []Told) map[visitID]*visited {
	out := map[visitID]*visited{}
	of := func(id visitID) *visited {
		if out[id] == nil {
			out[id] = &visited{}
		}
		return out[id]
	}
	for _, x := range told {
		switch e := x.Event.(type) {
		case booked:
			of(e.Visit).booked, of(e.Visit).at = e, x.At
		case paid:
			of(e.Visit).paid = x.At
		case came:
			of(e.Visit).came = x.At
		case rated:
			if v := of(e.Visit); !x.At.Before(v.rated) {
				v.stars, v.rated = e.Stars, x.At
			}
		}
	}
	return out
}

// group is a row of an answer as it is counted: its text first, then numbers.
type group struct {
	key   string
	minor int64
	n     int64
	texts map[string]bool
}

func groups[T any](of []T, add func(T) (key string, minor, n int64, text string)) (out []*group) {
	by := map[string]*group{}
	for _, x := range of {
		key, minor, n, text := add(x)
		if key == "-" {
			continue
		}
		if by[key] == nil {
			by[key] = &group{key: key, texts: map[string]bool{}}
			out = append(out, by[key])
		}
		g := by[key]
		g.minor, g.n, g.texts[text] = g.minor+minor, g.n+n, true
	}
	return out
}

// money is as people write it.
func money(minor int64, currency string) string {
	digits := map[string]int{"GBP": 2, "JPY": 0, "KWD": 3}[currency]
	text := fmt.Sprintf("%0*d", digits+1, minor)
	if digits == 0 {
		return text
	}
	return text[:len(text)-digits] + "." + text[len(text)-digits:]
}

// ask asks, and answers rows as lines of texts.
func (m *asked) ask(name string, p analytics.Params) []string {
	m.Helper()
	a, err := m.answer(name, p)
	if err != nil {
		m.Fatalf("%s: %v", name, err)
	}
	return lines(a)
}

func (m *asked) answer(name string, p analytics.Params) (*analytics.Answer, error) {
	m.Helper()
	q, ok := m.schema.Business.Question(name)
	if !ok {
		m.Fatalf("there is no question %s", name)
	}
	return analytics.Ask(m.Context(), m.store, m.schema, q, p)
}

func lines(a *analytics.Answer) (out []string) {
	for _, row := range a.Rows {
		texts := make([]string, len(row))
		for i, x := range row {
			switch x := x.(type) {
			case float64:
				texts[i] = strconv.FormatFloat(x, 'f', 6, 64)
			default:
				texts[i] = fmt.Sprint(x)
			}
		}
		out = append(out, strings.Join(texts, "|"))
	}
	return out
}

func (m *asked) same(what string, got, want []string) {
	m.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			m.Errorf("%s: %d rows, want %d; row %d is %q, want %q", what, len(got), len(want), i, at(got, i), at(want, i))
			return
		}
	}
	if len(want) == 0 {
		m.Errorf("%s: nothing to compare", what)
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "(none)"
}

// income is of paid visits by the month in New York, the city and the currency.
func (m *asked) income() {
	zone, _ := time.LoadLocation("America/New_York")
	from, to := time.Date(2009, 12, 1, 5, 0, 0, 0, time.UTC), time.Date(2010, 2, 10, 0, 0, 0, 0, time.UTC)
	for unit, format := range map[string]string{"month": "2006-01", "day": "2006-01-02", "hour": "2006-01-02 15:00", "year": "2006", "week": ""} {
		all := groups(m.told, func(x Told) (string, int64, int64, string) {
			e, ok := x.Event.(paid)
			if !ok || x.At.Before(from) || !x.At.Before(to) {
				return "-", 0, 0, ""
			}
			b := x.At.In(zone).Format(format)
			if unit == "week" {
				y, w := x.At.In(zone).ISOWeek()
				b = fmt.Sprintf("%d-W%02d", y, w)
			}
			return b + "\x00" + e.Total.Currency + "\x00" + m.visits[e.Visit].booked.Home.City, e.Total.Minor, 1, string(e.Visit)
		})
		slices.SortFunc(all, func(a, b *group) int {
			x, y := strings.Split(a.key, "\x00"), strings.Split(b.key, "\x00")
			return cmp.Or(strings.Compare(x[0], y[0]), strings.Compare(x[1], y[1]), cmp.Compare(b.minor, a.minor), strings.Compare(x[2], y[2]))
		})
		var want []string
		for _, g := range all {
			k := strings.Split(g.key, "\x00")
			want = append(want, fmt.Sprintf("%s|%s|%s|%s|%d|%d", k[0], k[2], k[1], money(g.minor, k[1]), g.n, len(g.texts)))
		}
		m.same("income by "+unit, m.ask("income", analytics.Params{From: from, To: to, Zone: "America/New_York", By: []string{unit, "city"}}), want)
	}
	all := groups(m.told, func(x Told) (string, int64, int64, string) {
		e, ok := x.Event.(paid)
		if !ok || m.visits[e.Visit].booked.Home.City != cities[3] || m.visits[e.Visit].stars != 4 {
			return "-", 0, 0, ""
		}
		return e.Total.Currency + "\x00" + m.visits[e.Visit].state(), e.Total.Minor, 1, ""
	})
	slices.SortFunc(all, func(a, b *group) int {
		return cmp.Or(strings.Compare(a.key[:3], b.key[:3]), cmp.Compare(b.minor, a.minor), strings.Compare(a.key, b.key))
	})
	var want []string
	for _, g := range all {
		want = append(want, fmt.Sprintf("%s|%s|%s|%d|%d", g.key[4:], g.key[:3], money(g.minor, g.key[:3]), g.n, g.n))
	}
	m.same("income of four stars by state", m.ask("income", analytics.Params{By: []string{"state"}, Where: map[string]string{"city": cities[3], "stars": "4"}}), want)
}

// rooms are the two of each month and currency that bring most, by seats of visits that are paid.
func (m *asked) rooms() {
	type row struct {
		visit *visited
		seats
	}
	var rows []row
	for _, v := range m.visits {
		if !v.paid.IsZero() {
			for _, s := range v.booked.Rooms {
				rows = append(rows, row{v, s})
			}
		}
	}
	sums := map[string]int64{}
	all := groups(rows, func(r row) (string, int64, int64, string) {
		key := r.visit.at.Format("2006-01") + "\x00" + r.Each.Currency + "\x00" + r.Room
		sums[key] += r.Seats
		return key, r.Seats * r.Each.Minor, 1, string(r.visit.booked.Visit)
	})
	slices.SortFunc(all, func(a, b *group) int {
		n := len("2006-01\x00GBP")
		return cmp.Or(strings.Compare(a.key[:n], b.key[:n]), cmp.Compare(b.minor, a.minor), strings.Compare(a.key, b.key))
	})
	var want []string
	place, last := 0, ""
	for _, g := range all {
		k := strings.Split(g.key, "\x00")
		if place++; k[0]+k[1] != last {
			place, last = 1, k[0]+k[1]
		}
		if place <= 2 {
			want = append(want, fmt.Sprintf("%s|%s|%s|%s|%d|%.6f|%d", k[0], k[2], k[1], money(g.minor, k[1]), sums[g.key], float64(sums[g.key])/float64(len(g.texts)), len(g.texts)))
		}
	}
	m.same("rooms", m.ask("rooms", analytics.Params{By: []string{"month", "room"}}), want)
}

func (m *asked) conditions() {
	by := map[string]int{}
	for _, v := range m.visits {
		if c := v.booked.Home.City; c == "Leeds" || c == "York" {
			by[v.booked.Guest]++
		}
	}
	var want []string
	for guest, n := range by {
		want = append(want, fmt.Sprintf("%s|%d", guest, n))
	}
	slices.SortFunc(want, func(a, b string) int {
		x, y, _ := strings.Cut(a, "|")
		z, w, _ := strings.Cut(b, "|")
		return cmp.Or(cmp.Compare(number(w), number(y)), strings.Compare(x, z))
	})
	m.same("visits of the north", m.ask("north", analytics.Params{}), want)
	paids, refusals, sums := 0, 0, map[string]int64{}
	counts := map[string]int{}
	for _, x := range m.told {
		switch e := x.Event.(type) {
		case paid:
			paids++
			sums[e.Total.Currency] += e.Total.Minor
			counts[e.Total.Currency]++
		case refused:
			refusals++
		}
	}
	want = []string{fmt.Sprintf("|%d|0|0.000000|%s", refusals, "0.00")}
	for _, c := range []string{"GBP", "JPY", "KWD"} {
		want = append(want, fmt.Sprintf("%s|%d|%d|1.000000|%s", c, counts[c], counts[c], money(sums[c], c)))
	}
	m.same("answers of the till", m.ask("answers", analytics.Params{}), want)
}

func number(s string) int { n, _ := strconv.Atoi(s); return n }

// empty are ranges in which nothing happened.
func (m *asked) empty() {
	for _, q := range m.schema.Business.Questions() {
		p := analytics.Params{From: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(1990, 2, 1, 0, 0, 0, 0, time.UTC)}
		if q.View != nil {
			p.Key = "v-7"
		}
		a, err := analytics.Ask(m.Context(), m.store, m.schema, q, p)
		if err != nil {
			m.Errorf("%s of nothing: %v", q.Name, err)
			continue
		}
		if b, err := json.Marshal(a); err != nil || !strings.Contains(string(b), `"rows":[]`) || len(a.Columns) == 0 || a.More {
			m.Errorf("%s of nothing is %s (%v)", q.Name, b, err)
		}
	}
}

// parameters that mean nothing are refused; what is asked with is never SQL.
func (m *asked) parameters() {
	m.empty()
	day := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	for want, ask := range map[string]struct {
		name string
		p    analytics.Params
	}{
		`"Mars/Base" is no time zone`:                      {"income", analytics.Params{Zone: "Mars/Base"}},
		`"Local" is no time zone`:                          {"income", analytics.Params{Zone: "Local"}},
		`before it begins at 2010-01-01T00:00:00Z`:         {"income", analytics.Params{From: day, To: day.Add(-1)}},
		`is out of the years 1900 to 2200`:                 {"income", analytics.Params{From: day.AddDate(1000, 0, 0)}},
		`an answer has up to 100000 rows`:                  {"income", analytics.Params{Limit: 1e6}},
		`visit-story is about one visit: say which`:        {"visit-story", analytics.Params{}},
		`income is about no key`:                           {"income", analytics.Params{Key: "v-1"}},
		"income has no dimension \"x`y\" to choose by":     {"income", analytics.Params{Where: map[string]string{"x`y": "1"}}},
		`income cannot be told apart by "week": it`:        {"income", analytics.Params{By: []string{"day", "week"}}},
		`income cannot be told apart by "city": it`:        {"income", analytics.Params{By: []string{"city", "city"}}},
		`income cannot be told apart by "total": it`:       {"income", analytics.Params{By: []string{"total", "city"}}},
		`again cannot be told apart by "hour": it`:         {"again", analytics.Params{By: []string{"hour"}}},
		`together cannot be told apart by "day": its rows`: {"together", analytics.Params{By: []string{"day"}}},
		`stars is a whole number, and not "many"`:          {"income", analytics.Params{Where: map[string]string{"stars": "many"}}},
	} {
		var bad *analytics.ParamError
		if _, err := m.answer(ask.name, ask.p); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			m.Errorf("want %s, got %v", want, err)
		}
	}
	if _, err := m.answer("income", analytics.Params{Most: 1}); !errors.Is(err, analytics.ErrTooMuch) {
		m.Errorf("a question that reads too much: %v", err)
	}
	for _, city := range []string{"'; DROP TABLE events; --", "?", `\`, "%s"} {
		if a, err := m.answer("income", analytics.Params{Where: map[string]string{"city": city}}); err != nil || len(a.Rows) != 0 {
			m.Errorf("income of %q is %v (%v)", city, a, err)
		}
	}
	a, err := m.answer("north", analytics.Params{Limit: 3})
	if err != nil || len(a.Rows) != 3 || !a.More {
		m.Errorf("three rows are %v (%v)", a, err)
	}
}
