package platform

import (
	"context"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/deploy/prometheus"
	"github.com/weirstream/weir/services/gateway/edge"
)

// promises are the objectives and alerts of the business, watched by a
// Prometheus in this process.
type promises struct {
	set    *alerts.Set
	server atomic.Pointer[prometheus.Server] // nil until everything is at work
}

// DevPolicy watches with the usual windows, and looks more often: who tries
// something out does not wait half a minute.
func DevPolicy() alerts.Policy {
	p := alerts.Standard()
	p.Every = 5 * time.Second
	return p
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

// ask queries as of now.
func (x *promises) ask(ctx context.Context, expr string) (alerts.Asked, error) {
	s := x.server.Load()
	if s == nil {
		return nil, nil // it has not begun: nothing is known
	}
	samples, err := s.Query(ctx, expr, time.Now())
	out := make(alerts.Asked, len(samples))
	for i, v := range samples {
		out[i].Labels, out[i].Value = v.Labels, v.Value
	}
	return out, err
}

// historyShown is how far back the live page draws a budget.
const historyShown, historyPoints = time.Hour, 60

// shownSLOs are the objectives as the live page shows them.
func (x *promises) shownSLOs(ctx context.Context) ([]console.SLO, error) {
	all, err := x.set.Statuses(ctx, x.ask)
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
		out[i] = console.SLO{ID: s.ID(), Name: s.Name, Service: s.Service, Owner: s.Owner, Description: s.Description, Objective: s.Objective, Window: s.Period,
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
	samples, err := x.ask(ctx, `{__name__=~"slo:sli_error:ratio_rate.*"}`)
	out := burnRates{}
	for _, s := range samples {
		out[[2]string{s.Labels["sloth_id"], s.Labels["sloth_window"]}] = s.Value
	}
	return out, err
}

func (x *promises) history(ctx context.Context) (map[string][]console.Point, error) {
	s := x.server.Load()
	if s == nil {
		return nil, nil
	}
	now := time.Now()
	out := map[string][]console.Point{}
	series, err := s.QueryRange(ctx, alerts.BudgetRemaining, now.Add(-historyShown), now, historyShown/historyPoints)
	if err != nil {
		return nil, err
	}
	for _, r := range series {
		for _, pt := range r.Points {
			out[r.Labels["sloth_id"]] = append(out[r.Labels["sloth_id"]], console.Point{At: pt.At, Budget: pt.Value})
		}
	}
	series, err = s.QueryRange(ctx, x.set.Policy.ShortRatio(), now.Add(-historyShown), now, historyShown/historyPoints)
	for _, r := range series {
		for i, pt := range r.Points {
			if points := out[r.Labels["sloth_id"]]; i < len(points) && points[i].At.Equal(pt.At) {
				points[i].Errors = pt.Value
			}
		}
	}
	return out, err
}

// shownAlerts are those that are pending or firing.
func (x *promises) shownAlerts(context.Context) ([]console.Alert, error) {
	s := x.server.Load()
	if s == nil {
		return nil, nil
	}
	var out []console.Alert
	for _, a := range s.Alerts() {
		out = append(out, console.Alert{Name: a.Name, Severity: a.Labels["severity"], State: a.State, SLO: a.Labels["sloth_id"],
			Summary: a.Annotations["summary"], Runbook: a.Annotations["runbook_url"], Labels: a.Labels, Since: a.ActiveAt, Value: a.Value})
	}
	return out, nil
}

func runbook(name string) (string, bool) {
	b, err := alerts.Runbook(name)
	return string(b), err == nil
}
