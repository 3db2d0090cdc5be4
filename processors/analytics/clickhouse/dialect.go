package clickhouse

import (
	"fmt"
	"strings"

	"github.com/weirstream/weir/processors/analytics"
)

// SQL is how ClickHouse writes questions.
var SQL analytics.Dialect = dialect{}

// Dialect is ClickHouse's.
func (s *Store) Dialect() analytics.Dialect { return dialect{} }

type dialect struct{}

// formats are formatDateTime's of the units of time.
var formats = map[string]string{"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}

func (dialect) Bucket(at, unit, zone string) string {
	return fmt.Sprintf("formatDateTime(%s, '%s', '%s')", at, formats[unit], strings.ReplaceAll(zone, "'", ""))
}

func (dialect) Nanos(at string) string   { return "toUnixTimestamp64Nano(" + at + ")" }
func (dialect) After(at string) string   { return at + " >= fromUnixTimestamp64Nano(?, 'UTC')" }
func (dialect) Before(at string) string  { return at + " < fromUnixTimestamp64Nano(?, 'UTC')" }
func (dialect) Distinct(x string) string { return "uniqExact(" + x + ")" }

func (dialect) Quantile(x string, q float64) string {
	return fmt.Sprintf("quantileExact(%g)(%s)", q, x)
}

func (dialect) ArgMax(x, a, b, condition string) string {
	return fmt.Sprintf("argMaxIf(%s, (%s, %s), %s)", x, a, b, condition)
}

func (dialect) Scaled(aggregate, _ string) string {
	return fmt.Sprintf("toString(toInt128(%s * %d))", aggregate, scale)
}

func (dialect) Each(table string, lists []analytics.Column) string {
	var names []string
	for _, c := range lists {
		names = append(names, quote(c.Name))
	}
	return quote(table) + " ARRAY JOIN " + strings.Join(names, ", ")
}
