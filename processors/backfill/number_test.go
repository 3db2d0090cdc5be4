package backfill

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestNumbers(t *testing.T) {
	plain, german := notation{point: '.'}, notation{point: ',', thousands: '.'}
	for _, c := range []struct {
		f    notation
		text string
		want decimal
		bad  bool
	}{
		{plain, "2.55", decimal{255, 2}, false}, {plain, "-0.050", decimal{-5, 2}, false}, {plain, "+7", decimal{7, 0}, false}, {plain, "2.", decimal{2, 0}, false},
		{plain, "000000000000000000000001", decimal{1, 0}, false}, {plain, "999999999999999999", decimal{999999999999999999, 0}, false},
		{german, "1.234.567,89", decimal{123456789, 2}, false}, {german, "1234,5", decimal{12345, 1}, false},
		{plain, "", decimal{}, true}, {plain, "-", decimal{}, true}, {plain, ".5", decimal{}, true}, {plain, "1,000", decimal{}, true}, {plain, "1e3", decimal{}, true},
		{plain, "--1", decimal{}, true}, {plain, "1 ", decimal{}, true}, {plain, "1.-5", decimal{}, true}, {plain, "NaN", decimal{}, true}, {plain, "٣", decimal{}, true},
		{plain, "9999999999999999999", decimal{}, true}, {plain, "0.0000000000000000001", decimal{}, true}, {plain, strings.Repeat("9", 1<<20), decimal{}, true},
		{german, "1.23", decimal{}, true}, {german, "1234.567", decimal{}, true}, {german, ".123", decimal{}, true}, {german, "1.2.3", decimal{}, true},
	} {
		got, err := c.f.parse(c.text)
		if (err != nil) != c.bad || err == nil && got != c.want {
			t.Errorf("%.40q is %+v, %v", c.text, got, err)
		}
	}
}

func TestMoneyIsExact(t *testing.T) {
	for _, c := range []struct {
		text   string
		digits int
		round  bool
		want   int64
		bad    bool
	}{
		{"2.55", 2, false, 255, false}, {"2.5500", 2, false, 255, false}, {"1250", 0, false, 1250, false}, {"0.125", 3, false, 125, false}, {"90000000000000000", 2, false, 9000000000000000000, false},
		{"2.555", 2, false, 0, true}, {"1.5", 0, false, 0, true}, {"99999999999999999", 3, false, 0, true},
		{"2.555", 2, true, 256, false}, {"2.545", 2, true, 254, false}, {"2.5451", 2, true, 255, false}, {"-2.545", 2, true, -254, false}, {"-2.555", 2, true, -256, false}, {"0.5", 0, true, 0, false}, {"-0.5", 0, true, 0, false}, {"1.5", 0, true, 2, false},
	} {
		d, err := notation{point: '.'}.parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.in(c.digits, c.round)
		if (err != nil) != c.bad || err == nil && got != c.want {
			t.Errorf("%s with %d digits is %d, %v, want %d", c.text, c.digits, got, err, c.want)
		}
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 { // the short way and the long one
		a, b := decimal{random.Int64N(1 << random.IntN(50)), random.IntN(6)}, decimal{-random.Int64N(1 << random.IntN(50)), random.IntN(6)}
		got, err := product(a, b, 2, true)
		n := new(big.Int).Mul(big.NewInt(a.n), big.NewInt(b.n))
		want, wrong := scaled(n, a.scale+b.scale, 2, true)
		if got != want || (err != nil) != (wrong != nil) {
			t.Fatalf("%+v times %+v is %d, %v, want %d, %v", a, b, got, err, want, wrong)
		}
	}
	if _, err := plus(math.MaxInt64, 1); err == nil {
		t.Error("a sum beyond 64 bits is taken")
	}
	if n, err := plus(math.MinInt64+1, -1); err != nil || n != math.MinInt64 {
		t.Error("the least sum is not taken")
	}
	for code, bad := range map[string]bool{"GBP": false, "JPY": false, "gbp": true, "": true, "GB": true, "XYZW": true} {
		if _, err := digitsOf(code); (err != nil) != bad {
			t.Errorf("currency %q: %v", code, err)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct{ layout, zone, text, want string }{
		{"rfc3339", "", "2010-12-01T08:26:00.5+01:00", "2010-12-01T07:26:00.5Z"},
		{"2006-01-02 15:04", "Europe/London", "2010-07-01 08:26", "2010-07-01T07:26:00Z"},
		{"2006-01-02 15:04", "Europe/London", "2010-10-31 01:30", "2010-10-31T00:30:00Z"}, // twice
		{"2006-01-02 15:04", "Australia/Lord_Howe", "2010-04-04 01:45", "2010-04-03T14:45:00Z"},
		{"2006-01-02 15:04", "Europe/London", "2010-03-28 01:30", "never was"},
		{"2006-01-02 15:04 -07:00", "Europe/London", "2010-03-28 01:30 +00:00", "2010-03-28T01:30:00Z"},
		{"1/2/06 15:04", "UTC", "12/1/10 8:26", "2010-12-01T08:26:00Z"},
		{"1/2/06 15:04", "UTC", "2/30/10 8:26", "is no time like"},
		{"unix", "", "1291191960", "2010-12-01T08:26:00Z"}, {"unix_ms", "", "-1", "1969-12-31T23:59:59.999Z"}, {"unix_us", "", "1", "1970-01-01T00:00:00.000001Z"},
		{"unix_ns", "", "1291191960000000001", "2010-12-01T08:26:00.000000001Z"}, {"unix", "", "9223372036854775807", "is no time like"}, {"unix", "", "1.5", "is no time like"},
	} {
		k, err := newClock([]string{c.layout}, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.read(c.text)
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got.Format(time.RFC3339Nano) != c.want {
			t.Errorf("%q in %q is %s, %v, want %s", c.text, c.zone, got.Format(time.RFC3339Nano), err, c.want)
		}
	}
}

func TestMemoryOfGroups(t *testing.T) {
	m := memory{at: map[uint64]int64{}}
	for i := range int64(remembered) + 5 {
		if _, again := m.again(strconv.FormatInt(i, 10), i); again {
			t.Fatalf("group %d was there", i)
		}
	}
	if at, again := m.again("7", 0); !again || at != 7 {
		t.Errorf("group 7 was at %d, %v", at, again)
	}
	if _, again := m.again("3", 0); again || len(m.at) != remembered {
		t.Errorf("group 3 is remembered, and %d others", len(m.at))
	}
}
