//go:build !real

package platform

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/prometheus"
	"github.com/weirstream/weir/services/ingest"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// nameable is what services and pipelines may be called.
var nameable = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// Everything of the platform that has a name which a service could have too is reserved.
func TestNamesOfThePlatformAreReserved(t *testing.T) {
	cfg := config.Default()
	cfg.HTTP, cfg.Data, cfg.Partitions = "127.0.0.1:0", t.TempDir(), 2
	ctx, stop := context.WithCancelCause(t.Context())
	p := newPlatform(Options{Business: shop.Business, Config: cfg, Units: []string{AllUnits}, Kafka: "127.0.0.1:0", Probe: time.Hour, Rate: 1, Prometheus: true}, stop)
	err := p.start(ctx)
	defer p.stop()
	defer stop(nil)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{AllUnits, GatewayUnit, ProjectionUnit, AnalyticsUnit, ProberUnit}
	for _, u := range p.supervised.list() {
		names = append(names, strings.TrimPrefix(u.name, "registration of "))
	}
	for _, a := range p.topology.ACLs() {
		names = append(names, a.Unit)
		if a.Resource == "group" {
			names = append(names, a.Name)
		}
	}
	files, err := os.ReadDir(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name, store := strings.CutSuffix(f.Name(), ".db"); store {
			names = append(names, name)
		}
	}
	seen := 0
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		if _, ok := p.topology.Service(n); ok || !nameable.MatchString(n) || slices.ContainsFunc(p.topology.Pipelines, func(x streams.Pipeline) bool { return x.Name == n }) {
			continue
		}
		seen++
		if streams.Reserved(n) == "" {
			t.Errorf("a service could be called %q, like something of the platform: reserve it in streams", n)
		}
	}
	if seen < 9 {
		t.Errorf("only %d names of the platform were seen in %q", seen, names)
	}
}

// No path that a process answers by itself can be a command's or a view's.
func TestPathsOfThePlatformAreReserved(t *testing.T) {
	own := (&platform{}).ownRoutes()
	own[ingest.Path] = nil
	for path := range own {
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if !business.ReservedPath(path) || !business.ReservedPage(first) {
			t.Errorf("%s could be a business's: reserve it in streams/business", path)
		}
	}
	if len(own) < 10 || own[prometheus.Path] == nil {
		t.Errorf("only %d paths were seen", len(own))
	}
}
