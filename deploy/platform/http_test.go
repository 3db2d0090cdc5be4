package platform

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/gateway/edge"
)

// A page of another site that a person has open can look, and change nothing.
func TestOtherSitesChangeNothing(t *testing.T) {
	h := edge.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), moreHosts)
	for _, c := range []struct {
		method, header, value string
		want                  int
	}{
		{http.MethodPost, "", "", http.StatusOK}, // curl, or weir
		{http.MethodPost, "Sec-Fetch-Site", "same-origin", http.StatusOK},
		{http.MethodPost, "Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{http.MethodPost, "Sec-Fetch-Site", "same-site", http.StatusForbidden},
		{http.MethodPost, "Origin", "http://evil.example", http.StatusForbidden},
		{http.MethodPost, "Sec-Fetch-Site", "none", http.StatusOK},
		{http.MethodPost, "Origin", "http://localhost:8080", http.StatusOK}, // a browser that says no more
		{http.MethodPost, "Origin", "null", http.StatusForbidden},
		{http.MethodGet, "Sec-Fetch-Site", "cross-site", http.StatusOK},
	} {
		r := httptest.NewRequest(c.method, "http://localhost:8080/v1/faults/clock-skew/on", nil)
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want || w.Code != http.StatusOK && !strings.Contains(w.Body.String(), "cross-origin") {
			t.Errorf("%s with %s %s: %d %s", c.method, c.header, c.value, w.Code, w.Body)
		}
	}
}

// A foreign name that is made to point at this machine is same-origin to itself:
// it is answered nothing, whatever it asks.
func TestOnlyOurNamesAreAnswered(t *testing.T) {
	c := config.Default()
	c.HTTP, c.Consul.Advertise, c.HTTPHosts = "Orders.internal:8080", "unit-3.weir.internal", []string{"weir.example"}
	asked := 0
	h := edge.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }), moreHosts, names(&c)...)
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8080": 200, "localhost:8080": 200, "LOCALHOST.": 200, "a.localhost:1": 200, "[::1]:80": 200, "[::1]": 200,
		"10.1.2.3:8080": 200, "[fe80::1%25eth0]:8080": 200, "": 200, "orders.internal:8080": 200, "unit-3.weir.internal:8080": 200, "Weir.Example": 200, "weir.example.:443": 200,
		"evil.example:1": 421, "evil.example": 421, "localhost.evil.example": 421, "notlocalhost": 421, "127.0.0.1.evil.example": 421, "x.weir.example": 421,
		"localhost@evil.example": 421, "0x7f000001": 421, "2130706433": 421, "127.1": 421, "weir.example,evil.example": 421, ":8080": 200,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			r := httptest.NewRequest(method, "/v1/faults/slow-store/on", nil)
			r.Host = host
			r.Header.Set("Origin", "http://"+host)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			w := httptest.NewRecorder()
			asked = 0
			h.ServeHTTP(w, r)
			if w.Code != want || asked != map[bool]int{true: 1}[want == 200] || want == 421 && !strings.Contains(w.Body.String(), "http_hosts") {
				t.Errorf("%s %q: %d %s, want %d", method, host, w.Code, w.Body, want)
			}
		}
	}
}
