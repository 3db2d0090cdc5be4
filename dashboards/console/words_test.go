package console

import (
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 400 * time.Microsecond: "0.4 ms", 12 * time.Millisecond: "12 ms", 9996 * time.Microsecond: "10 ms", 999600 * time.Microsecond: "1.0 s",
		1840 * time.Millisecond: "1.8 s", 9960 * time.Millisecond: "10 s", 59 * time.Second: "59 s", 60 * time.Second: "1 min", 125 * time.Second: "2 min 5 s",
		200 * time.Minute: "3 h 20 min", 24 * time.Hour: "1 d", 50 * time.Hour: "2 d 2 h", -3 * time.Second: "−3.0 s",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) is %q, want %q", d, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) is %q", n, got)
		}
	}
	for v, want := range map[float64]string{0: "0", 0.01: "0.1", 4.96: "5.0", 9.96: "10", 1204.4: "1,204"} {
		if got := perSecond(v); got != want {
			t.Errorf("perSecond(%v) is %q, want %q", v, got, want)
		}
	}
	for m, want := range map[projection.Money]string{{Minor: 4820, Currency: "GBP"}: "£48.20", {Minor: 1250, Currency: "JPY"}: "¥1,250", {Minor: 300, Currency: "CHF"}: "3.00 CHF", {Minor: -5, Currency: "EUR"}: "€-0.05", {Minor: -1205, Currency: "KWD"}: "-1.205 KWD", {Minor: 7, Currency: "XXQ"}: "0.07 XXQ", {}: ""} {
		if got := money(m); got != want {
			t.Errorf("money(%v) is %q, want %q", m, got, want)
		}
	}
}

func TestStamp(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for back, want := range map[time.Duration]string{0: "now", 3 * time.Second: "3 s ago", 90 * time.Minute: "1 h ago", -5 * time.Minute: "in 5 min"} {
		if got := stampAt(now.Add(-back), now).Ago; got != want {
			t.Errorf("%v is %q, want %q", back, got, want)
		}
	}
	if s := stampAt(now.Add(-48*time.Hour), now); s.Clock != "31 Dec 12:00" || !strings.HasPrefix(s.Exact, "2025-12-31 12:00:00.000") {
		t.Errorf("the day before yesterday is %+v", s)
	}
	if stampAt(time.Time{}, now) != (stamp{}) {
		t.Error("the zero time is written")
	}
}

// Only what has the one form that nothing else has is hidden in texts: numbers of
// articles, parcels and orders are not cards.
func TestMask(t *testing.T) {
	if m := mask("write to ada.l@example.org of payment.order/1@65"); m != "write to •••@••• of payment.order/1@65" {
		t.Errorf("%s", m)
	}
	for _, fine := range []string{"4006381333931", "4111 1111 1111 1111", "sku pm-12, card-holder and tok_9x", "LABEL-907A966DDAAEE68D"} {
		if m := mask(fine); m != fine {
			t.Errorf("%s is hidden: %s", fine, m)
		}
	}
}

func TestEstimate(t *testing.T) {
	below := make([]float64, 17) // of 100 calls 90 took at most 5 ms, all at most 100 ms
	for i := range below {
		switch {
		case i >= 6:
			below[i] = 100
		case i >= 2:
			below[i] = 90
		}
	}
	if p50, p99 := estimate(below, 100, 0.5), estimate(below, 100, 0.99); p50 != "3.9 ms" || p99 != "96 ms" {
		t.Errorf("P50 is %s and P99 %s", p50, p99)
	}
	if e := estimate(make([]float64, 17), 3, 0.5); e != "> 15 min" {
		t.Errorf("beyond the last bound it is %s", e)
	}
}

func TestSamplesAreBounded(t *testing.T) {
	var s samples
	at := time.Unix(0, 0)
	for i := range 3 * pointsKept {
		s.add(reading{at: at.Add(time.Duration(i) * sampleEvery), events: float64(10 * i)}, 0)
	}
	points, last, before := s.now(rateWindow)
	if len(points) != pointsKept || len(s.readings) != readingKept || cap(s.points) > 3*pointsKept {
		t.Errorf("%d points and %d readings are kept, room for %d", len(points), len(s.readings), cap(s.points))
	}
	if v := rate(before, last, func(r reading) float64 { return r.events }); v != 5 || last.at.Sub(before.at) != rateWindow {
		t.Errorf("the rate is %v over %v", v, last.at.Sub(before.at))
	}
	s.add(reading{at: last.at.Add(sampleEvery)}, 0) // the counters began anew
	if points, _, _ := s.now(0); points[len(points)-1].events != 0 {
		t.Errorf("a counter that began anew has the rate %v", points[len(points)-1].events)
	}
}
