// Package platform runs units of the business in one process: services, the
// read model, the HTTP interface. What the configuration names no server for is
// embedded: the log, event stores, the read model, simulated
// endpoints; and there are customers, if asked for.
package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/deploy/discovery"
	"github.com/weirstream/weir/deploy/platform/embedded"
	"github.com/weirstream/weir/deploy/platform/practice"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/postgres"
	"github.com/weirstream/weir/streams/telemetry"
)

// ErrInvariant says that the run ended and its books do not balance.
var ErrInvariant = errors.New("an invariant is broken")

// platform is everything that runs.
type platform struct {
	Options
	hosts     []string // names that the interface is asked by
	route     func(*http.Request) string
	units     chosen
	topology  *streams.Topology
	kafka     []kgo.Opt      // for clients of the log
	broker    *embedded.Log  // or nil
	postgres  *postgres.Pool // which the event stores share, or nil
	commands  streams.Commands
	ports     ports
	registry  discovery.Registry
	outside   *outside
	stores    map[string]streams.Store // of the services that run here
	storesMu  sync.Mutex
	borrowed  map[string]streams.Store // of other services, opened to build the read model
	instances map[string]*streams.Instance
	pipelines pipelines
	reads     *projection.Model
	cache     cache.Cache // of the interface
	telemetry *telemetry.Telemetry
	traces    *telemetry.Recent
	metrics   *prometheus.Registry
	watched   *watched  // where the read model is written
	lag       readerLag // of the read model
	analytics analyticsPart
	untrimmed bool // the log is not trimmed now; of the unit that does it
	behind    behindGauges

	supervised  supervised
	haltedUnits *prometheus.GaugeVec
	runs        *prometheus.GaugeVec // units that are here

	promises promises
	data     *embedded.Data   // once something embedded keeps anything
	faults   *practice.Faults // of a platform that is all embedded, or nil
	began    time.Time

	incarnations atomic.Pointer[map[string]string] // of the stores, by service

	customers func() // sends them home, and waits until the last was answered
	probes    func() // ends the prober

	fail context.CancelCauseFunc // ends the run with a reason
	wait []func()                // what to wait for at the end, last started first
}

// Run starts the units and returns when ctx ends and they have drained, or when
// the start fails for good. A unit that fails later is halted alone.
func Run(ctx context.Context, o Options) (err error) {
	if o.Business == nil {
		return errors.New("the platform needs a business to run")
	}
	asked := ctx
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	p := newPlatform(o, fail)
	err = p.start(ctx)
	canceled := ctx.Err() != nil && errors.Is(err, context.Canceled)
	if err != nil && (asked.Err() != nil || canceled) {
		if !canceled { // of what was half done
			p.Log.Warn("the start was interrupted", "error", err)
		}
		err = p.cutShort("before it was up, ")
	} else if err == nil {
		p.announce()
		err = p.serve(ctx)
	}
	p.stop()
	return err
}

func newPlatform(o Options, fail context.CancelCauseFunc) *platform {
	o.defaults()
	return &platform{Options: o, fail: fail, stores: map[string]streams.Store{}, borrowed: map[string]streams.Store{}, instances: map[string]*streams.Instance{},
		lag:       readerLag{unit: ProjectionUnit, what: "the read model"},
		analytics: analyticsPart{lag: readerLag{unit: AnalyticsUnit, what: "analytics"}},
		traces:    &telemetry.Recent{}, metrics: prometheus.NewRegistry(), began: time.Now()}
}

func (p *platform) announce() {
	log := "Kafka at " + strings.Join(p.Config.Kafka.Brokers, ", ")
	if p.broker != nil {
		log = "Kafka protocol on " + p.Kafka
	}
	fmt.Fprintf(p.Out, "weir is up after %s: http://%s (%s). Ctrl-C drains and stops.\n", time.Since(p.began).Round(time.Millisecond), p.Config.HTTP, log)
	if p.Ready != nil {
		p.Ready(p.Config.HTTP, p.Kafka)
	}
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
		why := p.notReady() // before they drain
		if err := p.summary(ctx); err != nil || len(why) == 0 {
			return err
		}
		return fmt.Errorf("not everything was at work: %s", strings.Join(why, "; "))
	case <-ctx.Done():
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			return cause
		}
		return p.cutShort("")
	}
}

// cutShort says what an interrupted run has not done.
func (p *platform) cutShort(when string) error {
	after := time.Since(p.began).Round(time.Second)
	if p.For > 0 {
		return fmt.Errorf("interrupted %safter %s of %s: nothing was audited", when, after, p.For)
	}
	if when != "" {
		fmt.Fprintf(p.Out, "stopped %safter %s\n", when, after)
	}
	return nil
}

// stop ends the parts in the opposite order of their start.
func (p *platform) stop() {
	for i := len(p.wait) - 1; i >= 0; i-- {
		p.wait[i]()
	}
}

func (p *platform) start(ctx context.Context) error {
	var err error
	if p.topology, err = p.Business.Topology(); err != nil {
		return err
	}
	if p.units, err = choose(p.topology, p.Units); err != nil {
		return err
	}
	p.units.prober = p.units.prober && p.Probe > 0 && p.Business.Customer != nil // one that never asks is none
	if err := p.units.check(&p.Config, p.Business.Endpoints()); err != nil {
		return err
	}
	listener, err := listen(p.Config.HTTP)
	if err != nil {
		return err
	}
	p.hosts = names(&p.Config) // before the name gives way to its address
	p.Config.HTTP = listener.Addr().String()
	p.wait = append(p.wait, func() { listener.Close() })
	for _, step := range []func(context.Context) error{p.findPrometheus, p.startTelemetry, p.startKafka, p.startPostgres, p.startCommands, p.startRegistry,
		p.startOutside, p.startFaults, p.startServices, p.startPipelines, p.startCache, p.startReads, p.startAnalytics, p.startPorts, p.startTrim} {
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
	if err := p.startPromises(ctx); err != nil {
		return err
	}
	p.followIncarnations(ctx)
	p.register(ctx)
	if err := p.startProber(ctx); err != nil {
		return err
	}
	return p.startCustomers(ctx)
}

// path is a file or directory of the run's data.
func (p *platform) path(name string) string { return filepath.Join(p.Config.Data, name) }

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot serve on %s: %w. Is another weir running? Choose another address with --http or in the configuration", addr, err)
	}
	return l, nil
}
