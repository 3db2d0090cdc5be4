package platform

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/deploy/prometheus"
	"github.com/weirstream/weir/services/gateway/edge"
)

// promises are the objectives and alerts of the business, watched by the
// Prometheus that the configuration names, or by one in this process.
type promises struct {
	set    *alerts.Set
	asks   v1.API // nil: nobody watches
	here   bool
	server atomic.Pointer[prometheus.Server] // in this process; nil until everything is at work
}

// DevPolicy watches with the usual windows, and looks more often: who tries
// something out does not wait half a minute.
func DevPolicy() alerts.Policy {
	p := alerts.Standard()
	p.Every = 5 * time.Second
	return p
}

// findPrometheus decides who is asked how the objectives stand.
func (p *platform) findPrometheus(context.Context) error {
	p.promises.set = alerts.Business(p.Business, p.topology, p.Policy)
	p.promises.here = p.Prometheus
	base := p.Config.Prometheus.URL.Reveal()
	if p.Prometheus {
		base = "http://" + p.Config.HTTP + prometheus.Path
	}
	if base == "" {
		return nil
	}
	c, err := api.NewClient(api.Config{Address: base, RoundTripper: http.DefaultTransport})
	if err != nil {
		return errors.New("prometheus.url is no URL") // without it: it may hold a password
	}
	p.promises.asks = v1.NewAPI(c)
	return nil
}

// startPromises starts Prometheus, once everything is at work and beside it:
// nobody waits for it.
func (p *platform) startPromises(ctx context.Context) error {
	if !p.Prometheus {
		return nil
	}
	groups, err := p.promises.set.Groups()
	if err != nil {
		return err
	}
	rules, err := alerts.File(groups)
	if err != nil {
		return err
	}
	if err := p.makeData(); err != nil {
		return err
	}
	cfg := prometheus.Config{Targets: []prometheus.Target{{Name: "weir", Address: p.Config.HTTP}}, Rules: map[string][]byte{"weir.yml": rules},
		ScrapeInterval: min(2*time.Second, p.Policy.Every), Dir: p.path("prometheus"), ExternalURL: "http://" + p.Config.HTTP + prometheus.Path, Log: p.Log}
	p.background(ctx, "embedded Prometheus", func(ctx context.Context) error {
		s, err := prometheus.Open(cfg)
		if err != nil {
			return err
		}
		p.promises.server.Store(s)
		return s.Run(ctx)
	})
	return nil
}

// ServeHTTP is Prometheus' interface.
func (x *promises) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s := x.server.Load(); s != nil {
		s.ServeHTTP(w, r)
		return
	}
	(&edge.Problem{Code: "no-prometheus", Status: http.StatusServiceUnavailable, RetryAfter: 1, Detail: "no Prometheus runs in this process, or not yet"}).Write(w)
}

// silent reports that nobody can be asked yet: then nothing is known.
func (x *promises) silent() bool { return x.here && x.server.Load() == nil }

// historyShown is how far back the live page draws a budget.
const historyShown, historyPoints = time.Hour, 60

// shownSLOs are the objectives as the live page shows them.
func (x *promises) shownSLOs(ctx context.Context) ([]console.SLO, error) {
	if x.silent() {
		return nil, nil
	}
	all, err := x.set.Statuses(ctx, x.asks)
	if err != nil {
		return nil, err
	}
	burns, err := x.burns(ctx)
	if err != nil {
		return nil, err
	}
	history, err := x.history(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]console.SLO, len(all))
	for i, s := range all {
		out[i] = console.SLO{ID: s.ID(), Name: s.Name, Service: s.Service, Owner: s.Owner, Description: s.Description, Objective: s.Objective, Window: s.Period, Known: s.Known,
			Budget: s.Remaining, Burn: s.Burn, Bad: s.Bad, Total: s.Total, NoData: s.NoData, History: history[s.ID()]}
		for _, w := range x.set.Policy.Windows {
			if s.NoPage && w.Severity == alerts.Page {
				continue
			}
			out[i].Alerts = append(out[i].Alerts, console.BurnWindow{Severity: w.Severity, Short: w.Short, Long: w.Long, Factor: w.Factor,
				ShortBurn: burns.of(s.SLO, w.Short), LongBurn: burns.of(s.SLO, w.Long)})
		}
	}
	return out, nil
}

// burnRates are error ratios by objective and window.
type burnRates map[[2]string]float64

func (b burnRates) of(s *alerts.SLO, window time.Duration) float64 {
	v, ok := b[[2]string{s.ID(), alerts.Span(window)}]
	if !ok {
		return math.NaN()
	}
	return v / s.Budget()
}

func (x *promises) burns(ctx context.Context) (burnRates, error) {
	v, _, _, err := x.asks.Query(ctx, `{__name__=~"slo:sli_error:ratio_rate.*"}`, time.Now())
	samples, _ := v.(model.Vector)
	out := burnRates{}
	for _, s := range samples {
		out[[2]string{string(s.Metric["sloth_id"]), string(s.Metric["sloth_window"])}] = float64(s.Value)
	}
	return out, err
}

func (x *promises) history(ctx context.Context) (map[string][]console.Point, error) {
	now := time.Now()
	drawn := v1.Range{Start: now.Add(-historyShown), End: now, Step: historyShown / historyPoints}
	out := map[string][]console.Point{}
	v, _, _, err := x.asks.QueryRange(ctx, alerts.BudgetRemaining, drawn)
	if err != nil {
		return nil, err
	}
	series, _ := v.(model.Matrix)
	for _, r := range series {
		id := string(r.Metric["sloth_id"])
		for _, pt := range r.Values {
			out[id] = append(out[id], console.Point{At: pt.Timestamp.Time(), Budget: float64(pt.Value)})
		}
	}
	v, _, _, err = x.asks.QueryRange(ctx, x.set.Policy.ShortRatio(), drawn)
	series, _ = v.(model.Matrix)
	for _, r := range series {
		points := out[string(r.Metric["sloth_id"])]
		for _, pt := range r.Values {
			at := pt.Timestamp.Time()
			if i := slices.IndexFunc(points, func(p console.Point) bool { return p.At.Equal(at) }); i >= 0 {
				points[i].Errors = float64(pt.Value)
			}
		}
	}
	return out, err
}

// shownAlerts are those of the business that are pending or firing: a
// Prometheus elsewhere may watch more.
func (x *promises) shownAlerts(ctx context.Context) ([]console.Alert, error) {
	if x.silent() {
		return nil, nil
	}
	all, err := x.asks.Alerts(ctx)
	if err != nil {
		return nil, err
	}
	var out []console.Alert
	for _, a := range all.Alerts {
		name := string(a.Labels[model.AlertNameLabel])
		if _, ours := x.runbook(name); !ours || a.Labels["severity"] == alerts.Heartbeat {
			continue
		}
		value, err := strconv.ParseFloat(a.Value, 64)
		if err != nil {
			value = math.NaN()
		}
		out = append(out, console.Alert{Name: name, Severity: string(a.Labels["severity"]), State: string(a.State), SLO: string(a.Labels["sloth_id"]),
			Summary: string(a.Annotations["summary"]), Runbook: string(a.Annotations["runbook_url"]), Labels: texts(a.Labels), Since: a.ActiveAt, Value: value})
	}
	return out, nil
}

// rules are the alerts of the business, as the live page lists them.
func (x *promises) rules() (out []console.AlertRule) {
	groups, err := x.set.Groups()
	if err != nil {
		return nil // it does not start with rules that cannot be rendered
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				out = append(out, console.AlertRule{Name: r.Alert, Severity: r.Labels["severity"], SLO: r.Labels["sloth_id"], Summary: r.Annotations["summary"]})
			}
		}
	}
	return out
}

func texts(labels model.LabelSet) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		out[string(k)] = string(v)
	}
	return out
}

func (x *promises) runbook(name string) (string, bool) {
	b, err := x.set.Runbook(name)
	return string(b), err == nil
}
