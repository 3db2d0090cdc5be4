//go:build !real

package platform_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/services/shop"
)

// quoted is what stands between back ticks and leads to a page or a resource of
// ours: a path, after GET or the curl of a HOST, and its parameters.
var quoted = regexp.MustCompile("`(?:GET |curl -s HOST)?(/[^` ]*)`")

// Every path that a runbook names is there, and takes the parameters as they stand: a
// page that quietly shows all instead would mislead who is in a hurry.
func TestRunbooksLeadSomewhere(t *testing.T) {
	url := running(t, 0)
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	s := alerts.Business(shop.Business, topology, alerts.Standard())
	for _, name := range s.Names() {
		text, err := s.Runbook(name)
		if err != nil {
			t.Error(err)
			continue
		}
		paths := []string{alerts.DefaultRunbooks + name}
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			paths = append(paths, m[1])
		}
		for _, path := range paths {
			seen++
			if status, body := fetch(t, url+path); status != http.StatusOK {
				t.Errorf("%s leads to %s, which answers %d %s", name, path, status, body)
			}
		}
	}
	if seen < 45 {
		t.Errorf("%d paths were found", seen)
	}
	for _, wrong := range []string{"/sagas?state=late", "/runbooks/Nonsense", "/v1/sagas?status=running"} {
		if status, _ := fetch(t, url+wrong); status == http.StatusOK {
			t.Errorf("%s is answered as if it were there", wrong)
		}
	}
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 200))
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(b))
}
