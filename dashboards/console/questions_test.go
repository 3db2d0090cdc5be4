package console_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/asktest"
	"github.com/weirstream/weir/processors/analytics/sqlite"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// asking is a school that is asked things.
func asking() *business.Business {
	b := school()
	b.Services[0].Questions = []business.Question{
		{Name: "fees", Title: "Fees", About: "What is paid for places.", Of: business.Events(asked{}),
			By: []business.Dimension{business.By("class", "class")}, Numbers: []business.Number{business.Total("paid", "fee"), business.HowMany("pupils")}},
		{Name: "again", Title: "Again", About: "Who comes again.", Of: business.Events(asked{}), Shape: business.Cohorts, Who: "class"},
		{Name: "waits", Title: "Waits", About: "How long they wait.", Of: business.Documents(b.Services[0].Views[0], "asked_at"),
			Numbers: []business.Number{business.HowMany("pupils"), business.Quantiles("wait", "asked_at", "taken_at")}}}
	return b
}

// answers is the page of a school with analytics of what was told.
func answers(t *testing.T, told []asktest.Told, change ...func(*console.Config)) (*house, analytics.Store) {
	t.Helper()
	b := asking()
	top, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := analytics.NewSchema(b, top)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "analytics.db"), schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	asktest.Keep(t, store, schema, told)
	return newHouseOf(t, b, append([]func(*console.Config){func(c *console.Config) { c.Analytics = &analytics.Model{Store: store, Schema: schema} }}, change...)...), store
}

var monday = time.Date(2010, 11, 29, 9, 30, 0, 0, time.UTC)

// terms are the pupils of some days, in two currencies.
func terms() (told []asktest.Told) {
	for i := range 30 {
		at := monday.Add(time.Duration(i) * 10 * time.Hour)
		id := pupilID(fmt.Sprint("p-", i))
		told = append(told, asktest.Told{Event: asked{id, []string{"a", "b"}[i%2], "mum Ng", fee{123456789, []string{"EUR", "JPY"}[i%3%2]}}, At: at, Correlation: string(id)},
			asktest.Told{Event: taken{id}, At: at.Add(time.Duration(i+1) * time.Second), Correlation: string(id)})
	}
	return told
}

func TestQuestionsAreListed(t *testing.T) {
	h, _ := answers(t, nil)
	h.get("/analytics", 200, `href="/analytics/fees?from=7d"`, "What is paid for places.", "office", `href="/analytics/admission-funnel?from=7d"`, `href="/analytics/pupil-story"`, "built in", `aria-current="page">Analytics`)
	h.get("/analytics/none", 404, "is not asked this")
	h.get("/analytics/none/rows.csv", 404)
	h.get("/analytics/fees", 200, "Nothing in this time.", "weir ask fees")
	bare := newHouseOf(t, school())
	bare.get("/analytics", 404)
	lacks(t, "a page without analytics", bare.get("/", 200), "/analytics")
}

// Answers are drawn as what they are, and their amounts are exact, each of its currency.
func TestAnswersAreDrawn(t *testing.T) {
	h, _ := answers(t, terms())
	h.get("/analytics/fees", 200, "€12,345,678.90", "¥617,283,945", ">EUR<", ">JPY<", `<svg class="bar"`, "where=class%3Db", "weir ask fees</pre>", `href="/analytics/fees/rows.csv"`, `/v1/analytics/fees?limit=100000`)
	days := h.get("/analytics/fees?from=2010-11-29&to=2010-12-20&by=day&by=class&zone=Asia/Tokyo", 200, `<svg class="over"`, "2010-12-19", "a · EUR", "2010-11-29: €1,234,567.89", "weir ask fees --from 2010-11-29 --to 2010-12-20 --zone Asia/Tokyo --by day,class")
	if n := strings.Count(days, `<svg class="over"`); n != 4 {
		t.Errorf("there are %d charts of two classes and two currencies", n)
	}
	h.get("/analytics/fees?by=week&number=pupils", 200, "pupils by week", "2010-W48")
	h.get("/analytics/fees?by=", 200, "weir ask fees --by total", "EUR", "JPY") // a form in which nothing is chosen
	lacks(t, "a choice", h.get("/analytics/fees?where=class=b", 200, "class is <b>b</b>"), "where=class%3Da", ">a<")
	h.get("/analytics/again?by=day", 200, `class="n heat10"`, "2010-11-29", "weir ask again --by day")
	h.get("/analytics/waits?number=wait", 200, "P50, P95, P99", `class="p95"`, "16 s", "30 s")
	h.get("/analytics/admission-funnel", 200, "the pupil was taken in", "100.0 %", `class="hop"`)
	h.get("/analytics/admission-steps", 200, "P50, P95, P99", "pupil.asked", "pupil.taken")
	h.get("/analytics/pupil-story", 200, `name="key"`)
	h.get("/analytics/pupil-story?key=p-3", 200, "the pupil was taken in", "2010-11-30 15:30:04", `href="/pupils/p-3"`, "weir ask pupil-story p-3")
	h.emit("c1", "", asked{"ann", "a", "mum Ng", fee{}}, taken{"ann"})
	h.get("/pupils/ann", 200, `href="/analytics/pupil-story?key=ann"`)
	h.get("/analytics/pupil-story?key=nobody", 200, "Nothing in this time.")

	w := httptest.NewRecorder()
	h.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/analytics/fees/rows.csv?by=total", nil))
	if got := w.Body.String(); got != "currency,paid,pupils\nEUR,24691357.80,20\nJPY,1234567890,10\n" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("CSV is %q (%s)", got, w.Header())
	}
}

// What anybody wrote is text, and what has no bounds has some here.
func TestAnswersOfAnySize(t *testing.T) {
	var told []asktest.Told
	for i := range 3000 {
		class := fmt.Sprintf("%s %d ann@example.org", hostile, i)
		id := pupilID(fmt.Sprint(hostile, i))
		told = append(told, asktest.Told{Event: asked{id, class, "mum Ng", fee{math.MaxInt64/3000 - int64(i), "EUR"}}, At: monday.Add(time.Duration(i) * time.Minute), Correlation: string(id)})
	}
	h, _ := answers(t, told)
	for _, path := range []string{"/analytics/fees", "/analytics/fees?by=hour&by=class", "/analytics/again?by=day", "/analytics/pupil-story?key=" + url.QueryEscape(hostile+"7"),
		"/analytics/fees?where=" + url.QueryEscape("class="+hostile), "/analytics/fees?zone=" + url.QueryEscape(hostile), "/analytics/fees?" + url.QueryEscape(hostile) + "=1", "/analytics/fees?number=" + url.QueryEscape(hostile)} {
		r := httptest.NewRecorder()
		h.page.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
		body := r.Body.String()
		if r.Code >= 500 || len(body) > 1<<20 {
			t.Errorf("%s answers %d with %d bytes", path, r.Code, len(body))
		}
		lacks(t, path, body, "<script>alert", "<img", "ann@", "mum Ng", "ZgotmplZ", "NaN", " style=")
	}
	h.get("/analytics/fees", 200, "The first 200 of 2,000 and more", "€30,744,573,456,18")
	h.get("/analytics/fees?by=hour&by=class", 200, "The charts end early", "1,988 more are not drawn")
	h.get("/analytics/fees?by=total", 200, "€92,233,720,3")
}

// What cannot be answered says why, and what to do.
func TestQuestionsThatAreNotAnswered(t *testing.T) {
	now := time.Now()
	h, store := answers(t, terms(), func(c *console.Config) {
		c.Now = func() time.Time { return now }
		c.Analytics.Most = 40
	})
	h.get("/analytics/fees?from=yesterday", 400, "neither a day", "weir ask fees --from yesterday")
	h.get("/analytics/fees?to=2010-01-01&from=2011-01-01", 400, "turn them round")
	h.get("/analytics/fees?by=colour", 400, "cannot be told apart by")
	h.get("/analytics/fees?where=colour=red", 400, "no dimension")
	h.get("/analytics/fees?zone=Mars/Base", 400, "is no time zone")
	h.get("/analytics/fees/rows.csv?zone=Mars/Base", 400, "is no time zone")
	h.get("/analytics/fees?surprise=1", 400, "is not known here")
	h.get("/analytics/admission-funnel", 422, "there are 60 rows", "40 is the most", "1 h</a>", "7 d</a>")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	h.get("/analytics/fees", 503, "cannot be asked", "data-live")
	now = now.Add(7 * time.Minute)
	h.get("/analytics/fees", 503, "It has not answered since", "7 min ago")
	h.get("/analytics", 200, "cannot be read now", "Fees")
}

// The page says how well analytics is proved: what is not known is not said to be well.
func TestTheProofIsTold(t *testing.T) {
	now := time.Date(2010, 12, 1, 8, 51, 30, 0, time.UTC)
	registry := prometheus.NewRegistry()
	instruments := telemetry.NewInstruments(registry)
	proved, differences, records, age := instruments.Gauge(telemetry.AnalyticsProved), instruments.Gauge(telemetry.AnalyticsDifferences), instruments.Gauge(telemetry.BehindRecords), instruments.Gauge(telemetry.BehindSeconds)
	if err := instruments.Err(); err != nil {
		t.Fatal(err)
	}
	h, store := answers(t, nil, func(c *console.Config) {
		c.Metrics, c.Now = registry, func() time.Time { return now }
	})
	look := func(has ...string) string {
		ctx, stop := context.WithCancel(t.Context())
		if stop(); h.page.Run(ctx) != nil { // one reading
			t.Fatal("it does not run")
		}
		now = now.Add(10 * time.Second)
		return h.get("/analytics", 200, has...)
	}
	lacks(t, "a page of no proof", look("Not proved here", "how far it is behind is not known"), "no differences")
	proved.WithLabelValues().Set(float64(now.Add(-3 * time.Second).Unix()))
	differences.WithLabelValues("events").Set(0)
	records.WithLabelValues(streams.AnalyticsUnit, "t").Set(0)
	age.WithLabelValues(streams.AnalyticsUnit).Set(0)
	look("Proved until", "08:51:37", "no differences", "up to date", `class="dot ok"`)
	var found []analytics.Difference
	for i := range 40 {
		found = append(found, analytics.Difference{Found: now.Add(time.Duration(i) * time.Second), Kind: analytics.Missing, Table: "events", Block: 7, Topic: "office.pupil", Offset: int64(i), Detail: hostile + " ann@example.org"})
	}
	if err := store.Note(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	differences.WithLabelValues("events").Set(40)
	records.WithLabelValues(streams.AnalyticsUnit, "t").Set(8104)
	age.WithLabelValues(streams.AnalyticsUnit).Set(420)
	body := look("40 differences", "the row of office.pupil/0@39 is missing", "7 min behind, 8,104 records", `id="differences" open`)
	lacks(t, "the list of differences", body, "@19 is", "<script>alert", "ann@", "no differences")
	differences.WithLabelValues("events").Set(0)
	look("no differences", "that the last look did not find")
	now = now.Add(5 * time.Minute)
	look(`class="dot warn"`)
}

// Whoever has gone is not waited for, and nothing is said to be away for that.
func TestAQuestionIsGivenUp(t *testing.T) {
	h, _ := answers(t, terms())
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("gone"))
	w := httptest.NewRecorder()
	h.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/analytics/fees", nil).WithContext(ctx))
	if w.Body.Len() > 0 {
		t.Errorf("it is told %d: %.80s", w.Code, w.Body)
	}
}
