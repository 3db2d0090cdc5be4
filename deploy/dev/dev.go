// Package dev runs the whole business in one process on embedded parts: the
// log, the services, the read model, the HTTP interface, the simulated
// provider, carrier and mailbox, and shoppers, if asked for.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/sagas"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// Options say what to run. The zero value of each is usable.
type Options struct {
	HTTP       string        // address to serve on; default 127.0.0.1:8080
	Kafka      string        // address of the embedded log; default 127.0.0.1:9092
	Data       string        // directory to persist in; empty: a temporary one, removed at the end
	Partitions int32         // of the platform; default 2
	Rate       float64       // simulated shoppers' orders per second; 0: none
	For        time.Duration // how long to run; 0: until ctx ends
	// Addresses of a provider, carrier and mailbox that run elsewhere; empty
	// ones are simulated in this process.
	Provider, Carrier, Mailbox string
	SpansPerSecond             int // default 500
	Keep                       int // records per partition kept behind the slowest reader; default 2,000
	Log                        *slog.Logger
	Out                        io.Writer // what a person reads; default: discards
	// Ready is called once everything is at work, with the addresses in use.
	Ready func(http, kafka string)
}

func (o *Options) defaults() {
	if o.HTTP == "" {
		o.HTTP = "127.0.0.1:8080"
	}
	if o.Kafka == "" {
		o.Kafka = "127.0.0.1:9092"
	}
	if o.Partitions == 0 {
		o.Partitions = 2
	}
	if o.SpansPerSecond == 0 {
		o.SpansPerSecond = 500
	}
	if o.Keep == 0 {
		o.Keep = 2000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
}

// ErrInvariant says that the run ended and its books do not balance.
var ErrInvariant = errors.New("an invariant is broken")

// platform is everything that runs.
type platform struct {
	Options
	topology  *streams.Topology
	sagas     []streams.Saga
	broker    *broker
	commands  streams.Commands
	outside   *outside
	stores    map[string]streams.Store
	instances map[string]*streams.Instance
	reads     *projection.Model
	telemetry *telemetry.Telemetry
	traces    *telemetry.Recent
	registry  *prometheus.Registry
	began     time.Time

	shoppers func() // sends them home, and waits until the last has paid

	fail context.CancelCauseFunc // ends the run with a reason
	wait []func()                // what to wait for at the end, last started first
}

// Run starts the platform and returns when ctx ends and it has drained, or when
// something in it failed for good.
func Run(ctx context.Context, o Options) (err error) {
	o.defaults()
	temporary := o.Data == ""
	if temporary {
		if o.Data, err = os.MkdirTemp("", "weir-dev-"); err != nil {
			return fmt.Errorf("no directory for the run's data: %w", err)
		}
		defer os.RemoveAll(o.Data)
	}
	if err = os.MkdirAll(o.Data, 0o755); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	p := &platform{Options: o, fail: fail, commands: streams.NewCommands(), stores: map[string]streams.Store{}, instances: map[string]*streams.Instance{},
		sagas: sagas.All(), traces: &telemetry.Recent{Traces: 300}, registry: prometheus.NewRegistry(), began: time.Now()}
	err = p.start(ctx)
	if err == nil {
		fmt.Fprintf(o.Out, "weir dev is up after %s: http://%s (Kafka protocol on %s). Ctrl-C drains and stops.\n", time.Since(p.began).Round(time.Millisecond), p.HTTP, p.Kafka)
		if o.Ready != nil {
			o.Ready(p.HTTP, p.Kafka)
		}
		err = p.serve(ctx)
	}
	p.stop()
	return err
}

// serve waits for the end of the run, and judges it.
func (p *platform) serve(ctx context.Context) error {
	var over <-chan time.Time
	if p.For > 0 {
		t := time.NewTimer(p.For)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
		return p.summary(ctx)
	case <-ctx.Done():
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			return cause
		}
		return nil
	}
}

// stop ends the parts in the opposite order of their start.
func (p *platform) stop() {
	for i := len(p.wait) - 1; i >= 0; i-- {
		p.wait[i]()
	}
}

func (p *platform) start(ctx context.Context) error {
	var err error
	if p.topology, err = sagas.Topology(); err != nil {
		return err
	}
	for _, s := range p.sagas {
		if err := s.Check(p.topology); err != nil {
			return err
		}
	}
	listener, err := listen(p.HTTP)
	if err != nil {
		return err
	}
	p.HTTP = listener.Addr().String()
	p.wait = append(p.wait, func() { listener.Close() })
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if p.telemetry, err = telemetry.New(telemetry.Options{Registerer: p.registry, Exporters: []sdktrace.SpanExporter{p.traces}, SpansPerSecond: p.SpansPerSecond}); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{p.startBroker, p.startOutside, p.startServices, p.startReads, p.startTrim} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := p.startHTTP(listener); err != nil {
		return err
	}
	if err := p.awaitReady(ctx); err != nil {
		return err
	}
	return p.startShoppers(ctx)
}

// path is a file or directory of the run's data.
func (p *platform) path(name string) string { return filepath.Join(p.Data, name) }

// background runs f until the platform stops, which waits for its end.
func (p *platform) background(ctx context.Context, what string, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil && ctx.Err() == nil {
			p.Log.Error("stopping", "because", what, "error", err)
			p.fail(fmt.Errorf("%s: %w", what, err))
		}
	}()
	p.wait = append(p.wait, func() {
		cancel()
		<-done
	})
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot serve on %s: %w. Is another weir running? Choose an address with --http", addr, err)
	}
	return l, nil
}
