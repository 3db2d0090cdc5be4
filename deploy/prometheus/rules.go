package prometheus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// loader gives the manager its rules from memory.
type loader struct {
	groups map[string]*rulefmt.RuleGroups
}

// Load finds a file by its name.
func (l *loader) Load(name string, _ bool, _ model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return l.groups[name], nil
}

// Parse parses an expression.
func (l *loader) Parse(expr string) (parser.Expr, error) { return promQL.ParseExpr(expr) }

// parse reads and checks files of rule groups. The error says which file, line,
// group and rule.
func parse(files map[string][]byte, log *slog.Logger) (map[string]*rulefmt.RuleGroups, error) {
	out := map[string]*rulefmt.RuleGroups{}
	var bad []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		groups, errs := rulefmt.Parse(files[name], false, model.UTF8Validation, promQL, log)
		for _, err := range errs {
			bad = append(bad, fmt.Errorf("prometheus: rules %s: %w", name, err))
		}
		out[name] = groups
	}
	return out, errors.Join(bad...)
}

func (s *Server) buildRules(c Config, metrics prometheus.Registerer) error {
	external, err := url.Parse(c.ExternalURL)
	if err != nil {
		return fmt.Errorf("external URL: %w", err)
	}
	s.rules = rules.NewManager(&rules.ManagerOptions{
		Context: s.ctx, ExternalURL: external, Logger: c.Log, Registerer: metrics,
		QueryFunc: rules.EngineQueryFunc(s.engine, s.db), AppendableV2: s.db, Queryable: s.db,
		NotifyFunc:  func(context.Context, string, ...*rules.Alert) {},
		GroupLoader: s.loader, Parser: promQL,
		// As Prometheus' flags have them: an alert that was pending for longer than
		// the second goes on where it was, if the server was away for less than the first.
		OutageTolerance: time.Hour, ForGracePeriod: 10 * time.Minute, ResendDelay: time.Minute,
	})
	return s.update()
}

func (s *Server) update() error {
	return s.rules.Update(time.Duration(s.config.GlobalConfig.EvaluationInterval), slices.Sorted(maps.Keys(s.loader.groups)), labels.EmptyLabels(), "", nil)
}

// SetRules takes these files in place of those that were there; a group that is
// the same in both keeps its alerts. Bad ones change nothing. Callers take turns.
func (s *Server) SetRules(files map[string][]byte) error {
	parsed, err := parse(files, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	s.loader.groups = parsed
	return s.update()
}
