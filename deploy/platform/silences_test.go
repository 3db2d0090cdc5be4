package platform

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Silences in force are told with the alerts that they keep quiet; over and pending
// ones are not, and what cannot be asked is an error that names no password.
func TestSilencesOfAnAlertmanager(t *testing.T) {
	answers := map[string]string{
		"/am/api/v2/silences": `[{"id":"s1","createdBy":"grace","comment":"disk","endsAt":"2031-01-02T03:04:05Z","status":{"state":"active"}},{"id":"s2","status":{"state":"expired"}}]`,
		"/am/api/v2/alerts": `[{"labels":{"alertname":"LagHigh","lane":"1"},"status":{"state":"suppressed","silencedBy":["s1"]}},{"labels":{"alertname":"LagHigh","lane":"2"},"status":{"silencedBy":["s1"]}},
			{"labels":{"alertname":"LaneHalted"},"status":{"state":"active","silencedBy":[]}}]`,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := answers[r.URL.Path]; ok {
			_, _ = io.WriteString(w, a)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	got, err := alertmanager{srv.URL + "/am/"}.silences(t.Context())
	if err != nil || len(got) != 1 || got[0].By != "grace" || fmt.Sprint(got[0].Alerts) != "[LagHigh]" || got[0].Ends.Year() != 2031 {
		t.Errorf("%+v, %v", got, err)
	}
	answers["/am/api/v2/alerts"] = "<html>"
	if _, err := (alertmanager{srv.URL + "/am"}).silences(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("%v", err)
	}
	if _, err := (alertmanager{srv.URL}).silences(t.Context()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := (alertmanager{"http://u:secret@127.0.0.1:1"}).silences(ctx); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}
