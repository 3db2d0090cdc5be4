package console_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/services/event"
)

// No number, list or state is shown as if it were of now when it is not.
func TestWhatIsOldTellsItsAge(t *testing.T) {
	now, records, age := time.Now(), int64(0), time.Duration(0)
	var fails, unknown error
	h := newHouse(t, func(c *console.Config) {
		slos, alerts := c.SLOs, c.Alerts
		c.SLOs = func(ctx context.Context) ([]console.SLO, error) { l, _ := slos(ctx); return l, fails }
		c.Alerts = func(ctx context.Context) ([]console.Alert, error) { l, _ := alerts(ctx); return l, fails }
		c.ReadsBehind = func() (int64, time.Duration, error) { return records, age, unknown }
		c.Now = func() time.Time { return now }
		c.AlertRules = []console.AlertRule{{Name: "LaneHalted", Severity: "page", Summary: "{{ $labels.lane }} stands still for {{ $value | humanize }}."}, {Name: "Quiet", Severity: "ticket"}}
	})
	h.slos = []console.SLO{{ID: "order-latency", Service: "order", Name: "latency"}}
	h.alerts = []console.Alert{{Name: "LaneHalted", Severity: "page", State: "firing", Since: now}}
	h.books = map[string]string{"LaneHalted": "# It stands"}
	h.emit("c1", "", placed("o-1", "ada"))
	ctx, stop := context.WithCancel(t.Context())
	if stop(); h.page.Run(ctx) != nil { // one reading, and no more
		t.Fatal("it does not run")
	}
	old := []string{"as of", "behind", "not known", "not live"}
	for _, path := range []string{"/", "/sagas", "/sagas/c1", "/alerts"} {
		body := h.get(path, 200)
		main := body[strings.Index(body, "<main"):]
		for _, s := range old[:3] {
			if strings.Contains(main, s) && !(path == "/" && s == "not known") { // the lag: nobody measures it here
				t.Errorf("%s says %q of what is of now", path, s)
			}
		}
	}
	h.get("/alerts", 200, "LaneHalted", `href="/runbooks/LaneHalted"`, "‹lane› stands still for ….", "Quiet", "no Alertmanager is configured")

	now = now.Add(7 * time.Minute)
	records, age, fails = 8104, 7*time.Minute, errors.New("the server does not answer")
	body := h.get("/", 200, "The read model is 7 min behind, 8,104 records", "read model 7 min behind", "not known: read model 7 min behind", "The alerts cannot be read now: as of 7 min ago",
		"The objectives cannot be read now: as of 7 min ago", "1 page", "order · latency")
	if strings.Contains(body, "none in 5 min") || strings.Contains(body, "no orders in 5 min") {
		t.Error("what is not known is said to be none")
	}
	if n := strings.Count(body, "as of 7 min ago"); n < 7 { // events, orders, lag, the stream, calls, objectives, alerts
		t.Errorf("%d things on the page tell their age", n)
	}
	for _, path := range []string{"/sagas", "/sagas/c1"} {
		h.get(path, 200, "The read model is 7 min behind")
	}
	h.get("/alerts", 200, "Their states cannot be read now: as of 7 min ago")
	h.get("/slos", 200, "They cannot be read now: as of 7 min ago", "order · latency")
	unknown = errors.New("its writer is halted")
	h.get("/sagas", 200, "How far the read model is behind is not known")
}

// A store that fails is a page that tries again: it does not stand there for good.
func TestFailedPageIsAskedForAgain(t *testing.T) {
	h := newHouse(t)
	h.emit("c1", "", placed("o-1", "ada")) // its writer is at work
	if err := h.reads.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/sagas", "/sagas?state=taken-back", "/sagas?q=ada", "/views", "/orders", "/orders/o-1"} {
		h.get(path, 503, "data-live")
	}
}

// Many alerts are one line until somebody opens it, and those of one name are one row.
func TestManyAlertsAreOneLine(t *testing.T) {
	h := newHouse(t)
	for i := range 228 {
		h.alerts = append(h.alerts, console.Alert{Name: "LagHigh", Severity: "ticket", State: "firing", Summary: "it lags", Labels: map[string]string{"service": "order", "lane": fmt.Sprint(i)}, Since: time.Now().Add(-time.Duration(i) * time.Minute)})
	}
	h.alerts = append(h.alerts, console.Alert{Name: "LaneHalted", Severity: "page", State: "firing", Since: time.Now()}, console.Alert{Name: "Soon", Severity: "page", State: "pending", Since: time.Now()})
	body := h.get("/", 200, `<details id="alerts">`, "1 page", "228 ticket", "1 pending", "×228", "lane 227, 226, 225, … · service order · the first of 228", "3 h ago")
	if n := strings.Count(body, "LagHigh"); n > 2 || strings.Contains(body, ", 7") {
		t.Errorf("the same alert is listed %d times", n)
	}
	h.get("/alerts", 200, "×228")
	h.get("/slos", 200, "×228")
}

// Sagas that wait for the same are one row.
func TestStuckSagasAreGrouped(t *testing.T) {
	h := newHouse(t)
	h.at = time.Now().Add(-time.Hour)
	for i := range 30 {
		h.emit(fmt.Sprint("c-", i), "", placed(fmt.Sprint("o-", i), "ada"))
	}
	h.emit("c-other", "", placed("o-other", "ada"), event.HoldRequested{SKU: "A", Order: "o-other", Quantity: 1})
	body := h.get("/sagas?state=stuck", 200, "and 29 other sagas for the same", "o-other", "o-17")
	if n := strings.Count(body, `class="hindrance`); n > 4 {
		t.Errorf("%d rows say what 31 sagas wait for", n)
	}
}

// Alerts that somebody has silenced are shown as silenced, and not as calling.
func TestSilencedAlertsAreShownAsSilenced(t *testing.T) {
	var fails error
	h := newHouse(t, func(c *console.Config) {
		c.AlertRules = []console.AlertRule{{Name: "LaneHalted", Severity: "page"}, {Name: "LagHigh", Severity: "ticket"}}
		c.Silences = func(context.Context) ([]console.Silence, error) {
			return []console.Silence{{By: "grace", Comment: "the disk is being changed", Ends: time.Now().Add(time.Hour), Alerts: []string{"LagHigh"}}}, fails
		}
	})
	h.alerts = []console.Alert{{Name: "LagHigh", Severity: "ticket", State: "firing", Since: time.Now()}}
	h.get("/alerts", 200, "None is pending or fires that is not silenced", "<h2>Silenced</h2>", "silenced by grace", "the disk is being changed")
	fails = errors.New("no route")
	time.Sleep(2100 * time.Millisecond)
	h.get("/alerts", 200, "The silences cannot be read now: as of", "silenced by grace")
}
