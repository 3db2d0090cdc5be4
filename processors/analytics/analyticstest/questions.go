package analyticstest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/streams"
)

var questionCases = []testCase{
	{"QuestionsWithArguments", questionsWithArguments},
	{"AQuestionReadsTooMuch", aQuestionReadsTooMuch},
	{"AQuestionChangesNothing", aQuestionChangesNothing},
	{"ALongQuestion", aLongQuestion},
	{"Buckets", buckets},
	{"Quantiles", quantiles},
	{"TheLatestOfSome", theLatestOfSome},
	{"MoneyIsExact", moneyIsExact},
	{"ElementsOfLists", elementsOfLists},
	{"OfNothing", ofNothing},
}

func questionsWithArguments(p *place) {
	_, s := p.sailed()
	d := s.Dialect()
	r, err := s.Select(ctx, "SELECT `key`, `sequence` AS `n` FROM `events` WHERE `type` = ? AND `key` IN (?, ?) AND `partition` >= ? ORDER BY `key`", []any{"crossing.booked", "x003", "x001", int64(0)}, 0)
	if err != nil || len(r.Columns) != 2 || r.Columns[1] != "n" {
		p.Fatalf("got %+v (%v)", r, err)
	}
	p.same("two", r.Rows, "x001 1", "x003 3")
	r, err = s.Select(ctx, "SELECT `key` FROM `events` WHERE `type` = ?", []any{"' OR 1 = 1 --"}, 0)
	if err != nil || len(r.Rows) != 0 || len(r.Columns) != 1 {
		p.Errorf("got %+v (%v)", r, err)
	}
	p.same("other values", p.ask(s, "SELECT 'é''x', 1, -2.5, NULL FROM `events` ORDER BY `sequence` LIMIT 1"), "é'x 1 -2.5 null")
	times := p.ask(s, "SELECT min("+d.Nanos("`time`")+"), max("+d.Nanos("`time`")+"), count(*) FROM `events`")[0]
	first, last, all := times[0].(int64), times[1].(int64), times[2].(int64)
	count := func(condition string, args ...any) int64 {
		return p.ask(s, "SELECT count(*) FROM `events` WHERE "+condition, args...)[0][0].(int64)
	}
	since, until := count(d.After("`time`"), first+1), count(d.Before("`time`"), first+1)
	if since+until != all || since == 0 || until == 0 || count(d.After("`time`")+" AND "+d.Before("`time`"), first, last+1) != all || count(d.Before("`time`"), first) != 0 {
		p.Errorf("of %d events %d are since, and %d until the first", all, since, until)
	}
	p.same("different ones", p.ask(s, "SELECT "+d.Distinct("`_key`")+" FROM `event_crossing_booked`"), "20")
}

func aQuestionReadsTooMuch(p *place) {
	_, s := p.sailed()
	const q = "SELECT count(*) FROM `events` WHERE `data` <> ''"
	n := p.ask(s, q)[0][0].(int64)
	if r, err := s.Select(ctx, q, nil, 1_000_000); err != nil || r.Rows[0][0] != n {
		p.Errorf("a bound far away: %v", err)
	}
	for _, sql := range []string{q, "SELECT count(*) FROM (SELECT `_key` FROM `view_crossings` GROUP BY `_key`) AS `x`"} {
		if r, err := s.Select(ctx, sql, nil, 2); !errors.Is(err, analytics.ErrTooMuch) || !strings.Contains(fmt.Sprint(err), "2") {
			p.Errorf("%s: got %+v (%v), want ErrTooMuch", sql, r, err)
		}
	}
}

func aQuestionChangesNothing(p *place) {
	l, s := p.sailed()
	for _, sql := range []string{"DELETE FROM `events` WHERE 1 = 1", "DROP TABLE `view_crossings`", "SELECT `nothing` FROM `events`", "SELECT", ""} {
		if _, err := s.Select(ctx, sql, nil, 0); err == nil || errors.Is(err, projection.ErrUnavailable) {
			p.Errorf("%q: got error %v", sql, err)
		}
	}
	p.blocksFit(s)
	l.Produce(weather("buoy", "afterwards", "h1", 1))
	p.catchUp(l, s)
}

// aLongQuestion stands in nobody's way, and ends when it is told to.
func aLongQuestion(p *place) {
	l, s := p.sailed()
	asked, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Select(asked, "SELECT sum(a.`sequence` * b.`sequence` + c.`sequence` * d.`sequence` + e.`partition`) FROM `events` AS a, `events` AS b, `events` AS c, `events` AS d, `events` AS e", nil, 0)
		ended <- err
	}()
	time.Sleep(50 * time.Millisecond)
	for i := range 3 {
		l.Produce(weather("buoy", fmt.Sprint("meanwhile", i), "h1", 1))
		p.catchUp(l, s)
	}
	select {
	case err := <-ended:
		p.Fatalf("it ended by itself: %v", err)
	default:
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			p.Errorf("it ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		p.Error("it goes on after its end")
	}
}

// happened emits an event at each of some times, whose key is its index.
func happened(l *projectiontest.Log, times ...string) {
	w := l.Writer("harbour", 0)
	for i, at := range times {
		when, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			panic(err)
		}
		w.At = when.Add(-time.Millisecond) // it goes on before each
		w.Emit("c", Boarded{Crossing: CrossingID(fmt.Sprintf("%02d", i))})
	}
}

func buckets(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	cases := []struct{ at, unit, zone, want string }{
		{"2010-12-01T08:59:59.999Z", "hour", "UTC", "2010-12-01 08:00"},
		{"2010-10-31T00:30:00Z", "hour", "Europe/London", "2010-10-31 01:00"}, // summer time
		{"2010-10-31T01:30:00Z", "hour", "Europe/London", "2010-10-31 01:00"}, // winter time
		{"2010-10-31T02:00:00Z", "hour", "Europe/London", "2010-10-31 02:00"},
		{"2010-03-28T00:59:59.999Z", "hour", "Europe/London", "2010-03-28 00:00"},
		{"2010-03-28T01:00:00Z", "hour", "Europe/London", "2010-03-28 02:00"},
		{"2010-07-01T23:30:00Z", "day", "Europe/London", "2010-07-02"},
		{"2010-12-01T23:30:00Z", "day", "Europe/London", "2010-12-01"},
		{"2010-12-31T18:29:59.999Z", "hour", "Asia/Kolkata", "2010-12-31 23:00"},
		{"2010-12-31T18:30:00Z", "hour", "Asia/Kolkata", "2011-01-01 00:00"},
		{"2010-12-31T18:30:00Z", "day", "Asia/Kolkata", "2011-01-01"},
		{"2010-12-31T18:30:00Z", "month", "Asia/Kolkata", "2011-01"},
		{"2010-12-31T18:30:00Z", "year", "Asia/Kolkata", "2011"},
		{"2010-12-31T18:30:00Z", "year", "UTC", "2010"},
		{"2010-12-01T08:00:00Z", "week", "UTC", "2010-W48"},
		{"2010-01-03T12:00:00Z", "week", "UTC", "2009-W53"},
		{"2010-01-03T23:59:59.999Z", "week", "UTC", "2009-W53"},
		{"2010-01-04T00:00:00Z", "week", "UTC", "2010-W01"},
		{"2012-12-31T00:00:00Z", "week", "UTC", "2013-W01"},
		{"2012-12-30T18:30:00Z", "week", "Asia/Kolkata", "2013-W01"},
		{"1969-12-31T23:30:00Z", "day", "UTC", "1969-12-31"},
	}
	var times []string
	for _, c := range cases {
		times = append(times, c.at)
	}
	happened(l, times...)
	p.catchUp(l, s)
	for i, c := range cases {
		rows := p.ask(s, "SELECT "+s.Dialect().Bucket("`_time`", c.unit, c.zone)+" FROM `event_crossing_boarded` WHERE `_key` = ?", fmt.Sprintf("%02d", i))
		p.same(fmt.Sprint(c.unit, " of ", c.at, " in ", c.zone), rows, c.want)
	}
	p.same("grouped", p.ask(s, "SELECT "+s.Dialect().Bucket("`_time`", "year", "UTC")+" AS `b`, count(*) FROM `event_crossing_boarded` GROUP BY `b` ORDER BY `b`"),
		"1969 1", "2010 18", "2012 2")
}

func quantiles(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	w := l.Writer("harbour", 0)
	for i := range int64(20) {
		w.Emit("c", Arrived{Crossing: CrossingID(fmt.Sprint("x", i)), Late: (i*7)%20 + 1}) // 1 to 20
	}
	for i := range 3 {
		l.Produce(weather("buoy", fmt.Sprint("w", i), "h1", float64(i)+0.25))
	}
	p.catchUp(l, s)
	for q, want := range map[float64]string{0: "1", 0.04: "1", 0.05: "2", 0.5: "11", 0.9: "19", 0.95: "20", 0.99: "20", 1: "20"} {
		p.same(fmt.Sprint("the quantile ", q), p.ask(s, "SELECT "+s.Dialect().Quantile("`late`", q)+" FROM `event_crossing_arrived`"), want)
	}
	p.same("of numbers", p.ask(s, "SELECT "+s.Dialect().Quantile("`wind`", 0.5)+" FROM `event_weather_told`"), "1.25")
}

func theLatestOfSome(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	w := l.Writer("harbour", 0)
	noon := w.At
	for i, minutes := range []int{5, 9, 1, 9, 7} { // the second of those at 9 has the greater sequence
		w.At = noon.Add(time.Duration(minutes) * time.Minute)
		w.Emit("c", Boarded{Crossing: "x1", Gate: fmt.Sprint("g", i)})
	}
	w.Emit("c", Boarded{Crossing: "x2", Gate: "g9"})
	p.catchUp(l, s)
	latest := func(condition string) string {
		return s.Dialect().ArgMax("`gate`", "`_time`", "`_sequence`", condition)
	}
	p.same("the latest", p.ask(s, "SELECT `_key`, "+latest("1 = 1")+", "+latest("`gate` < 'g3'")+", "+latest("`gate` = 'g0'")+" FROM `event_crossing_boarded` WHERE `_key` = 'x1' GROUP BY `_key`"),
		"x1 g3 g1 g0")
	p.same("of each", p.ask(s, "SELECT `_key`, "+latest("1 = 1")+" FROM `event_crossing_boarded` GROUP BY `_key` ORDER BY `_key`"), "x1 g3", "x2 g9")
}

func moneyIsExact(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	w := l.Writer("purser", 0)
	pay := func(amounts ...Coins) {
		for _, c := range amounts {
			w.Emit("c", FarePaid{Crossing: "x1", Traveller: "ada", Fare: c})
		}
	}
	pay(Coins{510, "GBP"}, Coins{-515, "GBP"}, Coins{510, "JPY"}, Coins{511, "JPY"}, Coins{1510, "BHD"}, Coins{-10, "BHD"}, Coins{99, "QQQ"}, Coins{1, ""},
		Coins{math.MaxInt64, "EUR"}, Coins{math.MinInt64 + 1, "USD"})
	p.catchUp(l, s)
	d := s.Dialect()
	scaled := func(f string) string { return d.Scaled(f+"(`fare`)", "`fare_currency`") }
	const from = " FROM `event_fare_paid` GROUP BY `fare_currency` ORDER BY `fare_currency`"
	p.same("money", p.ask(s, "SELECT `fare_currency`, "+scaled("sum")+", "+scaled("min")+", "+scaled("max")+from),
		" 100 100 100", "BHD 15000 -100 15100", "EUR 922337203685477580700 922337203685477580700 922337203685477580700", "GBP -500 -51500 51000",
		"JPY 10210000 5100000 5110000", "QQQ 9900 9900 9900", "USD -922337203685477580700 -922337203685477580700 -922337203685477580700")
	pay(Coins{math.MaxInt64, "EUR"}, Coins{math.MaxInt64, "EUR"})
	p.catchUp(l, s)
	sum := new(big.Int).Mul(big.NewInt(math.MaxInt64), big.NewInt(300))
	r, err := s.Select(ctx, "SELECT "+scaled("sum")+" FROM `event_fare_paid` WHERE `fare_currency` = 'EUR' GROUP BY `fare_currency`", nil, 0)
	if err == nil && r.Rows[0][0] != sum.String() {
		p.Errorf("a sum beyond 64 bits is %v, want %s or an error", r.Rows[0][0], sum)
	}
	if errors.Is(err, projection.ErrUnavailable) {
		p.Errorf("a sum beyond 64 bits is for waiting: %v", err)
	}
}

func elementsOfLists(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	w := l.Writer("harbour", 0)
	none := booked("x2", "bob")
	none.Cabins = nil
	many := booked("x3", "bob")
	many.Cabins = nil
	for i := range 12 {
		many.Cabins = append(many.Cabins, Cabin{Deck: fmt.Sprint("d", i%3), Beds: i, Fare: Coins{int64(i), []string{"GBP", "JPY"}[i%2]}})
	}
	w.Emit("c", booked("x1", "ada"), none, many)
	p.catchUp(l, s)
	d := s.Dialect()
	t, _ := schemaOf(p, ferry()).Type("crossing.booked")
	var lists []analytics.Column
	for _, name := range []string{"cabins_deck", "cabins_beds", "cabins_fare", "cabins_fare_currency"} {
		c, _ := t.Column(name)
		lists = append(lists, c)
	}
	from := " FROM " + d.Each(t.Name, lists)
	p.same("by deck", p.ask(s, "SELECT `cabins_deck`, count(*), sum(`cabins_beds`)"+from+" GROUP BY `cabins_deck` ORDER BY `cabins_deck`"),
		"d0 4 18", "d1 4 22", "d2 4 26", "lower 1 1", "upper 1 2")
	p.same("by key", p.ask(s, "SELECT `_key`, `traveller`, count(*)"+from+" WHERE `cabins_beds` > ? GROUP BY `_key`, `traveller` ORDER BY `_key`", int64(0)), "x1 ada 2", "x3 bob 11")
	p.same("money", p.ask(s, "SELECT `cabins_fare_currency`, "+d.Scaled("sum(`cabins_fare`)", "`cabins_fare_currency`")+from+" GROUP BY `cabins_fare_currency` ORDER BY `cabins_fare_currency`"),
		"GBP 54000", "JPY 360000")
	deck := lists[:1]
	p.same("one list", p.ask(s, "SELECT "+d.Distinct("`cabins_deck`")+", count(*) FROM "+d.Each(t.Name, deck)), "5 14")
}

// ofNothing has no values: all but counts are null.
func ofNothing(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	l.Produce(weather("buoy", "w1", "h1", 1))
	p.catchUp(l, s)
	d := s.Dialect()
	p.same("of no rows", p.ask(s, "SELECT count(*), "+d.Distinct("`_key`")+", sum(`late`), min(`late`), max(`late`), "+d.Quantile("`late`", 0.5)+", "+
		d.ArgMax("`late`", "`_time`", "`_sequence`", "1 = 1")+" FROM `event_crossing_arrived`"), "0 0 null null null null null")
	p.same("of no row that meets the condition", p.ask(s, "SELECT `_key`, "+d.ArgMax("`wind`", "`_time`", "`_sequence`", "`wind` > 1")+" FROM `event_weather_told` GROUP BY `_key`"), "h1 null")
	p.same("no rows", p.ask(s, "SELECT `_key`, count(*) FROM `event_crossing_arrived` GROUP BY `_key`"))
	known, err := s.Known(ctx, []streams.ExternalID{})
	if err != nil || len(known) != 0 {
		p.Errorf("of no ids %v are known (%v)", known, err)
	}
}
