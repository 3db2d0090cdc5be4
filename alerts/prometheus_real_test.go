//go:build real

package alerts_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams/streamtest"
)

// askPrometheus fills out with the data that an address of its API answers.
func askPrometheus(t *testing.T, path string, out any) {
	t.Helper()
	r, err := http.Get(streamtest.Real(t, "prometheus") + "/api/v1/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer := struct{ Data any }{out}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, r.Status, err)
	}
}

// The Prometheus of deploy/local/servers has the rules of this source loaded.
func TestPrometheusHasTheRules(t *testing.T) {
	groups, err := ofShop(t).Groups()
	if err != nil {
		t.Fatal(err)
	}
	var loaded struct {
		Groups []struct {
			Name  string
			Rules []struct{ Name, LastError string }
		}
	}
	askPrometheus(t, "rules", &loaded)
	has := map[string]int{}
	for _, g := range loaded.Groups {
		has[g.Name] = len(g.Rules)
		for _, r := range g.Rules {
			if r.LastError != "" {
				t.Errorf("%s: %s", r.Name, r.LastError)
			}
		}
	}
	for _, g := range groups {
		if has[g.Name] != len(g.Rules) {
			t.Errorf("group %s has %d rules, not %d: was it started after the last change of the rules?", g.Name, has[g.Name], len(g.Rules))
		}
		delete(has, g.Name)
	}
	if len(has) > 0 {
		t.Errorf("there are also %v", has)
	}
}

// A process that Consul knows and that does not answer is found by the name that
// ProcessDown looks for.
func TestPrometheusMissesAProcess(t *testing.T) {
	consul := func(path, body string) {
		t.Helper()
		q, err := http.NewRequest(http.MethodPut, streamtest.Real(t, "consul")+"/v1/agent/service/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", path, r, err)
		}
		r.Body.Close()
	}
	consul("register", `{"ID": "nobody", "Name": "weir-process", "Address": "127.0.0.1", "Port": 1, "Tags": ["metrics"]}`)
	defer consul("deregister/nobody", "")
	down := ""
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until) && down == ""; time.Sleep(500 * time.Millisecond) {
		var found struct {
			Result []struct{ Metric map[string]string }
		}
		askPrometheus(t, "query?query="+url.QueryEscape(`up{job="weir"} == 0`), &found)
		for _, s := range found.Result {
			if s.Metric["instance"] == "127.0.0.1:1" {
				down = fmt.Sprint(s.Metric)
			}
		}
	}
	if down == "" {
		t.Error(`no up{job="weir"} tells of it within 30 s`)
	}
}
