//go:build !real

package platform_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/services/shop"
)

// The books of a run that is over balance, though its prober has placed orders to
// the end: nothing is placed while they are read.
func TestTheProberEndsBeforeTheBooksAreRead(t *testing.T) {
	cfg := config.Default()
	cfg.HTTP, cfg.Data, cfg.Partitions = "127.0.0.1:0", t.TempDir(), 2
	var out bytes.Buffer
	err := platform.Run(t.Context(),
		platform.Options{Business: shop.Business, Config: cfg, Units: []string{platform.AllUnits}, Kafka: "127.0.0.1:0",
			Rate: 10, Probe: 20 * time.Millisecond,
			For: 3 * time.Second, Log: slog.New(slog.DiscardHandler), Out: &out})
	if err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
