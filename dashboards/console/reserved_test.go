package console

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams/business"
)

// No view can be called like another page of a console that has all of them.
func TestPagesAreReserved(t *testing.T) {
	topology, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Reads: &projection.Model{}, Metrics: prometheus.NewRegistry(), Topology: topology, Business: shop.Business, Analytics: &analytics.Model{},
		SLOs:   func(context.Context) ([]SLO, error) { return nil, nil },
		Alerts: func(context.Context) ([]Alert, error) { return nil, nil },
		Faults: func() []Fault { return nil }, SwitchFault: func(context.Context, string, bool) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range c.own {
		_, path, _ := strings.Cut(pattern, "/")
		if first, _, _ := strings.Cut(path, "/"); first != "{$}" && !business.ReservedPage(first) {
			t.Errorf("a view could be called like the page %q: reserve it in streams/business", pattern)
		}
	}
	if len(c.own) < 18 {
		t.Errorf("only %d pages were seen", len(c.own))
	}
}
