package console_test

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/dashboards/console"
)

const month = 30 * 24 * time.Hour

// promises are objectives in all states, and the alerts that follow.
func (h *house) promises() {
	history := func(from, to, errors float64) (out []console.Point) {
		for i := range 60 {
			share := float64(i) / 59
			out = append(out, console.Point{At: time.Now().Add(time.Duration(i-60) * time.Hour), Budget: from + (to-from)*share, Errors: errors * (0.5 + 0.5*math.Sin(float64(i)/4))})
		}
		return out
	}
	windows := func(short, long float64) []console.BurnWindow {
		return []console.BurnWindow{{Severity: "page", Short: 5 * time.Minute, Long: time.Hour, Factor: 14.4, ShortBurn: short, LongBurn: long},
			{Severity: "ticket", Short: 2 * time.Hour, Long: 24 * time.Hour, Factor: 3, ShortBurn: short / 2, LongBurn: math.NaN()}}
	}
	h.slos = []console.SLO{
		{ID: "gateway-availability", Service: "gateway", Name: "availability", Owner: "checkout", Description: "Requests that get an answer.", Objective: 99.95, Window: month,
			Budget: 0.714, Burn: 0.42, Bad: 143, Total: 1_000_000, History: history(1, 0.714, 0.0004), Alerts: windows(0.3, 0.2)},
		{ID: "order-confirmation", Service: "order", Name: "confirmation", Owner: "checkout", Description: "Orders that are confirmed within a second.", Objective: 99, Window: month,
			Budget: 0.18, Burn: 16.2, Bad: 8200, Total: 1_000_000, History: history(0.9, 0.18, 0.03), Alerts: windows(16.2, 15.1)},
		{ID: "payment-capture", Service: "payment", Name: "capture", Owner: "platform", Description: "Inputs whose effect is stored within a second.", Objective: 99.9, Window: month,
			Budget: -0.2, Burn: 120, Bad: 1200, Total: 1_000_000, History: history(0.4, -0.2, 0.1), Alerts: windows(2, 130)},
		{ID: "probe-buying", Service: "probe", Name: "buying", Owner: "checkout", Description: "Bought by nobody yet.", Objective: 99, Window: month, NoData: true, Budget: math.NaN(), Burn: math.Inf(1)},
	}
	h.alerts = []console.Alert{
		{Name: "LogBehind", Severity: "ticket", State: "pending", Summary: "The log is behind.", Since: time.Now().Add(-time.Minute)},
		{Name: "CertificateEnds", Severity: "ticket", State: "firing", Summary: "A certificate ends soon.", Runbook: "https://books.example/CertificateEnds", Since: time.Now().Add(-50 * time.Hour)},
		{Name: "ConfirmationLatencyBurn", Severity: "page", State: "firing", SLO: "order-confirmation", Summary: "order burns the error budget of confirmation: 16.2 % of the events are bad.",
			Runbook: "/runbooks/ConfirmationLatencyBurn", Labels: map[string]string{"service": "order", "severity": "page", "sloth_id": "order-confirmation", "owner": "checkout"}, Since: time.Now().Add(-7 * time.Minute), Value: 0.162},
	}
	beside := h.alerts[2] // the same, less severe
	beside.Severity = "ticket"
	h.alerts = append(h.alerts, beside)
	h.books = map[string]string{"ConfirmationLatencyBurn": runbook}
}

const runbook = `# Confirmation is slow

Orders take longer than **a second** to be confirmed.

1. Look at the [overview](/): which decider lags?
2. Ask the lanes: ` + "`weir lanes`" + `.

` + "```\ncurl -s localhost:8080/readyz\n```" + `

<script>alert(1)</script> <img src=x onerror=alert(2)> [bad](javascript:alert(3))
`

func TestObjectivesAndAlerts(t *testing.T) {
	h := newHouse(t)
	h.promises()
	body := h.get("/", 200, "gateway · availability", "99.95 %", "71 % left", "burns 0.4×", "18 % left", "burns 16.2×", "−20 % left", "burns 120×", "no data", "2 alerts", `href="/slos#slo-order-confirmation"`)
	page, ticket, pending := strings.Index(body, ">ConfirmationLatencyBurn</a></b>"), strings.Index(body, "<b>CertificateEnds"), strings.Index(body, "<b>LogBehind")
	if page < 0 || !(page < ticket && ticket < pending) {
		t.Errorf("the alerts stand at %d, %d and %d", page, ticket, pending)
	}
	if strings.Contains(body, "NaN") || strings.Contains(body, "Inf") {
		t.Error("what is no number is drawn")
	}
	h.get("/slos", 200, "Orders that are confirmed within a second.", "checkout", "8,200 of 1,000,000 events", "5 min and 1 h", "14.4×", "16.2× and 15.1×", "1× and –", `href="/runbooks/ConfirmationLatencyBurn"`,
		`href="https://books.example/CertificateEnds"`, "owner checkout · service order · value 0.162", "2</sup>")
	body = h.get("/runbooks/ConfirmationLatencyBurn", 200, "<h1>Confirmation is slow</h1>", "<strong>a second</strong>", "<ol>", `<a href="/">overview</a>`, "<code>weir lanes</code>", "<pre><code>curl", "burns the error budget")
	for _, bad := range []string{"<script>alert", "<img", "javascript:"} {
		if strings.Contains(body, bad) {
			t.Errorf("the runbook holds %q", bad)
		}
	}
	h.get("/runbooks/Nothing", 404, "no runbook of this name")
}

func TestManyObjectivesFold(t *testing.T) {
	h := newHouse(t)
	for i := range 40 {
		h.slos = append(h.slos, console.SLO{ID: strings.Repeat("x", i+1), Name: "n", Objective: 99, Budget: float64(i) / 40})
	}
	h.get("/", 200, "28 more, in less need of a look", `href="/slos#slo-x"`)
}

func TestAlertsThatCannotBeReadAreAConcern(t *testing.T) {
	h := newHouse(t)
	h.promises()
	h.fails = errors.New("no answer")
	h.get("/", 200, "The alerts cannot be read now", "The objectives cannot be read now")
	h.get("/slos", 503, "cannot be read at the moment")
}

// What nobody gives is not on the page.
func TestWithoutObjectivesAndFaults(t *testing.T) {
	h := newHouse(t)
	cfg := h.page.Config
	cfg.SLOs, cfg.Alerts, cfg.Runbook, cfg.Faults, cfg.SwitchFault = nil, nil, nil, nil, nil
	var err error
	if h.page, err = console.New(cfg); err != nil {
		t.Fatal(err)
	}
	body := h.get("/", 200)
	for _, s := range []string{"/slos", "/faults", "Objectives", `id="alerts"`} {
		if strings.Contains(body, s) {
			t.Errorf("the overview holds %q", s)
		}
	}
	h.get("/slos", 404)
	h.get("/faults", 404)
	h.get("/runbooks/x", 404)
	h.do(httptest.NewRequest(http.MethodPost, "/faults/switch", nil), 404)
}
