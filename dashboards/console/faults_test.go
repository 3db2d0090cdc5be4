package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/weirstream/weir/dashboards/console"
)

func (h *house) breakables() {
	h.faults = []console.Fault{
		{Name: "provider-slow", What: "Every call of the payment provider takes 3 s.", Effect: "Orders wait for their money; the breaker opens.", Alerts: []string{"ConfirmationLatencyBurn", "ProviderSlow"}},
		{Name: "poison", What: "An order's event is written with an amount that no decider takes.", Effect: "Its key is parked.", Alerts: []string{"KeysParked"}},
	}
}

func switching(name, on string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/faults/switch", strings.NewReader(url.Values{"name": {name}, "on": {on}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestFaults(t *testing.T) {
	h := newHouse(t)
	h.promises()
	h.breakables()
	h.get("/faults", 200, "Every call of the payment provider", `href="/runbooks/ConfirmationLatencyBurn"`, "firing", "ProviderSlow", `aria-label="Switch provider-slow on"`)
	if strings.Contains(h.get("/", 200), "Broken on purpose") {
		t.Error("a fault is on that was not switched")
	}
	h.do(switching("provider-slow", "true"), 303, "/faults?result=1")
	h.get("/faults?result=1", 200, "provider-slow is on.", `aria-label="Switch provider-slow off"`)
	for _, path := range []string{"/", "/sagas", "/traces", "/slos", "/dead-letters", "/nowhere"} {
		status := 200
		if path == "/nowhere" {
			status = 404
		}
		h.get(path, status, "Broken on purpose", "provider-slow")
	}
	h.do(switching("provider-slow", "false"), 303, "result=2")
	if body := h.get("/faults?result=2", 200, "provider-slow is off."); strings.Contains(body, "Broken on purpose") || h.faults[0].On {
		t.Error("it is still on")
	}
	h.do(switching("<b>", "true"), 303, "result=3")
	h.get("/faults?result=3", 200, "could not be switched on: no fault is called &lt;b&gt;")
	h.do(httptest.NewRequest(http.MethodGet, "/faults/switch", nil), 404)
}
