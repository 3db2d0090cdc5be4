// Package dashboards has Grafana's boards, as functions of what they show: a
// business with its topology, the objectives and their alerts. What is added there
// is on the boards; nobody draws one.
package dashboards

import (
	"fmt"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// tag is on all boards, and finds them.
const tag = "weir"

// Uids and names of the datasources, as the provisioning files declare them.
const (
	Prometheus    = "prometheus"
	Jaeger        = "jaeger"
	Elasticsearch = "elasticsearch"
	ClickHouse    = "clickhouse"
)

// Business is what the boards show.
type Business struct {
	Business *business.Business
	Topology *streams.Topology // of it
	Alerts   *alerts.Set
	// Live is the address of the live page, e.g. http://127.0.0.1:8080, where
	// links to sagas, traces and runbooks lead. It can be changed on a board.
	Live string
}

// evaluated is a metric that there is as long as somebody evaluates the rules.
func (b Business) evaluated() string {
	if len(b.Alerts.SLOs) > 0 {
		return alerts.Info
	}
	return anybody
}

// Uids of the boards that there is one of.
const (
	OverviewUID   = "weir-overview"
	ObjectivesUID = "weir-objectives"
	PipelineUID   = "weir-pipeline"
	IngestionUID  = "weir-ingestion"
	BusinessUID   = "weir-business"
)

// ServiceUID is the uid of a service's board.
func ServiceUID(service string) string { return "weir-service-" + service }

// SagaUID is the uid of a saga's board.
func SagaUID(saga string) string { return "weir-saga-" + saga }

// Boards are all boards of a business.
func Boards(b Business) ([]Board, error) {
	if err := b.Alerts.Check(); err != nil {
		return nil, fmt.Errorf("boards not drawn: %w", err)
	}
	l := limits{b.Alerts}
	drafts := []draft{overview(b, l), objectives(b, l), pipeline(b, l), ingestion(b, l)}
	for _, s := range b.Topology.Services {
		drafts = append(drafts, service(b, s, l))
	}
	for _, s := range b.Business.Sagas {
		drafts = append(drafts, saga(b, s, l))
	}
	asked, err := askedBoard(b, l)
	if err != nil {
		return nil, fmt.Errorf("the board of the business's questions not drawn: %w", err)
	}
	drafts = append(drafts, asked)
	var out []Board
	for _, d := range drafts {
		out = append(out, d.build())
	}
	return out, nil
}
