//go:build real

package platform

import (
	"context"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/services/gateway/describetest"
	"github.com/weirstream/weir/services/shop"
)

// What others' programs find wrong with the interface's description, and with the
// interface as it is described.
func TestTheInterfaceIsAsDescribed(t *testing.T) {
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	description, err := gateway.Describe(shop.Business, top)
	if err != nil {
		t.Fatal(err)
	}
	describetest.Lint(t, description)
	cfg := config.Default()
	cfg.HTTP, cfg.Data, cfg.Partitions = "127.0.0.1:0", t.TempDir(), 2
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Business: shop.Business, Config: cfg, Units: []string{AllUnits}, Kafka: "127.0.0.1:0", Ready: func(http, _ string) { ready <- http }})
	}()
	select {
	case at := <-ready:
		describetest.Exercise(t, "http://"+at)
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("not up after a minute")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
