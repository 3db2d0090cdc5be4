package platform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/discovery"
	"github.com/weirstream/weir/deploy/discovery/consul"
	"github.com/weirstream/weir/deploy/platform/embedded"
	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
	analyticssqlite "github.com/weirstream/weir/processors/analytics/sqlite"
	"github.com/weirstream/weir/processors/projection"
	projectionmongo "github.com/weirstream/weir/processors/projection/mongo"
	projectionsqlite "github.com/weirstream/weir/processors/projection/sqlite"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/cache/redis"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/postgres"
	"github.com/weirstream/weir/streams/rabbitmq"
	"github.com/weirstream/weir/streams/sqlite"
	"github.com/weirstream/weir/streams/telemetry"
)

// Each port has its embedded part and its real one; this file is the only place
// that chooses.

func (p *platform) startTelemetry(ctx context.Context) error {
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := p.registerBuild(); err != nil {
		return err
	}
	exporters := []sdktrace.SpanExporter{p.traces}
	if p.Config.OTLP.Endpoint != "" {
		e, err := otlptrace.New(ctx, otlpClient(p.Config.OTLP))
		if err != nil {
			return fmt.Errorf("spans to %s: %w", p.Config.OTLP.Endpoint, err)
		}
		exporters = append(exporters, e)
	}
	var err error
	o := telemetry.Options{Registerer: p.metrics, Exporters: exporters, SpansPerSecond: p.Config.OTLP.SpansPerSecond, Version: version(), Instance: p.instance()}
	if p.Config.RabbitMQ.URL != "" {
		o.Queues = telemetry.Queues{System: "rabbitmq", Name: func(service string, lane int32) string {
			return rabbitmq.QueueName(rabbitmq.DefaultPrefix, service, lane)
		}}
	}
	if p.telemetry, err = telemetry.New(o); err != nil {
		return err
	}
	p.wait = append(p.wait, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := p.telemetry.Close(ctx); err != nil {
			p.Log.Warn("the last spans are lost", "error", err)
		}
	})
	return nil
}

func otlpClient(o config.OTLP) otlptrace.Client {
	if o.Protocol == "http" {
		opts := []otlptracehttp.Option{otlptracehttp.WithEndpoint(o.Endpoint), otlptracehttp.WithTimeout(5 * time.Second)}
		if !o.TLS {
			opts = append(opts, otlptracehttp.WithInsecure())
		}
		return otlptracehttp.NewClient(opts...)
	}
	opts := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(o.Endpoint), otlptracegrpc.WithTimeout(5 * time.Second)}
	if !o.TLS {
		opts = append(opts, otlptracegrpc.WithInsecure())
	}
	return otlptracegrpc.NewClient(opts...)
}

func (p *platform) startKafka(context.Context) (err error) {
	if len(p.Config.Kafka.Brokers) == 0 {
		return p.startBroker()
	}
	p.kafka, err = p.Config.Kafka.Client()
	return err
}

// startBroker starts the embedded log.
func (p *platform) startBroker() error {
	if err := p.makeData(); err != nil {
		return err
	}
	var err error
	if p.broker, err = embedded.Open(p.Kafka, p.path("log"), p.Log); err != nil {
		return err
	}
	p.Kafka, p.kafka = p.broker.Address(), p.broker.Client()
	p.wait = append(p.wait, p.broker.Close)
	return nil
}

func (p *platform) startCommands(context.Context) error {
	if p.Config.RabbitMQ.URL == "" {
		p.commands = streams.NewCommands()
		return nil
	}
	c, err := rabbitmq.Open(p.Config.RabbitMQ.URL.Reveal(), rabbitmq.Options{Log: p.Log})
	if err != nil {
		return err
	}
	p.commands = c
	p.closeAtEnd("commands", c.Close)
	return nil
}

func (p *platform) startRegistry(context.Context) (err error) {
	if p.Config.Consul.URL == "" {
		p.registry = discovery.NewRegistry()
		return nil
	}
	p.registry, err = consul.Open(p.Config.Consul.URL.Reveal(), p.Config.Consul.Token.Reveal(), p.Log)
	return err
}

// startPostgres makes the pool of connections that this process's event stores share.
func (p *platform) startPostgres(ctx context.Context) (err error) {
	if p.Config.Postgres.URL == "" {
		return nil
	}
	p.postgres, err = postgres.Connect(ctx, p.Config.Postgres.URL.Reveal(), postgres.WithConnections(int(p.Config.Postgres.MaxConns)))
	if err != nil {
		return err
	}
	p.closeAtEnd("connections to PostgreSQL", p.postgres.Close)
	return nil
}

// openStore opens a service's event store.
func (p *platform) openStore(ctx context.Context, service string) (streams.Store, error) {
	if p.postgres != nil {
		return p.postgres.Open(ctx, service)
	}
	if err := p.makeData(); err != nil {
		return nil, err
	}
	return sqlite.Open(p.path(service+".db"), sqlite.WithCache(4<<20))
}

// openReads opens the read model.
func (p *platform) openReads(ctx context.Context) (projection.Store, error) {
	if p.Config.Mongo.URL != "" {
		return projectionmongo.Open(ctx, p.Config.Mongo.URL.Reveal(), p.Config.Mongo.Database, p.Business.Views())
	}
	if err := p.makeData(); err != nil {
		return nil, err
	}
	return projectionsqlite.Open(p.path("reads.db"), p.Business.Views())
}

// analyticsFile is where analytics is embedded.
const analyticsFile = "analytics.db"

// openAnalytics opens the tables of analytics.
func (p *platform) openAnalytics() (analytics.Swappable, error) {
	if p.Config.ClickHouse.URL == "" {
		if err := p.makeData(); err != nil {
			return nil, err
		}
		return analyticssqlite.OpenLive(p.path(analyticsFile), p.analytics.schema)
	}
	return clickhouse.Open(p.Config.ClickHouse.URL.Reveal(), p.analytics.schema, clickhouse.Layout{Cluster: p.Config.ClickHouse.Cluster, KeepDays: p.Config.HistoryDays})
}

// startCache opens what the interface may forget.
func (p *platform) startCache(context.Context) (err error) {
	switch {
	case !p.units.gateway && !p.units.projection:
		return nil
	case p.Config.Redis.URL == "":
		p.cache = cache.NewMemory(time.Now)
	default:
		if p.cache, err = redis.Open(p.Config.Redis.URL.Reveal(), redis.Options{Log: p.Log}); err != nil {
			return err
		}
	}
	p.closeAtEnd("cache", p.cache.Close)
	return nil
}

// documentsCache is the cache if whoever writes the read model can reach it, to
// drop documents that change; or nil. Without Redis that is this process alone, and
// with a real log another one may do the writing.
func (p *platform) documentsCache() cache.Cache {
	if p.Config.Redis.URL == "" && p.broker == nil {
		return nil
	}
	return p.cache
}

// makeData takes hold of the data directory, before anything in it is opened.
func (p *platform) makeData() error {
	if p.data != nil {
		return nil
	}
	d, err := embedded.Hold(p.Config.Data, p.Business.Name, p.Config.HTTP)
	if err != nil {
		return err
	}
	p.data = d
	p.closeAtEnd("data directory", d.Release)
	i := telemetry.NewInstruments(p.metrics)
	d.MeasureDisk(i)
	return i.Err()
}

// closeAtEnd closes a part when the platform stops.
func (p *platform) closeAtEnd(what string, f func() error) {
	p.wait = append(p.wait, func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			p.Log.Error("not closed", "part", what, "error", err)
		}
	})
}

// incarnationTime is how old news of the stores' incarnations may be: for so
// long after a store was restored, an answer of before may be given again.
const incarnationTime = 15 * time.Second

// followIncarnations keeps in mind which stores the services have.
func (p *platform) followIncarnations(ctx context.Context) {
	if !p.units.gateway {
		return
	}
	look := func() {
		ctx, cancel := context.WithTimeout(ctx, incarnationTime)
		defer cancel()
		have, err := streams.Incarnations(ctx, p.kafka)
		if err != nil && ctx.Err() == nil {
			p.Log.Warn("incarnations of the stores not known, no answer is remembered", "error", err)
		}
		p.incarnations.Store(&have)
	}
	p.background(ctx, "incarnations", func(ctx context.Context) error {
		tick := time.NewTicker(incarnationTime)
		defer tick.Stop()
		for {
			look()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
}

func (p *platform) incarnation(service string) string {
	if have := p.incarnations.Load(); have != nil {
		return (*have)[service]
	}
	return ""
}
