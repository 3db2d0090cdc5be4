package platform

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Units of the platform that are no services.
const (
	GatewayUnit    = "gateway"              // the HTTP interface: commands, queries, ingestion, the live page
	ProjectionUnit = streams.ProjectionUnit // writes the read model
	AnalyticsUnit  = streams.AnalyticsUnit  // writes analytics, and proves it
	ProberUnit     = "prober"               // does what a customer does now and then, to see whether it works
	AllUnits       = "all"
)

// Options say what to run, and where. What Config names no server for is
// embedded in this process.
type Options struct {
	Business *business.Business
	Config   config.Config
	Units    []string // names of services and pipelines, gateway, projection, analytics, prober; or all

	Kafka string        // address of the embedded log; default 127.0.0.1:9092
	Probe time.Duration // between the prober's visits; 0: none
	Rate  float64       // simulated customers per second; 0: none
	For   time.Duration // how long to run; 0: until ctx ends
	Keep  int           // records per partition that the embedded log keeps behind its slowest reader; default 2,000

	Prometheus bool          // runs in this process, with the rules of the business, unless Config names one
	Policy     alerts.Policy // of its alerts; default DevPolicy, or the standard of the one that Config names

	Log *slog.Logger
	Out io.Writer // what a person reads; default: discards
	// Ready is called once everything is at work, with the addresses in use.
	Ready func(http, kafka string)
}

func (o *Options) defaults() {
	if o.Kafka == "" {
		o.Kafka = "127.0.0.1:9092"
	}
	o.Prometheus = o.Prometheus && o.Config.Prometheus.URL == ""
	switch {
	case o.Policy.Windows != nil:
	case o.Config.Prometheus.URL != "":
		o.Policy = alerts.Standard()
	default:
		o.Policy = DevPolicy()
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

// chosen are the units to run here, in the order of the topology.
type chosen struct {
	services, pipelines []string
	gateway, projection bool
	analytics           bool
	prober              bool
	all                 bool
}

func choose(t *streams.Topology, names []string) (chosen, error) {
	var c chosen
	known := []string{GatewayUnit, ProjectionUnit, AnalyticsUnit, ProberUnit}
	c.all = slices.Contains(names, AllUnits)
	has := func(name string) bool { return c.all || slices.Contains(names, name) }
	for _, s := range t.Services {
		known = append(known, s.Name)
		if has(s.Name) {
			c.services = append(c.services, s.Name)
		}
	}
	for _, x := range t.Pipelines {
		known = append(known, x.Name)
		if has(x.Name) {
			c.pipelines = append(c.pipelines, x.Name)
		}
	}
	c.gateway, c.projection, c.analytics, c.prober = has(GatewayUnit), has(ProjectionUnit), has(AnalyticsUnit), has(ProberUnit)
	for _, n := range names {
		if n != AllUnits && !slices.Contains(known, n) {
			return c, fmt.Errorf("no unit is called %q: choose from %s, or %s", n, strings.Join(known, ", "), AllUnits)
		}
	}
	if len(names) == 0 {
		return c, errors.New("no unit is named: nothing to run")
	}
	return c, nil
}

// names are those of all units to run here.
func (c *chosen) names() []string {
	out := slices.Concat(c.services, c.pipelines)
	for name, here := range map[string]bool{GatewayUnit: c.gateway, ProjectionUnit: c.projection, AnalyticsUnit: c.analytics, ProberUnit: c.prober} {
		if here {
			out = append(out, name)
		}
	}
	return out
}

// check refuses units that could not reach the others.
func (c *chosen) check(cfg *config.Config, endpoints []business.Endpoint) error {
	if host, _, err := net.SplitHostPort(cfg.HTTP); err == nil && cfg.Consul.URL != "" && cfg.Consul.Advertise == "" && (host == "" || net.ParseIP(host).IsUnspecified()) {
		return fmt.Errorf("http is %q, and other units cannot reach that: say in consul.advertise which host they are to ask", cfg.HTTP)
	}
	if c.all {
		return nil
	}
	var missing []string
	need := func(set bool, name string) {
		if !set {
			missing = append(missing, name)
		}
	}
	need(len(cfg.Kafka.Brokers) > 0, "kafka.brokers")
	need(cfg.RabbitMQ.URL != "", "rabbitmq.url")
	need(cfg.Consul.URL != "", "consul.url")
	need(len(c.services) == 0 || cfg.Postgres.URL != "", "postgres.url")
	need(cfg.Mongo.URL != "" || c.gateway == c.projection, "mongo.url")
	need(cfg.ClickHouse.URL != "" || c.gateway == c.analytics, "clickhouse.url")
	for _, e := range endpoints {
		need(len(c.services) == 0 || cfg.Outside[e.Name] != "", "outside."+e.Name)
	}
	if len(missing) > 0 {
		return fmt.Errorf("not all units run here, and the others are elsewhere: the configuration must name %s, which they share; or run all", strings.Join(missing, ", "))
	}
	return nil
}
