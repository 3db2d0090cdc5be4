package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/sagas"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
	"github.com/weirstream/weir/streams/telemetry"
)

// RunOptions say which services to run against a Kafka that is there.
type RunOptions struct {
	Services                   []string // names, or "all"
	Brokers                    []string
	Data                       string
	Partitions                 int32
	HTTP                       string // for /metrics and /readyz; empty: none
	Provider, Carrier, Mailbox string
	Log                        *slog.Logger
}

// RunServices runs one instance of each named service until ctx ends.
func RunServices(ctx context.Context, o RunOptions) error {
	topology, err := sagas.Topology()
	if err != nil {
		return err
	}
	names, err := chosen(topology, o.Services)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Data, 0o755); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	registry := prometheus.NewRegistry()
	tel, err := telemetry.New(telemetry.Options{Registerer: registry})
	if err != nil {
		return err
	}
	cfg := streams.Config{Topology: topology, Client: []kgo.Opt{kgo.SeedBrokers(o.Brokers...)}, Partitions: o.Partitions, Commands: streams.NewCommands(),
		Transports: reach(o.Provider, o.Carrier, o.Mailbox), Hooks: []streams.Hook{tel}, Log: o.Log}
	instances := map[string]*streams.Instance{}
	for _, name := range names {
		store, err := sqlite.Open(filepath.Join(o.Data, name+".db"))
		if err != nil {
			return err
		}
		defer store.Close()
		if instances[name], err = streams.NewInstance(cfg, name, store); err != nil {
			return err
		}
	}
	stop, err := serveStatus(o.HTTP, registry, instances)
	if err != nil {
		return err
	}
	defer stop()
	return runAll(ctx, instances)
}

func chosen(t *streams.Topology, names []string) ([]string, error) {
	var all []string
	for _, s := range t.Services {
		all = append(all, s.Name)
	}
	if slices.Contains(names, "all") {
		return all, nil
	}
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("no service is called %q: choose from %v, or all", n, all)
		}
	}
	return names, nil
}

// serveStatus serves metrics and readiness until the returned function is called.
func serveStatus(addr string, registry *prometheus.Registry, instances map[string]*streams.Instance) (func(), error) {
	if addr == "" {
		return func() {}, nil
	}
	l, err := listen(addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		for name, i := range instances {
			for _, lane := range i.Lanes() {
				if lane.State != streams.LaneRunning {
					http.Error(w, fmt.Sprintf("lane %s/%d is not at work: %v", name, lane.Lane, lane.Err), http.StatusServiceUnavailable)
					return
				}
			}
		}
		fmt.Fprintln(w, "ready")
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			slog.Error("status not served any more", "error", err)
		}
	}()
	return func() {
		_ = srv.Close() // nobody waits for a scrape
		<-done
	}, nil
}
