package sqlite

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weirstream/weir/processors/analytics"
)

// Dialect is SQLite's, with functions of this package.
func (s *Store) Dialect() analytics.Dialect { return dialect{s.schema} }

type dialect struct{ schema *analytics.Schema }

func (dialect) Bucket(at, unit, zone string) string {
	return fmt.Sprintf("weir_bucket(%s, %s, %s)", at, literal(unit), literal(zone))
}

func (dialect) Nanos(at string) string   { return at }
func (dialect) After(at string) string   { return at + " >= ?" }
func (dialect) Before(at string) string  { return at + " < ?" }
func (dialect) Distinct(x string) string { return "count(DISTINCT " + x + ")" }

func (dialect) Quantile(x string, q float64) string {
	return fmt.Sprintf("weir_quantile(%s, %s)", x, strconv.FormatFloat(q, 'f', -1, 64))
}

func (dialect) ArgMax(x, a, b, condition string) string {
	return fmt.Sprintf("weir_argmax(%s, %s, %s) FILTER (WHERE %s)", x, a, b, condition)
}

func (dialect) Collect(x, condition string) string {
	return fmt.Sprintf("group_concat(%s) FILTER (WHERE %s)", x, condition)
}

func (dialect) LastUpTo(collected, bound string) string {
	return fmt.Sprintf("weir_lastupto(%s, %s)", collected, bound)
}

func (dialect) Pairs(items string) string {
	return "(WITH b AS (SELECT DISTINCT `key1`, `item` FROM (" + items + ")) SELECT x.`item` AS `one`, y.`item` AS `other` FROM b AS x JOIN b AS y ON x.`key1` = y.`key1` AND x.`item` < y.`item`)"
}

func (dialect) Scaled(aggregate, currency string) string {
	return fmt.Sprintf("weir_scaled(%s, %s)", aggregate, currency)
}

// Each selects the other columns of the table as they are. Lists are JSON.
func (d dialect) Each(table string, lists []analytics.Column) string {
	elements := map[string]int{}
	for i, c := range lists {
		elements[c.Name] = i
	}
	var columns []string
	t, _ := d.schema.Table(table)
	if t == nil {
		return quote(table) // which SQLite does not find either, and says so
	}
	for _, c := range t.Columns {
		name := quote(c.Name)
		if i, ok := elements[c.Name]; ok {
			columns = append(columns, fmt.Sprintf("e%d.value AS %s", i, name))
		} else {
			columns = append(columns, "t."+name)
		}
	}
	from := quote(table) + " t"
	for i, c := range lists {
		from += fmt.Sprintf(" JOIN json_each(t.%s) e%d", quote(c.Name), i)
		if i > 0 {
			from += fmt.Sprintf(" ON e%d.key = e0.key", i)
		}
	}
	return "(SELECT " + strings.Join(columns, ", ") + " FROM " + from + ")"
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
