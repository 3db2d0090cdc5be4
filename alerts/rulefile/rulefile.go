// Package rulefile gives Prometheus' rule manager files that are in memory.
package rulefile

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// PromQL parses the language as Prometheus does without feature flags.
var PromQL = parser.NewParser(parser.Options{})

// Loader holds the groups of each file.
type Loader map[string]*rulefmt.RuleGroups

// Parse reads and checks files by their names. The error says which file, line,
// group and rule.
func Parse(files map[string][]byte, log *slog.Logger) (Loader, error) {
	l := Loader{}
	var bad []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		groups, errs := rulefmt.Parse(files[name], false, model.UTF8Validation, PromQL, log)
		for _, err := range errs {
			bad = append(bad, fmt.Errorf("rules %s: %w", name, err))
		}
		l[name] = groups
	}
	return l, errors.Join(bad...)
}

// Load finds a file by its name.
func (l Loader) Load(name string, _ bool, _ model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return l[name], nil
}

// Parse parses an expression.
func (l Loader) Parse(expr string) (parser.Expr, error) { return PromQL.ParseExpr(expr) }
