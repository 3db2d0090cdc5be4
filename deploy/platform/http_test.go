package platform

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A page of another site that a person has open can look, and change nothing.
func TestOtherSitesChangeNothing(t *testing.T) {
	h := sameOrigin(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		method, header, value string
		want                  int
	}{
		{http.MethodPost, "", "", http.StatusOK}, // curl, or weir
		{http.MethodPost, "Sec-Fetch-Site", "same-origin", http.StatusOK},
		{http.MethodPost, "Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{http.MethodPost, "Sec-Fetch-Site", "same-site", http.StatusForbidden},
		{http.MethodPost, "Origin", "http://evil.example", http.StatusForbidden},
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
