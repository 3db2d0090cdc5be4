package dev

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/streams"
)

// page is the live page, fed until the platform stops.
func (p *platform) page() http.Handler {
	letters := &deadLetters{p}
	c, err := console.New(console.Config{Reads: p.reads, Metrics: p.registry, Topology: p.topology, Sagas: p.sagas, Traces: p.traces, NotReady: p.notReady,
		Letters: letters.shown, Retry: p.unpark((*streams.Instance).RetryParked), Drop: p.unpark((*streams.Instance).DropParked), Log: p.Log})
	if err != nil { // the rest of the interface is worth having without it
		p.Log.Error("no live page", "error", err)
		return http.NotFoundHandler()
	}
	p.background(context.Background(), "live page", c.Run)
	return c
}

// shown are the parked inputs as the live page shows them: by service, so that
// they keep their places, and within a lane by their order.
func (d *deadLetters) shown(ctx context.Context) ([]console.Letter, error) {
	rows, err := d.read(ctx, "", streams.StreamID{})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(rows, func(a, b Letter) int { return cmp.Compare(a.Service, b.Service) })
	out := make([]console.Letter, len(rows))
	for i, l := range rows {
		out[i] = console.Letter(l)
	}
	return out, nil
}

// unpark asks the instance of a service to decide or drop what is parked.
func (p *platform) unpark(do func(*streams.Instance, context.Context, streams.StreamID) (int, error)) func(context.Context, string, streams.StreamID) (int, error) {
	return func(ctx context.Context, service string, key streams.StreamID) (int, error) {
		i, ok := p.instances[service]
		if !ok {
			return 0, fmt.Errorf("service %q does not run here", service)
		}
		return do(i, ctx, key)
	}
}
