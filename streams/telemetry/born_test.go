package telemetry_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams/telemetry"
)

// What a run counts was there at 0 before: the first failure of a kind is a growth.
func TestSeriesBeginAtZero(t *testing.T) {
	inErrands(t, 0, func(e *errands) {
		born := e.gathered()
		for name, v := range born {
			if v != 0 && !strings.HasPrefix(name, "weir_lane_changes_total") {
				t.Errorf("%s is born with %v", name, v)
			}
		}
		e.request("r-1", "", runErrand{Customer: "ada", Mail: "m"})
		e.request("r-2", "", runErrand{Customer: "bob", Mail: "m", Weight: 99})
		time.Sleep(10 * time.Second)
		e.jammed.Store(true)
		e.noAnswers.Store(2)
		e.request("r-3", "", runErrand{Customer: "eve", Mail: "m"})
		time.Sleep(10 * time.Second)
		e.jammed.Store(false)
		e.retry("eve")
		time.Sleep(80 * time.Second)
		grown := 0
		for name, v := range e.gathered() {
			_, there := born[name]
			metric, _, _ := strings.Cut(name, "{")
			m, _ := telemetry.Declared(metric)
			switch {
			case there && v > 0:
				grown++
			// Which codes there are, a rule decides; lanes come and go; spans are no promise.
			case !there && m.Kind != telemetry.Gauge && !slices.Contains([]string{telemetry.Rejections, telemetry.LaneInputs, telemetry.LaneChanges, telemetry.SpansStarted}, metric):
				t.Errorf("%s is born with %v", name, v)
			}
		}
		if grown < 20 {
			t.Errorf("%d series grew", grown)
		}
	})
}

// telling is telemetry alone, and what it has.
func telling(t *testing.T) (*telemetry.Telemetry, *errands) {
	t.Helper()
	reg := prometheus.NewRegistry()
	tel, err := telemetry.New(telemetry.Options{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	return tel, &errands{t: t, reg: reg}
}

// What comes from outside makes no series: no method, no path, no status.
func TestRequestsMakeNoSeries(t *testing.T) {
	tel, e := telling(t)
	tel.Route("/v1/things", "GET", "POST")
	born := e.gathered()
	for n := range 500 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method = fmt.Sprint("M", n)
		_, done := tel.OnRequest(r, "/v1/things")
		done(405, 0)
		r.Method = "GET"
		_, done = tel.OnRequest(r, fmt.Sprint("/v1/", n))
		done(404, 0)
		_, done = tel.OnRequest(r, "/v1/things")
		done(200, 0)
	}
	got := e.gathered()
	if n := got["weir_http_requests_total{caller=client,method=other,route=/v1/things,status=405}"]; n != 500 {
		t.Errorf("%v of methods that there are not", n)
	}
	if n := got["weir_http_requests_total{caller=client,method=other,route=other,status=404}"]; n != 500 {
		t.Errorf("%v of routes that there are not", n)
	}
	if len(got) != len(born) {
		t.Errorf("%d series, %d before", len(got), len(born))
	}
}

// A row of failures ends with what only a platform at work can answer.
func TestARowOfFailures(t *testing.T) {
	tel, e := telling(t)
	tel.Route("/v1/things", "GET")
	answer := func(agent string, statuses ...int) {
		for _, s := range statuses {
			r := httptest.NewRequest("GET", "/v1/things", nil)
			r.Header.Set("User-Agent", agent)
			_, done := tel.OnRequest(r, "/v1/things")
			done(s, 0)
		}
	}
	row := func(want float64) {
		t.Helper()
		if got := e.gathered()["weir_http_failures_in_a_row{method=GET,route=/v1/things}"]; got != want {
			t.Errorf("%v in a row, want %v", got, want)
		}
	}
	answer("a browser", 503, 503, 500, 400, 409, 412, 429, 499)
	row(3)
	answer(telemetry.ProberAgent, 200, 503)
	row(3)
	answer("a browser", 404)
	row(0)
	answer("a browser", 503, 200)
	row(0)
}

// Clients that come again have series of their own. Whoever makes up names fills no
// memory, and keeps no place from others.
func TestClientsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel, e := telling(t)
		for n := range 5000 {
			tel.OnIngest(fmt.Sprint("key:junk-", n), "", "refused", -1)
		}
		for range 20 {
			tel.OnIngest("key:real", "stock.received", "accepted", -1)
		}
		if got := e.gathered(); got["weir_ingest_client_events_total{client=key:real,result=accepted}"] != 11 || len(got) != 5 {
			t.Errorf("after names that came once: %d series, %v", len(got), got)
		}
		for n := range 500 { // somebody takes all places, by coming again
			for range 10 {
				tel.OnIngest(fmt.Sprint("key:busy-", n), "", "refused", -1)
			}
		}
		if got := e.gathered(); len(got) != 104 {
			t.Errorf("%d series", len(got))
		}
		time.Sleep(11 * time.Minute)
		for range 20 {
			tel.OnIngest("key:late", "stock.received", "accepted", -1)
		}
		got := e.gathered()
		if n := got["weir_ingest_client_events_total{client=key:late,result=accepted}"]; n != 11 || len(got) > 6 {
			t.Errorf("places are not given back: %v, %d series", n, len(got))
		}
	})
}

// Our time is not the client's: for how long a request waited for it is not counted.
func TestWhatAClientWaitsForIsNotOurTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel, e := telling(t)
		tel.Route("/v1/things", "POST")
		_, done := tel.OnRequest(httptest.NewRequest("POST", "/", nil), "/v1/things")
		time.Sleep(3 * time.Second)
		done(201, 2990*time.Millisecond)
		families, err := e.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == telemetry.RequestSeconds && m.GetHistogram().GetSampleCount() > 0 && m.GetHistogram().GetSampleSum() > 0.02 {
					t.Errorf("it took %v s", m.GetHistogram().GetSampleSum())
				}
			}
		}
	})
}
