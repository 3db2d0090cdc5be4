package platform

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// page is the live page, fed until the platform stops.
func (p *platform) page() http.Handler {
	cfg := console.Config{Reads: p.reads, Metrics: p.metrics, Topology: p.topology, Business: p.Business, Analytics: p.askedAnalytics(), Traces: p.traces, NotReady: p.notReady, Degraded: p.degraded, ReadsBehind: p.readsBehind,
		Letters: p.shownLetters, Retry: p.unparker(retry), Drop: p.unparker(drop), Runbook: p.promises.runbook, Log: p.Log}
	if p.promises.asks != nil {
		cfg.SLOs, cfg.Alerts, cfg.AlertRules = p.promises.shownSLOs, p.promises.shownAlerts, p.promises.rules()
	}
	if base := p.Config.Alertmanager.URL.Reveal(); base != "" {
		cfg.Silences = alertmanager{base}.silences
	}
	if base := p.Config.Jaeger.URL.Reveal(); base != "" {
		cfg.Jaeger = &telemetry.Jaeger{URL: base, Services: []string{GatewayUnit}}
		for _, s := range p.topology.Services {
			cfg.Jaeger.Services = append(cfg.Jaeger.Services, s.Name)
		}
	}
	if p.faults != nil {
		cfg.Faults, cfg.SwitchFault = p.shownFaults, p.faults.Turn
	}
	c, err := console.New(cfg)
	if err != nil { // the rest of the interface is worth having without it
		p.Log.Error("no live page", "error", err)
		return http.NotFoundHandler()
	}
	p.background(context.Background(), "live page", c.Run)
	return c
}

// shownLetters are the parked inputs as the live page shows them: by service, so
// that they keep their places, and within a lane by their order.
func (p *platform) shownLetters(ctx context.Context) (out []console.Letter, err error) {
	for g := (letterPage{limit: maxLetters}); len(out) < console.LettersRead; {
		page, err := p.allLetters(ctx, "", g)
		if err != nil {
			return nil, err
		}
		for _, l := range page.DeadLetters {
			out = append(out, console.Letter(l))
		}
		if page.Next == "" {
			break
		}
		if g, err = readPage(url.Values{"limit": {strconv.Itoa(maxLetters)}, "page": {page.Next}}); err != nil {
			return nil, err
		}
	}
	return out[:min(len(out), console.LettersRead)], nil
}

func (p *platform) shownFaults() []console.Fault {
	all := p.faults.List()
	out := make([]console.Fault, len(all))
	for i, f := range all {
		out[i] = console.Fault(f)
	}
	return out
}

func (p *platform) unparker(verb string) func(context.Context, string, streams.StreamID) (int, error) {
	return func(ctx context.Context, service string, key streams.StreamID) (int, error) {
		return p.unpark(ctx, service, key, verb)
	}
}
