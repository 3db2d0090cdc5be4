package clickhouse

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirstream/weir/processors/analytics"
)

// Layout is how the tables lie on servers.
type Layout struct {
	// Cluster is the name of a cluster whose servers have the tables: each keeps those of
	// its shard, NAME_local, replicated, and NAME reads and writes all. Empty: one server.
	Cluster string
	// KeepDays is how long events and what follows from each of them are kept, by their time;
	// 0: for ever. What documents have become and what was counted by the hour stays.
	KeepDays int

	generation int64 // see swap.go
}

// window is how many blocks a table knows by their tokens: two hours and a half of one a
// second. A writer that was frozen for longer with a block on its way would double it.
const window = 10_000

// Names of tables that are ClickHouse's own.
const (
	outsideTable = "outside" // events from outside, by source and id
	skippedTable = "skipped" // records that are no events, or that nobody can read
	hoursView    = "events_to_hours"
	// what was found to be otherwise than it was written
	differencesTable = "differences"
)

// Statement makes one table or view.
type Statement struct {
	Table string
	SQL   string
}

// Statements make everything that the schema needs in a database, in their order.
//
// There are no partitions: what is inserted at once is one part then, and there as a whole
// or not at all; and times from outside may be of any month of three centuries.
func Statements(s *analytics.Schema, l Layout) (out []Statement) {
	for _, t := range s.Tables {
		out = append(out, l.table(t.Name, columns(t), order(t), "MergeTree", l.ttl(t)))
	}
	out = append(out,
		l.table(analytics.HoursTable, "`topic` LowCardinality(String), `type` LowCardinality(String), `hour` Int64, "+
			"`rows` SimpleAggregateFunction(sum, UInt64), `checksum` SimpleAggregateFunction(sumWithOverflow, UInt64)", "`topic`, `type`, `hour`", "AggregatingMergeTree", ""),
		l.table(analytics.BlocksTable, "`number` Int64, `writer` String, `at` DateTime64(9, 'UTC'), `ranges` String CODEC(ZSTD(3)), `tables` String CODEC(ZSTD(3)), `beside` String, `cursors` String CODEC(ZSTD(3))",
			"`number`", "MergeTree", ""),
		l.table(outsideTable, "`_block` Int64, `source` String, `id` String, `at` DateTime64(9, 'UTC')", "`source`, `id`", "MergeTree", " TTL toDateTime(`at`) + INTERVAL 8 DAY"),
		l.table(skippedTable, "`_block` Int64, `topic` LowCardinality(String), `partition` Int64, `offset` Int64, `at` DateTime64(9, 'UTC'), `reason` String", "`topic`, `partition`, `offset`", "MergeTree", ""))
	out = append(out, l.table(differencesTable, "`found` DateTime64(9, 'UTC'), `kind` LowCardinality(String), `table` LowCardinality(String), `block` Int64, `topic` LowCardinality(String), "+
		"`partition` Int64, `offset` Int64, `last` Int64, `id` String, `detail` String", "`found`", "MergeTree", ""))
	if l.Cluster != "" {
		n := len(out)
		for _, local := range out[:n] {
			out = append(out, l.distributed(local.Table))
		}
	}
	return append(out, l.hours(s.Events))
}

// hourOf is when the hour of an event begins, in seconds since 1970: times from outside are
// of centuries that DateTime does not know.
const hourOf = "intDiv(toUnixTimestamp64Nano(`time`), 3600000000000) * 3600"

// local is the name of the table that holds the rows.
func (l Layout) local(name string) string {
	if l.Cluster == "" {
		return name
	}
	return name + "_local"
}

func (l Layout) onCluster() string {
	if l.Cluster == "" {
		return ""
	}
	return " ON CLUSTER " + quote(l.Cluster)
}

func (l Layout) table(name, columns, order, engine, ttl string) Statement {
	settings := fmt.Sprintf("non_replicated_deduplication_window = %d", window)
	if l.Cluster != "" {
		engine = fmt.Sprintf("Replicated%s('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')", engine)
		settings = fmt.Sprintf("replicated_deduplication_window = %d, replicated_deduplication_window_seconds = 604800", window)
	} else {
		engine += "()"
	}
	columns, comment := l.ofGeneration(columns)
	return Statement{name, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s (%s) ENGINE = %s ORDER BY (%s)%s SETTINGS %s%s",
		quote(l.local(name)), l.onCluster(), columns, engine, order, ttl, settings, comment)}
}

// distributed reads and writes the tables of all shards. What is about one key is on one.
func (l Layout) distributed(name string) Statement {
	by := "rand()"
	switch {
	case name == analytics.EventsTable:
		by = "xxHash64(`key`)"
	case strings.HasPrefix(name, analytics.SagaTable("")):
		by = "xxHash64(`_correlation`)"
	case strings.HasPrefix(name, analytics.EventTable("")), strings.HasPrefix(name, analytics.ViewTable("")):
		by = "xxHash64(`_key`)"
	case name == analytics.BlocksTable, name == differencesTable, name == skippedTable:
		by = "0" // one shard decides whose block it is
	case name == outsideTable:
		by = "xxHash64(`id`)"
	}
	return Statement{name, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s ENGINE = Distributed(%s, currentDatabase(), %s, %s)",
		quote(name), l.onCluster(), quote(l.local(name)), quote(l.Cluster), quote(l.local(name)), by)}
}

// hours counts what is inserted into EventsTable. It is told the same token, and drops what
// it has counted.
func (l Layout) hours(events *analytics.Table) Statement {
	return Statement{hoursView, fmt.Sprintf("CREATE MATERIALIZED VIEW IF NOT EXISTS %s%s TO %s AS SELECT `topic`, `type`, %s AS `hour`, "+
		"count() AS `rows`, sumWithOverflow(%s) AS `checksum` FROM %s GROUP BY `topic`, `type`, `hour`",
		quote(hoursView), l.onCluster(), quote(l.local(analytics.HoursTable)), hourOf, checksum(typesOf(events)), quote(l.local(analytics.EventsTable)))}
}

func (l Layout) ttl(t *analytics.Table) string {
	if l.KeepDays == 0 || t.View != nil {
		return ""
	}
	return fmt.Sprintf(" TTL toDateTime(%s) + INTERVAL %d DAY", quote(t.Time), l.KeepDays)
}

func columns(t *analytics.Table) string {
	var out []string
	for _, c := range t.Columns {
		out = append(out, quote(c.Name)+" "+typeOf(c)+codec(c))
	}
	out = append(out, "INDEX block_index "+quote(analytics.BlockColumn)+" TYPE minmax GRANULARITY 1")
	if t.Name == analytics.EventsTable { // what happened to one
		for _, c := range []string{"correlation", "key", "id"} {
			out = append(out, fmt.Sprintf("INDEX %s_index %s TYPE bloom_filter(0.01) GRANULARITY 1", c, quote(c)))
		}
	}
	return strings.Join(out, ", ")
}

func order(t *analytics.Table) string {
	var out []string
	for _, c := range t.Order {
		out = append(out, quote(c))
	}
	return strings.Join(out, ", ")
}

// typeOf is the type of a column.
func typeOf(c analytics.Column) string {
	t := map[analytics.Kind]string{analytics.Text: "String", analytics.Word: "LowCardinality(String)", analytics.Whole: "Int64", analytics.Real: "Float64",
		analytics.At: "DateTime64(9, 'UTC')", analytics.Amount: fmt.Sprintf("Decimal(38, %d)", analytics.Scale)}[c.Kind]
	if c.List {
		return "Array(" + t + ")"
	}
	return t
}

func codec(c analytics.Column) string {
	switch {
	case c.List || c.Kind == analytics.Word:
		return ""
	case c.Kind == analytics.At, c.Kind == analytics.Whole:
		return " CODEC(Delta, ZSTD(1))"
	case c.Name == "data":
		return " CODEC(ZSTD(3))"
	}
	return " CODEC(ZSTD(1))"
}

// checksum is that which analytics.Rows has of a row, over all columns that a table has:
// one that is declared no more is in the checksums of its rows still.
func checksum(columns map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		if name == analytics.BlockColumn {
			continue
		}
		x, typ := quote(name), columns[name]
		value, empty := textOf(typ, x), x+" = 0"
		switch {
		case strings.HasPrefix(typ, "Array("):
			value = fmt.Sprintf("arrayStringConcat(arrayMap(x -> concat(%s, '\\x01'), %s))", textOf(strings.TrimSuffix(strings.TrimPrefix(typ, "Array("), ")"), "x"), x)
			empty = "empty(" + x + ")"
		case strings.Contains(typ, "String"):
			empty = "empty(" + x + ")"
		case strings.HasPrefix(typ, "DateTime64"):
			empty = "toUnixTimestamp64Nano(" + x + ") = 0"
		}
		parts = append(parts, fmt.Sprintf("if(%s, '', concat('%s=', %s, '\\0'))", empty, strings.ReplaceAll(name, "'", "\\'"), value))
	}
	return "xxHash64(concat(" + strings.Join(parts, ", ") + "))"
}

// typesOf are the types of a table's columns by their names.
func typesOf(t *analytics.Table) map[string]string {
	out := map[string]string{}
	for _, c := range t.Columns {
		out[c.Name] = typeOf(c)
	}
	return out
}

// textOf is a value of a type as checksums see it.
func textOf(typ, x string) string {
	switch {
	case strings.Contains(typ, "String"):
		return x
	case typ == "Float64":
		return "toString(reinterpretAsInt64(" + x + "))"
	case strings.HasPrefix(typ, "DateTime64"):
		return "toString(toUnixTimestamp64Nano(" + x + "))"
	case strings.HasPrefix(typ, "Decimal"):
		return fmt.Sprintf("toString(toInt128(%s * %d))", x, scale)
	}
	return "toString(" + x + ")"
}

// scale makes whole ten-thousandths of an amount.
const scale = 10_000

func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}
