package prometheus

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"

	"github.com/weirstream/weir/alerts/rulefile"
)

func (s *Server) buildRules(c Config, metrics prometheus.Registerer) error {
	external, err := url.Parse(c.ExternalURL)
	if err != nil {
		return fmt.Errorf("external URL: %w", err)
	}
	s.rules = rules.NewManager(&rules.ManagerOptions{
		Context: s.ctx, ExternalURL: external, Logger: c.Log, Registerer: metrics,
		QueryFunc: rules.EngineQueryFunc(s.engine, s.db), AppendableV2: s.db, Queryable: s.db,
		NotifyFunc:  func(context.Context, string, ...*rules.Alert) {},
		GroupLoader: s.loader, Parser: rulefile.PromQL,
		// As Prometheus' flags have them: an alert that was pending for longer than
		// the second goes on where it was, if the server was away for less than the first.
		OutageTolerance: time.Hour, ForGracePeriod: 10 * time.Minute, ResendDelay: time.Minute,
	})
	return s.rules.Update(time.Duration(s.config.GlobalConfig.EvaluationInterval), slices.Sorted(maps.Keys(s.loader)), labels.EmptyLabels(), "", nil)
}
