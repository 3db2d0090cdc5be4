// Package probe connects to everything that a configuration names, and tells
// what answers, in which version, and what is missing there.
package probe

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Row is what one server said.
type Row struct {
	What     string   `json:"what"`
	Address  string   `json:"address"` // without secrets; empty: embedded
	Answers  bool     `json:"answers"`
	Version  string   `json:"version,omitempty"`
	Missing  []string `json:"missing,omitempty"`  // what units will make when they start
	Problems []string `json:"problems,omitempty"` // what a person has to mend
}

// OK tells whether nothing has to be mended.
func (r *Row) OK() bool { return r.Answers && len(r.Problems) == 0 }

const patience = 8 * time.Second // with one server

// prober is one server of a configuration.
type prober struct {
	what    string
	address string
	probe   func(ctx context.Context, r *Row) error
}

// All probes every server at once. What is embedded answers by definition.
func All(ctx context.Context, c *config.Config, t *streams.Topology, endpoints []business.Endpoint) []Row {
	probers := []prober{
		{"kafka", strings.Join(c.Kafka.Brokers, ","), kafka(c, t)},
		{"postgres", c.Postgres.URL.String(), postgresServer(c, t)},
		{"rabbitmq", c.RabbitMQ.URL.String(), rabbitmqServer(c, t)},
		{"mongo", c.Mongo.URL.String(), mongodb(c)},
		{"redis", c.Redis.URL.String(), redisServer(c)},
		{"consul", c.Consul.URL.String(), consul(c)},
		{"clickhouse", c.ClickHouse.URL.String(), clickhouse(c)},
		{"otlp", c.OTLP.Endpoint, otlp(c)},
		{"jaeger", c.Jaeger.URL.String(), answersJSON(c.Jaeger.URL, "/api/services")},
		{"alertmanager", c.Alertmanager.URL.String(), answersJSON(c.Alertmanager.URL, "/api/v2/status")},
		{"prometheus", c.Prometheus.URL.String(), prometheus(c)},
	}
	for _, e := range endpoints {
		at := c.Outside[e.Name]
		if e.Protocol == business.SMTP {
			probers = append(probers, prober{e.Name, at.Reveal(), smtp(at.Reveal())}) // host:port, says CheckOutside
		} else {
			probers = append(probers, prober{e.Name, at.String(), httpServer(at.Reveal())})
		}
	}
	rows := make([]Row, len(probers))
	var wg sync.WaitGroup
	for i, p := range probers {
		wg.Go(func() { rows[i] = p.run(ctx) })
	}
	wg.Wait()
	return rows
}

func (p *prober) run(ctx context.Context) Row {
	r := Row{What: p.what, Address: p.address, Answers: true}
	if p.address == "" {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ended := make(chan error, 1) // not every client keeps to its context
	work := r
	go func() { ended <- p.probe(ctx, &work) }()
	select {
	case err := <-ended:
		if err != nil {
			work.Answers = false
			work.Problems = append(work.Problems, err.Error())
		}
		return work
	case <-ctx.Done():
		r.Answers, r.Problems = false, []string{fmt.Sprintf("no answer within %v", patience)}
		return r
	}
}
