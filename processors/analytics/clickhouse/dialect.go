package clickhouse

import (
	"fmt"
	"slices"
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

// usual are the quantiles that are mostly asked for together: they are sorted for once.
var usual = []float64{0.5, 0.95, 0.99}

func (dialect) Quantile(x string, q float64) string {
	if i := slices.Index(usual, q); i >= 0 {
		return fmt.Sprintf("if(count(%[1]s) = 0, NULL, quantilesExact(0.5, 0.95, 0.99)(%[1]s)[%[2]d])", x, i+1)
	}
	return fmt.Sprintf("quantileExact(%g)(%s)", q, x)
}

func (dialect) ArgMax(x, a, b, condition string) string {
	return fmt.Sprintf("argMaxIf(%s, (%s, %s), %s)", x, a, b, condition)
}

func (dialect) Collect(x, condition string) string {
	return fmt.Sprintf("groupArrayIf(%s, %s)", x, condition)
}

func (dialect) LastUpTo(collected, bound string) string {
	// What is collected are times, of which 0 is none.
	return fmt.Sprintf("nullIf(arrayMax(arrayFilter(x -> x <= assumeNotNull(%s), %s)), 0)", bound, collected)
}

func (dialect) Pairs(items string) string {
	return "(SELECT p.1 AS `one`, p.2 AS `other` FROM (SELECT arrayJoin(arrayFlatten(arrayMap((x, i) -> arrayMap(y -> (x, y), arraySlice(a, i + 1)), a, arrayEnumerate(a)))) AS p " +
		"FROM (SELECT arraySort(groupUniqArray(`item`)) AS a FROM (" + items + ") GROUP BY `key1`)))"
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
