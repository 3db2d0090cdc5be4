//go:build !real

package platform_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/dashboards"
	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/services/shop"
)

// quick are windows of seconds, where the usual ones are of minutes and hours:
// the rules are the same.
func quick() alerts.Policy {
	return alerts.Policy{Period: 10 * time.Minute, Every: time.Second, Windows: []alerts.Window{
		{Short: 5 * time.Second, Long: 15 * time.Second, Factor: 14.4, Severity: alerts.Page},
		{Short: 8 * time.Second, Long: 30 * time.Second, Factor: 6, Severity: alerts.Page},
		{Short: 10 * time.Second, Long: 30 * time.Second, Factor: 3, Severity: alerts.Ticket},
		{Short: 12 * time.Second, Long: 45 * time.Second, Factor: 1, Severity: alerts.Ticket},
	}}
}

// exercise is a platform with shoppers and a Prometheus.
type exercise struct {
	t    *testing.T
	url  string
	stop func() error
}

func startPractice(t *testing.T) *exercise {
	t.Helper()
	cfg := config.Default()
	cfg.HTTP, cfg.Data, cfg.Partitions = "127.0.0.1:0", t.TempDir(), 2
	cfg.Quota = config.Quota{PerSecond: 40, Burst: 80}
	ready, ended := make(chan string, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		ended <- platform.Run(ctx, platform.Options{Business: shop.Business, Config: cfg,
			Units: []string{platform.AllUnits}, Kafka: "127.0.0.1:0", Rate: 8, Probe: time.Second,
			Prometheus: true, Policy: quick(), Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
			Ready: func(http, _ string) { ready <- http }})
	}()
	p := &exercise{t: t, stop: func() error { cancel(); return <-ended }}
	select {
	case addr := <-ready:
		p.url = "http://" + addr
	case err := <-ended:
		t.Fatal(err)
	}
	p.await("Prometheus", 30*time.Second, func() (bool, string) { // it begins beside the rest
		res, err := http.Get(p.url + "/prometheus/api/v1/status/buildinfo")
		if err != nil {
			return false, err.Error()
		}
		return res.StatusCode == http.StatusOK, errors.Join(res.Body.Close(), errors.New(res.Status)).Error()
	})
	return p
}

// get asks the platform.
func (p *exercise) get(method, path string, into any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %d %v %s", method, path, res.StatusCode, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		p.t.Fatalf("%s: %v in %s", path, err, body)
	}
}

// query is an instant query as Grafana's datasource makes it.
func (p *exercise) query(expr string) (values []float64) {
	p.t.Helper()
	var answer struct {
		Data struct{ Result json.RawMessage }
	}
	p.get(http.MethodGet, "/prometheus/api/v1/query?query="+url.QueryEscape(expr), &answer)
	var vector []struct{ Value [2]any }
	if json.Unmarshal(answer.Data.Result, &vector) != nil {
		p.t.Fatalf("%s is no vector: %s", expr, answer.Data.Result)
	}
	for _, v := range vector {
		f, err := strconv.ParseFloat(fmt.Sprint(v.Value[1]), 64)
		if err != nil {
			p.t.Fatal(err)
		}
		values = append(values, f)
	}
	return values
}

// firing are the alerts that fire, as NAME or NAME/what it is about.
func (p *exercise) firing() (out []string) {
	p.t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	p.get(http.MethodGet, "/prometheus/api/v1/alerts", &answer)
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" && a.Labels["severity"] != alerts.Heartbeat {
			out = append(out, a.Labels["alertname"])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// await looks until f is content, and tells how long that took.
func (p *exercise) await(what string, within time.Duration, f func() (bool, string)) time.Duration {
	p.t.Helper()
	began := time.Now()
	for {
		ok, state := f()
		if ok {
			return time.Since(began)
		}
		if time.Since(began) > within {
			p.t.Fatalf("%s: not within %s: %s", what, within, state)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// calm waits until nothing fires, twice in a row.
func (p *exercise) calm(within time.Duration, but ...string) time.Duration {
	p.t.Helper()
	quiet := 0
	return p.await("calm", within, func() (bool, string) {
		left := slices.DeleteFunc(p.firing(), func(a string) bool { return slices.Contains(but, a) })
		if quiet++; len(left) > 0 {
			quiet = 0
		}
		return quiet > 1, "still firing: " + strings.Join(left, ", ")
	})
}

func boards(t *testing.T) []dashboards.Board {
	t.Helper()
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	all, err := dashboards.Boards(dashboards.Business{Business: shop.Business, Topology: topology,
		Alerts: alerts.Business(shop.Business, topology, quick())})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
